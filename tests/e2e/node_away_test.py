#!/usr/bin/env python3
"""What operators ask for while a node is away: setup, update, drain, and to wait for it no longer."""
import unittest

from beats import BEAT
from cluster import CallError, process_start, wait_for
from partitioned import KEEP, LEASE, MARGIN, RECONNECT, REPLACED, SLACK, STOP, Nodes


class Changes(Nodes):
    """What operators ask for while a node is away."""

    def repeatable(self, app, retry_safe):
        """An app whose setup lives until a gate opens: the operation, the setup's first life, the gate."""
        gate = self.cluster.dir / f"gate-{app}"
        operation = self.cluster.create_app(app, ["sleep", "1000"], wait=False, env={**self.beats.env, "UNTIL": str(gate)},
                                            setup={"command": BEAT, "retry_safe": retry_safe})
        return operation, self.beats.begun(app, 1)[0], gate

    def open(self, gate):
        gate.touch()
        gate.chmod(0o644)

    def test_a_setup_that_may_be_repeated_begins_again_once_the_first_has_ended(self):
        operation, first, gate = self.repeatable("again", True)
        self.cut(first.node)
        second = self.beats.begun("again", 2, REPLACED)[1]
        self.never_two("again")
        self.assertNotEqual(second.node, first.node)
        self.open(gate)
        self.cluster.wait_operation(operation["name"])
        self.heal(first.node)
        self.settled("again")
        self.assertEqual(len(self.beats.of("again")), 2)

    def test_another_setup_is_left_alone_and_its_outcome_counts_when_the_node_is_back(self):
        operation, first, gate = self.repeatable("once", False)
        at = self.cut(first.node)
        self.beats.lives_past("once", at + LEASE + MARGIN + SLACK)
        self.assertEqual(self.cluster.call("OperationService/GetOperation", {"name": operation["name"]}).get("done"), None)
        self.open(gate)
        wait_for("it ended", lambda: process_start(first.pid) is None)
        self.heal(first.node)
        self.cluster.wait_operation(operation["name"])
        self.assertEqual(len(self.beats.of("once")), 1)

    def test_a_fenced_app_is_updated_on_the_nodes_that_are_there(self):
        self.start("updated", STOP, "AFTER_STOP", replicas=2)
        gone = self.beats.of("updated")[0]
        self.net.cut("entry", gone.node)
        self.update("updated", "env", env={**self.beats.env, "VERSION": "2"})
        self.never_two("updated")
        self.assertEqual({life.node for life in self.beats.alive("updated")}, set(self.hosts) - {gone.node})
        self.heal(gone.node)
        self.settled("updated", 2)
        self.never_two("updated")
        self.assertEqual({i["revision"] for i in self.cluster.instances("updated")}, {"2"})

    def test_a_drain_of_a_lost_node_says_what_it_waits_for_and_ends_when_it_is_back(self):
        life = self.start("stays", KEEP, "NEVER")
        self.cut(life.node)
        drain = self.cluster.call("NodeService/DrainNode", {"name": f"nodes/{life.node}"})
        wait_for("it says why", lambda: f"{life.instance} cannot leave: the node does not answer" in self.cluster.call(
            "OperationService/GetOperation", {"name": drain["name"]}).get("progress", {}).get("message", ""))
        self.net.heal()
        self.cluster.wait_operation(drain["name"])
        self.cluster.wait_node(life.node, "DRAINED")
        self.assertNotEqual(self.settled("stays"), [life.node])
        self.cluster.call("NodeService/ResumeNode", {"name": f"nodes/{life.node}"})


class GivenUp(Nodes):
    """Nodes that are not waited for any longer."""

    def tearDown(self):
        self.hosts = ("n3",)
        super().tearDown()

    def test_nodes_that_are_deleted_or_revoked_free_their_slots(self):
        self.update_schedulable("n3", False)
        fenced, kept = self.start("fenced", STOP, "NEVER"), self.start("kept", KEEP, "NEVER")
        self.assertNotEqual(fenced.node, kept.node)
        self.update_schedulable("n3", True)
        # The one is lost and deleted, the other is there, and loses its certificate first.
        self.cut(kept.node)
        with self.assertRaises(CallError) as refused:
            self.cluster.call("NodeService/DeleteNode", {"name": f"nodes/{fenced.node}"})
        self.assertEqual(refused.exception.code, "FailedPrecondition")
        self.cluster.call("NodeService/DeleteNode", {"name": f"nodes/{kept.node}"})
        self.assertEqual(self.beats.begun("kept", 2)[1].node, "n3")
        self.cluster.call("NodeService/RevokeNode", {"name": f"nodes/{fenced.node}"})
        with self.assertRaises(CallError) as refused:
            self.cluster.call("NodeService/DeleteNode", {"name": f"nodes/{fenced.node}"})
        self.assertEqual(refused.exception.detail("ErrorInfo")["reason"], "NODE_LEASE_RUNS")

        def is_deleted():
            try:
                return self.cluster.call("NodeService/DeleteNode", {"name": f"nodes/{fenced.node}"}) is not None
            except CallError:
                return False
        wait_for("its lease has ended", is_deleted, REPLACED)
        self.assertEqual(self.beats.begun("fenced", 2)[1].node, "n3")
        self.never_two("fenced")
        # Who comes back is not let in, and starts nothing fenced. What was to be kept there is.
        self.net.heal()
        self.cluster.restart_agent(fenced.node)
        for node in (fenced.node, kept.node):
            wait_for(f"{node} is refused", lambda: f"no node {node}; it was deleted" in self.cluster.agents[node].output(), RECONNECT)
        self.assertEqual((len(self.beats.of("fenced")), len(self.beats.alive("kept"))), (2, 2))

    def update_schedulable(self, node, schedulable):
        self.cluster.call("NodeService/UpdateNode", {"node": {"name": f"nodes/{node}", "schedulable": schedulable},
                                                     "updateMask": {"paths": ["schedulable"]}})


if __name__ == "__main__":
    unittest.main(verbosity=2)
