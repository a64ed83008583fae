#!/usr/bin/env python3
"""Each program is killed at each step of each operation, with real programs.

A step is every effect that a core emits, every write to store, journal and record file, and everything else
by which the keeper changes the machine. The programs are those of bin/steps, which can be killed at step n.

  steps_test.py [--all] [NAME...]

Without --all (or APPSUP_ALL_STEPS=1), steps that change nothing outside the program (notes, timers, the end of
a round) are tried in part: which, is chosen by a seed (APPSUP_SEED).
"""
import collections
import os
import random
import sqlite3
import sys
import time
import unittest

from case import PORT, Case
from cluster import CallError, wait_for
from step_switch import StepCluster

ALL = bool(os.environ.get("APPSUP_ALL_STEPS"))
SEED = int(os.environ.get("APPSUP_SEED", "1"))
SHARE = 0.25  # Of the minor steps, without --all.
MINOR = {"SetTimer", "Note", "flushed"}
INSTANCES, PORTS = 2, 3  # Tables of the agent's journal.
NODES = (("home", "home"), ("left", "move"), ("right", "move"))

# Tells of each start, and keeps the environment that it is known by.
RUN = ["sh", "-c", 'echo "$VERSION" >> "$MARKS"; exec sleep 1000']
SET_UP = ["sh", "-c", 'echo "setup $KEY" >> "$MARKS"']


class Steps(Case):
    nodes = ()

    @classmethod
    def setUpClass(cls):
        cls.failed = False
        cls.cluster = StepCluster()
        cls.cluster.__enter__()
        cls.addClassCleanup(lambda: cls.cluster.__exit__(cls.failed, None, None))
        cls.expected = {}  # App -> (version, replicas) that runs.
        cls.marks, cls.starts = {}, collections.defaultdict(collections.Counter)
        cls.version = 0
        try:
            cls.cluster.add_nodes(*NODES)
        except BaseException:
            cls.failed = True
            raise

    # --- the operations: each asks, waits for the end, and says what is to be seen then ---

    def name(self, app):
        return {"name": f"projects/default/apps/{app}"}

    def env(self, app, **more):
        type(self).version += 1
        return {"VERSION": f"v{self.version}", "MARKS": str(self.marks[app]), **more}

    def runs(self, app, replicas, version=None, fresh=None):
        """From now on `app` runs so, for which `fresh` new processes of that version were started."""
        version = version or self.expected[app][0]
        self.expected[app] = (version, replicas)
        self.starts[app][version] += replicas if fresh is None else fresh

    def well(self, operation):
        self.assertNotIn("error", operation, operation)

    def create(self, app, part="home", **spec):
        if app not in self.marks:
            self.marks[app] = self.shared_file(f"marks-{app}")
        env = spec.pop("env", None) or self.env(app)
        self.well(self.cluster.change("AppService/CreateApp", {"parent": "projects/default", "appId": app, "app": {"spec": {
            "runtime": {"process": {"command": RUN}}, "env": env, "ports": PORT,
            "restart": {"initial_backoff": "0.1s"}, "placement": {"node_selector": {"part": part}}, **spec}}}))
        self.runs(app, spec.get("replicas", 1), env["VERSION"])

    def delete(self, app):
        self.well(self.cluster.change("AppService/DeleteApp", {**self.name(app), "purge": True}))
        del self.expected[app]

    def update_version(self, app):
        env = self.env(app)
        self.well(self.cluster.change("AppService/UpdateApp", {
            "app": {**self.name(app), "spec": {"env": env}}, "updateMask": {"paths": ["spec.env"]}}))
        self.runs(app, self.expected[app][1], env["VERSION"])

    def scale(self, app, replicas):
        before = self.expected[app][1]
        self.well(self.cluster.change("AppService/ScaleApp", {**self.name(app), "replicas": replicas}))
        self.runs(app, replicas, fresh=max(0, replicas - before))

    def set_up(self, app, retry_safe=False):
        """An update with a setup step, which runs once, or with `retry_safe` as often as it takes. What nobody watched
        has an unknown outcome: then somebody looks."""
        env = self.env(app)
        env["KEY"] = env["VERSION"]
        ended = self.cluster.change("AppService/UpdateApp", {
            "app": {**self.name(app), "spec": {"env": env, "setup": {
                "command": SET_UP, "version": env["KEY"], "retry_safe": retry_safe}}},
            "updateMask": {"paths": ["spec.env", "spec.setup"]}})
        if "error" in ended:
            self.assertTrue(self.nobody_knows() and not retry_safe, ended)
            self.assertEqual(self.condition(app, "SetUp")["reason"], "SetupOutcomeUnknown", ended)
            done = self.set_ups(app, env["KEY"])
            self.well(self.cluster.change("AppService/" + ("AcceptSetup" if done else "RetrySetup"), self.name(app)))
            self.looked += 1
        times = self.set_ups(app, env["KEY"])
        self.assertTrue(times == 1 or (retry_safe and times == 2), f"setup ran {times} times")
        self.starts[app][f"setup {env['KEY']}"] = times
        self.runs(app, 1, env["VERSION"])

    def move(self, app):
        """Drains the node that it runs on."""
        node = self.node_of(app)
        self.well(self.cluster.change("NodeService/DrainNode", {"name": f"nodes/{node}"}))
        self.runs(app, 1)
        self.assertNotEqual(self.node_of(app), node)
        self.cluster.ask("NodeService/ResumeNode", {"name": f"nodes/{node}"})

    def nobody_knows(self):
        """Did it die between the moments when a setup may have begun and when its end is written down?"""
        steps = self.switch.steps()
        if self.program == "keeper" and "process-made" in steps:  # The setup is the first that is made.
            rest = steps[steps.index("process-made"):]
            return "tree-empty" not in rest or set(rest[rest.index("tree-empty") + 1:]) <= {"writing-record"}
        return self.program == "agent" and "StartProcess" not in steps[:-1]

    def set_ups(self, app, key):
        return self.marks[app].read_text().splitlines().count(f"setup {key}")

    def node_of(self, app):
        (_, environment), = self.cluster.processes()[app]
        return environment["APPSUP_NODE"]

    # --- what is seen when all is over ---

    def what_is_wrong(self):
        """Nothing, when exactly what should run runs, once, and is told of as it is."""
        running = self.cluster.processes()
        for app in running.keys() - self.expected.keys():
            return f"{app} still runs: {running[app]}"
        for app, (version, replicas) in self.expected.items():
            seen = sorted((env["VERSION"], env["APPSUP_SLOT"], pid) for pid, env in running[app])
            if [(v, s) for v, s, _ in seen] != [(version, str(slot)) for slot in range(replicas)]:
                return f"{app} is to run {replicas} times as {version}, and runs as {seen}"
            told = self.cluster.ask("AppService/ListInstances", {"parent": f"projects/default/apps/{app}"})
            told = [i for i in told.get("instances", []) if not i.get("setup")]
            if sorted(int(i.get("pid", 0)) for i in told) != sorted(pid for *_, pid in seen):
                return f"{app} runs as {seen}, and is told of as {told}"
            if not all(i.get("ready") and i.get("reachable") for i in told):
                return f"not ready or reachable: {told}"
            ports = [env["PORT"] for _, env in running[app]]
            if len(set(ports)) != len(ports):
                return f"{app}: one port twice: {ports}"
            lines = collections.Counter(self.marks[app].read_text().splitlines())
            if lines != self.starts[app]:
                return f"{app}: should have started {self.starts[app] - lines} more, {lines - self.starts[app]} less"
        nodes = self.cluster.ask("NodeService/ListNodes", {}).get("nodes", [])
        states = {n["name"]: n["status"]["state"] for n in nodes}
        if set(states.values()) != {"NODE_STATE_READY"}:
            return f"nodes are {states}"
        return None

    def check(self, what):
        self.wrong = "not looked at yet"

        def well():
            self.wrong = self.what_is_wrong()
            return self.wrong is None
        try:
            wait_for("all is well", well)
        except AssertionError:
            raise AssertionError(f"{what}: {self.wrong}") from None
        self.assertEqual(self.cluster.faults, [], what)

    def leftovers(self):
        """What nodes keep of what is no more: folders, control groups, rows of journals."""
        held = collections.defaultdict(set)
        for instance in self.cluster.instances():
            held[instance["node"]].add(instance["uid"])
        apps = self.cluster.call("AppService/ListApps", {"parent": "projects/default"}).get("apps", [])
        for node in self.cluster.agents:
            places, rows = self.cluster.places(node), self.cluster.journal(node)
            yield from (f"{node} has {path}" for path in places if not any(uid in path for uid in held[node]))
            yield from (f"{node} has nothing of {uid}" for uid in held[node] if not any(uid in path for path in places))
            remembered = {key for table, key in rows if table == INSTANCES}
            if remembered != held[node]:
                yield f"{node} remembers {remembered}, and holds {held[node]}"
            yield from (f"{node} remembers port {key}" for table, key in rows
                        if table == PORTS and not any(key.startswith(app["uid"]) for app in apps))

    def check_leftovers(self):
        self.left = []

        def nothing():
            try:
                self.left = list(self.leftovers())
            except sqlite3.DatabaseError as error:  # The copy was torn.
                self.left = [repr(error)]
            return not self.left
        try:
            wait_for("nothing is left", nothing)
        except AssertionError:
            raise AssertionError(f"{self.title}: {self.left}") from None

    # --- one step after another ---

    def try_step(self, switch, operation, number):
        switch.arm(number)
        try:
            operation()
            fired = switch.await_quiet()
        except (AssertionError, CallError) as error:
            raise AssertionError(f"{self.title}: {self.place(switch, number)}: {error}") from error
        finally:
            switch.disarm()
        steps = switch.steps()
        self.check(f"{self.title}: {self.place(switch, number)}")
        return fired, steps

    def place(self, switch, number):
        steps = switch.steps()
        if number == 0:
            return "nobody was killed"
        return f"killed at step {number} ({steps[number - 1] if number <= len(steps) else 'which never came'})"

    def kill_at_each_step(self, title, place, *operations):
        """`operations` are done one after the other; the program dies in each."""
        self.title, self.looked = f"{self.program} {place}, {title}", 0
        self.switch = switch = self.cluster.switches[self.program, place]
        began, tried = time.monotonic(), 0
        self.check(f"{self.title}: before it")
        switch.arm()
        switch.await_quiet()  # What came before has no steps left.
        names = [self.try_step(switch, operation, 0)[1] for operation in operations]
        chosen = [self.choose(steps) for steps in names]
        for number in sorted(set().union(*chosen)):
            for operation, numbers in zip(operations, chosen):
                tried += number in numbers and self.try_step(switch, operation, number)[0]
                if number not in numbers:
                    operation()  # The others go on from there.
        self.check_leftovers()
        seconds = time.monotonic() - began
        known = sum(map(len, names))
        print(f"{self.title}: killed at {tried} of {known} steps in {seconds:.0f} s"
              + (f"; somebody had to look {self.looked} times" if self.looked else ""), flush=True)
        self.assertGreater(tried, 0)

    def choose(self, steps):
        chance = random.Random(f"{SEED} {self.title}")
        return {number for number, name in enumerate(steps, 1)
                if ALL or name not in MINOR or chance.random() < SHARE}


class Operations:
    """Of one program: `places` are where it stays and where the app that is drained may be."""

    def test_create_and_delete(self):
        self.kill_at_each_step("create and delete", self.places[0], lambda: self.create(
            "made", data={"kind": "DATA_KIND_NODE"}), lambda: self.delete("made"))

    def test_update(self):
        self.create("updated")
        self.kill_at_each_step("update", self.places[0], lambda: self.update_version("updated"))

    def test_scale(self):
        self.create("scaled")
        self.kill_at_each_step("scale", self.places[0], lambda: self.scale("scaled", 2), lambda: self.scale("scaled", 1))

    def test_setup(self):
        self.create("prepared")
        self.kill_at_each_step("setup", self.places[0], lambda: self.set_up("prepared"))

    def test_drain(self):
        self.create("moved", part="move")
        to_and_fro = (lambda: self.move("moved"),) * (1 if self.program == "entry" else 2)
        self.kill_at_each_step("drain", self.places[1], *to_and_fro)


class WhoeverWatches(Operations):
    """Without it nobody may know how a setup ended."""

    def test_setup_that_may_be_repeated(self):
        self.create("repeated")
        self.kill_at_each_step("retry_safe setup", self.places[0], lambda: self.set_up("repeated", retry_safe=True))


class OfEntry(Operations, Steps):
    program, places = "entry", ("entry", "entry")


class OfAgent(WhoeverWatches, Steps):
    program, places = "agent", ("home", "left")


class OfKeeper(WhoeverWatches, Steps):
    program, places = "keeper", ("home", "left")


if __name__ == "__main__":
    if "--help" in sys.argv or "-h" in sys.argv:
        print(__doc__)
    ALL = ALL or "--all" in sys.argv
    unittest.main(verbosity=2, argv=[argument for argument in sys.argv if argument != "--all"])
