#!/usr/bin/env python3
"""clang-format 14 changes nothing. `tests/check/format.py --fix` lets it."""
import shutil
import subprocess
import sys

import sources

tool = shutil.which("clang-format-14") or shutil.which("clang-format")
if tool is None:
    print("clang-format is not installed")
    sys.exit(77)
names = sources.files(".h", ".cc")
if "--fix" in sys.argv:
    subprocess.run([tool, "-i", *names], cwd=sources.ROOT, check=True)
    sys.exit(0)
result = subprocess.run([tool, "--dry-run", "-Werror", *names], cwd=sources.ROOT,
                        capture_output=True, text=True)
bad = sorted({line.split(":", 1)[0] for line in result.stderr.splitlines() if ": error:" in line})
sources.finish([f"{name}: not formatted" for name in bad], "tests/check/format.py --fix")
