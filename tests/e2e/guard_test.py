#!/usr/bin/env python3
"""The freshness guard: an empty or older catalog, or an agent without its journal, stops and removes nothing."""
import os
import shutil
import subprocess
import unittest

from case import Case, is_alive
from cluster import AGENT_UID, CallError, Program, process_start, wait_for

SLEEP = ["sleep", "1000"]


class Guard(Case):
    """Each test has a cluster of its own: the history of a catalog is what they are about."""
    nodes = ()

    @classmethod
    def setUpClass(cls):
        pass

    def setUp(self):
        Case.setUpClass.__func__(type(self))
        self.cluster.add_agent("n1")

    def tearDown(self):
        type(self).doClassCleanups()

    # --- the entry's memory ---

    @property
    def state(self):
        return self.cluster.root / "var/lib/appsup/entry"

    def copy_catalog(self, name):
        """The catalog's files put aside; the entry must not run."""
        folder = self.cluster.dir / name
        folder.mkdir()
        for path in self.state.glob("catalog.db*"):
            shutil.copy2(path, folder / path.name)
        self.assertTrue((folder / "catalog.db").exists(), list(self.state.iterdir()))
        return folder

    def remove_catalog(self):
        for path in self.state.glob("catalog.db*"):
            path.unlink()

    def start_entry(self):
        self.cluster.entry.start()
        self.cluster.wait_entry()

    def reconnected(self, act):
        """Does it, and waits for the session that the node begins because of it."""
        def sessions():
            return self.cluster.entry.output().count(" node-connected ")
        before = sessions()
        act()
        wait_for("the node connects", lambda: sessions() > before)

    def index(self):
        """Where the catalog stands."""
        events = self.cluster.stream("EventService/WatchEvents", {}, timeout=2)
        return max((int(event.get("log_index", 0)) for event in events), default=0)

    def make_changes(self, count):
        for i in range(count):
            self.cluster.call("ProjectService/CreateProject", {"projectId": f"more-{i}"})

    # --- what is seen ---

    def node(self):
        return self.cluster.call("NodeService/GetNode", {"name": "nodes/n1"})

    def guarded(self, reason):
        """The node is GUARDED, with a sentence that says this, here and in the agent's log."""
        self.cluster.wait_node("n1", "GUARDED")
        condition = [c for c in self.node()["status"]["conditions"] if c["type"] == "CatalogAccepted"][0]
        self.assertEqual(condition["status"], "CONDITION_STATUS_FALSE")
        self.assertIn(reason, condition["message"])
        self.assertIn("`appsup nodes accept n1`", condition["message"])
        self.assertIn("GUARDED", self.cluster.appsup("get", "nodes").stdout)
        self.assertIn(reason, self.cluster.appsup("describe", "node", "n1").stdout)
        wait_for("the agent says so too", lambda: "guard" in self.cluster.agents["n1"].output())

    def processes(self, *apps):
        """App → (pid, start time)."""
        found = {app: self.pid(app) for app in apps}
        return {app: (pid, process_start(pid)) for app, pid in found.items()}

    def unchanged(self, before):
        for app, (pid, start) in before.items():
            self.assertTrue(is_alive(pid), f"{app} ended")
            self.assertEqual(process_start(pid), start, f"{app} is another process")

    def gone(self, process):
        pid, start = process
        wait_for(f"process {pid} is gone", lambda: not is_alive(pid) or process_start(pid) != start)

    def accept(self):
        done = self.cluster.appsup("nodes", "accept", "n1")
        self.assertIn("n1: follows this catalog from now on", done.stdout)
        self.cluster.wait_node("n1")

    # --- the stories ---

    def test_an_older_copy_of_the_catalog_that_grew_past_the_old_index(self):
        for app in ("stays", "stopped-since", "updated-since"):
            self.cluster.create_app(app, SLEEP)
        self.cluster.entry.stop()
        backup = self.copy_catalog("backup")
        self.start_entry()
        self.cluster.wait_node("n1")
        self.cluster.create_app("made-since", SLEEP)
        self.verb("StopApp", "stopped-since")
        self.update("updated-since", "runtime", runtime={"process": {"command": ["sleep", "2000"]}})
        before = self.processes("stays", "updated-since", "made-since")
        old_index = self.index()
        self.cluster.entry.stop()

        self.remove_catalog()
        for path in backup.iterdir():
            shutil.copy2(path, self.state / path.name)
        self.reconnected(self.start_entry)
        self.guarded("was restored from a backup")
        self.unchanged(before)
        self.make_changes(60)
        wait_for("the index grows past the old one", lambda: self.index() > old_index)
        # New streams, also of a new agent process and to a new entry, change nothing of it.
        self.reconnected(lambda: self.cluster.restart_agent("n1"))
        self.guarded("was restored from a backup")
        self.reconnected(self.cluster.restart_entry)
        self.guarded("was restored from a backup")
        self.unchanged(before)
        # Something new may be added; what runs cannot be changed, and the operation says why.
        self.cluster.create_app("new", SLEEP)
        stop = self.verb("StopApp", "stays", wait=False)
        wait_for("the operation says why", lambda: "node n1 is guarded against this catalog" in self.cluster.call(
            "OperationService/GetOperation", {"name": stop["name"]}).get("progress", {}).get("message", ""))
        self.unchanged(before)

        self.accept()
        self.cluster.wait_operation(stop["name"])
        for app in ("stays", "made-since", "updated-since"):
            self.gone(before[app])
        for app in ("stopped-since", "updated-since", "new"):  # As the older catalog wants it.
            self.cluster.wait_app(app, "RUNNING")
        with self.assertRaises(CallError) as again:
            self.cluster.call("NodeService/AcceptCatalog", {"name": "nodes/n1"})
        self.assertEqual(again.exception.code, "FailedPrecondition")

    def test_an_empty_catalog(self):
        for app in ("web", "shop"):
            self.cluster.create_app(app, SLEEP)
        before = self.processes("web", "shop")
        self.cluster.agents["n1"].stop()
        self.cluster.entry.stop()
        self.remove_catalog()
        self.start_entry()  # The CA is the same, but the node is unknown: it enrols again.
        self.cluster.call("EnvironmentService/CreateEnvironment", {"environmentId": "local"})
        token = self.cluster.call("NodeService/CreateEnrollmentToken", {"environment": "local"})["token"]
        folder = self.cluster.dir / "n1"
        enrol = Program("enrol again", [self.cluster.bin / "appsup-agent", "enroll", "--config",
                                        folder / "agent.yaml", "--entry", f"127.0.0.1:{self.cluster.link_port}",
                                        "--token", token, "--node-id", "n1"], folder / "again.log").start()
        self.assertEqual(enrol.process.wait(30), 0, enrol.output())
        if os.geteuid() == 0:
            subprocess.run(["chown", "-R", f"{AGENT_UID}:{AGENT_UID}", folder / "var/lib/appsup/agent"], check=True)
        self.cluster.agents["n1"].start()
        self.guarded("this is another catalog")
        self.unchanged(before)
        self.make_changes(20)
        self.reconnected(lambda: self.cluster.restart_agent("n1"))
        self.guarded("this is another catalog")
        self.unchanged(before)
        done = self.cluster.appsup("nodes", "accept", "--all")
        self.assertIn("n1: follows this catalog from now on", done.stdout)
        for process in before.values():
            self.gone(process)
        self.cluster.wait_node("n1")

    def test_an_agent_without_its_journal(self):
        for app in ("web", "shop", "forgotten"):
            self.cluster.create_app(app, SLEEP)
        before = self.processes("web", "shop", "forgotten")
        attempts = {app: int(self.instance(app)["attempt"]) for app in ("web", "shop")}
        self.cluster.agents["n1"].kill()
        stop = self.verb("StopApp", "shop", wait=False)
        for path in (self.cluster.dir / "n1/var/lib/appsup/agent").glob("journal.db*"):
            path.unlink()
        self.cluster.agents["n1"].start()
        self.guarded("its journal was lost")
        self.unchanged(before)
        # What should run is adopted and seen again, without a new start.
        wait_for("web is seen", lambda: self.pid("web") == before["web"][0] and self.instance("web").get("ready"))
        self.assertEqual(int(self.instance("web")["attempt"]), attempts["web"])
        self.reconnected(lambda: self.cluster.restart_agent("n1"))
        self.guarded("n1")
        self.unchanged(before)
        self.assertNotIn("done", self.cluster.call("OperationService/GetOperation", {"name": stop["name"]}))

        self.accept()
        self.cluster.wait_operation(stop["name"])
        self.gone(before["shop"])
        self.unchanged({app: before[app] for app in ("web", "forgotten")})
        self.cluster.wait_app("web", "RUNNING")


if __name__ == "__main__":
    unittest.main()
