"""found.txt: at which seed the simulator last found each planted fault, and within how many it must."""
import dataclasses
import pathlib

FILE = pathlib.Path(__file__).with_name("found.txt")
HEAD = "# Written by tests/simulation/faults/find: fault, promise, first seed that finds it, found within.\n"


@dataclasses.dataclass(frozen=True)
class Found:
    promise: int
    seed: int
    within: int  # Counted from seed 1; more than `seed`, so that not each change of a core moves it.


def read():
    if not FILE.is_file():
        return {}
    found = {}
    for line in FILE.read_text(encoding="utf-8").splitlines():
        if not line.startswith("#"):
            name, *numbers = line.split()
            found[name] = Found(*(int(number) for number in numbers))
    return found


def write(found, order):
    lines = [f"{name} {found[name].promise} {found[name].seed} {found[name].within}\n"
             for name in order if name in found]
    FILE.write_text(HEAD + "".join(lines), encoding="utf-8")
