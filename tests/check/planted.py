#!/usr/bin/env python3
"""Each row of tests/simulation/faults/table.py still names one text of a core, and was found once.

That the simulator finds them is what test_simulation_planted shows. The list in docs/guarantees.md is
the one that found.txt makes.
"""
import sys

import sources

FOLDER = sources.ROOT / "tests" / "simulation" / "faults"
sys.path.insert(0, str(FOLDER))
import found  # noqa: E402
import listing  # noqa: E402
import table  # noqa: E402
import weave  # noqa: E402

MINIMUM = 20
PROMISES = range(1, 13)

problems = []
for name, faults in weave.by_file().items():
    path = sources.ROOT / name
    if not path.is_file():
        problems.append(f"{name}: there is no such source")
        continue
    try:
        weave.places(path.read_text(encoding="utf-8"), faults)
    except ValueError as error:
        problems.append(str(error))
names = [fault.name for fault in table.FAULTS]
if len(set(names)) != len(names):
    problems.append("table.py: a name is there twice")
if len(names) < MINIMUM:
    problems.append(f"table.py: only {len(names)} faults, at least {MINIMUM}")
known = found.read()
for fault in table.FAULTS:
    if not fault.promises or not set(fault.promises) <= set(PROMISES):
        problems.append(f"table.py: {fault.name} names no promise of 1 to 12")
    if fault.name not in known:
        problems.append(f"found.txt: the simulator was not asked to find {fault.name}")
    elif known[fault.name].promise not in fault.promises:
        problems.append(f"found.txt: {fault.name} broke promise {known[fault.name].promise}, which is "
                        "not one of its row")
problems += [f"found.txt: {name} is not in table.py" for name in known if name not in names]
problems += listing.differences()
sources.finish(problems, "Bring tests/simulation/faults/table.py up to date, then run its neighbour `find`.")
