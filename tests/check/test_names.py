#!/usr/bin/env python3
"""TEST_CASE names read "subject: behaviour as a sentence" and are unique within one program."""
import re

import sources

problems = []
seen = {}
for name in sources.files("_test.cc", under=("tests",)):
    # A long name is written over several lines of string literals.
    for match in re.finditer(r'TEST_CASE\(\s*((?:"[^"]*"\s*)+)', sources.read(name)):
        title = "".join(re.findall(r'"([^"]*)"', match.group(1)))
        if not re.match(r"[^:]+: \S+ ", title):
            problems.append(f'{name}: "{title}" is no "subject: behaviour"')
        key = (name.split("/")[1], title)
        if key in seen:
            problems.append(f'{name}: "{title}" is also in {seen[key]}')
        seen[key] = name
sources.finish(problems, 'TEST_CASE("placement: a drained node gets nothing")')
