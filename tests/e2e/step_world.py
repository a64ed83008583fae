"""A world of apps in which one program can be killed at a chosen step: what is asked there and what is to be seen, for
steps_test.py. What is to be seen does not depend on whether it was killed."""
import collections
import sqlite3

from case import PORT, Case
from cluster import wait_for
from step_switch import StepCluster

INSTANCES, PORTS = 2, 3  # Tables of the agent's journal.
NODES = (("home", "home"), ("left", "move"), ("right", "move"))

# Tells of each start, and keeps the environment that it is known by.
RUN = ["sh", "-c", 'echo "$VERSION" >> "$MARKS"; exec sleep 1000']
SET_UP = ["sh", "-c", 'echo "setup $KEY" >> "$MARKS"']


class World(Case):
    """No test case of its own, though it has the verbs of one: several live side by side."""

    def __init__(self, program):
        super().__init__()
        self.program, self.failed = program, False
        self.cluster = StepCluster()
        self.expected = {}  # App -> (version, replicas) that runs.
        self.marks, self.starts = {}, collections.defaultdict(collections.Counter)
        self.version = self.looked = 0
        self.switch, self.title = None, ""

    def __enter__(self):
        self.cluster.__enter__()
        try:
            self.cluster.add_nodes(*NODES)
        except BaseException:
            self.cluster.__exit__(True, None, None)
            raise
        return self

    def __exit__(self, *_):
        self.cluster.__exit__(self.failed, None, None)

    # --- the operations: each asks, waits for the end, and says what is to be seen then ---

    def name(self, app):
        return {"name": f"projects/default/apps/{app}"}

    def env(self, app, **more):
        self.version += 1
        return {"VERSION": f"v{self.version}", "MARKS": str(self.marks[app]), **more}

    def runs(self, app, replicas, version=None, fresh=None):
        """From now on `app` runs so, for which `fresh` new processes of that version were started."""
        version = version or self.expected[app][0]
        self.expected[app] = (version, replicas)
        self.starts[app][version] += replicas if fresh is None else fresh

    def well(self, operation):
        self.assertNotIn("error", operation, operation)

    def create(self, app, part="home", **spec):
        if app not in self.marks:
            self.marks[app] = self.shared_file(f"marks-{app}")
        env = spec.pop("env", None) or self.env(app)
        self.well(self.cluster.change("AppService/CreateApp", {"parent": "projects/default", "appId": app, "app": {"spec": {
            "runtime": {"process": {"command": RUN}}, "env": env, "ports": PORT,
            "restart": {"initial_backoff": "0.1s"}, "placement": {"node_selector": {"part": part}}, **spec}}}))
        self.runs(app, spec.get("replicas", 1), env["VERSION"])

    def delete(self, app):
        self.well(self.cluster.change("AppService/DeleteApp", {**self.name(app), "purge": True}))
        del self.expected[app]

    def update_version(self, app):
        env = self.env(app)
        self.well(self.cluster.change("AppService/UpdateApp", {
            "app": {**self.name(app), "spec": {"env": env}}, "updateMask": {"paths": ["spec.env"]}}))
        self.runs(app, self.expected[app][1], env["VERSION"])

    def scale(self, app, replicas):
        before = self.expected[app][1]
        self.well(self.cluster.change("AppService/ScaleApp", {**self.name(app), "replicas": replicas}))
        self.runs(app, replicas, fresh=max(0, replicas - before))

    def set_up(self, app, retry_safe=False):
        """An update with a setup step, which runs once, or with `retry_safe` as often as it takes. What nobody watched
        has an unknown outcome: then somebody looks."""
        env = self.env(app)
        env["KEY"] = env["VERSION"]
        ended = self.cluster.change("AppService/UpdateApp", {
            "app": {**self.name(app), "spec": {"env": env, "setup": {
                "command": SET_UP, "version": env["KEY"], "retry_safe": retry_safe}}},
            "updateMask": {"paths": ["spec.env", "spec.setup"]}})
        if "error" in ended:
            self.assertTrue(self.nobody_knows() and not retry_safe, ended)
            self.assertEqual(self.condition(app, "SetUp")["reason"], "SetupOutcomeUnknown", ended)
            done = self.set_ups(app, env["KEY"])
            self.well(self.cluster.change("AppService/" + ("AcceptSetup" if done else "RetrySetup"), self.name(app)))
            self.looked += 1
        times = self.set_ups(app, env["KEY"])
        self.assertTrue(times == 1 or (retry_safe and times == 2), f"setup ran {times} times")
        self.starts[app][f"setup {env['KEY']}"] = times
        self.runs(app, 1, env["VERSION"])

    def move(self, app):
        """Drains the node that it runs on."""
        node = self.node_of(app)
        self.well(self.cluster.change("NodeService/DrainNode", {"name": f"nodes/{node}"}))
        self.runs(app, 1)
        self.assertNotEqual(self.node_of(app), node)
        self.cluster.ask("NodeService/ResumeNode", {"name": f"nodes/{node}"})

    def nobody_knows(self):
        """Did it die between the moments when a setup may have begun and when its end is written down?"""
        steps = self.switch.steps()
        if self.program == "keeper" and "process-made" in steps:  # The setup is the first that is made.
            rest = steps[steps.index("process-made"):]
            return "tree-empty" not in rest or set(rest[rest.index("tree-empty") + 1:]) <= {"writing-record"}
        return self.program == "agent" and "StartProcess" not in steps[:-1]

    def set_ups(self, app, key):
        return self.marks[app].read_text().splitlines().count(f"setup {key}")

    def node_of(self, app):
        (_, environment), = self.cluster.processes()[app]
        return environment["APPSUP_NODE"]

    # --- what is seen when all is over ---

    def what_is_wrong(self):
        """Nothing, when exactly what should run runs, once, and is told of as it is."""
        running = self.cluster.processes()
        return self.wrong_with_processes(running) or self.wrong_with_what_is_told(running)

    def wrong_with_processes(self, running):
        for app in running.keys() - self.expected.keys():
            return f"{app} still runs: {running[app]}"
        for app, (version, replicas) in self.expected.items():
            seen = sorted((env["VERSION"], env["APPSUP_SLOT"]) for _, env in running[app])
            if seen != [(version, str(slot)) for slot in range(replicas)]:
                return f"{app} is to run {replicas} times as {version}, and runs as {running[app]}"
            ports = [env["PORT"] for _, env in running[app]]
            if len(set(ports)) != len(ports):
                return f"{app}: one port twice: {ports}"
            lines = collections.Counter(self.marks[app].read_text().splitlines())
            if lines != self.starts[app]:
                return f"{app}: should have started {self.starts[app] - lines} more, {lines - self.starts[app]} less"
        return None

    def wrong_with_what_is_told(self, running):
        told = collections.defaultdict(list)
        listed = self.cluster.ask("AppService/ListInstances", {"parent": "projects/-/apps/-", "pageSize": 1000})
        for instance in listed.get("instances", []):
            if not instance.get("setup"):
                told[instance["name"].split("/")[3]].append(instance)
        for app in {*told, *self.expected}:
            if sorted(int(i.get("pid", 0)) for i in told[app]) != sorted(pid for pid, _ in running[app]):
                return f"{app} runs as {running[app]}, and is told of as {told[app]}"
            if not all(i.get("ready") and i.get("reachable") for i in told[app]):
                return f"not ready or reachable: {told[app]}"
        nodes = self.cluster.ask("NodeService/ListNodes", {}).get("nodes", [])
        states = {n["name"]: n["status"]["state"] for n in nodes}
        if set(states.values()) != {"NODE_STATE_READY"}:
            return f"nodes are {states}"
        return None

    def check(self, what):
        self.wrong = "not looked at yet"

        def well():
            self.wrong = self.what_is_wrong()
            return self.wrong is None
        try:
            wait_for("all is well", well)
        except AssertionError:
            raise AssertionError(f"{what}: {self.wrong}") from None
        self.assertEqual(self.cluster.faults, [], what)

    def leftovers(self):
        """What nodes keep of what is no more: folders, control groups, rows of journals."""
        held = collections.defaultdict(set)
        for instance in self.cluster.instances():
            held[instance["node"]].add(instance["uid"])
        apps = self.cluster.call("AppService/ListApps", {"parent": "projects/default"}).get("apps", [])
        for node in self.cluster.agents:
            places, rows = self.cluster.places(node), self.cluster.journal(node)
            yield from (f"{node} has {path}" for path in places if not any(uid in path for uid in held[node]))
            yield from (f"{node} has nothing of {uid}" for uid in held[node] if not any(uid in path for path in places))
            remembered = {key for table, key in rows if table == INSTANCES}
            if remembered != held[node]:
                yield f"{node} remembers {remembered}, and holds {held[node]}"
            yield from (f"{node} remembers port {key}" for table, key in rows
                        if table == PORTS and not any(key.startswith(app["uid"]) for app in apps))

    def check_leftovers(self):
        self.left = []

        def nothing():
            try:
                self.left = list(self.leftovers())
            except sqlite3.DatabaseError as error:  # The copy was torn.
                self.left = [repr(error)]
            return not self.left
        try:
            wait_for("nothing is left", nothing)
        except AssertionError:
            raise AssertionError(f"{self.title}: {self.left}") from None
