#!/usr/bin/env python3
"""Drain and resume on two nodes, while a visitor looks."""
import unittest

from case import Case, Visitor
from cluster import CallError, wait_for


class Drain(Case):
    nodes = ("n1", "n2")

    def tearDown(self):
        # What one test leaves could not move in the next.
        for app in self.cluster.call("AppService/ListApps", {"parent": "projects/default"}).get("apps", []):
            self.verb("DeleteApp", app["name"].rpartition("/")[2], purge=True)

    def nodes_of(self, app):
        return sorted(i["node"] for i in self.apps_instances(app))

    def test_a_drained_node_is_empty_and_the_app_was_always_there(self):
        self.serve("web", replicas=2, env={"VERSION": "1", "LINGER": "1"})
        self.assertEqual(self.nodes_of("web"), ["n1", "n2"])
        with Visitor(self.cluster, "web") as visitor:
            operation = self.cluster.call("NodeService/DrainNode", {"name": "nodes/n1"})
            done = self.cluster.wait_operation(operation["name"])
            self.assertEqual((done["kind"], done["target"]), ("DRAIN", "nodes/n1"))
            self.assertTrue(operation["name"].startswith("operations/"))
            self.cluster.wait_node("n1", "DRAINED")
            self.assertEqual(self.nodes_of("web"), ["n2", "n2"])
        self.assertEqual(visitor.faults, [])
        # An app for it alone says why it has no place.
        self.cluster.call("NodeService/UpdateNode", {"node": {"name": "nodes/n1", "labels": {"only": "n1"}},
                                                     "updateMask": {"paths": ["labels"]}})
        waiting = self.cluster.create_app("only", ["sleep", "1000"], wait=False,
                                          placement={"node_selector": {"only": "n1"}})
        self.assertIn("1 is draining", self.wait_condition("only", "Placed", "Unplaced")["message"])
        resumed = self.cluster.call("NodeService/ResumeNode", {"name": "nodes/n1"})
        self.assertEqual(resumed["desired"], "NODE_DESIRED_ACTIVE")
        self.cluster.wait_node("n1")
        self.cluster.wait_operation(waiting["name"])
        self.assertEqual(self.nodes_of("only"), ["n1"])

    def test_what_cannot_move_is_named_and_stays(self):
        self.cluster.create_app("stuck", ["sleep", "1000"], data={"kind": "DATA_KIND_NODE"})
        node = self.instance("stuck")["node"]
        operation = self.cluster.call("NodeService/DrainNode", {"name": f"nodes/{node}"})
        ended = self.cluster.wait_operation(operation["name"], ok=False, timeout=40)
        self.assertIn("its data is on this node", ended["error"]["message"])
        self.assertIn("stuck", ended["error"]["message"])
        self.assertEqual(self.nodes_of("stuck"), [node])
        self.cluster.call("NodeService/ResumeNode", {"name": f"nodes/{node}"})
        self.cluster.wait_node(node)
        self.assertEqual(self.cluster.get_app("stuck")["status"]["state"], "APP_STATE_RUNNING")

    def test_a_drain_that_finds_no_other_place_says_why_until_there_is_one(self):
        self.cluster.call("NodeService/UpdateNode", {"node": {"name": "nodes/n1", "labels": {"disk": "fast"}},
                                                     "updateMask": {"paths": ["labels"]}})
        self.cluster.create_app("picky", ["sleep", "1000"], placement={"node_selector": {"disk": "fast"}})
        before = self.instance("picky")
        operation = self.cluster.call("NodeService/DrainNode", {"name": "nodes/n1"})

        def said():
            now = self.cluster.call("OperationService/GetOperation", {"name": operation["name"]})
            self.assertNotIn("done", now)
            return now.get("progress", {}).get("message", "")
        wait_for("it says what cannot leave, and why", lambda: "picky" in said() and "cannot leave" in said())
        self.assertIn("label", said())
        self.assertEqual(self.instance("picky")["pid"], before["pid"])  # It runs on meanwhile.
        self.cluster.call("NodeService/UpdateNode", {"node": {"name": "nodes/n2", "labels": {"disk": "fast"}},
                                                     "updateMask": {"paths": ["labels"]}})
        self.cluster.wait_operation(operation["name"])
        self.assertEqual(self.nodes_of("picky"), ["n2"])
        self.cluster.call("NodeService/ResumeNode", {"name": "nodes/n1"})
        self.cluster.wait_node("n1")

    def test_a_node_that_holds_something_is_not_deleted(self):
        self.cluster.create_app("holder", ["sleep", "1000"], replicas=2)
        with self.assertRaises(CallError) as refused:
            self.cluster.call("NodeService/DeleteNode", {"name": "nodes/n2"})
        self.assertEqual(refused.exception.code, "FailedPrecondition")


if __name__ == "__main__":
    unittest.main(verbosity=2)
