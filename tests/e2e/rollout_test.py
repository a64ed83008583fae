#!/usr/bin/env python3
"""Updates, setup, drain and loss of nodes: the real programs, through the public API."""
import unittest

from cluster import Cluster, wait_for

SERVE = ["python3", "-c", """
import http.server, os
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = os.environ.get("VERSION", "0").encode()
        self.send_response(200); self.end_headers(); self.wfile.write(body)
    def log_message(self, *args): pass
http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
"""]
READINESS = {"readiness": {"http": {"port": "http"}, "period": "0.1s"}}


class Rollout(unittest.TestCase):
    def setUp(self):
        self.cluster = Cluster()
        self.cluster.__enter__()
        self.addCleanup(self.finish)
        self.cluster.add_agent("n1")

    def finish(self):
        failed = any(error for _, error in getattr(self._outcome, "errors", [])) or bool(
            self._outcome.result.failures or self._outcome.result.errors)
        self.cluster.__exit__(failed, None, None)

    def serve(self, app, **spec):
        spec = {"ports": [{"name": "http"}], "checks": READINESS, "env": {"VERSION": "1"}, **spec}
        self.cluster.create_app(app, SERVE, **spec)

    def update(self, app, mask, ok=True, **spec):
        operation = self.cluster.call("AppService/UpdateApp", {
            "app": {"name": f"projects/default/apps/{app}", "spec": spec}, "updateMask": {"paths": [mask]}})
        return self.cluster.wait_operation(operation["name"], ok=ok)

    def verb(self, method, app, ok=True, **fields):
        operation = self.cluster.call("AppService/" + method,
                                      {"name": f"projects/default/apps/{app}", **fields})
        return self.cluster.wait_operation(operation["name"], ok=ok)

    def condition(self, app, kind):
        for condition in self.cluster.get_app(app)["status"].get("conditions", []):
            if condition["type"] == kind:
                return condition
        return {}

    def revisions(self, app):
        return sorted(int(i["revision"]) for i in self.cluster.instances(app)
                      if not i.get("setup") and i.get("desired") != "DESIRED_STATE_REMOVE")

    def test_a_rolling_update_replaces_every_slot(self):
        self.serve("web", replicas=3)
        before = {i["uid"] for i in self.cluster.instances("web")}
        operation = self.update("web", "spec.env", env={"VERSION": "2"})
        self.assertEqual(operation["progress"]["step"], 3)
        self.assertEqual(self.revisions("web"), [2, 2, 2])
        self.assertFalse(before & {i["uid"] for i in self.cluster.instances("web")})
        app = self.cluster.wait_app("web", "RUNNING")
        self.assertEqual(app["status"]["ready_replicas"], 3)
        self.assertEqual(app["status"]["current_revision"], "2")
        # And back: a revision with the old content.
        self.verb("RollbackApp", "web")
        self.assertEqual(self.revisions("web"), [3, 3, 3])

    def test_an_update_that_fails_is_taken_back(self):
        self.serve("web", replicas=2, restart={"initial_backoff": "0.2s", "crash_loop": {"count": 3}})
        operation = self.update("web", "spec.runtime", ok=False,
                                runtime={"process": {"command": ["sh", "-c", "echo no such table; exit 3"]}})
        self.assertIn("crash loop", operation["error"]["message"])
        self.assertIn("rolled back to revision 1", operation["error"]["message"])
        self.cluster.wait_app("web", "RUNNING")
        self.assertEqual(self.revisions("web"), [1, 1])
        self.assertEqual(self.condition("web", "UpToDate")["reason"], "RolledBack")
        failure = self.cluster.get_app("web")["status"]["last_failure"]
        self.assertEqual(failure["exit"]["code"], 3)
        self.assertIn("no such table", failure["log_tail"])

    def test_a_fixed_port_on_one_node_stops_first(self):
        self.serve("web", ports=[{"name": "http", "number": 21987}])
        self.update("web", "spec.env", env={"VERSION": "2"})
        self.assertEqual(self.revisions("web"), [2])
        # A second app cannot have it.
        operation = self.cluster.create_app("other", SERVE, wait=False, ports=[{"name": "http", "number": 21987}])
        wait_for("the refusal", lambda: self.condition("other", "Placed").get("status") == "CONDITION_STATUS_FALSE")
        self.assertIn("1 has port 21987 in use", self.condition("other", "Placed")["message"])
        self.verb("DeleteApp", "web")
        self.cluster.wait_operation(operation["name"])

    def test_verbs_reach_every_slot(self):
        self.serve("web", replicas=2)
        pids = {i["pid"] for i in self.cluster.instances("web")}
        self.verb("RestartApp", "web")
        after = {i["pid"] for i in self.cluster.instances("web")}
        self.assertFalse(pids & after)
        self.verb("ScaleApp", "web", replicas=4)
        self.assertEqual(len(self.cluster.instances("web")), 4)
        self.verb("ScaleApp", "web", replicas=1)
        self.assertEqual([i.get("slot", 0) for i in self.cluster.instances("web")], [0])
        self.verb("StopApp", "web")
        self.cluster.wait_app("web", "STOPPED")
        uid = self.cluster.instances("web")[0]["uid"]
        self.verb("StartApp", "web")
        self.assertEqual(self.cluster.instances("web")[0]["uid"], uid)
        self.verb("DeleteApp", "web")
        self.assertEqual(self.cluster.instances("web"), [])
        self.cluster.wait_app("web", "DELETED")
        self.verb("UndeleteApp", "web")
        self.cluster.wait_app("web", "RUNNING")
        self.verb("DeleteApp", "web", purge=True)

    def test_setup_runs_once_and_gates_the_start(self):
        marks = self.cluster.dir / "marks"
        marks.touch(mode=0o666)
        marks.chmod(0o666)
        setup = {"command": ["sh", "-c", f"echo setup >> {marks}"], "version": "k1"}
        self.serve("web", setup=setup)
        self.assertEqual(marks.read_text(), "setup\n")
        self.verb("ScaleApp", "web", replicas=2)
        self.update("web", "spec.env", env={"VERSION": "2"})
        self.assertEqual(self.revisions("web"), [2, 2])
        self.assertEqual(marks.read_text(), "setup\n")
        # One that fails is taken back; tried again after a repair, it goes through.
        gate = self.cluster.dir / "gate"
        failing = {"command": ["sh", "-c", f"echo second >> {marks}; test -e {gate}"], "version": "k2"}
        operation = self.update("web", "spec.setup", ok=False, setup=failing)
        self.assertIn("Setup of revision 3 failed", operation["error"]["message"])
        self.cluster.wait_app("web", "RUNNING")
        self.assertEqual(self.revisions("web"), [2, 2])
        gate.touch()
        gate.chmod(0o644)
        self.verb("RetrySetup", "web")
        self.assertEqual(self.revisions("web"), [3, 3])
        self.assertEqual(marks.read_text(), "setup\nsecond\nsecond\n")

    def test_drain_moves_what_can_move_and_resume_takes_it_back(self):
        self.cluster.add_agent("n2")
        self.serve("web", replicas=4)
        self.cluster.create_app("db", ["sleep", "1000"], data={"kind": "DATA_KIND_NODE"}, replicas=2)
        self.assertEqual({i["node"] for i in self.cluster.instances("db")}, {"n1", "n2"})
        operation = self.cluster.call("NodeService/DrainNode", {"name": "nodes/n1"})
        ended = self.cluster.wait_operation(operation["name"], ok=False)
        self.assertIn("its data is on this node", ended["error"]["message"])
        self.assertEqual({i["node"] for i in self.cluster.instances("web")}, {"n2"})
        self.assertEqual(self.cluster.get_app("web")["status"]["ready_replicas"], 4)
        self.cluster.wait_node("n1", "DRAINED")
        self.cluster.call("NodeService/ResumeNode", {"name": "nodes/n1"})
        self.cluster.wait_node("n1")
        self.verb("ScaleApp", "web", replicas=6)
        self.assertIn("n1", {i["node"] for i in self.cluster.instances("web")})

    def test_a_lost_node_stops_nothing(self):
        self.serve("web")
        before = self.cluster.instances("web")[0]
        self.cluster.agents["n1"].kill()
        self.cluster.wait_node("n1", "LOST")
        self.cluster.wait_app("web", "UNKNOWN")
        self.assertIn("n1 does not answer", self.condition("web", "Reachable")["message"])
        self.cluster.agents["n1"].start()
        self.cluster.wait_node("n1")
        self.cluster.wait_app("web", "RUNNING")
        after = self.cluster.instances("web")[0]
        self.assertEqual((after["uid"], after["pid"]), (before["uid"], before["pid"]))


if __name__ == "__main__":
    unittest.main()
