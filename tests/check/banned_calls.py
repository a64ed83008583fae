#!/usr/bin/env python3
"""Sleep, chance, clocks and the environment are seams: they come in through Clock, Random and config.

Banned outside common/ and the mains; in tests only sleeping is banned (wait for a condition instead).
"""
import ast
import re

import sources

SLEEP = (r"\b(sleep_for|sleep_until|usleep|nanosleep|clock_nanosleep)\b|absl::SleepFor"
         r"|(?<![\w.:>])sleep\s*\(")
CHANCE = r"std::random_device|std::mt19937|(?<![\w.:>])s?rand\s*\(|\bgetrandom\s*\(|absl::BitGen|RAND_bytes"
CLOCK = (r"\b(system|steady|high_resolution)_clock::now|absl::Now\s*\(|\bclock_gettime\s*\("
         r"|\bgettimeofday\s*\(|(?<![\w.:>])time\s*\(\s*(nullptr|NULL|0)\s*\)")
ENVIRONMENT = r"\b(secure_)?getenv\s*\("
PRODUCT = re.compile("|".join((SLEEP, CHANCE, CLOCK, ENVIRONMENT)))
TESTS = re.compile(SLEEP)

# Files that are exceptions, each with its reason.
EXCEPT = {
    "agent/keeper/clock.cc": "the keeper is too small for common/clock.h, which brings time zones",
    "tests/support/wait.cc": "the one place that waits between two looks at a condition",
    "tests/e2e/cluster.py": "the same for scripts",
}


def python_sleeps(text):
    """Lines on which a script itself sleeps; the programs in its strings may."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            if called in ("time.sleep", "sleep"):
                yield node.lineno, called


def check(name):
    if name in EXCEPT or name.startswith(("common/", "tests/bench/", "tests/check/", "tests/runner/")):
        return
    product = name.startswith(("entry/", "agent/"))
    if product and name.endswith("main.cc"):
        return
    text = sources.read(name)
    if name.endswith(".py"):
        yield from (f"{name}:{number}: {called}" for number, called in python_sleeps(text))
        return
    text = sources.without_comments(text)
    pattern = PRODUCT if product else TESTS
    for number, line in enumerate(text.splitlines(), 1):
        match = pattern.search(line)
        if match:
            yield f"{name}:{number}: {match.group().strip()}"


problems = [p for name in sources.files(".h", ".cc", ".py") for p in check(name)]
sources.finish(problems, "Take a Clock, a Random or a config value; in tests wait for a condition.")
