#!/usr/bin/env python3
"""Faults in the middle of update, setup, scale, delete and drain: each ends as asked, or is rolled back with the reason,
and nothing ran twice."""
import http.client
import threading
import unittest
import urllib.request

from beats import BEAT, Beats
from case import Case, Stream
from cluster import TIME_FACTOR, process_start, wait_for
from partitioned import LEASE, RECONNECT, SLACK, Partitioned
from reboot import BootId, power_off, power_on

SMALL = {"memory_bytes": {"reserve": 1 << 20}}


class Interrupted(Partitioned):
    """n1 is where it happens; the node that is drained is n2."""
    hosts = ("n1", "n2")

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        try:
            cls.update_node("n1", labels={"role": "main"})
        except BaseException:
            cls.failed = True
            raise

    @classmethod
    def prefix(cls, host):
        if host != "n1":
            return super().prefix(host)
        cls.boot = BootId(cls.cluster.dir / "boot-id")
        return [*super().prefix(host), *cls.boot.prefix]

    def setUp(self):
        self.tag = self._testMethodName.removeprefix("test_").split("_")[0]
        self.beats = Beats(self.cluster, f"beats-{self.tag}")
        self.gate, self.marks = self.cluster.dir / f"gate-{self.tag}", self.shared_file(f"marks-{self.tag}")

    def tearDown(self):
        self.cluster.call("NodeService/ResumeNode", {"name": "nodes/n2"})
        super().tearDown()
        for app in self.cluster.call("AppService/ListApps", {"parent": "projects/default"}).get("apps", []):
            self.verb("DeleteApp", app["name"].rpartition("/")[2], purge=True)

    # --- what is done ---

    @classmethod
    def update_node(cls, node, **fields):
        cls.cluster.call("NodeService/UpdateNode", {"node": {"name": f"nodes/{node}", **fields},
                                                    "updateMask": {"paths": list(fields)}})

    def start(self, app, replicas=1, ready="true", grace="0.2s", **spec):
        self.cluster.create_app(app, BEAT, replicas=replicas, env=self.beats.env, resources=SMALL,
                                stop={"grace_period": grace}, checks=self.when(ready), **spec)
        self.beats.begun(app, replicas)

    def when(self, ready):
        """A readiness check that passes by this shell condition, or once the gate is open."""
        return {"readiness": {"exec": {"command": ["sh", "-c", f"{ready} || test -e {self.gate}"]}, "period": "0.1s"}}

    def in_the_middle(self):
        """All the changes, each begun and none at its end; their operations."""
        here = {"placement": {"node_selector": {"role": "main"}}}
        self.update_node("n1", schedulable=False)
        self.start("moves", ready='test "$APPSUP_NODE" = n2')
        self.update_node("n1", schedulable=True)
        self.start("updates", replicas=2, **here)
        self.start("grows", ready='test "$APPSUP_SLOT" = 0', **here)
        self.start("shrinks", replicas=3, grace=f"{5 * TIME_FACTOR}s", **here)
        self.start("goes", grace=f"{5 * TIME_FACTOR}s", **here)
        operations = {
            "moves": self.cluster.call("NodeService/DrainNode", {"name": "nodes/n2"}),
            "sets-up": self.cluster.create_app("sets-up", BEAT, env=self.beats.env, resources=SMALL, wait=False, setup={
                "command": ["sh", "-c", f"echo began >> {self.marks}; until test -e {self.gate}; do sleep 0.05; done"]},
                stop={"grace_period": "0.2s"}, **here),
            "updates": self.update("updates", "env,checks", wait=False, env={**self.beats.env, "VERSION": "2"},
                                   checks=self.when("false")),
            "grows": self.verb("ScaleApp", "grows", wait=False, replicas=3)}
        for app, lives in (("moves", 2), ("updates", 3), ("grows", 3)):
            self.beats.begun(app, lives)
        wait_for("the setup began", self.marks.read_text)
        operations["shrinks"] = self.verb("ScaleApp", "shrinks", wait=False, replicas=1)
        operations["goes"] = self.verb("DeleteApp", "goes", wait=False)
        for app in ("shrinks", "goes"):
            wait_for(f"{app} is being stopped", lambda: any(
                i.get("state") == "INSTANCE_STATE_STOPPING" for i in self.cluster.instances(app)))
        for app, operation in operations.items():
            now = self.cluster.call("OperationService/GetOperation", {"name": operation["name"]})
            self.assertNotIn("done", now, app)
        return operations

    # --- what is seen ---

    def all_end_as_asked(self, operations, setup_known=True, nothing_began_again=True):
        self.cluster.wait_node("n1", timeout=RECONNECT)
        self.gate.touch()
        self.gate.chmod(0o644)
        for app, operation in operations.items():
            with self.subTest(app=app):
                self.cluster.wait_operation(operation["name"], ok=setup_known or app != "sets-up")
        self.assertEqual(self.marks.read_text(), "began\n")
        if not setup_known:
            self.wait_condition("sets-up", "SetUp", "SetupOutcomeUnknown")
            self.verb("AcceptSetup", "sets-up")
        # All that ever began, and what lives now.
        for app, (begun, alive) in {"moves": (2, 1), "updates": (4, 2), "grows": (3, 3), "shrinks": (3, 1),
                                    "goes": (1, 0), "sets-up": (1, 1)}.items():
            with self.subTest(app=app):
                self.assertEqual(len(self.beats.alive(app)), alive)
                if nothing_began_again:
                    self.assertEqual(len(self.beats.of(app)), begun)
        self.assertEqual({i["revision"] for i in self.cluster.instances("updates")}, {"2"})
        self.assertEqual({life.node for life in self.beats.alive("moves")}, {"n1"})
        self.assertEqual(self.status("goes")["state"], "APP_STATE_DELETED")
        self.verb("DeleteApp", "goes", purge=True)
        self.cluster.wait_node("n2", "DRAINED")

    def test_entry_is_killed(self):
        operations = self.in_the_middle()
        self.cluster.restart_entry()
        self.all_end_as_asked(operations)

    def test_agent_is_killed(self):
        operations = self.in_the_middle()
        self.cluster.restart_agent("n1")
        self.all_end_as_asked(operations)

    def test_keeper_is_killed(self):
        operations = self.in_the_middle()
        self.cluster.keepers["n1"].kill()
        self.cluster.keepers["n1"].start()
        self.all_end_as_asked(operations, setup_known=False)

    def test_all_are_killed_at_once(self):
        operations = self.in_the_middle()
        programs = (self.cluster.keepers["n1"], self.cluster.agents["n1"], self.cluster.entry)
        for program in programs:
            program.kill(wait=False)
        for program in programs:
            program.kill()
            program.start()
        self.cluster.wait_entry()
        self.all_end_as_asked(operations, setup_known=False)

    def test_node_is_rebooted(self):
        operations = self.in_the_middle()
        power_off(self.cluster, "n1")
        self.boot.change()
        power_on(self.cluster, "n1")
        self.all_end_as_asked(operations, setup_known=False, nothing_began_again=False)

    def test_network_is_cut(self):
        operations = self.in_the_middle()
        self.net.cut("entry", "n1")
        self.cluster.wait_node("n1", "LOST", timeout=LEASE / TIME_FACTOR + SLACK)
        self.assertIn("does not answer", self.condition("updates", "Reachable").get("message", "")
                      + self.condition("updates", "Ready").get("message", ""))
        # What ran before goes on until the new version is ready, and that waits for the gate.
        self.assertEqual({i["desired"] for i in self.cluster.instances("updates")}, {"DESIRED_STATE_RUN"})
        self.net.heal()
        self.cluster.wait_node("n1", timeout=RECONNECT)
        self.assertEqual(len(self.beats.alive("updates")), 3)
        self.all_end_as_asked(operations)


class Answers:
    """Asks addresses one after the other, all the time; keeps what was not the answer of version 1."""

    def __init__(self, urls):
        self.urls, self.faults, self.rounds, self.stopped = urls, [], 0, threading.Event()
        self.thread = threading.Thread(target=self.ask)

    def ask(self):
        while not self.stopped.wait(0.01):  # A pace, not a wait for something.
            for url in self.urls:
                try:
                    with urllib.request.urlopen(url, timeout=10) as answer:
                        body = answer.read().decode()
                    if body != "1":
                        self.faults.append(f"{url}: version {body}")
                except (OSError, http.client.HTTPException) as error:
                    self.faults.append(f"{url}: {error!r}")
            self.rounds += 1

    def more(self):
        """Waits until each address was asked again, from beginning to end."""
        rounds = self.rounds
        wait_for("all were asked again", lambda: self.rounds > rounds + 1)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stopped.set()
        self.thread.join()


class TakenBack(Case):
    """A fault in the middle of updates that fail: one never gets ready, one crashes. What ran before serves on."""
    apps = ("unready", "crashes")
    ROLLING = {"strategy": "UPDATE_STRATEGY_ROLLING"}  # By default an update with a setup stops the old ones first.
    # It takes a while: an agent that is started again is asked how its apps are before it has looked.
    SLOW_CHECK = {"readiness": {"exec": {"command": ["sleep", "1"]}, "period": "0.1s", "timeout": "10s"}}
    NEVER = {"readiness": {"http": {"port": "http", "expect": "204"}, "period": "0.1s"}}

    def setUp(self):
        tag = self._testMethodName.removeprefix("test_").split("_")[0]
        self.gate, self.marks = self.cluster.dir / f"gate-{tag}", self.shared_file(f"marks-{tag}")

    def tearDown(self):
        for app in self.apps:
            self.verb("DeleteApp", app, purge=True)

    # --- what is done ---

    def start(self):
        """Version 1 of all, ready in two slots each; where each answers."""
        for app, deadline in zip(self.apps, (f"{8 * TIME_FACTOR}s", "600s")):
            self.serve(app, replicas=2, checks=self.SLOW_CHECK, update={**self.ROLLING, "progress_deadline": deadline},
                       restart={"initial_backoff": "0.2s", "crash_loop": {"count": 3}})
        self.before = {app: self.processes(app) for app in self.apps}
        return [f"http://{i['endpoints'][0]['address']}/" for app in self.apps for i in self.apps_instances(app)]

    def begin(self):
        """The updates, each in its middle: version 2 runs and is not ready. Their operations."""
        crash = f"until test -e {self.gate}; do sleep 0.05; done; echo no such table; exit 3"
        operations = {
            "unready": self.update("unready", "env,checks,setup", wait=False, env={"VERSION": "2"}, checks=self.NEVER,
                                   setup={"command": ["sh", "-c", f"echo setup >> {self.marks}"], "version": self.gate.name}),
            "crashes": self.update("crashes", "env,checks,runtime", wait=False, env={"VERSION": "2"}, checks=self.NEVER,
                                   runtime={"process": {"command": ["sh", "-c", crash]}})}
        for app in self.apps:
            wait_for(f"version 2 of {app} runs", lambda: any(
                i["revision"] == "2" and i.get("state") == "INSTANCE_STATE_RUNNING" for i in self.apps_instances(app)))
        return {app: operation["name"] for app, operation in operations.items()}

    def token(self):
        """What comes from now on can be asked for by it."""
        with Stream(self.cluster, "EventService/WatchEvents", {}) as stream:
            return wait_for("the end of the snapshot", lambda: next(
                (m for m in list(stream.messages) if m["type"] == "EVENT_TYPE_SNAPSHOT_END"), None))["resume_token"]

    def are_taken_back_after(self, fault, by_gateway=True):
        urls = self.start()
        for url in urls:
            wait_for(f"{url} answers", lambda: self.answers(url))
        if by_gateway:
            urls += [f"http://127.0.0.1:{self.cluster.http_port}/apps/{app}/" for app in self.apps]
        token = self.token()
        with Answers(urls) as answers:
            operations = self.begin()
            answers.more()
            self.none_is_done(operations)
            fault()
            self.none_is_done(operations)
            answers.more()
            self.gate.touch()
            self.gate.chmod(0o644)
            reasons = {app: self.taken_back(app, operation) for app, operation in operations.items()}
            answers.more()
            self.assertEqual(answers.faults, [])
        self.assertEqual(self.marks.read_text(), "setup\n")
        self.events_tell_it(token, operations, reasons)

    # --- what is seen ---

    def answers(self, url):
        try:
            with urllib.request.urlopen(url, timeout=10):
                return True
        except OSError:
            return False

    def processes(self, app):
        return {i["uid"]: (int(i["pid"]), process_start(int(i["pid"]))) for i in self.apps_instances(app)}

    def none_is_done(self, operations):
        for app, name in operations.items():
            self.assertNotIn("done", self.cluster.call("OperationService/GetOperation", {"name": name}), app)

    def taken_back(self, app, operation):
        """Its update ended with the reason, the app runs as before; the reason."""
        error = self.cluster.wait_operation(operation, ok=False)["error"]
        code, why = {"unready": (4, "There was no progress for"), "crashes": (9, "crash loop")}[app]
        self.assertEqual(error["code"], code, error)
        self.assertIn("Revision 2 failed and was rolled back to revision 1: ", error["message"])
        self.assertIn(why, error["message"])
        status = self.cluster.wait_app(app, "RUNNING")["status"]
        self.assertEqual((status["current_revision"], status["target_revision"], status["ready_replicas"]), ("1", "1", 2))
        condition = self.condition(app, "UpToDate")
        self.assertEqual((condition["reason"], condition["message"]), ("RolledBack", error["message"]))
        wait_for("nothing is left of version 2", lambda: {
            i["revision"] for i in self.cluster.instances(app) if not i.get("setup")} == {"1"})
        self.assertEqual(self.processes(app), self.before[app])
        if app == "crashes":
            self.assertEqual(status["last_failure"]["exit"]["code"], 3)
            self.assertIn("no such table", status["last_failure"]["log_tail"])
        return error["message"]

    def events_tell_it(self, token, operations, reasons):
        """Each operation ended once, with its reason; at no time was an app less ready than before."""
        events = self.cluster.stream("EventService/WatchEvents", {"resumeToken": token}, timeout=3)
        for app in self.apps:
            ends = [e["resource"]["error"]["message"] for e in events
                    if e.get("name") == operations[app] and e["resource"].get("done")]
            self.assertEqual(ends, [reasons[app]])
            told = [e["resource"]["status"] for e in events if e.get("name") == f"projects/default/apps/{app}"]
            self.assertEqual({status.get("ready_replicas", 0) for status in told}, {2})
            self.assertEqual([c["message"] for c in told[-1]["conditions"] if c["reason"] == "RolledBack"], [reasons[app]])

    def test_entry_is_killed(self):
        self.are_taken_back_after(self.cluster.restart_entry, by_gateway=False)

    def test_agent_is_killed(self):
        def fault():
            agent = self.cluster.agents["n1"]
            links = agent.output().count(" link-open ")
            self.cluster.restart_agent("n1")
            wait_for("the new agent's link", lambda: agent.output().count(" link-open ") > links)
        self.are_taken_back_after(fault)

    def test_keeper_is_killed(self):
        def fault():
            self.cluster.keepers["n1"].kill()
            self.cluster.keepers["n1"].start()
        self.are_taken_back_after(fault)


if __name__ == "__main__":
    unittest.main(verbosity=2)
