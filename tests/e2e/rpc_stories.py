"""One story per method that changes something: what is prepared, asked, and true afterwards. See rpc_chaos_test.py."""
import base64
import hashlib
import json
import os
import re
import subprocess
import threading
import uuid

from case import Case, is_alive, wait_pid
from cluster import SOURCE, TIME_FACTOR, CallError, _documents, wait_for

PROTOS = SOURCE / "proto"
# What begins so changes nothing.
READS = re.compile("(Get|List|Watch|Wait|Tail)[A-Z]")
# Spoken by agents, over TLS: an Enroll that is repeated is told apart by its token and machine.
NO_OPERATORS_API = {"LinkService"}
SHOWS = {"apps": "AppService/GetApp", "projects": "ProjectService/GetProject", "nodes": "NodeService/GetNode",
         "environments": "EnvironmentService/GetEnvironment", "blobs": "ArtifactService/GetBlob",
         "operations": "OperationService/GetOperation"}
SLEEP = ["sleep", "1000"]
HERE = {"environments": ["local"]}  # Stories make others.
STOPPED = {"runState": "RUN_STATE_STOPPED", "runtime": {"process": {"command": SLEEP}}, "placement": HERE}


def mutating_methods():
    """Method → whether its request has a request_id, of all public services."""
    text = "".join(path.read_text() for path in sorted((PROTOS / "appsupervisor/v1").glob("*.proto")))
    with_id = {name for name, body in re.findall(r"^message (\w+) \{(.*?)^\}", text, re.S | re.M) if " request_id = " in body}
    found = {}
    for service, body in re.findall(r"^service (\w+) \{(.*?)^\}", text, re.S | re.M):
        for method, request in re.findall(r"rpc (\w+)\((?:stream )?(\w+)\)", body):
            if service not in NO_OPERATORS_API and not READS.match(method):
                found[f"{service}/{method}"] = request in with_id
    return found


METHODS = mutating_methods()


class Story:
    """One call, to be carried out exactly once.

    target: the resource that shows whether it was; with `kind`, each time it is makes an operation of this kind.
    once(answers): what must be true after it. later(): a further change, which a late duplicate must leave as it is.
    evidence(): what else such a duplicate would change. same: whether each answer is the first one again.
    """

    def __init__(self, method, request, target="", kind="", once=None, later=None, evidence=None, same=True):
        self.method, self.target, self.kind, self.same = method, target, kind, same
        self.request = {**request, "requestId": str(uuid.uuid4())} if METHODS[method] else request
        self.once = once or (lambda answers: None)
        self.later, self.evidence = later or (lambda: None), evidence or (lambda: None)


class Stories(Case):
    """tell_METHOD(tag) prepares what one call of the method needs, under names with this tag, and returns its Story."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        try:
            cls.descriptors = cls.cluster.dir / "api.binpb"
            files = sorted(str(path) for path in (PROTOS / "appsupervisor/v1").glob("*.proto"))
            subprocess.run(["protoc", f"-I{PROTOS}", "--include_imports", f"--descriptor_set_out={cls.descriptors}",
                            *files, str(PROTOS / "google/rpc/error_details.proto")], check=True)
            cls.token = (cls.cluster.root / "var/lib/appsup/entry/admin.token").read_text().strip()
            cls.lock = threading.Lock()
        except BaseException:
            cls.failed = True
            raise

    # --- calls ---

    def ask(self, method, request, address=None):
        """A call on a connection of its own, without reflection. A list is a stream of requests."""
        text = "".join(map(json.dumps, request if isinstance(request, list) else [request]))
        seconds = 30 * TIME_FACTOR
        done = subprocess.run(
            ["grpcurl", "-plaintext", "-protoset", self.descriptors, "-format-error", "-max-time", str(seconds),
             "-H", f"authorization: Bearer {self.token}", "-d", "@", address or f"127.0.0.1:{self.cluster.api_port}",
             "appsupervisor.v1." + method], input=text, capture_output=True, text=True, timeout=seconds + 20)
        if done.returncode != 0:
            raise self.cluster._error(done.stderr)
        return list(_documents(done.stdout))[0]

    def app_verb(self, method, name, wait=True, **fields):
        operation = self.ask("AppService/" + method, {"name": name, **fields})
        if wait:
            self.ended([operation])
        return operation

    def change(self, service, name, field, value):
        """UpdateProject and the like of one field."""
        kind = service.removesuffix("Service")
        resource = {"name": name}
        place = resource
        *path, last = field.split(".")
        for part in path:
            place = place.setdefault(part, {})
        place[last] = value
        return self.ask(f"{service}/Update{kind}", self.update_of(kind, resource, field))

    @staticmethod
    def update_of(kind, resource, field):
        return {kind.lower(): resource, "updateMask": {"paths": [field]}}

    def ended(self, answers, ok=True):
        operation = self.ask("OperationService/WaitOperation", {"name": answers[-1]["name"], "timeout": f"{25 * TIME_FACTOR}s"})
        self.assertTrue(operation.get("done"), operation)
        self.assertEqual("error" not in operation, ok, operation)

    # --- what is there ---

    def view(self, name):
        """The resource without what moves by itself, or why it cannot be shown."""
        try:
            shown = self.ask(SHOWS[name.split("/")[-2]], {"name": name})
        except CallError as error:
            return error.code
        return {key: value for key, value in shown.items() if key not in ("status", "progress")}

    def operations(self, target, kind=None):
        """Names of the operations on it."""
        listed = self.ask("OperationService/ListOperations", {
            "parent": "projects/-" if target.startswith("projects/") else "", "pageSize": 1000,
            "filter": f'target = "{target}"'}).get("operations", [])
        return {operation["name"] for operation in listed if kind in (None, operation["kind"])}

    def state(self, story):
        """All that carrying the call out once more, or half, would change."""
        return (self.view(story.target) if story.target else None,
                self.operations(story.target) if story.kind else None, story.evidence())

    # --- what is prepared ---

    def app(self, app, **spec):
        self.ask("AppService/CreateApp", {"parent": "projects/default", "appId": app, "app": {"spec": {**STOPPED, **spec}}})
        return f"projects/default/apps/{app}"

    def counting(self, app):
        """The runtime of an app that leaves a line per start, and where."""
        marks = self.shared_file(app + ".starts")
        return {"process": {"command": ["sh", "-c", f"echo started >> {marks}; exec sleep 1000"]}}, marks

    def running(self, app):
        runtime, marks = self.counting(app)
        name = self.app(app, runState="RUN_STATE_RUNNING", runtime=runtime)
        self.started(marks, 1)
        return name, marks

    def started(self, marks, times):
        """So often, and not more."""
        wait_for(f"{marks.name}: start {times}", lambda: len(marks.read_text().split()) >= times)
        self.assertEqual(len(marks.read_text().split()), times)

    def enrolled(self, node, environment=None):
        """A node without an agent."""
        folder = self.cluster.dir / node
        (folder / "var/lib/appsup/agent").mkdir(parents=True, exist_ok=True)
        config = folder / "agent.yaml"
        config.write_text(f"root_dir: {folder}\naddress: 127.0.0.1\n")
        token = self.ask("NodeService/CreateEnrollmentToken", {"environment": environment or self.cluster.environment})["token"]
        done = subprocess.run([self.cluster.bin / "appsup-agent", "enroll", "--config", config, "--entry",
                               f"127.0.0.1:{self.cluster.link_port}", "--token", token, "--node-id", node],
                              capture_output=True, text=True, timeout=30 * TIME_FACTOR)
        self.assertEqual(done.returncode, 0, done.stderr)
        return f"nodes/{node}"

    def environment_with_app(self, environment):
        """An environment with a node of its name, on which an app of its name runs; the same at each call."""
        with self.lock:
            if environment not in self.cluster.agents:
                self.ask("EnvironmentService/CreateEnvironment", {"environmentId": environment})
                self.cluster.add_agent(environment, environment=environment)
                self.ended([self.ask("AppService/CreateApp", {"parent": "projects/default", "appId": environment, "app": {
                    "spec": {"runtime": {"process": {"command": SLEEP}}, "placement": {"environments": [environment]}}}})])

    # --- apps ---

    def tell_CreateApp(self, tag):
        name = f"projects/default/apps/{tag}"
        runtime, marks = self.counting(tag)

        def once(answers):
            self.ended(answers)
            self.started(marks, 1)
            self.assertEqual(self.view(name)["generation"], "1")

        def later():
            self.app_verb("DeleteApp", name, purge=True)
            wait_for("it is gone", lambda: self.view(name) == "NotFound")
        return Story("AppService/CreateApp", {"parent": "projects/default", "appId": tag, "app": {
            "spec": {"runtime": runtime, "placement": HERE}}}, name, "CREATE", once, later, marks.read_text)

    def tell_UpdateApp(self, tag):
        name = self.app(tag)

        def once(answers):
            self.ended(answers)
            self.assertEqual(self.view(name)["generation"], "2")
            revisions = self.ask("AppService/ListAppRevisions", {"parent": name})["appRevisions"]
            self.assertEqual(len(revisions), 2)
        return Story("AppService/UpdateApp", self.update_of("App", {"name": name, "spec": {"env": {"A": "1"}}}, "spec.env"),
                     name, "UPDATE", once, lambda: self.change("AppService", name, "spec.env", {"A": "2"}))

    def tell_DeleteApp(self, tag):
        name = self.app(tag)

        def once(answers):
            self.ended(answers)
            self.assertIn("deleteTime", self.view(name))
        return Story("AppService/DeleteApp", {"name": name}, name, "DELETE", once,
                     lambda: self.app_verb("UndeleteApp", name))

    def tell_UndeleteApp(self, tag):
        name = self.app(tag)
        self.app_verb("DeleteApp", name)

        def once(answers):
            self.ended(answers)
            self.assertNotIn("deleteTime", self.view(name))
        return Story("AppService/UndeleteApp", {"name": name}, name, "UNDELETE", once,
                     lambda: self.app_verb("DeleteApp", name))

    def tell_StartApp(self, tag):
        runtime, marks = self.counting(tag)
        name = self.app(tag, runtime=runtime)

        def once(answers):
            self.ended(answers)
            self.started(marks, 1)
        return Story("AppService/StartApp", {"name": name}, name, "START", once,
                     lambda: self.app_verb("StopApp", name), marks.read_text)

    def tell_StopApp(self, tag):
        name, marks = self.running(tag)
        pid = self.pid(tag)

        def once(answers):
            self.ended(answers)
            self.assertFalse(is_alive(pid))

        def later():
            self.app_verb("StartApp", name)
            self.started(marks, 2)
        return Story("AppService/StopApp", {"name": name}, name, "STOP", once, later, marks.read_text)

    def tell_RestartApp(self, tag):
        name, marks = self.running(tag)

        def once(answers):
            self.ended(answers)
            self.started(marks, 2)

        def later():
            self.app_verb("RestartApp", name)
            self.started(marks, 3)
        return Story("AppService/RestartApp", {"name": name}, name, "RESTART", once, later, marks.read_text)

    def tell_ScaleApp(self, tag):
        name, marks = self.running(tag)

        def once(answers):
            self.ended(answers)
            self.started(marks, 2)
            self.assertEqual(len(self.apps_instances(tag)), 2)
        return Story("AppService/ScaleApp", {"name": name, "replicas": 2}, name, "SCALE", once,
                     lambda: self.app_verb("ScaleApp", name, replicas=1), marks.read_text)

    def tell_RollbackApp(self, tag):
        name = self.app(tag)
        self.change("AppService", name, "spec.env", {"A": "1"})

        def once(answers):
            self.ended(answers)
            self.assertEqual(self.view(name)["generation"], "3")
            self.assertNotIn("env", self.view(name)["spec"])
        return Story("AppService/RollbackApp", {"name": name, "revision": 1}, name, "ROLLBACK", once,
                     lambda: self.change("AppService", name, "spec.env", {"A": "2"}))

    def tell_RetrySetup(self, tag):
        marks = self.shared_file(tag + ".setups")
        operation = self.ask("AppService/CreateApp", {"parent": "projects/default", "appId": tag, "app": {"spec": {
            "runtime": {"process": {"command": SLEEP}}, "placement": HERE,
            "setup": {"command": ["sh", "-c", f"echo tried >> {marks}; exit 3"]}}}})
        self.ended([operation], ok=False)
        name = f"projects/default/apps/{tag}"

        def once(answers):
            self.ended(answers, ok=False)
            self.started(marks, 2)

        def later():
            self.ended([self.app_verb("RetrySetup", name, wait=False)], ok=False)
            self.started(marks, 3)
        return Story("AppService/RetrySetup", {"name": name}, name, "SETUP", once, later, marks.read_text)

    def tell_AcceptSetup(self, tag):
        with self.lock:
            if not hasattr(type(self), "unknown"):
                type(self).unknown = self.unknown_setups([f"unknown-{number}" for number in range(4)])
            app = self.unknown.pop()
        name = f"projects/default/apps/{app}"
        marks = self.cluster.dir / (app + ".starts")

        def once(answers):
            self.ended(answers)
            self.started(marks, 1)
        return Story("AppService/AcceptSetup", {"name": name}, name, "SETUP", once,
                     lambda: self.app_verb("StopApp", name), marks.read_text)

    def unknown_setups(self, apps):
        """Apps of whose setup nobody knows how it ended."""
        node = "setups"
        self.ask("EnvironmentService/CreateEnvironment", {"environmentId": node})
        self.cluster.add_agent(node, environment=node)
        pids = [self.shared_file(app + ".pid") for app in apps]
        for app, path in zip(apps, pids):
            self.ask("AppService/CreateApp", {"parent": "projects/default", "appId": app, "app": {"spec": {
                "runtime": self.counting(app)[0], "placement": {"environments": [node]},
                "setup": {"command": ["sh", "-c", f"echo $$ > {path}; exec sleep 1000"]}}}})
        pids = [wait_pid(path) for path in pids]
        # Keeper, agent and setup die: nobody sees how it ends.
        self.cluster.agents[node].kill()
        self.cluster.keepers[node].kill()
        for pid in pids:
            if is_alive(pid):
                os.kill(pid, 9)
        wait_for("they are gone", lambda: not any(map(is_alive, pids)))
        self.cluster.keepers[node].start()
        self.cluster.agents[node].start()
        for app in apps:
            self.wait_condition(app, "SetUp", "SetupOutcomeUnknown")
        return apps

    # --- environments and projects ---

    def tell_CreateEnvironment(self, tag):
        return self.created("EnvironmentService", tag)

    def tell_CreateProject(self, tag):
        return self.created("ProjectService", tag)

    def tell_UpdateEnvironment(self, tag):
        return self.updated("EnvironmentService", tag)

    def tell_UpdateProject(self, tag):
        return self.updated("ProjectService", tag)

    def tell_DeleteEnvironment(self, tag):
        return self.deleted("EnvironmentService", tag)

    def tell_DeleteProject(self, tag):
        return self.deleted("ProjectService", tag)

    def is_shown(self, name):
        """What was answered is what is there: nothing changed it once more."""
        def once(answers):
            self.assertEqual(self.view(name), {key: value for key, value in answers[0].items() if key != "status"})
        return once

    @staticmethod
    def words(service, tag):
        """Kind, name, and what makes it."""
        kind = service.removesuffix("Service")
        return kind, f"{kind.lower()}s/{tag}", {kind.lower() + "Id": tag}

    def created(self, service, tag):
        kind, name, request = self.words(service, tag)
        return Story(f"{service}/Create{kind}", request, name, once=self.is_shown(name),
                     later=lambda: self.ask(f"{service}/Delete{kind}", {"name": name}))

    def updated(self, service, tag):
        kind, name, request = self.words(service, tag)
        self.ask(f"{service}/Create{kind}", request)
        return Story(f"{service}/Update{kind}", self.update_of(kind, {"name": name, "displayName": "Changed"}, "display_name"),
                     name, once=self.is_shown(name), later=lambda: self.change(service, name, "display_name", "Again"))

    def deleted(self, service, tag):
        kind, name, request = self.words(service, tag)
        self.ask(f"{service}/Create{kind}", request)
        return Story(f"{service}/Delete{kind}", {"name": name}, name,
                     once=lambda answers: self.assertEqual(self.view(name), "NotFound"),
                     later=lambda: self.ask(f"{service}/Create{kind}", request))

    def tell_ReleaseBrake(self, tag):
        """The only node of the environment is revoked; whether that is too much is changed to and fro."""
        self.environment_with_app("braked")
        self.ask("NodeService/RevokeNode", {"name": "nodes/braked"})
        name = "environments/braked"

        def engaged():
            return self.ask(SHOWS["environments"], {"name": name})["status"].get("brakeEngaged", False)

        def engage():
            self.change("EnvironmentService", name, "brake", {"share": 1})
            self.change("EnvironmentService", name, "brake", {"share": 0})
            wait_for("the brake holds", engaged)
        engage()

        def once(answers):
            self.is_shown(name)(answers)
            self.assertTrue(self.view(name)["brake"]["released"])
            self.assertFalse(engaged())
        return Story("EnvironmentService/ReleaseBrake", {"name": name}, name, once=once, later=engage, evidence=engaged)

    # --- nodes ---

    def tell_UpdateNode(self, tag):
        name = self.enrolled(tag)
        return Story("NodeService/UpdateNode", self.update_of("Node", {"name": name, "labels": {"changed": "1"}}, "labels"),
                     name, once=self.is_shown(name), later=lambda: self.change("NodeService", name, "labels", {"changed": "2"}))

    def tell_DrainNode(self, tag):
        name = self.enrolled(tag)

        def once(answers):
            self.ended(answers)
            self.assertEqual(self.view(name)["desired"], "NODE_DESIRED_DRAINED")
        return Story("NodeService/DrainNode", {"name": name}, name, "DRAIN", once,
                     lambda: self.ask("NodeService/ResumeNode", {"name": name}))

    def tell_ResumeNode(self, tag):
        name = self.enrolled(tag)
        self.ask("NodeService/DrainNode", {"name": name})
        return Story("NodeService/ResumeNode", {"name": name}, name, once=self.is_shown(name),
                     later=lambda: self.ask("NodeService/DrainNode", {"name": name}))

    def tell_DeleteNode(self, tag):
        name = self.enrolled(tag)
        return Story("NodeService/DeleteNode", {"name": name}, name,
                     once=lambda answers: self.assertEqual(self.view(name), "NotFound"), later=lambda: self.enrolled(tag))

    def node_state(self, name):
        return self.ask(SHOWS["nodes"], {"name": name})["status"].get("state", "")

    def tell_RevokeNode(self, tag):
        name = self.enrolled(tag)
        return Story("NodeService/RevokeNode", {"name": name}, name,
                     once=lambda answers: self.assertEqual(self.node_state(name), "NODE_STATE_REVOKED"),
                     later=lambda: self.enrolled(tag), evidence=lambda: self.node_state(name))

    def tell_AcceptCatalog(self, tag):
        node = "guarded"
        self.environment_with_app(node)
        name, pid = f"nodes/{node}", self.pid(node)

        def lose_journal():
            self.cluster.agents[node].kill()
            for path in (self.cluster.dir / node / "var/lib/appsup/agent").glob("journal.db*"):
                path.unlink()
            self.cluster.agents[node].start()
            self.cluster.wait_node(node, "GUARDED")
        if self.node_state(name) != "NODE_STATE_GUARDED":
            lose_journal()

        def once(answers):
            self.assertEqual(answers[0]["nodes"], [name])
            self.cluster.wait_node(node)
            self.assertEqual(self.pid(node), pid)
        return Story("NodeService/AcceptCatalog", {"name": name}, name, once=once, later=lose_journal,
                     evidence=lambda: self.node_state(name))

    def tell_CreateEnrollmentToken(self, tag):
        """No request_id, as the entry does not keep tokens: each answer is another one, and an unseen one expires unused."""
        def once(answers):
            self.assertEqual(len({answer["token"] for answer in answers}), len(answers))
        return Story("NodeService/CreateEnrollmentToken", {"environment": "local", "ttl": "60s"}, once=once, same=False)

    # --- the rest ---

    def tell_CancelOperation(self, tag):
        app = self.app(tag, runState="RUN_STATE_RUNNING", placement={**HERE, "nodeSelector": {"nowhere": "true"}})
        operation = self.change("AppService", app, "spec.env", {"A": "1"})["name"]

        def once(answers):
            self.assertEqual((answers[-1]["done"], answers[-1]["error"]["code"]), (True, 1))
            self.assertEqual(len(self.operations(app, "ROLLBACK")), 1)
            self.assertNotIn("env", self.view(app)["spec"])
        return Story("OperationService/CancelOperation", {"name": operation, "rollback": True}, operation, once=once,
                     later=lambda: self.change("AppService", app, "spec.env", {"A": "2"}),
                     evidence=lambda: (self.view(app), self.operations(app)))

    def tell_UploadBlob(self, tag):
        """A blob is named by its content, so a second upload finds it there."""
        content = (tag * 1000).encode()
        sha256 = hashlib.sha256(content).hexdigest()
        name = f"blobs/{sha256}"

        def once(answers):
            blobs = self.ask("ArtifactService/ListBlobs", {"pageSize": 1000})["blobs"]
            self.assertEqual([blob["name"] for blob in blobs].count(name), 1)
            self.is_shown(name)(answers)
        half = len(content) // 2
        parts = [{"data": base64.b64encode(part).decode()} for part in (content[:half], content[half:])]
        return Story("ArtifactService/UploadBlob", [{"sha256": sha256}, *parts], name, once=once)
