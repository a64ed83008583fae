#!/usr/bin/env python3
"""Whatever keeps a node from renewing its lease, its keeper ends what is fenced by the deadline, and nothing else."""
import signal
import subprocess
import unittest

from beats import BEAT, Beats, now
from case import is_alive
from cluster import TIME_FACTOR, wait_for
from partitioned import HEARTBEAT, LEASE, RECONNECT, SLACK, Partitioned


class Fence(Partitioned):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.beats = Beats(cls.cluster)
        try:
            for app, word in (("fenced", "AT_LEASE_END_STOP"), ("kept", "AT_LEASE_END_KEEP")):
                cls.cluster.create_app(app, BEAT, env=cls.beats.env, stop={"grace_period": "0.2s"},
                                       disconnect={"at_lease_end": word, "replace": "REPLACE_NEVER"})
            cls.kept = cls.beats.begun("kept", 1)[0].pid
            cls.beats.begun("fenced", 1)
        except BaseException:
            cls.failed = True
            raise

    def tearDown(self):
        for program in (self.cluster.keepers["n1"], self.agent, self.cluster.entry):
            program.kill(signal.SIGCONT, wait=False)
        super().tearDown()
        self.running()

    @property
    def agent(self):
        return self.cluster.agents["n1"]

    def running(self):
        def ready():
            found = self.cluster.instances("fenced")
            return len(found) == 1 and found[0].get("ready") and found[0].get("reachable")
        wait_for("the fenced app runs", ready)
        return self.beats.newest("fenced")

    def ends(self, cause, recover):
        """After the cause it ends by its deadline; it begins again once the node has recovered, not before."""
        before, attempt, lived = self.running(), int(self.instance("fenced")["attempt"]), len(self.beats.of("fenced"))
        at = now()
        cause()
        wait_for("it ended", lambda: not is_alive(before.pid), LEASE / TIME_FACTOR + SLACK)
        ended = self.beats.newest("fenced")
        self.assertEqual(ended.pid, before.pid)
        self.assertLess(ended.last, at + LEASE + 0.5 * TIME_FACTOR, "later than its deadline")
        self.assertGreater(ended.last, at + LEASE - HEARTBEAT - SLACK * TIME_FACTOR / 2, "long before its deadline")
        print(f"{self._testMethodName}: ended {ended.last - at:.2f} s after it, the lease is {LEASE} s")
        # Nothing but a lease lets it begin again: not even an agent that is there.
        self.beats.lives_past("kept", at + LEASE + HEARTBEAT)
        self.assertEqual(len(self.beats.of("fenced")), lived)
        recover()
        self.cluster.wait_node("n1", timeout=RECONNECT)
        self.beats.begun("fenced", lived + 1)
        # An entry that was down too shows what it knew last until the node has reported.
        wait_for("the entry knows the new attempt", lambda: int(self.instance("fenced")["attempt"]) > attempt)
        self.running()
        self.assertEqual(self.beats.overlaps("fenced"), [])
        self.assertEqual(len(self.beats.of("fenced")), lived + 1)
        after = self.instance("fenced")
        self.assertEqual((int(after["attempt"]), after.get("restarts", 0)), (attempt + 1, 0))
        self.assertEqual([life.pid for life in self.beats.alive("kept")], [self.kept])

    def goes_on(self, act):
        """Its lease is renewed in time: for two leases nothing happens to it."""
        before, lived = self.running(), len(self.beats.of("fenced"))
        at = now()
        act()
        self.beats.lives_past("fenced", at + 2 * LEASE)
        self.assertEqual((self.beats.newest("fenced").pid, len(self.beats.of("fenced"))), (before.pid, lived))
        self.assertEqual([life.pid for life in self.beats.alive("kept")], [self.kept])

    def test_an_agent_that_was_killed(self):
        self.ends(self.agent.kill, self.agent.start)

    def test_an_agent_that_was_stopped(self):
        self.ends(self.agent.stop, self.agent.start)

    def test_an_agent_that_hangs(self):
        self.ends(lambda: self.agent.kill(signal.SIGSTOP, wait=False),
                  lambda: self.agent.kill(signal.SIGCONT, wait=False))

    def test_a_keeper_that_hangs(self):
        keeper = self.cluster.keepers["n1"]
        self.ends(lambda: keeper.kill(signal.SIGSTOP, wait=False), lambda: keeper.kill(signal.SIGCONT, wait=False))

    def test_an_agent_that_starts_again_without_an_entry(self):
        def without_entry():
            self.cluster.entry.kill()
            self.agent.kill()
            self.agent.start()
        self.ends(without_entry, self.start_entry)

    def test_a_network_that_was_cut(self):
        self.ends(lambda: self.net.cut("entry", "n1"), self.net.heal)

    def test_an_entry_that_is_down(self):
        self.ends(self.cluster.entry.kill, self.start_entry)

    def test_an_entry_that_hangs(self):
        self.ends(lambda: self.cluster.entry.kill(signal.SIGSTOP, wait=False),
                  lambda: self.cluster.entry.kill(signal.SIGCONT, wait=False))

    def start_entry(self):
        self.cluster.entry.start()
        self.cluster.wait_entry()

    def test_an_agent_that_is_upgraded_renews_in_time(self):
        program = self.cluster.bin / "appsup-agent"
        ours = subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout.strip()
        code = program.read_bytes()
        other = "8" + ours[1:]

        def upgrade():
            new = program.with_suffix(".new")
            new.write_bytes(code.replace(b"\0" + ours.encode() + b"\0", b"\0" + other.encode() + b"\0"))
            new.chmod(0o755)
            new.rename(program)  # As a package manager does.
            self.agent.stop()
            self.agent.start()
        self.goes_on(upgrade)
        node = self.cluster.call("NodeService/GetNode", {"name": "nodes/n1"})
        self.assertEqual(node["status"]["versions"]["agent"], other)

    def test_an_entry_that_is_restarted_renews_in_time(self):
        self.goes_on(self.cluster.restart_entry)


if __name__ == "__main__":
    unittest.main(verbosity=2)
