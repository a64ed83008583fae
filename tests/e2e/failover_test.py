#!/usr/bin/env python3
"""Nodes that are cut off, and what `disconnect` then says: by the apps' own word, no fenced slot lives twice at once."""
import signal
import unittest

from beats import now
from cluster import TIME_FACTOR, CallError, process_start, wait_for
from partitioned import KEEP, LEASE, MARGIN, RECONNECT, REPLACED, SLACK, STOP, Nodes


class Failover(Nodes):
    # --- the words of `disconnect` ---

    def test_stop_and_after_stop_give_the_slot_away_when_the_old_copy_has_ended(self):
        old = self.start("fenced", STOP, "AFTER_STOP")
        at = self.cut(old.node)
        _, new = self.beats.begun("fenced", 2, REPLACED)
        self.never_two("fenced")
        self.assertNotEqual(new.node, old.node)
        old = self.beats.of("fenced")[0]
        self.assertLess(old.last, at + LEASE + 1, "its keeper did not end it in time")
        self.assertGreater(new.token, old.token)
        self.assertIn("proven", self.told_of(old.instance)[0])
        print(f"ended {old.last - at:.2f} s after the cut, begun elsewhere {new.first - old.last:.2f} s later")
        self.heal(old.node)
        # What the node that is back may not do is start it again.
        self.assertEqual(self.settled("fenced"), [new.node])
        self.assertEqual([life.pid for life in self.beats.of("fenced")], [old.pid, new.pid])
        self.assertEqual([life.pid for life in self.beats.alive("fenced")], [new.pid])

    def test_stop_and_after_wait_as_long_as_they_say(self):
        old = self.start("later", STOP, "AFTER", lost_after=3)
        self.cut(old.node)
        lost = now()  # A little later than it was.
        _, new = self.beats.begun("later", 2, REPLACED + 3)
        self.never_two("later")
        self.assertGreater(new.first, lost + 3 - SLACK / 4)
        self.heal(old.node)
        self.assertEqual(self.settled("later"), [new.node])
        self.assertEqual(len(self.beats.of("later")), 2)

    def test_stop_and_after_nothing_still_wait_for_the_end_of_the_old_copy(self):
        old = self.start("hasty", STOP, "AFTER", lost_after=0)
        self.cut(old.node)
        self.beats.begun("hasty", 2, REPLACED)
        self.never_two("hasty")

    def test_stop_and_never_end_it_and_start_it_again_where_it_was(self):
        old = self.start("waits", STOP, "NEVER")
        self.cut(old.node)
        wait_for("it ended", lambda: process_start(old.pid) is None)
        condition = self.wait_condition("waits", "Reachable", "NodeLost")
        self.assertIn("NEVER", condition["message"])
        self.heal(old.node)
        new = self.beats.begun("waits", 2)[1]
        self.assertEqual((new.node, new.instance), (old.node, old.instance))
        self.settled("waits")
        self.never_two("waits")
        # It ended as it was meant to: no failure.
        self.assertEqual(self.instance("waits").get("restarts", 0), 0)

    def test_keep_and_never_disturb_nothing(self):
        life = self.start("steady", KEEP, "NEVER")
        at = self.cut(life.node)
        self.beats.lives_past("steady", at + LEASE + MARGIN + 1)
        self.heal(life.node)
        self.settled("steady")
        self.beats.lives_past("steady", now())
        self.assertEqual([other.pid for other in self.beats.of("steady")], [life.pid])

    def test_keep_and_after_run_two_until_the_node_is_back_and_the_newer_stays(self):
        old = self.start("twice", KEEP, "AFTER", lost_after=0.5)
        self.cut(old.node)
        new = self.beats.begun("twice", 2, REPLACED)[1]
        self.assertNotEqual(new.node, old.node)
        self.assertEqual([life.pid for life in self.beats.alive("twice")], [old.pid, new.pid])
        self.assertNotIn("proven", self.told_of(old.instance)[0].replace("not proven", ""))
        self.heal(old.node)
        self.assertEqual(self.settled("twice"), [new.node])
        self.assertEqual([life.pid for life in self.beats.alive("twice")], [new.pid])

    def test_keep_and_after_stop_contradict_each_other(self):
        with self.assertRaises(CallError) as refused:
            self.start("never-known", KEEP, "AFTER_STOP")
        self.assertEqual(refused.exception.code, "InvalidArgument")
        self.assertIn("AFTER_STOP needs at_lease_end STOP", str(refused.exception.details))

    # --- more than one node, and other ways to be away ---

    def test_the_brake_holds_replacements_of_most_nodes_until_it_is_released(self):
        self.start("spread", STOP, "AFTER_STOP", replicas=2)
        first = self.beats.of("spread")
        nodes = sorted(life.node for life in first)
        self.assertEqual(len(set(nodes)), 2)
        at = self.cut(*nodes)
        environment = self.wait_environment(lambda e: e["status"].get("brake_engaged"))
        self.assertEqual(environment["status"]["lost_nodes"], 2)
        wait_for("it says what holds it", lambda: "2 of 3 nodes are lost" in self.condition("spread", "Reachable")["message"])
        wait_for("both ended", lambda: all(process_start(life.pid) is None for life in first))
        wait_for("they could have been replaced", lambda: now() > at + LEASE + MARGIN + SLACK * TIME_FACTOR)
        self.assertEqual(len(self.beats.of("spread")), 2)
        self.cluster.appsup("environments", "release-brake", self.cluster.environment)
        lives = self.beats.begun("spread", 4)
        self.assertEqual({life.node for life in lives[2:]}, set(self.hosts) - set(nodes))
        self.heal(*nodes)
        self.settled("spread", 2)
        self.never_two("spread")
        self.wait_environment(lambda e: not e["status"].get("brake_engaged") and not e.get("brake", {}).get("released"))

    def wait_environment(self, condition):
        def reached():
            found = self.cluster.call("EnvironmentService/GetEnvironment",
                                      {"name": f"environments/{self.cluster.environment}"})
            return found if condition(found) else None
        return wait_for("the environment", reached)

    def test_an_agent_that_hangs_for_longer_than_its_lease_costs_the_others_nothing(self):
        old = self.start("hung", STOP, "AFTER_STOP")
        kept = self.start("kept", KEEP, "NEVER", replicas=3)  # One per node.
        kept = [life.pid for life in self.beats.of("kept")]
        agent = self.cluster.agents[old.node]
        sessions = {node: self.sessions(node) for node in self.hosts if node != old.node}
        agent.kill(signal.SIGSTOP, wait=False)
        self.cluster.wait_node(old.node, "LOST", timeout=LEASE / TIME_FACTOR + SLACK)
        other = self.cluster.create_app("meanwhile", ["sleep", "1000"])
        self.assertTrue(other["done"])
        new = self.beats.begun("hung", 2, REPLACED)[1]
        self.never_two("hung")
        agent.kill(signal.SIGCONT, wait=False)
        self.cluster.wait_node(old.node, timeout=RECONNECT)
        self.assertEqual(self.settled("hung"), [new.node])
        self.settled("kept", 3)
        self.assertEqual([life.pid for life in self.beats.of("hung")], [old.pid, new.pid])
        self.assertEqual([life.pid for life in self.beats.alive("kept")], kept)
        self.assertEqual({node: self.sessions(node) for node in sessions}, sessions)


if __name__ == "__main__":
    unittest.main(verbosity=2)
