#!/usr/bin/env python3
"""Data folders and ports: what belongs to a slot stays with it."""
import os
import socket
import unittest

from case import PORT, SERVE, Case
from cluster import wait_for

# Appends its revision to a file in its data folder, and waits.
KEEP = ["sh", "-c", 'echo "$APPSUP_REVISION" >> "$APPSUP_DATA_DIR/runs"; exec sleep 1000']
NODE_DATA = {"kind": "DATA_KIND_NODE"}


def environment_of(pid):
    with open(f"/proc/{pid}/environ", "rb") as file:
        return dict(entry.split("=", 1) for entry in file.read().decode().split("\0") if entry)


class Data(Case):
    nodes = ("n1", "n2")

    def runs(self, instance):
        path = environment_of(int(instance["pid"]))["APPSUP_DATA_DIR"] + "/runs"
        return path, wait_for("its line", lambda: os.path.exists(path) and open(path).read().split())

    def wait_runs(self, path, lines):
        wait_for(f"{path} has {lines}", lambda: open(path).read().split() == lines)

    def test_a_slots_folder_outlives_processes_revisions_and_deletion(self):
        self.cluster.create_app("kept", KEEP, data=NODE_DATA)
        before = self.instance("kept")
        path, lines = self.runs(before)
        self.assertEqual(lines, ["1"])
        self.verb("RestartApp", "kept")
        self.wait_runs(path, ["1", "1"])
        # NODE data allows one at a time: the old ends before the new begins, on the same node.
        self.update("kept", "env", env={"A": "2"})
        after = self.instance("kept")
        self.assertEqual(after["node"], before["node"])
        self.assertNotEqual(after["uid"], before["uid"])
        self.assertEqual(environment_of(int(after["pid"]))["APPSUP_DATA_DIR"] + "/runs", path)
        self.wait_runs(path, ["1", "1", "2"])
        self.verb("DeleteApp", "kept")
        self.assertTrue(os.path.exists(path))
        self.verb("UndeleteApp", "kept")
        self.wait_runs(path, ["1", "1", "2", "2"])
        self.verb("DeleteApp", "kept", purge=True)
        wait_for("the data is gone", lambda: not os.path.exists(path))

    def test_each_slot_has_a_folder_of_its_own_and_a_scale_down_keeps_it(self):
        self.cluster.create_app("slots", KEEP, data=NODE_DATA, replicas=2)
        places = [(i["node"], *self.runs(i)) for i in self.apps_instances("slots")]
        self.assertNotEqual(places[0][1], places[1][1])
        self.verb("ScaleApp", "slots", replicas=1)
        self.verb("ScaleApp", "slots", replicas=2)
        second = self.apps_instances("slots")[1]
        self.assertEqual(second["node"], places[1][0])
        self.wait_runs(places[1][1], ["1", "1"])

    def test_an_app_without_data_has_no_such_folder(self):
        self.cluster.create_app("none", ["sleep", "1000"])
        self.assertNotIn("APPSUP_DATA_DIR", environment_of(self.pid("none")))


class Ports(Case):
    def test_picked_ports_are_told_by_name_and_kept(self):
        self.serve("picked", ports=[{"name": "http"}, {"name": "admin-api"}])
        before = self.instance("picked")
        told = {e["port"]: e["address"].rpartition(":")[2] for e in before["endpoints"]}
        environment = environment_of(int(before["pid"]))
        self.assertEqual(environment["PORT"], told["http"])
        self.assertEqual(environment["PORT_HTTP"], told["http"])
        self.assertEqual(environment["PORT_ADMIN_API"], told["admin-api"])
        self.assertEqual((environment["APPSUP_APP"], environment["APPSUP_NODE"]), ("picked", "n1"))
        self.cluster.restart_agent("n1")
        self.cluster.wait_node("n1")
        self.verb("RestartApp", "picked")
        self.assertEqual(self.instance("picked")["endpoints"], before["endpoints"])

    def test_a_fixed_port_is_what_it_says_and_stops_first_on_update(self):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            number = probe.getsockname()[1]
        self.serve("fixed", ports=[{"name": "http", "number": number}])
        self.assertEqual(self.status("fixed")["endpoints"][0]["address"], f"127.0.0.1:{number}")
        self.update("fixed", "env", env={"VERSION": "2"})
        self.assertEqual(self.body("fixed"), "2")
        self.assertEqual(self.status("fixed")["endpoints"][0]["address"], f"127.0.0.1:{number}")
        # The second one has to wait, and says for what.
        operation = self.cluster.create_app("second", SERVE, wait=False, ports=[{"name": "http", "number": number}])
        self.assertIn(f"has port {number} in use", self.wait_condition("second", "Placed", "Unplaced")["message"])
        self.verb("DeleteApp", "fixed")
        self.cluster.wait_operation(operation["name"])

    def test_a_picked_port_that_somebody_took_is_not_given_twice(self):
        addresses = set()
        self.cluster.create_app("ten", SERVE, ports=PORT, replicas=10,
                                resources={"memory_bytes": {"reserve": 1 << 20}})
        for instance in self.apps_instances("ten"):
            addresses.add(instance["endpoints"][0]["address"])
        self.assertEqual(len(addresses), 10)


if __name__ == "__main__":
    unittest.main(verbosity=2)
