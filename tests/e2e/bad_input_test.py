#!/usr/bin/env python3
"""Bad input is answered with what was wrong and where, and changes nothing."""
import json
import subprocess
import threading
import unittest

from case import Case, Stream
from cluster import CallError

RUN = {"runtime": {"process": {"command": ["sleep", "1000"]}}}


class BadInput(Case):
    def state(self):
        """All that an operator sees of apps, without what moves by itself."""
        apps = self.cluster.call("AppService/ListApps", {"parent": "projects/-", "pageSize": 1000, "showDeleted": True})
        return sorted((app["name"], app["etag"], json.dumps(app["spec"], sort_keys=True)) for app in apps.get("apps", []))

    def refused(self, code, method, request, *parts):
        """Calls; checks code, that each part is told, one ErrorInfo, and that nothing changed."""
        before = self.state()
        with self.assertRaises(CallError) as raised:
            self.cluster.call(method, request)
        error = raised.exception
        self.assertEqual(error.code, code, str(error))
        told = error.message + json.dumps(error.details)
        for part in parts:
            self.assertIn(part, told)
        infos = [d for d in error.details if d["@type"].endswith("google.rpc.ErrorInfo")]
        self.assertEqual([info["domain"] for info in infos], ["appsupervisor"], told)
        self.assertEqual(self.state(), before)
        return error

    def create(self, app_id="bad", parent="projects/default", app=None, **more):
        return {"parent": parent, "appId": app_id, "app": app or {"spec": RUN}, **more}

    def violations(self, error):
        return {v["field"] for v in error.detail("google.rpc.BadRequest")["field_violations"]}

    def test_an_unknown_field_is_named_by_every_client(self):
        with self.assertRaises(CallError) as refused:
            self.cluster.call("AppService/CreateApp", self.create(app={"spec": {**RUN, "rutime": {}}}))
        self.assertIn("rutime", refused.exception.message)
        manifest = "kind: App\nname: bad\nspec:\n  rutime: {}\n"
        done = self.cluster.appsup("apply", "-f", "-", stdin=manifest, check=False)
        self.assertEqual(done.returncode, 2)
        self.assertIn("4:3", done.stderr)
        self.assertIn("rutime", done.stderr)
        self.assertIn("runtime", done.stderr)  # What it may have meant.
        self.refused("InvalidArgument", "AppService/UpdateApp", {
            "app": {"name": "projects/default/apps/x"}, "allowMissing": True, "updateMask": {"paths": ["spec.nope"]}},
            "runtime")

    def test_an_unknown_field_on_the_wire_is_refused_too(self):
        # As a newer client would send it: GetAppRequest with name = 1, and a field 999.
        name = b"projects/default/apps/x"
        message = b"\x0a" + bytes([len(name)]) + name + b"\xb8\x3e\x01"
        path = self.cluster.dir / "frame"
        path.write_bytes(b"\0" + len(message).to_bytes(4, "big") + message)
        done = subprocess.run(
            ["curl", "--silent", "--http2-prior-knowledge", "--unix-socket", str(self.cluster.socket), "--max-time", "10",
             "-H", "content-type: application/grpc", "-H", "te: trailers", "--data-binary", f"@{path}", "-D", "-",
             "http://localhost/appsupervisor.v1.AppService/GetApp"], capture_output=True, text=True, check=False)
        self.assertIn("grpc-status: 3", done.stdout)
        self.assertIn("number 999", done.stdout)

    def test_bad_names(self):
        for app_id in ("Crm", "1crm", "crm_", "crm-", "a" * 64, "ä"):
            error = self.refused("InvalidArgument", "AppService/CreateApp", self.create(app_id))
            self.assertIn("app_id", self.violations(error))
        for name in ("crm", "projects/default/apps/", "projects/default/apps/a/b", "projects//apps/a", ""):
            self.refused("InvalidArgument", "AppService/GetApp", {"name": name}, "projects/*/apps/*")
        self.refused("NotFound", "AppService/GetApp", {"name": "projects/default/apps/nobody"}, "nobody")

    def test_bad_enum_words_and_numbers(self):
        with self.assertRaises(CallError) as refused:  # grpcurl knows the words.
            self.cluster.call("AppService/CreateApp", self.create(app={"spec": {**RUN, "run_state": "SLEEPY"}}))
        self.assertIn("SLEEPY", refused.exception.message)
        error = self.refused("InvalidArgument", "AppService/CreateApp",
                             self.create(app={"spec": {**RUN, "run_state": 77, "update": {"strategy": 5}}}), "77")
        self.assertEqual(self.violations(error), {"app.spec.run_state", "app.spec.update.strategy"})
        done = self.cluster.appsup("apply", "-f", "-", check=False, stdin=(
            "kind: App\nname: bad\nspec:\n  run_state: SLEEPY\n  runtime: {process: {command: [sleep]}}\n"))
        self.assertIn("4:14", done.stderr)
        self.assertIn("RUNNING, STOPPED", done.stderr)

    def test_all_faults_come_at_once(self):
        error = self.refused("InvalidArgument", "AppService/CreateApp", self.create("BAD", app={"spec": {
            "replicas": -1, "env": {"1X": "y"}, "ports": [{"name": "a"}, {"name": "a", "number": 99999}],
            "runtime": {"process": {}}, "stop": {"signal": "SIGNOPE"}, "artifact": {"uri": "ftp://x/y"},
            "checks": {"readiness": {"http": {"port": "nope"}, "period": "0.001s"}},
            "resources": {"memory_bytes": {"reserve": 5, "limit": 3}}, "data": {"path": "/x"}}}))
        self.assertEqual(self.violations(error), {
            "app_id", "app.spec.replicas", "app.spec.env", "app.spec.ports[1].name", "app.spec.ports[1].number",
            "app.spec.runtime.process.command", "app.spec.stop.signal", "app.spec.artifact.uri",
            "app.spec.checks.readiness.http.port", "app.spec.checks.readiness.period",
            "app.spec.resources.memory_bytes.reserve", "app.spec.data.path"})

    def test_all_faults_of_manifests_come_together_with_their_places(self):
        manifest = ("kind: App\nname: one\nname: two\nspec:\n  replicas: many\n"
                    "  checks: {readiness: {http: {port: h}, tcp: {port: h}}}\n  run_state: NAPPING\n"
                    "---\nname: nokind\n---\nkind: Spaceship\nname: x\n")
        before = self.state()
        done = self.cluster.appsup("apply", "-f", "-", stdin=manifest, check=False)
        self.assertEqual(done.returncode, 2)
        for part in ("3:", "5:", "6:", "7:", "9:", "Spaceship", "many", "NAPPING", "kind"):
            self.assertIn(part, done.stderr)
        self.assertEqual(self.state(), before)

    def test_a_missing_parent(self):
        self.refused("NotFound", "AppService/CreateApp", self.create(parent="projects/nowhere"), "nowhere")
        self.refused("NotFound", "AppService/ListApps", {"parent": "projects/nowhere"}, "nowhere")
        self.refused("InvalidArgument", "AppService/CreateApp", self.create(parent="nowhere"), "parent")
        self.refused("NotFound", "AppService/ListInstances", {"parent": "projects/default/apps/nobody"}, "nobody")
        self.refused("NotFound", "NodeService/CreateEnrollmentToken", {"environment": "nowhere"}, "nowhere")

    def test_a_wrong_etag(self):
        self.cluster.create_app("tagged", ["sleep", "1000"])
        name = "projects/default/apps/tagged"
        etag = self.cluster.get_app("tagged")["etag"]
        self.refused("Aborted", "AppService/UpdateApp", {"app": {"name": name, "etag": "old", "displayName": "x"},
                                                         "updateMask": {"paths": ["display_name"]}}, "etag")
        for method, more in (("StopApp", {}), ("RestartApp", {}), ("ScaleApp", {"replicas": 2}),
                             ("RollbackApp", {"revision": 1}), ("DeleteApp", {})):
            self.refused("Aborted", "AppService/" + method, {"name": name, "etag": "old", **more}, "etag")
        # The status moves; the etag does not.
        self.verb("RestartApp", "tagged")
        etag = self.cluster.get_app("tagged")["etag"]
        self.cluster.restart_agent("n1")
        self.cluster.wait_node("n1")
        self.assertEqual(self.cluster.get_app("tagged")["etag"], etag)
        self.verb("StopApp", "tagged", etag=etag)

    def test_page_tokens_of_others(self):
        for number in range(3):
            self.cluster.create_app(f"page{number}", ["sleep", "1000"], wait=False)
        request = {"parent": "projects/default", "pageSize": 2, "filter": 'name : "page"'}
        first = self.cluster.call("AppService/ListApps", request)
        token = first["next_page_token"]
        self.refused("InvalidArgument", "AppService/ListApps", {**request, "pageToken": "nonsense"}, "page_token")
        self.refused("InvalidArgument", "AppService/ListApps",
                     {**request, "filter": "", "pageToken": token}, "other arguments")
        self.refused("InvalidArgument", "AppService/ListInstances",
                     {"parent": "projects/-/apps/-", "pageToken": token}, "page_token")
        # One that is ours goes on, also after what it stands on is gone, and after a restart.
        last = first["apps"][-1]["name"].rpartition("/")[2]
        self.verb("DeleteApp", last, purge=True)
        self.cluster.restart_entry()
        rest = self.cluster.call("AppService/ListApps", {**request, "pageToken": token})
        self.assertEqual(len(rest["apps"]), 1)

    def test_bad_filters_orders_and_sizes(self):
        for field, value in (("filter", "state = "), ("filter", "status.colour = RED"), ("filter", "status.state = PINK"),
                             ("orderBy", "shoe_size"), ("pageSize", -1)):
            self.refused("InvalidArgument", "AppService/ListApps", {"parent": "projects/-", field: value})

    def test_a_request_of_ten_megabytes(self):
        before = self.state()
        request = self.create(app={"spec": RUN, "description": "x" * (10 << 20)})
        done = subprocess.run(["grpcurl", "-plaintext", "-d", "@", "-unix", str(self.cluster.socket),
                               "appsupervisor.v1.AppService/CreateApp"], input=json.dumps(request),
                              capture_output=True, text=True, timeout=60)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("ResourceExhausted", done.stderr)
        self.assertEqual(self.state(), before)

    def at_once(self, count, request):
        answers = []

        def ask():
            try:
                answers.append(self.cluster.call("AppService/CreateApp", request)["name"])
            except CallError as error:
                answers.append(error.code)
        threads = [threading.Thread(target=ask) for _ in range(count)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return sorted(answers)

    def test_two_creates_of_one_id_at_once(self):
        answers = self.at_once(8, self.create("race"))
        self.assertEqual(answers[:7], ["AlreadyExists"] * 7)
        self.assertTrue(answers[7].startswith("projects/default/operations/"))

    def test_the_same_request_id_at_once_is_one_app(self):
        request_id = "c7b0a4de-56f7-4a53-8df9-0d42c3f1b9aa"
        answers = self.at_once(8, self.create("idem", requestId=request_id))
        self.assertEqual(len(set(answers)), 1)
        self.assertTrue(answers[0].startswith("projects/default/operations/"))
        self.refused("InvalidArgument", "AppService/CreateApp", self.create("other", requestId=request_id), "request_id")
        self.refused("InvalidArgument", "AppService/CreateApp", self.create("other", requestId="7"), "UUID")

    def test_validate_only_checks_and_makes_nothing(self):
        before = self.state()
        self.cluster.call("AppService/CreateApp", self.create("valid", validateOnly=True))
        self.assertEqual(self.state(), before)
        self.refused("InvalidArgument", "AppService/CreateApp",
                     self.create("valid", app={"spec": {}}, validateOnly=True), "app.spec.runtime")

    def test_a_stream_that_is_asked_badly_ends_with_the_reason(self):
        with Stream(self.cluster, "AppService/TailLogs", {"name": "projects/default/apps/x", "lines": -7}) as stream:
            self.assertTrue(stream.ended.wait(10))
            self.assertEqual(stream.messages, [])
            self.assertIn("lines", stream.process.stderr.read())


if __name__ == "__main__":
    unittest.main(verbosity=2)
