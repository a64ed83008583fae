#!/usr/bin/env python3
"""TEST_CASE names read "subject: behaviour as a sentence" and are unique within one program."""
import re

import sources

problems = []
seen = {}
for name in sources.files("_test.cc", under=("tests",)):
    for number, line in enumerate(sources.read(name).splitlines(), 1):
        match = re.match(r'\s*TEST_CASE\("([^"]*)"', line)
        if not match:
            continue
        if not re.match(r"[^:]+: \S+ ", match.group(1)):
            problems.append(f"{name}:{number}: \"{match.group(1)}\" is no \"subject: behaviour\"")
        key = (name.split("/")[1], match.group(1))
        if key in seen:
            problems.append(f"{name}:{number}: \"{match.group(1)}\" is also in {seen[key]}")
        seen[key] = name
sources.finish(problems, 'TEST_CASE("placement: a drained node gets nothing")')
