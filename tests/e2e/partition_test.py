#!/usr/bin/env python3
"""Networks that are cut, lose one direction, or leave half-open connections, between an entry and its nodes."""
import os
import signal
import time
import unittest

from cluster import TIME_FACTOR, process_start, wait_for
from partitioned import HEARTBEAT, LEASE, RECONNECT, SLACK, Partitioned

PAD = {"PAD": "x" * 8000}


class OneNode(Partitioned):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        before = cls.net.received_bytes("n1")
        try:
            cls.cluster.create_app("many", ["sleep", "100000"], replicas=20, env=PAD)
        except BaseException:
            cls.failed = True
            raise
        cls.full = cls.net.received_bytes("n1") - before

    # --- what is seen ---

    def noticed_by_agent(self, node="n1"):
        """Ends of streams that the agent has seen or brought about."""
        return self.cluster.agents[node].output().count(" link-down ")

    def found_by_both(self, lose, node="n1"):
        """Both sides find out within the lease, each counted from what it heard last."""
        lost, noticed = self.losses(node), self.noticed_by_agent(node)
        began = time.monotonic()
        lose()
        bound = LEASE / TIME_FACTOR + SLACK
        at = {}

        def both():
            if self.noticed_by_agent(node) > noticed:
                at.setdefault("agent", time.monotonic() - began)
            if self.losses(node) > lost:
                at.setdefault("entry", time.monotonic() - began)
            return len(at) == 2
        wait_for("both sides find out", both, bound + HEARTBEAT / TIME_FACTOR)
        self.assertGreater(at["entry"], LEASE - HEARTBEAT - 0.1, "LOST before its lease ended")
        self.cluster.wait_node(node, "LOST", timeout=SLACK)

    def unharmed(self, before, app="many"):
        self.cluster.wait_app(app, "RUNNING", timeout=RECONNECT)
        wait_for("all are reachable again", lambda: all(i.get("reachable") for i in self.cluster.instances(app)))
        self.assertEqual(self.processes(app), before)
        self.assertEqual({i.get("restarts", 0) for i in self.cluster.instances(app)}, {0})

    def test_a_partition_of_half_a_lease_disturbs_nothing(self):
        before, sessions, losses = self.processes("many"), self.sessions(), self.losses()
        self.net.cut("entry", "n1")
        # What was lost is sent again after a pause that TCP doubles: half a lease leaves time for that.
        wait_for("half of the lease is over", lambda: self.lease_left() < LEASE / 2)
        self.net.heal()
        wait_for("the lease is renewed", lambda: self.lease_left() > LEASE / 2)
        self.assertEqual((self.sessions(), self.losses()), (sessions, losses))
        self.assertEqual(self.status("many")["state"], "APP_STATE_RUNNING")
        self.assertEqual(self.processes("many"), before)

    def test_a_longer_one_loses_the_node_but_no_app_and_heals_with_only_differences(self):
        self.cluster.create_app("other", ["sleep", "100000"])
        self.cluster.create_app("gone", ["sleep", "100000"])
        gone = self.pid("gone")
        before, victim = self.processes("many"), self.pid("other")
        self.found_by_both(lambda: self.net.cut("entry", "n1"))
        self.cluster.wait_app("many", "UNKNOWN")
        self.assertEqual({i.get("reachable", False) for i in self.cluster.instances("many")}, {False})
        for pid, start in before.values():
            self.assertEqual(process_start(pid), start)
        # The node goes on by itself, and so do the operators.
        os.kill(victim, signal.SIGKILL)
        self.verb("DeleteApp", "gone", wait=False)
        scaled = self.verb("ScaleApp", "other", replicas=2, wait=False)
        received, began = self.net.received_bytes("n1"), time.monotonic()
        self.net.heal()
        self.cluster.wait_node("n1", timeout=RECONNECT)
        took = time.monotonic() - began
        self.unharmed(before)
        self.assertLess(self.net.received_bytes("n1") - received, self.full / 4)
        print(f"READY {took:.1f} s after the network healed; "
              f"{self.net.received_bytes('n1') - received} bytes received, {self.full} when all was new")
        self.cluster.wait_operation(scaled["name"])
        self.assertEqual(self.apps_instances("other")[0].get("restarts"), 1)
        self.assertNotEqual(self.apps_instances("other")[0]["pid"], victim)
        wait_for("what was deleted meanwhile is gone", lambda: process_start(gone) is None)

    def test_what_the_node_sends_is_lost(self):
        before = self.processes("many")
        self.found_by_both(lambda: self.net.drop("n1", "entry"))
        self.net.heal()
        self.unharmed(before)

    def test_what_the_entry_sends_is_lost(self):
        before = self.processes("many")
        self.found_by_both(lambda: self.net.drop("entry", "n1"))
        self.net.heal()
        self.unharmed(before)

    def test_a_pulled_cable(self):
        before = self.processes("many")
        self.found_by_both(lambda: self.net.unplug("n1"))
        self.net.heal()
        self.unharmed(before)

    def test_a_stream_that_the_agent_forgot_is_replaced_at_once_by_its_next(self):
        before, losses, sessions = self.processes("many"), self.losses(), self.sessions()
        # The end of the old connection never reaches the entry: half-open there, gone here.
        self.net.cut("entry", "n1")
        self.cluster.agents["n1"].kill()
        self.net.heal()
        self.cluster.agents["n1"].start()
        wait_for("the new stream", lambda: self.sessions() > sessions, LEASE / TIME_FACTOR)
        self.assertEqual(self.losses(), losses)
        self.unharmed(before)

    def test_a_connection_that_the_entry_forgot_is_found_by_the_agent(self):
        before = self.processes("many")
        noticed = self.noticed_by_agent()
        self.net.drop("entry", "n1")
        self.cluster.restart_entry()  # Neither its end nor any answer of the next one reaches the node.
        wait_for("the agent finds out", lambda: self.noticed_by_agent() > noticed, LEASE / TIME_FACTOR + SLACK)
        self.net.heal()
        self.cluster.wait_node("n1", timeout=RECONNECT)
        self.unharmed(before)

    def test_an_entry_restarted_behind_a_partition_declares_nobody_lost_too_early(self):
        before, losses = self.processes("many"), self.losses()
        self.net.cut("entry", "n1")
        began = time.monotonic()
        self.cluster.restart_entry()
        wait_for("the node is lost", lambda: self.losses() > losses, 2 * LEASE / TIME_FACTOR + SLACK)
        self.assertGreater(time.monotonic() - began, 2 * LEASE - 0.1)
        self.net.heal()
        self.cluster.wait_node("n1", timeout=RECONNECT)
        self.unharmed(before)


if __name__ == "__main__":
    unittest.main(verbosity=2)
