#!/usr/bin/env python3
"""Each row of tests/mutants/table.py still names one place of a core and a test that exists.

Whether the test notices the change is what tests/mutants/run finds out, in minutes.
"""
import re
import sys

import sources

sys.path.insert(0, str(sources.ROOT / "tests" / "mutants"))
import table  # noqa: E402

MINIMUM = 20

names = set()
for name in sources.files("_test.cc", under=("tests/unit",)):
    # A long name is written over several lines of string literals.
    for match in re.finditer(r'TEST_CASE\(\s*((?:"[^"]*"\s*)+)', sources.read(name)):
        names.add("".join(re.findall(r'"([^"]*)"', match.group(1))))

problems = []
for mutant in table.MUTANTS:
    path = sources.ROOT / mutant.file
    count = path.read_text(encoding="utf-8").count(mutant.old) if path.is_file() else 0
    if count != 1:
        problems.append(f"{mutant.file}: {mutant.why}: the text is there {count} times: {mutant.old!r}")
    if mutant.test not in names:
        problems.append(f"{mutant.file}: {mutant.why}: no test \"{mutant.test}\"")
if len(table.MUTANTS) < MINIMUM:
    problems.append(f"only {len(table.MUTANTS)} rows, at least {MINIMUM}")
sources.finish(problems, "Bring tests/mutants/table.py up to date, then tests/mutants/run.")
