"""The list of planted faults for readers, between two marks of docs/guarantees.md."""
import pathlib

import found
import table

DOCS = pathlib.Path(__file__).resolve().parents[3] / "docs" / "guarantees.md"
BEGIN = "<!-- planted faults: written by tests/simulation/faults/find -->"
END = "<!-- end of planted faults -->"


def markdown():
    known = found.read()
    lines = ["| fault | what is wrong | breaks promise | first seed that finds it |",
             "|---|---|---|---|"]
    for fault in table.FAULTS:
        last = known.get(fault.name)
        promise, seed = (last.promise, last.seed) if last else ("", "not found")
        lines.append(f"| `{fault.name}` | {fault.why} | {promise} | {seed} |")
    return "\n".join(lines) + "\n"


def _parts():
    """What stands before, between and after the marks; None if they are not there."""
    text = DOCS.read_text(encoding="utf-8") if DOCS.is_file() else ""
    before, begin, rest = text.partition(BEGIN + "\n")
    between, end, after = rest.partition(END)
    return (before, between, after) if begin and end else None


def differences():
    parts = _parts()
    if parts is None or parts[1] == markdown():
        return []
    return ["docs/guarantees.md: the list of planted faults is not that of found.txt"]


def write():
    parts = _parts()
    if parts is not None:
        DOCS.write_text(f"{parts[0]}{BEGIN}\n{markdown()}{END}{parts[2]}", encoding="utf-8")
