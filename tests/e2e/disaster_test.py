#!/usr/bin/env python3
"""A node after the worst: reboot, a dead keeper, a torn journal, everything killed at once. What should run, runs, once."""
import os
import pathlib
import signal
import sqlite3
import unittest

from beats import BEAT, Beats, now
from case import Case, is_alive
from cluster import TIME_FACTOR, wait_for
from faults_test import SmallDisk
from network import require_root
from reboot import BootId, power_off, power_on

LEASE = 4 * TIME_FACTOR
FENCED = {"at_lease_end": "AT_LEASE_END_STOP", "replace": "REPLACE_NEVER"}
NEVER = {"policy": "RESTART_POLICY_NEVER"}


class Disaster(Case):
    """Each test on a node of its own."""
    nodes = ()
    cluster_options = {"entry_extra": f"limits: {{heartbeat: '{LEASE / 8}s', lease: '{LEASE}s'}}\n"}

    @classmethod
    def setUpClass(cls):
        require_root()

    def setUp(self):
        Case.setUpClass.__func__(type(self))
        self.addCleanup(self.finish)
        self.boot = BootId(self.cluster.dir / "boot-id")
        self.before_agent()
        self.cluster.add_agent("n1", prefix=self.boot.prefix)
        self.beats = Beats(self.cluster)

    def finish(self):
        result = self._outcome.result
        type(self).failed = any(test is self for test, _ in result.failures + result.errors)  # Logs are shown.
        type(self).doClassCleanups()

    def before_agent(self):
        pass

    @property
    def agent(self):
        return self.cluster.agents["n1"]

    @property
    def keeper(self):
        return self.cluster.keepers["n1"]

    @property
    def state(self):
        return self.cluster.dir / "n1/var/lib/appsup/agent"

    # --- what is done ---

    def start(self, app, **spec):
        self.cluster.create_app(app, BEAT, env=self.beats.env, stop={"grace_period": "0.2s"}, **spec)
        return self.beats.begun(app, spec.get("replicas", 1))[-1]

    def reboot(self):
        power_off(self.cluster, "n1")
        self.boot.change()
        power_on(self.cluster, "n1")

    def start_entry(self):
        self.cluster.entry.start()
        self.cluster.wait_entry()

    # --- what is seen ---

    def pids(self, app):
        return [life.pid for life in self.beats.of(app)]

    def living(self, app):
        return [life.pid for life in self.beats.alive(app)]

    def settled(self, *apps):
        """The node has reported what its instances do now, and all of them are ready."""
        self.cluster.wait_node("n1")
        for app in apps:
            wait_for(f"{app} is ready", lambda: (found := self.cluster.instances(app)) and all(
                i.get("ready") and i.get("reachable") for i in found))

    def once(self, *apps):
        """Each slot has one life now, and never had two at one time."""
        for app in apps:
            alive = self.beats.alive(app)
            self.assertEqual(len(alive), len({life.slot for life in alive}), alive)
            self.assertEqual(len(alive), len(self.cluster.instances(app)))
            self.assertEqual(self.beats.overlaps(app), [])


class Reboot(Disaster):
    def test_what_should_run_runs_once_after_a_reboot_without_an_entry_but_nothing_fenced(self):
        marks = self.shared_file("marks")
        self.start("web", replicas=2)
        self.start("fenced", disconnect=FENCED)
        self.start("set-up", setup={"command": ["sh", "-c", f"echo ran >> {marks}"]})
        self.start("stopped")
        self.verb("StopApp", "stopped")
        self.cluster.create_app("done", ["sh", "-c", f"echo done >> {marks}"], restart=NEVER)
        self.wait_instance("done", "it ended", lambda i: i.get("exit"))
        self.cluster.entry.kill()
        self.reboot()
        self.beats.begun("web", 4)
        self.beats.begun("set-up", 2)
        began = now()
        self.beats.lives_past("web", began + LEASE)
        self.assertEqual(len(self.pids("fenced")), 1)  # Nobody has granted a lease since the reboot.
        self.start_entry()
        self.beats.begun("fenced", 2)
        self.settled("web", "fenced", "set-up")
        self.once("web", "fenced", "set-up")
        self.assertEqual([len(self.pids(app)) for app in ("web", "fenced", "set-up", "stopped")], [4, 2, 2, 1])
        self.assertEqual(marks.read_text(), "ran\ndone\n")
        self.assertEqual({i["restarts"] for app in ("web", "fenced") for i in self.cluster.instances(app)}, {1})
        self.assertEqual(self.cluster.call("NodeService/GetNode", {"name": "nodes/n1"})["status"]["boot_id"],
                         str(self.boot))

    def test_the_entrys_machine_goes_down_with_it(self):
        self.start("web", replicas=2)
        self.start("fenced", disconnect=FENCED)
        self.start("stops")
        for count, verb in enumerate(("StopApp", "StartApp"), 2):
            operation = self.verb(verb, "stops", wait=False)  # Acknowledged, not yet done.
            self.cluster.entry.kill()
            power_off(self.cluster, "n1")
            self.boot.change()
            self.cluster.entry.start()
            power_on(self.cluster, "n1")
            self.cluster.wait_entry()
            self.cluster.wait_operation(operation["name"])
            self.beats.begun("fenced", count)
            self.beats.begun("web", 2 * count)
        self.settled("web", "fenced", "stops")
        self.once("web", "fenced", "stops")
        self.assertEqual(len(self.pids("web")), 6)

    def test_a_reboot_in_the_middle_of_an_update_and_a_setup(self):
        gate, marks = self.cluster.dir / "gate", self.shared_file("marks")
        self.start("rolling")
        checks = {"readiness": {"exec": {"command": ["test", "-e", str(gate)]}, "period": "0.1s"}}
        update = self.update("rolling", "env,checks", wait=False, env={**self.beats.env, "VERSION": "2"}, checks=checks)
        self.beats.begun("rolling", 2)  # The new copy, which is not ready yet.
        setup = self.cluster.create_app("unknown", ["sleep", "1000"], wait=False, setup={
            "command": ["sh", "-c", f"echo began >> {marks}; sleep 1000"]})
        wait_for("the setup began", lambda: marks.read_text() == "began\n")
        self.reboot()
        self.beats.begun("rolling", 3)  # And maybe the old copy again: it was not ready any more, either.
        self.assertIn("error", self.cluster.wait_operation(setup["name"], ok=False))
        self.wait_condition("unknown", "SetUp", "SetupOutcomeUnknown")
        self.assertEqual(marks.read_text(), "began\n")
        gate.touch()
        gate.chmod(0o644)
        self.cluster.wait_operation(update["name"])
        self.assertEqual(self.instance("rolling")["revision"], "2")
        self.assertEqual(len(self.living("rolling")), 1)


class DeadKeeper(Disaster):
    def test_apps_go_on_and_are_adopted_and_exits_that_nobody_saw_are_unknown(self):
        steady, victim = self.start("steady"), self.start("victim")
        last = self.start("last", restart=NEVER)
        fenced = self.start("fenced", disconnect=FENCED)
        self.keeper.kill()
        wait_for("the fenced app dies with its keeper", lambda: not is_alive(fenced.pid), 5)
        self.assertEqual(self.living("fenced"), [])  # Nor what it had started.
        for life in (victim, last):
            self.kill_tree(life)
        self.assertEqual(self.living("steady"), [steady.pid])
        self.keeper.start()
        self.beats.begun("victim", 2)
        self.beats.begun("fenced", 2)
        self.settled("steady", "victim", "fenced")
        self.once("steady", "victim", "fenced")
        self.assertEqual([len(self.pids(app)) for app in ("steady", "victim", "last", "fenced")], [1, 2, 1, 2])
        ended = self.wait_instance("last", "its end is known", lambda i: i.get("exit"))["exit"]
        self.assertTrue(ended.get("unknown"), ended)
        self.assertTrue(self.instance("victim")["exit"].get("unknown"))
        self.assertEqual(self.pid("steady"), steady.pid)
        # It is really held: stop ends the whole tree.
        self.verb("StopApp", "steady")
        self.assertEqual(self.living("steady"), [])

    def kill_tree(self, life):
        for path in pathlib.Path("/proc").glob("[0-9]*"):
            try:
                if f"\0APPSUP_INSTANCE={life.instance}\0".encode() in b"\0" + (path / "environ").read_bytes():
                    os.kill(int(path.name), signal.SIGKILL)
            except OSError:
                pass
        wait_for("it ended", lambda: not is_alive(life.pid))

    def test_entry_agent_and_keeper_are_killed_at_once_and_again(self):
        steady, fenced = self.start("steady", replicas=3), self.start("fenced", disconnect=FENCED)
        before = self.pids("steady")
        acknowledged = []
        for round_ in range(2):
            for number in range(3):  # Acknowledged, and the kill comes in their middle.
                app = f"a{round_}-{number}"
                self.cluster.create_app(app, BEAT, env=self.beats.env, stop={"grace_period": "0.2s"}, wait=False)
                acknowledged.append(app)
            for program in (self.cluster.entry, self.agent, self.keeper):
                program.kill(wait=False)
            for program in (self.cluster.entry, self.agent, self.keeper):
                program.kill()
            wait_for("the fenced app dies with its keeper", lambda: not is_alive(self.beats.newest("fenced").pid), 5)
            self.keeper.start()
            self.agent.start()
            self.start_entry()
            self.beats.begun("fenced", 2 + round_)
            self.settled("steady", "fenced", *acknowledged)
            self.once("steady", "fenced", *acknowledged)
            self.assertEqual(self.pids("steady"), before)
        self.verb("ScaleApp", "steady", replicas=1)
        self.assertEqual(len(self.living("steady")), 1)

    def test_a_keeper_takes_a_new_program_and_refuses_a_bad_one(self):
        steady, fenced = self.start("steady"), self.start("fenced", disconnect=FENCED)
        codes = self.shared_file("go")
        self.cluster.create_app("code", ["sh", "-c", f"until test -s {codes}; do sleep 0.05; done; exit 7"], restart=NEVER)
        program = self.cluster.bin / "appsup-keeper"
        good = program.read_bytes()
        pid = self.keeper.process.pid
        self.put(program, b"#!/bin/sh\necho cannot read this >&2\nexit 3\n")
        self.keeper.kill(signal.SIGHUP, wait=False)
        wait_for("it is refused", lambda: "upgrade-refused" in self.keeper.output())
        self.assertIn("cannot read this", self.keeper.output())
        self.put(program, good)
        self.keeper.kill(signal.SIGHUP, wait=False)
        wait_for("it is taken", lambda: " upgraded " in self.keeper.output())
        self.assertEqual(os.stat(f"/proc/{pid}/exe").st_ino, program.stat().st_ino)
        codes.write_text("go\n")
        ended = self.wait_instance("code", "it ended", lambda i: i.get("exit"))["exit"]
        self.assertEqual((ended.get("code"), ended.get("unknown", False)), (7, False))
        # The fence goes on being extended, and being kept.
        self.beats.lives_past("fenced", now() + 1.5 * LEASE)
        self.assertEqual((self.living("fenced"), self.living("steady")), ([fenced.pid], [steady.pid]))
        at = now()
        self.agent.kill()
        wait_for("its deadline ends it", lambda: not is_alive(fenced.pid), LEASE / TIME_FACTOR + 2)
        self.assertLess(self.beats.newest("fenced").last, at + LEASE + 0.5 * TIME_FACTOR)
        self.assertEqual(self.living("steady"), [steady.pid])

    def put(self, path, code):
        fresh = path.with_suffix(".new")
        fresh.write_bytes(code)
        fresh.chmod(0o755)
        fresh.rename(path)


class TornJournal(Disaster):
    def wal(self):
        return self.state / "journal.db-wal"

    def restart(self):
        sessions = self.cluster.entry.output().count(" node-connected ")
        self.agent.start()
        wait_for("it is back", lambda: self.cluster.entry.output().count(" node-connected ") > sessions)

    def test_a_torn_last_write_doubles_nothing_and_orphans_nothing(self):
        self.start("first", replicas=2)
        lives = self.pids("first")
        for number, cut in enumerate((1, 1000, 4096 + 24)):
            with self.subTest(bytes_cut=cut):
                app = f"newest{number}"
                life = self.start(app)
                self.agent.kill()
                size = self.wal().stat().st_size
                os.truncate(self.wal(), size - cut)
                self.restart()
                self.settled("first", app)
                self.assertEqual((self.pids("first"), self.pids(app)), (lives, [life.pid]))
                self.once("first", app)
        self.agent.kill()
        with open(self.wal(), "ab") as wal:  # The beginning of a write that was never finished.
            wal.write(os.urandom(3000))
        self.restart()
        self.settled("first")
        self.assertEqual(self.living("first"), lives)

    def test_a_journal_that_went_back_starts_nothing_twice(self):
        self.start("first")
        self.agent.kill()
        older = {path.name: path.read_bytes() for path in self.state.glob("journal.db*")}
        self.restart()
        self.settled("first")
        life = self.start("second")
        self.agent.kill()
        for path in self.state.glob("journal.db*"):
            path.unlink()
        for name, content in older.items():
            path = self.state / name
            path.write_bytes(content)
            os.chown(path, *self.owner())
        self.restart()
        # It might be a copy of another machine: guarded, with nothing stopped, removed or started.
        self.cluster.wait_node("n1", "GUARDED")
        wait_for("second is seen", lambda: self.pid("second") == life.pid and self.instance("second").get("reachable"))
        self.assertEqual((self.living("second"), len(self.pids("second"))), ([life.pid], 1))
        self.cluster.appsup("nodes", "accept", "n1")
        self.settled("first", "second")
        self.assertEqual((self.living("second"), len(self.pids("second"))), ([life.pid], 1))
        self.assertEqual((len(self.living("first")), len(self.pids("first"))), (1, 1))

    def owner(self):
        stat = self.state.stat()
        return stat.st_uid, stat.st_gid

    def test_a_journal_that_cannot_be_read_is_said_and_left_alone(self):
        life = self.start("app")
        self.agent.stop()
        journal = self.state / "journal.db"
        content = bytearray(journal.read_bytes())
        content[100:] = os.urandom(len(content) - 100)
        journal.write_bytes(content)
        for suffix in ("-wal", "-shm"):
            path = self.state / f"journal.db{suffix}"
            if path.exists():
                path.unlink()
        self.agent.start()
        self.assertNotEqual(self.agent.process.wait(30 * TIME_FACTOR), 0)
        self.assertIn("move the file away to begin anew", self.agent.output())
        self.assertEqual(journal.read_bytes(), bytes(content))
        self.assertEqual(self.living("app"), [life.pid])
        journal.rename(self.state / "journal.broken")
        self.agent.start()
        self.cluster.wait_node("n1", "GUARDED")
        wait_for("it is found again", lambda: self.pid("app") == life.pid and self.instance("app").get("ready"))
        self.cluster.appsup("nodes", "accept", "n1")
        self.settled("app")
        self.assertEqual((self.pids("app"), self.living("app")), ([life.pid], [life.pid]))


class EntryState(Disaster):
    """What the entry holds on its disk."""

    @property
    def catalog(self):
        return self.cluster.root / "var/lib/appsup/entry/catalog.db"

    def test_a_write_that_was_never_finished_takes_nothing_acknowledged_with_it(self):
        life = self.start("app")
        for number in range(3):
            self.cluster.call("ProjectService/CreateProject", {"projectId": f"p{number}"})
            self.cluster.entry.kill()
            with open(f"{self.catalog}-wal", "ab") as wal:
                wal.write(os.urandom(5000))
            self.start_entry()
        listed = self.cluster.call("ProjectService/ListProjects", {})["projects"]
        self.assertLessEqual({f"projects/p{n}" for n in range(3)}, {project["name"] for project in listed})
        self.settled("app")
        self.assertEqual(self.living("app"), [life.pid])
        self.once("app")

    def test_an_older_program_refuses_the_catalog_of_a_newer_one_and_nothing_else_happens(self):
        life = self.start("app")
        self.cluster.entry.stop()
        with sqlite3.connect(self.catalog) as db:
            version = db.execute("PRAGMA user_version").fetchone()[0]
            db.execute(f"PRAGMA user_version={version + 1}")
        db.close()
        self.cluster.entry.start()
        self.assertNotEqual(self.cluster.entry.process.wait(30 * TIME_FACTOR), 0)
        self.assertIn("newer", self.cluster.entry.output())
        self.beats.lives_past("app", now() + LEASE)
        with sqlite3.connect(self.catalog) as db:
            db.execute(f"PRAGMA user_version={version}")
        db.close()
        self.start_entry()
        self.settled("app")
        self.assertEqual((self.pids("app"), self.living("app")), ([life.pid], [life.pid]))


class KeepersDisk(Disaster):
    """Of its records: without one nothing is started, and what runs is not touched."""

    def before_agent(self):
        self.disk = SmallDisk(self.cluster, "n1/run/appsup", "4m")
        self.addCleanup(self.disk.close)

    def test_is_full_and_nothing_is_lost_or_started_twice(self):
        steady, victim = self.start("steady"), self.start("victim")
        self.disk.fill()
        operations = [self.cluster.create_app(f"waits{number}", BEAT, env=self.beats.env, wait=False, restart={
            "initial_backoff": "0.2s", "max_backoff": "0.5s"}, stop={"grace_period": "0.2s"}) for number in range(2)]
        wait_for("somebody says it", lambda: "No space left" in self.condition("waits0", "Ready").get("message", "")
                 + self.condition("waits1", "Ready").get("message", ""))
        self.verb("StopApp", "victim")  # That still works.
        self.assertEqual(self.living("victim"), [])
        self.keeper.kill()
        self.keeper.start()
        self.assertEqual(self.living("steady"), [steady.pid])
        self.disk.free()
        for operation in operations:
            self.cluster.wait_operation(operation["name"])
        self.settled("steady", "waits0", "waits1")
        self.once("steady", "waits0", "waits1")
        self.assertEqual((self.pids("steady"), self.pids("victim")), ([steady.pid], [victim.pid]))


if __name__ == "__main__":
    unittest.main(verbosity=2)
