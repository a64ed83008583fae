#!/usr/bin/env python3
"""Each program is killed at each step of each operation, with real programs.

A step is every effect that a core emits, every write to store, journal and record file, and everything else
by which the keeper changes the machine. The programs are those of bin/steps, which can be killed at step n.

  steps_test.py [--all] [NAME...]

Without --all (or APPSUP_ALL_STEPS=1), steps that change nothing outside the program (notes, timers, the end of
a round) are tried in part: which, is chosen by a seed (APPSUP_SEED).
"""
import concurrent.futures
import itertools
import os
import random
import sys
import time
import unittest

from cluster import CallError, wait_for
from step_world import World

ALL = bool(os.environ.get("APPSUP_ALL_STEPS"))
SEED = int(os.environ.get("APPSUP_SEED", "1"))
SHARE = 0.25  # Of the minor steps, without --all.
MINOR = {"SetTimer", "Note", "flushed"}
LOOKS = 3  # At what steps an operation makes: the fewest count.
ROUNDS = 2  # An operation makes now and then a step less than before: then the same death is tried again.
ENOUGH = 0.8  # Of the deaths that were chosen for an operation.
PLACES = {  # Of the program that dies: where it stays, and where the app that is drained may be.
    "entry": ("entry", "entry"), "agent": ("home", "left"), "keeper": ("home", "left")}


class Killed(World):
    """A world in which one program dies at one step after another."""

    def __init__(self, program):
        super().__init__(program)
        self.home, self.way = PLACES[program]

    # --- the operations that it dies in ---

    def creation_and_deletion(self):
        self.kill_at_each_step(self.home, create=lambda: self.create("made", data={"kind": "DATA_KIND_NODE"}),
                               delete=lambda: self.delete("made"))

    def updating(self):
        self.create("updated")
        self.kill_at_each_step(self.home, update=lambda: self.update_version("updated"))

    def scaling(self):
        self.create("scaled")
        self.kill_at_each_step(self.home, scale_up=lambda: self.scale("scaled", 2),
                               scale_down=lambda: self.scale("scaled", 1))

    def setting_up(self):
        self.create("prepared")
        self.kill_at_each_step(self.home, setup=lambda: self.set_up("prepared"))

    def setting_up_again(self):
        self.create("repeated")
        self.kill_at_each_step(self.home, retry_safe_setup=lambda: self.set_up("repeated", retry_safe=True))

    def draining(self):
        self.create("moved", part="move")
        to_and_fro = {"drain": lambda: self.move("moved")}
        if self.program != "entry":
            to_and_fro["drain_back"] = to_and_fro["drain"]
        self.kill_at_each_step(self.way, **to_and_fro)

    # --- one step after another ---

    def kill_at_each_step(self, place, **operations):
        """`operations` are done in turn, until the program has died in each at each step that is chosen."""
        self.title, self.looked = f"{self.program} {place}, {' and '.join(operations)}", 0
        self.switch = self.cluster.switches[self.program, place]
        self.victim = self.program if self.program == place else f"{self.program} {place}"
        began = time.monotonic()
        self.check(f"{self.title}: before it")
        self.switch.arm()
        self.switch.await_quiet()  # What came before has no steps left.
        # Now and then something else happens meanwhile, and makes steps that do not come again.
        looks = [{name: self.try_step(operation, 0)[1] for name, operation in operations.items()} for _ in range(LOOKS)]
        steps = {name: min((look[name] for look in looks), key=len) for name in operations}
        chosen = {name: self.choose(name, steps[name]) for name in operations}
        missed = chosen
        for _ in range(ROUNDS):
            missed = self.go_round(operations, missed)
        self.check_leftovers()
        told = "; ".join(f"{name} at {len(chosen[name]) - len(missed[name])} of {len(chosen[name])} chosen "
                         f"of {len(steps[name])} steps" for name in operations)
        print(f"{self.program} {place} killed: {told}; {time.monotonic() - began:.0f} s"
              + (f"; somebody had to look {self.looked} times" if self.looked else ""), flush=True)
        for name in operations:
            self.assertTrue(chosen[name], f"{self.title}: {name} has no steps: {told}")
            self.assertGreaterEqual(len(chosen[name]) - len(missed[name]), ENOUGH * len(chosen[name]),
                                    f"{self.title}: {told}; {name} never got to its steps {missed[name]}")

    def choose(self, name, steps):
        chance = random.Random(f"{SEED} {self.title} {name}")
        return [number for number, step in enumerate(steps, 1)
                if ALL or step not in MINOR or chance.random() < SHARE]

    def go_round(self, operations, numbers):
        """Does them in turn until each was tried with all its numbers; the numbers that were not reached."""
        missed = {name: [] for name in operations}
        for turn in itertools.zip_longest(*numbers.values()):
            for (name, operation), number in zip(operations.items(), turn):
                if number is None:
                    operation()  # The others go on from there.
                elif not self.try_step(operation, number)[0]:
                    missed[name].append(number)
        return missed

    def try_step(self, operation, number):
        """Whether the program died at that step, and the steps that it made until then."""
        deaths = self.cluster.deaths[self.victim]
        self.switch.arm(number)
        try:
            operation()
            fired = self.switch.await_quiet()
        except (AssertionError, CallError) as error:
            raise AssertionError(f"{self.title}: {self.place(number)}: {error}") from error
        finally:
            self.switch.disarm()
        steps = self.switch.steps()
        if fired:  # It meant to: did it?
            wait_for(f"{self.victim} is dead", lambda: self.cluster.deaths[self.victim] > deaths)
            self.assertEqual(len(steps), number, f"{self.title}: {self.place(number)}, but not there: {steps}")
        self.check(f"{self.title}: {self.place(number)}")
        return fired, steps

    def place(self, number):
        steps = self.switch.steps()
        if number == 0:
            return "nobody was killed"
        return f"killed at step {number} ({steps[number - 1] if number <= len(steps) else 'which never came'})"


class KilledAtEachStep(unittest.TestCase):
    """The worlds of the three programs go on side by side: most of the time they wait."""

    @classmethod
    def setUpClass(cls):
        cls.worlds = {}
        for program in PLACES:
            world = Killed(program)
            cls.enterClassContext(world)
            cls.worlds[program] = world

    def in_each(self, walk, programs=tuple(PLACES)):
        with concurrent.futures.ThreadPoolExecutor(len(programs)) as pool:
            walks = {program: pool.submit(walk, self.worlds[program]) for program in programs}
        for program, ended in walks.items():
            with self.subTest(program=program):
                self.worlds[program].failed |= ended.exception() is not None
                ended.result()

    def test_create_and_delete(self):
        self.in_each(Killed.creation_and_deletion)

    def test_update(self):
        self.in_each(Killed.updating)

    def test_scale(self):
        self.in_each(Killed.scaling)

    def test_setup(self):
        self.in_each(Killed.setting_up)

    def test_setup_that_may_be_repeated(self):
        # Without the entry's death: it does not watch the setup itself.
        self.in_each(Killed.setting_up_again, ("agent", "keeper"))

    def test_drain(self):
        self.in_each(Killed.draining)


if __name__ == "__main__":
    if "--help" in sys.argv or "-h" in sys.argv:
        print(__doc__)
    ALL = ALL or "--all" in sys.argv
    unittest.main(verbosity=2, argv=[argument for argument in sys.argv if argument != "--all"])
