#!/usr/bin/env python3
"""Updates by new revisions: rolling, recreating, taken back, and the way to an older revision."""
import json
import unittest

from case import SERVE, Case, Visitor
from cluster import CallError, wait_for

# Says in a shared file when it begins and when it ends.
MARK = ["sh", "-c", 'echo "begin $VERSION" >> "$MARKS"; '
                    'trap \'sleep 0.3; echo "end $VERSION" >> "$MARKS"; exit 0\' TERM; '
                    'while :; do sleep 0.05; done']


class Update(Case):
    def test_a_rolling_update_leaves_no_moment_without_a_ready_instance(self):
        self.serve("rolling", env={"VERSION": "1", "LINGER": "1"}, update={"max_surge": 1, "max_unavailable": 0})
        with Visitor(self.cluster, "rolling") as visitor:
            operation = self.update("rolling", "env", env={"VERSION": "2", "LINGER": "1"})
            wait_for("version 2 is seen", lambda: "2" in visitor.bodies)
        self.assertEqual(operation["kind"], "UPDATE")
        self.assertEqual(visitor.faults, [])
        self.assertEqual(visitor.bodies[-1], "2")
        self.assertEqual(self.instance("rolling")["revision"], "2")

    def test_a_surge_waits_for_readiness(self):
        gate = self.cluster.dir / "gate"
        checks = {"readiness": {"exec": {"command": ["test", "-e", str(gate)]}, "period": "0.1s"}}
        self.serve("gated", replicas=2)
        operation = self.update("gated", "env,checks", wait=False, env={"VERSION": "2"}, checks=checks)
        fresh = wait_for("a new instance runs", lambda: [
            i for i in self.apps_instances("gated")
            if i["revision"] == "2" and i.get("state") == "INSTANCE_STATE_RUNNING"])
        self.assertEqual(len(fresh), 1)  # max_surge is 1.
        self.assertFalse(fresh[0].get("ready"))
        status = self.status("gated")
        self.assertEqual((status["state"], status["ready_replicas"]), ("APP_STATE_UPDATING", 2))
        self.assertEqual((status["current_revision"], status["target_revision"]), ("1", "2"))
        progress = self.cluster.call("OperationService/GetOperation", {"name": operation["name"]})["progress"]
        self.assertEqual((progress.get("step", 0), progress["steps"]), (0, 2))
        self.assertEqual(self.body("gated"), "1")
        gate.touch()
        gate.chmod(0o644)
        done = self.cluster.wait_operation(operation["name"])
        self.assertEqual((done["progress"]["step"], done["progress"]["steps"]), (2, 2))
        self.assertEqual(self.body("gated"), "2")

    def test_recreate_never_runs_two_revisions_at_once(self):
        marks = self.shared_file("recreate")
        env = {"MARKS": str(marks)}
        self.cluster.create_app("recreate", MARK, env={**env, "VERSION": "1"},
                                update={"strategy": "UPDATE_STRATEGY_RECREATE"})
        wait_for("the first began", lambda: marks.read_text() == "begin 1\n")
        self.update("recreate", "env", env={**env, "VERSION": "2"})
        wait_for("the second began", lambda: marks.read_text().endswith("begin 2\n"))
        self.assertEqual(marks.read_text(), "begin 1\nend 1\nbegin 2\n")

    def test_an_update_that_never_gets_ready_ends_with_its_condition_and_is_taken_back(self):
        self.serve("unready", update={"progress_deadline": "2s"})
        with Visitor(self.cluster, "unready") as visitor:
            operation = self.update("unready", "checks", ok=False, checks={
                "readiness": {"http": {"port": "http", "expect": "204"}, "period": "0.1s"}})
            wait_for("it is back", lambda: self.status("unready")["state"] == "APP_STATE_RUNNING")
        message = operation["error"]["message"]
        self.assertIn("rolled back to revision 1", message)
        self.assertIn("200", message)  # What the check got.
        self.assertEqual(visitor.faults, [])
        self.assertEqual(self.instance("unready")["revision"], "1")
        self.assertEqual(self.condition("unready", "UpToDate")["reason"], "RolledBack")

    def test_without_automatic_rollback_the_failed_revision_stays(self):
        self.serve("stays", update={"progress_deadline": "2s", "auto_rollback": False})
        operation = self.update("stays", "runtime", ok=False,
                                runtime={"process": {"command": ["no-such-program"]}})
        self.assertIn("command no-such-program not found", operation["error"]["message"])
        status = self.status("stays")
        self.assertEqual((status["current_revision"], status["target_revision"]), ("1", "2"))
        self.assertEqual(self.body("stays"), "1")  # The old one serves on.
        self.update("stays", "runtime", runtime={"process": {"command": SERVE}})
        self.cluster.wait_app("stays", "RUNNING")

    def test_rollback_to_a_revision_brings_its_content_back(self):
        self.serve("back")
        for version in ("2", "3"):
            self.update("back", "env", env={"VERSION": version})
        self.assertEqual(self.body("back"), "3")
        operation = self.verb("RollbackApp", "back", revision=1)
        self.assertEqual(operation["kind"], "ROLLBACK")
        self.assertEqual(self.body("back"), "1")
        revisions = self.cluster.call("AppService/ListAppRevisions", {"parent": "projects/default/apps/back"})
        versions = {r["number"]: r["spec"]["env"]["VERSION"] for r in revisions["app_revisions"]}
        self.assertEqual(versions, {"1": "1", "2": "2", "3": "3", "4": "1"})
        with self.assertRaises(CallError) as refused:
            self.verb("RollbackApp", "back", revision=77)
        self.assertEqual(refused.exception.code, "NotFound")

    def test_what_does_not_run_makes_no_revision(self):
        self.serve("same")
        before = self.instance("same")
        operation = self.cluster.call("AppService/UpdateApp", {
            "app": {"name": "projects/default/apps/same", "displayName": "Same", "labels": {"tier": "gold"},
                    "spec": {"placement": {"environments": ["local"]}}},
            "updateMask": {"paths": ["display_name", "labels", "spec.placement"]}})
        self.cluster.wait_operation(operation["name"])
        after = self.instance("same")
        self.assertEqual([after[k] for k in ("uid", "pid", "revision")], [before[k] for k in ("uid", "pid", "revision")])
        app = self.cluster.get_app("same")
        self.assertEqual((app["display_name"], app["status"]["target_revision"]), ("Same", "1"))

    def test_many_updates_at_once_end_with_the_last(self):
        self.serve("many", replicas=2)
        operations = [self.update("many", "env", wait=False, env={"VERSION": str(v)}) for v in range(2, 7)]
        self.cluster.wait_operation(operations[-1]["name"])
        for earlier, later in zip(operations, operations[1:]):
            ended = self.cluster.call("OperationService/GetOperation", {"name": earlier["name"]})
            if "error" not in ended:
                continue  # It was quick enough.
            self.assertEqual(ended["superseded_by"], later["name"])
            self.assertIn(later["name"], json.dumps(ended["error"]))
            self.assertEqual(ended["error"]["code"], 10)  # ABORTED
        wait_for("all are gone but the last", lambda: [i["revision"] for i in self.cluster.instances("many")] == ["6", "6"])
        self.assertEqual(self.body("many"), "6")


if __name__ == "__main__":
    unittest.main(verbosity=2)
