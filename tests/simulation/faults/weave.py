#!/usr/bin/env python3
"""Plants the faults of table.py into copies of the sources that they are in.

  weave.py --files        the sources, one per line
  weave.py --out FOLDER   their copies, and the table for the programs

Each copy holds right and wrong side by side and asks planted::Is which of them is to run. A text that is
not there exactly once, or that lies within another, is an error.
"""
import argparse
import pathlib
import sys

ROOT = pathlib.Path(__file__).resolve().parents[3]
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import found  # noqa: E402
import table  # noqa: E402

SPACE = "::appsup::planted::"
INCLUDE = '#include "tests/simulation/faults/planted.h"\n'


def constant(name):
    return "k" + "".join(part.capitalize() for part in name.split("-"))


def woven(fault):
    condition = f"{SPACE}Is({SPACE}{constant(fault.name)})"
    if fault.old.endswith((";", "}")):
        return f"if ({condition}) {{\n{fault.new}\n}} else {{\n{fault.old}\n}}"
    return f"({condition} ? ({fault.new}) : ({fault.old}))"


def places(text, faults):
    """(begin, end, fault) of each, in order. ValueError: what is wrong with the table."""
    spots = []
    for fault in faults:
        context = fault.before + fault.old + fault.after
        count = text.count(context)
        if count != 1:
            raise ValueError(f"{fault.file}: {fault.name}: the text is there {count} times: {context!r}")
        begin = text.index(context) + len(fault.before)
        spots.append((begin, begin + len(fault.old), fault))
    spots.sort(key=lambda spot: spot[:2])
    for one, other in zip(spots, spots[1:]):
        if other[0] < one[1]:
            raise ValueError(f"{one[2].file}: {one[2].name} and {other[2].name} change the same text")
    return spots


def weave(text, faults):
    result, at = INCLUDE, 0
    for begin, end, fault in places(text, faults):
        result += text[at:begin] + woven(fault)
        at = end
    return result + text[at:]


def by_file():
    files = {}
    for fault in table.FAULTS:
        files.setdefault(fault.file, []).append(fault)
    return files


def names():
    """planted_names.h: what a copy asks for."""
    constants = "".join(f"  {constant(fault.name)},\n" for fault in table.FAULTS)
    return ("#pragma once\n\n// Made by weave.py.\n\nnamespace appsup::planted {\n\n"
            f"enum Fault {{\n{constants}  kNone,\n}};\n\n}}  // namespace appsup::planted\n")


def rows():
    """planted_rows.h: the table, in the order of the names, with what was found."""
    known = found.read()
    lines = []
    for fault in table.FAULTS:
        last = known.get(fault.name, found.Found(0, 0, 0))
        promises = ", ".join(str(promise) for promise in fault.promises)
        lines.append(f'{{"{fault.name}", {{{promises}}}, {last.seed}, {last.within}}},\n')
    return "// Made by weave.py.\n" + "".join(lines)


def write(path, text):
    """Only what changed, so that nothing else is compiled again."""
    if path.is_file() and path.read_text(encoding="utf-8") == text:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--files", action="store_true")
    parser.add_argument("--out", type=pathlib.Path)
    options = parser.parse_args()
    if options.files:
        print("\n".join(sorted(by_file())))
        return
    try:
        for name, faults in by_file().items():
            text = (ROOT / name).read_text(encoding="utf-8")
            write(options.out / name, weave(text, faults))
    except ValueError as error:
        sys.exit(f"{error}\nBring tests/simulation/faults/table.py up to date.")
    write(options.out / "planted_names.h", names())
    write(options.out / "planted_rows.inc", rows())


if __name__ == "__main__":
    main()
