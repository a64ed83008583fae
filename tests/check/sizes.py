#!/usr/bin/env python3
"""File sizes: an error past the hard stop, a printed remark past the aim."""
import sources

AIM = {".h": 150, ".cc": 300}
HARD_STOP = 600

problems = []
for name in sources.files(".h", ".cc"):
    lines = sources.read(name).count("\n")
    aim = AIM[name[name.rindex("."):]]
    if lines > HARD_STOP:
        problems.append(f"{name}: {lines} lines, at most {HARD_STOP}")
    elif lines > aim:
        print(f"remark: {name}: {lines} lines, aim {aim}")
sources.finish(problems, "Look for the seam and split by operation.")
