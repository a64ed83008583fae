#!/usr/bin/env python3
"""Restart, scale, delete and undelete; operations; environments and placement; endpoints."""
import os
import signal
import unittest
import urllib.error
import urllib.request

from case import PORT, SERVE, Case, Stream, is_alive
from cluster import CallError, process_start, wait_for


class Verbs(Case):
    def test_restart_gives_every_instance_a_new_process(self):
        self.serve("re", replicas=2)
        before = {i["uid"]: i["pid"] for i in self.apps_instances("re")}
        operation = self.verb("RestartApp", "re")
        self.assertEqual(operation["kind"], "RESTART")
        after = {i["uid"]: i["pid"] for i in self.apps_instances("re")}
        self.assertEqual(set(before), set(after))
        self.assertFalse(set(before.values()) & set(after.values()))
        self.assertEqual({i["revision"] for i in self.apps_instances("re")}, {"1"})
        self.assertEqual(self.status("re")["ready_replicas"], 2)

    def test_scale_up_and_down_keeps_the_first_slots(self):
        self.serve("scaled")
        first = self.instance("scaled")
        self.verb("ScaleApp", "scaled", replicas=4)
        self.assertEqual([i.get("slot", 0) for i in self.apps_instances("scaled")], [0, 1, 2, 3])
        ports = {i["endpoints"][0]["address"] for i in self.apps_instances("scaled")}
        self.assertEqual(len(ports), 4)
        gone = [int(i["pid"]) for i in self.apps_instances("scaled")[2:]]
        self.verb("ScaleApp", "scaled", replicas=2)
        self.assertEqual([i.get("slot", 0) for i in self.apps_instances("scaled")], [0, 1])
        self.assertFalse([pid for pid in gone if is_alive(pid)])
        self.assertEqual((self.apps_instances("scaled")[0]["pid"]), first["pid"])
        self.verb("ScaleApp", "scaled", replicas=0)
        self.assertEqual(self.apps_instances("scaled"), [])
        self.assertEqual(self.condition("scaled", "Ready")["reason"], "NoReplicas")
        with self.assertRaises(CallError) as refused:
            self.verb("ScaleApp", "scaled", replicas=-1)
        self.assertEqual(refused.exception.code, "InvalidArgument")

    def test_delete_undelete_and_purge(self):
        self.serve("del")
        pid = self.pid("del")
        self.verb("DeleteApp", "del")
        self.assertFalse(is_alive(pid))
        self.assertEqual(self.cluster.instances("del"), [])
        app = self.cluster.get_app("del")
        self.assertEqual(app["status"]["state"], "APP_STATE_DELETED")
        self.assertIn("purge_time", app)
        listed = self.cluster.call("AppService/ListApps", {"parent": "projects/default", "pageSize": 1000})
        self.assertNotIn("projects/default/apps/del", [a["name"] for a in listed.get("apps", [])])
        listed = self.cluster.call("AppService/ListApps", {"parent": "projects/default", "showDeleted": True})
        self.assertIn("projects/default/apps/del", [a["name"] for a in listed["apps"]])
        with self.assertRaises(CallError) as refused:  # Its name is not free yet.
            self.serve("del")
        self.assertEqual(refused.exception.code, "AlreadyExists")
        self.assertIn("ndelete", refused.exception.message)
        with self.assertRaises(CallError) as refused:
            self.verb("StartApp", "del")
        self.assertEqual(refused.exception.code, "FailedPrecondition")
        self.verb("UndeleteApp", "del")
        self.assertEqual(self.body("del"), "1")
        self.assertNotIn("delete_time", self.cluster.get_app("del"))
        self.verb("DeleteApp", "del", purge=True)
        with self.assertRaises(CallError) as gone:
            self.cluster.get_app("del")
        self.assertEqual(gone.exception.code, "NotFound")
        self.serve("del")  # Now it is.
        self.assertEqual(self.body("del"), "1")


class Operations(Case):
    def test_a_watched_operation_shows_its_steps_and_ends(self):
        operation = self.cluster.create_app("steps", SERVE, ports=PORT, replicas=3, wait=False, checks={
            "readiness": {"http": {"port": "http"}, "period": "0.1s"}})
        with Stream(self.cluster, "OperationService/WatchOperation", {"name": operation["name"]}) as stream:
            self.assertTrue(stream.ended.wait(30))
            last = stream.messages[-1]
            self.assertTrue(last["done"])
            self.assertEqual((last["kind"], last["progress"]["step"], last["progress"]["steps"]), ("CREATE", 3, 3))
            self.assertEqual(last["response"]["name"], "projects/default/apps/steps")
            steps = [m.get("progress", {}).get("step", 0) for m in stream.messages]
            self.assertEqual(steps, sorted(steps))
        listed = self.cluster.call("OperationService/ListOperations", {"parent": "projects/default"})["operations"]
        self.assertIn(operation["name"], [o["name"] for o in listed])

    def test_cancel_ends_the_wait_and_undoes_only_when_asked(self):
        never = {"readiness": {"exec": {"command": ["false"]}, "period": "0.1s"}}
        self.serve("cancel")
        operation = self.update("cancel", "env,checks", wait=False, env={"VERSION": "2"}, checks=never)
        cancelled = self.cluster.call("OperationService/CancelOperation", {"name": operation["name"]})
        self.assertEqual((cancelled["done"], cancelled["error"]["code"]), (True, 1))
        self.assertEqual(self.status("cancel")["target_revision"], "2")  # The intent stays.
        operation = self.update("cancel", "env", wait=False, env={"VERSION": "3"})
        cancelled = self.cluster.call("OperationService/CancelOperation", {"name": operation["name"], "rollback": True})
        self.assertEqual(self.cluster.get_app("cancel")["spec"]["env"], {"VERSION": "2"})
        self.verb("RollbackApp", "cancel", revision=1)
        self.assertEqual(self.body("cancel"), "1")

    def test_the_entrys_log_tells_of_nodes_operations_and_failures_by_their_ids(self):
        operation = self.cluster.create_app("logged", ["sleep", "1000"])
        app = "app=projects/default/apps/logged"
        for event in ("operation-started", "operation-ended"):
            self.log_line(event, f"op={operation['name']}", app, "kind=CREATE")
        self.log_line("operation-ended", f"op={operation['name']}", "state=OK")
        self.log_line("node-connected", "node=n1", "session=n1-")
        self.cluster.create_app("fails", ["false"], wait=False, restart={"policy": "RESTART_POLICY_NEVER"})
        line = self.log_line("instance-failed", "app=projects/default/apps/fails", "node=n1")
        self.assertIn(f" instance={self.instance('fails')['uid']} ", line)

    def log_line(self, *words):
        """The entry's line with all these words, as soon as it is there."""
        def found():
            return next((line for line in self.cluster.entry.output().splitlines()
                         if all(f" {word}" in line for word in words)), None)
        return wait_for(f"the entry's log has {words}", found)

    def test_wait_returns_what_is_so_far_when_its_time_is_over(self):
        operation = self.cluster.create_app("slow", ["sleep", "1000"], wait=False, checks={
            "readiness": {"exec": {"command": ["false"]}, "period": "0.1s"}})
        answer = self.cluster.call("OperationService/WaitOperation", {"name": operation["name"], "timeout": "0.3s"})
        self.assertFalse(answer.get("done", False))


class Placement(Case):
    nodes = ("n1", "n2")

    def placed(self, app):
        return sorted(i["node"] for i in self.apps_instances(app))

    def test_spread_and_pack(self):
        self.cluster.create_app("spread", ["sleep", "1000"], replicas=2)
        self.assertEqual(self.placed("spread"), ["n1", "n2"])
        self.cluster.create_app("pack", ["sleep", "1000"], replicas=2,
                                placement={"strategy": "PLACEMENT_STRATEGY_PACK"})
        self.assertEqual(len(set(self.placed("pack"))), 1)

    def test_a_selector_chooses_the_node_and_its_lack_is_said(self):
        operation = self.cluster.create_app("gpu", ["sleep", "1000"], wait=False,
                                            placement={"node_selector": {"gpu": "yes"}})
        condition = self.wait_condition("gpu", "Placed", "Unplaced")
        self.assertEqual(condition["message"], "1 of 1 slot cannot be placed: environment local has 2 nodes; "
                                               "2 have not the label gpu=yes.")
        self.assertEqual(self.status("gpu")["state"], "APP_STATE_PENDING")
        self.cluster.call("NodeService/UpdateNode", {"node": {"name": "nodes/n2", "labels": {"gpu": "yes"}},
                                                     "updateMask": {"paths": ["labels"]}})
        self.cluster.wait_operation(operation["name"])
        self.assertEqual(self.placed("gpu"), ["n2"])

    def test_no_room_is_a_sentence_with_figures(self):
        self.cluster.create_app("huge", ["sleep", "1000"], wait=False,
                                resources={"memory_bytes": {"reserve": 1 << 50}})
        condition = self.wait_condition("huge", "Placed", "Unplaced")
        self.assertIn("environment local has 2 nodes; 2 have under 1 PiB free", condition["message"])
        # And with room it goes on by itself.
        self.update("huge", "resources", resources={"memory_bytes": {"reserve": 1 << 20}})
        self.cluster.wait_app("huge", "RUNNING")

    def test_an_unschedulable_node_gets_nothing_new(self):
        self.cluster.call("NodeService/UpdateNode", {"node": {"name": "nodes/n1", "schedulable": False},
                                                     "updateMask": {"paths": ["schedulable"]}})
        try:
            self.cluster.create_app("elsewhere", ["sleep", "1000"], replicas=2)
            self.assertEqual(self.placed("elsewhere"), ["n2", "n2"])
        finally:
            self.cluster.call("NodeService/UpdateNode", {"node": {"name": "nodes/n1", "schedulable": True},
                                                         "updateMask": {"paths": ["schedulable"]}})


class Environments(Case):
    def test_environments_hold_nodes_and_replicas_count_in_each(self):
        self.cluster.call("EnvironmentService/CreateEnvironment", {"environmentId": "far"})
        with self.assertRaises(CallError) as refused:  # Two now: it has to be said which.
            self.cluster.create_app("which", ["sleep", "1000"])
        self.assertEqual(refused.exception.code, "InvalidArgument")
        self.assertIn("far, local", refused.exception.message + str(refused.exception.details))
        operation = self.cluster.create_app("both", ["sleep", "1000"], wait=False, replicas=2,
                                            placement={"environments": ["local", "far"]})
        condition = self.wait_condition("both", "Placed", "NoNodes")
        self.assertIn("environment far has no nodes", condition["message"])
        self.cluster.add_agent("f1", environment="far")
        self.cluster.wait_operation(operation["name"])
        where = sorted((i["environment"], i["node"]) for i in self.apps_instances("both"))
        self.assertEqual(where, [("far", "f1"), ("far", "f1"), ("local", "n1"), ("local", "n1")])
        shown = self.cluster.call("EnvironmentService/GetEnvironment", {"name": "environments/far"})["status"]
        self.assertEqual((shown["nodes"], shown["ready_nodes"], shown["instances"]), (1, 1, 2))
        with self.assertRaises(CallError) as refused:
            self.cluster.call("EnvironmentService/DeleteEnvironment", {"name": "environments/far"})
        self.assertEqual(refused.exception.code, "FailedPrecondition")
        self.update("both", "placement", placement={"environments": ["local"]})
        self.assertEqual({i["environment"] for i in self.apps_instances("both")}, {"local"})
        with self.assertRaises(CallError) as refused:
            self.update("both", "placement", placement={"environments": ["nowhere"]})
        self.assertIn("there is no environment", str(refused.exception.details))

    def test_an_environment_may_be_for_some_projects_only(self):
        self.cluster.call("ProjectService/CreateProject", {"projectId": "acme"})
        self.cluster.call("EnvironmentService/CreateEnvironment", {
            "environmentId": "closed", "environment": {"allowedProjects": ["acme"]}})
        with self.assertRaises(CallError) as refused:
            self.cluster.create_app("intruder", ["sleep", "1"], placement={"environments": ["closed"]})
        self.assertIn("does not allow project default", str(refused.exception.details))
        self.cluster.create_app("guest", ["sleep", "1000"], project="acme", placement={"environments": ["local"]})
        self.assertEqual(self.cluster.get_app("guest", "acme")["status"]["state"], "APP_STATE_RUNNING")


class Endpoints(Case):
    def fetch(self, path):
        class Stay(urllib.request.HTTPRedirectHandler):
            def redirect_request(self, *_):
                return None
        try:
            return urllib.request.build_opener(Stay).open(f"http://127.0.0.1:{self.cluster.http_port}{path}", timeout=10)
        except urllib.error.HTTPError as answer:
            return answer

    def test_visitors_are_sent_to_ready_instances_in_turn(self):
        self.serve("site", replicas=2)
        shown = {e["address"] for e in self.status("site")["endpoints"]}
        self.assertEqual(len(shown), 2)
        seen = set()
        for _ in range(4):
            answer = self.fetch("/apps/site/a%20b?q=1")
            self.assertEqual(answer.status, 307)
            seen.add(answer.headers["Location"])
        self.assertEqual(seen, {f"http://{address}/a%20b?q=1" for address in shown})
        self.assertEqual(self.fetch("/projects/default/apps/site/").status, 307)

    def test_without_a_ready_instance_the_reason_is_told(self):
        self.cluster.create_app("dark", SERVE, ports=PORT, wait=False, checks={
            "readiness": {"http": {"port": "http", "expect": "204"}, "period": "0.1s"}})
        wait_for("the check says why", lambda: "200" in self.condition("dark", "Ready").get("message", ""))
        answer = self.fetch("/apps/dark/")
        self.assertEqual(answer.status, 503)
        self.assertIn("Ready: 0 of 1", answer.read().decode())
        self.assertEqual(self.fetch("/apps/nobody/").status, 404)

    def test_a_crashed_instance_gets_no_visitors(self):
        self.serve("crash", restart={"initial_backoff": "30s"})
        pid = self.pid("crash")
        os.kill(pid, signal.SIGKILL)
        wait_for("no endpoint", lambda: self.fetch("/apps/crash/").status == 503)
        self.assertIsNone(process_start(pid))
        self.assertEqual(self.status("crash").get("endpoints", []), [])


if __name__ == "__main__":
    unittest.main(verbosity=2)
