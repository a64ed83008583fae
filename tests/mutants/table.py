"""Lines of the cores that are broken one by one, and the test that must notice."""
import dataclasses


@dataclasses.dataclass(frozen=True)
class Mutant:
    file: str
    old: str  # there exactly once in the file
    new: str
    why: str  # what the broken line does wrong
    program: str
    test: str  # the name of one TEST_CASE


def entry(name, old, new, why, test):
    return Mutant(f"entry/core/{name}", old, new, why, "test_unit_entry_core", test)


def agent(name, old, new, why, test):
    return Mutant(f"agent/core/{name}", old, new, why, "test_unit_agent_core", test)


MUTANTS = [
]
