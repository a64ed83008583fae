#!/usr/bin/env python3
"""Faults in the middle of update, setup, scale, delete and drain: each ends as asked, and nothing ran twice."""
import unittest

from beats import BEAT, Beats
from cluster import TIME_FACTOR, wait_for
from partitioned import LEASE, RECONNECT, SLACK, Partitioned
from reboot import BootId, power_off, power_on

SMALL = {"memory_bytes": {"reserve": 1 << 20}}


class Interrupted(Partitioned):
    """n1 is where it happens; the node that is drained is n2."""
    hosts = ("n1", "n2")

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        try:
            cls.update_node("n1", labels={"role": "main"})
        except BaseException:
            cls.failed = True
            raise

    @classmethod
    def prefix(cls, host):
        if host != "n1":
            return super().prefix(host)
        cls.boot = BootId(cls.cluster.dir / "boot-id")
        return [*super().prefix(host), *cls.boot.prefix]

    def setUp(self):
        self.tag = self._testMethodName.removeprefix("test_").split("_")[0]
        self.beats = Beats(self.cluster, f"beats-{self.tag}")
        self.gate, self.marks = self.cluster.dir / f"gate-{self.tag}", self.shared_file(f"marks-{self.tag}")

    def tearDown(self):
        self.cluster.call("NodeService/ResumeNode", {"name": "nodes/n2"})
        super().tearDown()
        for app in self.cluster.call("AppService/ListApps", {"parent": "projects/default"}).get("apps", []):
            self.verb("DeleteApp", app["name"].rpartition("/")[2], purge=True)

    # --- what is done ---

    @classmethod
    def update_node(cls, node, **fields):
        cls.cluster.call("NodeService/UpdateNode", {"node": {"name": f"nodes/{node}", **fields},
                                                    "updateMask": {"paths": list(fields)}})

    def start(self, app, replicas=1, ready="true", grace="0.2s", **spec):
        self.cluster.create_app(app, BEAT, replicas=replicas, env=self.beats.env, resources=SMALL,
                                stop={"grace_period": grace}, checks=self.when(ready), **spec)
        self.beats.begun(app, replicas)

    def when(self, ready):
        """A readiness check that passes by this shell condition, or once the gate is open."""
        return {"readiness": {"exec": {"command": ["sh", "-c", f"{ready} || test -e {self.gate}"]}, "period": "0.1s"}}

    def in_the_middle(self):
        """All the changes, each begun and none at its end; their operations."""
        here = {"placement": {"node_selector": {"role": "main"}}}
        self.update_node("n1", schedulable=False)
        self.start("moves", ready='test "$APPSUP_NODE" = n2')
        self.update_node("n1", schedulable=True)
        self.start("updates", replicas=2, **here)
        self.start("grows", ready='test "$APPSUP_SLOT" = 0', **here)
        self.start("shrinks", replicas=3, grace="3s", **here)
        self.start("goes", grace="3s", **here)
        operations = {
            "moves": self.cluster.call("NodeService/DrainNode", {"name": "nodes/n2"}),
            "sets-up": self.cluster.create_app("sets-up", BEAT, env=self.beats.env, resources=SMALL, wait=False, setup={
                "command": ["sh", "-c", f"echo began >> {self.marks}; until test -e {self.gate}; do sleep 0.05; done"]},
                stop={"grace_period": "0.2s"}, **here),
            "updates": self.update("updates", "env,checks", wait=False, env={**self.beats.env, "VERSION": "2"},
                                   checks=self.when("false")),
            "grows": self.verb("ScaleApp", "grows", wait=False, replicas=3)}
        for app, lives in (("moves", 2), ("updates", 3), ("grows", 3)):
            self.beats.begun(app, lives)
        wait_for("the setup began", self.marks.read_text)
        operations["shrinks"] = self.verb("ScaleApp", "shrinks", wait=False, replicas=1)
        operations["goes"] = self.verb("DeleteApp", "goes", wait=False)
        for app in ("shrinks", "goes"):
            wait_for(f"{app} is being stopped", lambda: any(
                i.get("state") == "INSTANCE_STATE_STOPPING" for i in self.cluster.instances(app)))
        for app, operation in operations.items():
            now = self.cluster.call("OperationService/GetOperation", {"name": operation["name"]})
            self.assertNotIn("done", now, app)
        return operations

    # --- what is seen ---

    def all_end_as_asked(self, operations, setup_known=True, nothing_began_again=True):
        self.cluster.wait_node("n1", timeout=RECONNECT)
        self.gate.touch()
        self.gate.chmod(0o644)
        for app, operation in operations.items():
            with self.subTest(app=app):
                self.cluster.wait_operation(operation["name"], ok=setup_known or app != "sets-up")
        self.assertEqual(self.marks.read_text(), "began\n")
        if not setup_known:
            self.wait_condition("sets-up", "SetUp", "SetupOutcomeUnknown")
            self.verb("AcceptSetup", "sets-up")
        # All that ever began, and what lives now.
        for app, (begun, alive) in {"moves": (2, 1), "updates": (4, 2), "grows": (3, 3), "shrinks": (3, 1),
                                    "goes": (1, 0), "sets-up": (1, 1)}.items():
            with self.subTest(app=app):
                self.assertEqual(len(self.beats.alive(app)), alive)
                if nothing_began_again:
                    self.assertEqual(len(self.beats.of(app)), begun)
        self.assertEqual({i["revision"] for i in self.cluster.instances("updates")}, {"2"})
        self.assertEqual({life.node for life in self.beats.alive("moves")}, {"n1"})
        self.assertEqual(self.status("goes")["state"], "APP_STATE_DELETED")
        self.verb("DeleteApp", "goes", purge=True)
        self.cluster.wait_node("n2", "DRAINED")

    def test_entry_is_killed(self):
        operations = self.in_the_middle()
        self.cluster.restart_entry()
        self.all_end_as_asked(operations)

    def test_agent_is_killed(self):
        operations = self.in_the_middle()
        self.cluster.restart_agent("n1")
        self.all_end_as_asked(operations)

    def test_keeper_is_killed(self):
        operations = self.in_the_middle()
        self.cluster.keepers["n1"].kill()
        self.cluster.keepers["n1"].start()
        self.all_end_as_asked(operations, setup_known=False)

    def test_all_are_killed_at_once(self):
        operations = self.in_the_middle()
        programs = (self.cluster.keepers["n1"], self.cluster.agents["n1"], self.cluster.entry)
        for program in programs:
            program.kill(wait=False)
        for program in programs:
            program.kill()
            program.start()
        self.cluster.wait_entry()
        self.all_end_as_asked(operations, setup_known=False)

    def test_node_is_rebooted(self):
        operations = self.in_the_middle()
        power_off(self.cluster, "n1")
        self.boot.change()
        power_on(self.cluster, "n1")
        self.all_end_as_asked(operations, setup_known=False, nothing_began_again=False)

    def test_network_is_cut(self):
        operations = self.in_the_middle()
        self.net.cut("entry", "n1")
        self.cluster.wait_node("n1", "LOST", timeout=LEASE / TIME_FACTOR + SLACK)
        self.assertIn("does not answer", self.condition("updates", "Reachable").get("message", "")
                      + self.condition("updates", "Ready").get("message", ""))
        self.net.heal()
        self.all_end_as_asked(operations)


if __name__ == "__main__":
    unittest.main(verbosity=2)
