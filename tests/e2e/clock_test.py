#!/usr/bin/env python3
"""Wall clocks that are set by a year, forward and back: leases, fences, checks and restarts do not rest on them."""
import os
import pathlib
import shutil
import signal
import struct
import subprocess
import tempfile
import unittest
import uuid

from beats import BEAT, Beats, now
from case import Case
from cluster import TIME_FACTOR, wait_for
from network import require_root

LEASE = 4 * TIME_FACTOR
YEAR = 365 * 24 * 3600


class Clock(Case):
    """The entry and the node's programs each have a wall clock that can be set."""
    nodes = ()

    @classmethod
    def setUpClass(cls):
        folder = pathlib.Path(tempfile.mkdtemp(prefix="appsup-clock-"))
        cls.addClassCleanup(shutil.rmtree, folder)
        folder.chmod(0o755)
        shim = folder / "shim.so"
        subprocess.run(["cc", "-O1", "-shared", "-fPIC", "-o", shim, pathlib.Path(__file__).with_name("wall_clock_shim.c"),
                        "-ldl"], check=True)
        cls.clocks = {host: folder / host for host in ("entry", "n1")}
        for host in cls.clocks:
            cls.set_clock(host, 0)
        cls.on = {host: ["env", f"LD_PRELOAD={shim}", f"SKEW_FILE={file}"] for host, file in cls.clocks.items()}
        cls.cluster_options = {"entry_prefix": cls.on["entry"],
                               "entry_extra": f"limits: {{heartbeat: '{LEASE / 8}s', lease: '{LEASE}s'}}\n"}
        super().setUpClass()
        try:
            cls.cluster.add_agent("n1", prefix=cls.on["n1"])
        except BaseException:
            cls.failed = True
            raise
        cls.beats = Beats(cls.cluster)

    @classmethod
    def set_clock(cls, host, seconds):
        """By this much off from now on. The file's bytes change in place: programs have them mapped."""
        cls.clocks[host].touch(0o644)
        with open(cls.clocks[host], "r+b") as file:
            file.write(struct.pack("q", seconds))

    def tearDown(self):
        for host in self.clocks:
            self.set_clock(host, 0)
        self.cluster.wait_node("n1")

    def start(self, app, **spec):
        self.cluster.create_app(app, BEAT, env=self.beats.env, stop={"grace_period": "0.2s"},
                                restart={"initial_backoff": "0.5s"}, **spec)
        return self.beats.begun(app, 1)[0].pid

    def start_both(self, tag):
        """A fenced app, which rests on the lease, and one that is not."""
        return {f"{kind}-{tag}": self.start(f"{kind}-{tag}", disconnect={"at_lease_end": f"AT_LEASE_END_{word}",
                                                                         "replace": "REPLACE_NEVER"})
                for kind, word in (("fenced", "STOP"), ("kept", "KEEP"))}

    def undisturbed(self, pids):
        """For two leases from now."""
        until = now() + 2 * LEASE
        for app, pid in pids.items():
            self.beats.lives_past(app, until)
            self.assertEqual([life.pid for life in self.beats.of(app)], [pid])
        self.cluster.wait_node("n1")

    def test_of_the_entry(self):
        pids = self.start_both("entry")
        request = {"name": "projects/default/apps/kept-entry", "requestId": str(uuid.uuid4()), "replicas": 1}
        first = self.cluster.call("AppService/ScaleApp", request)
        self.start("deleted")
        self.verb("DeleteApp", "deleted")
        for offset in (YEAR, -YEAR):
            self.set_clock("entry", offset)
            # What is committed, told and waited for goes on.
            self.cluster.create_app(f"made{offset}", ["sleep", "1000"])
            self.verb("RestartApp", f"made{offset}")
            self.undisturbed(pids)
            self.assertEqual(self.cluster.call("AppService/ScaleApp", request)["name"], first["name"])
        # It is noticed within a minute, and what was to be kept for a week is.
        wait_for("it says so", lambda: " wall-clock-jumped " in self.cluster.entry.output(), 75)
        self.assertIn("moved_purge_times=1", self.cluster.entry.output())
        self.set_clock("entry", YEAR)
        self.cluster.restart_entry()
        wait_for("it says so again", lambda: self.cluster.entry.output().count(" wall-clock-jumped ") > 1)
        self.assertEqual(self.status("deleted")["state"], "APP_STATE_DELETED")
        self.assertEqual(self.cluster.call("AppService/ScaleApp", request)["name"], first["name"])
        self.set_clock("entry", 0)
        self.cluster.restart_entry()
        self.cluster.wait_node("n1")
        self.verb("UndeleteApp", "deleted")
        self.assertEqual([life.pid for life in self.beats.alive("kept-entry")], [pids["kept-entry"]])

    def test_of_a_node(self):
        pids = self.start_both("node")
        victim = self.start("victim")
        for count, offset in enumerate((YEAR, -YEAR), 2):
            self.set_clock("n1", offset)
            os.kill(self.pid("victim"), signal.SIGKILL)
            self.beats.begun("victim", count)
            self.undisturbed(pids)
            self.assertEqual(len(self.beats.of("victim")), count)
        # A certificate that is not valid yet is none; with the right time the node is back.
        downs = self.cluster.agents["n1"].output().count(" link-")
        self.cluster.restart_agent("n1")
        wait_for("it does not get in", lambda: self.cluster.agents["n1"].output().count(" link-") > downs)
        self.set_clock("n1", 0)
        wait_for("it is reachable", lambda: self.instance("kept-node").get("reachable") and self.instance(
            "fenced-node").get("ready"))
        self.assertEqual([life.pid for life in self.beats.alive("kept-node")], [pids["kept-node"]])
        self.assertEqual(self.beats.overlaps("fenced-node"), [])


class Uptime(Case):
    """A machine that has been up for a year longer: clocks that count from a machine's start are never compared."""
    nodes = ()
    cluster_options = {"entry_extra": f"limits: {{heartbeat: '{LEASE / 8}s', lease: '{LEASE}s'}}\n"}

    @classmethod
    def setUpClass(cls):
        require_root()
        super().setUpClass()
        holder = subprocess.Popen(["unshare", "--time", "--boottime", str(YEAR), "--fork", "--kill-child", "sleep", "1000"])
        cls.addClassCleanup(holder.wait)
        cls.addClassCleanup(holder.kill)
        children = pathlib.Path(f"/proc/{holder.pid}/task/{holder.pid}/children")
        inside = wait_for("the namespace", children.read_text).split()[0]
        try:
            cls.cluster.add_agent("n1", prefix=["nsenter", f"--time=/proc/{inside}/ns/time"])
        except BaseException:
            cls.failed = True
            raise

    def test_of_a_node_is_its_own_matter(self):
        beats = Beats(self.cluster)
        self.cluster.create_app("fenced", BEAT, env=beats.env, stop={"grace_period": "0.2s"}, disconnect={
            "at_lease_end": "AT_LEASE_END_STOP", "replace": "REPLACE_AFTER_STOP"})
        first = beats.begun("fenced", 1)[0]
        self.assertGreater(first.first, now() + YEAR - 3600)
        self.cluster.add_agent("n2")
        beats.lives_past("fenced", now() + YEAR + 2 * LEASE)
        at = now()
        self.cluster.agents["n1"].kill()
        wait_for("it is replaced", lambda: len(beats.of("fenced")) > 1, 3 * LEASE / TIME_FACTOR)
        second, first = beats.of("fenced")  # By their machines' clocks.
        self.assertEqual((first.node, second.node), ("n1", "n2"))
        self.assertLess(first.last - YEAR, at + LEASE + 0.5 * TIME_FACTOR)
        self.assertLess(first.last - YEAR, second.first)


if __name__ == "__main__":
    unittest.main(verbosity=2)
