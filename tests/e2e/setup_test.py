#!/usr/bin/env python3
"""Install and setup: what runs when, how often, and what happens when it fails."""
import hashlib
import os
import signal
import unittest

from case import QUICK, SERVE, Case, is_alive, wait_pid
from cluster import CallError, wait_for


class Setup(Case):
    def counting(self, name, then="true", **setup):
        """A setup command that leaves a line per run in a file."""
        marks = self.shared_file(name)
        return marks, {"command": ["sh", "-c", f"echo $APPSUP_APP >> {marks}; {then}"], **setup}

    def test_setup_runs_before_the_app_and_once_per_key(self):
        marks, setup = self.counting("once")
        self.cluster.create_app("once", ["sh", "-c", f"test -s {marks} || exit 9; exec sleep 1000"],
                                setup=setup, restart={"policy": "RESTART_POLICY_NEVER"})
        self.assertEqual(marks.read_text(), "once\n")
        self.assertEqual(self.condition("once", "SetUp")["status"], "CONDITION_STATUS_TRUE")
        self.verb("RestartApp", "once")
        self.verb("ScaleApp", "once", replicas=3)
        self.verb("StopApp", "once")
        self.verb("StartApp", "once")
        self.update("once", "env", env={"A": "1"})  # A revision, but the same key.
        self.assertEqual(marks.read_text(), "once\n")
        # A change of the setup block is a new key; back to the old one is no run.
        changed = {"command": [*setup["command"][:2], setup["command"][2] + "; true"]}
        self.update("once", "setup", setup=changed)
        self.assertEqual(marks.read_text(), "once\n" * 2)
        self.verb("RollbackApp", "once", revision=2)
        self.verb("RollbackApp", "once", revision=3)
        self.assertEqual(marks.read_text(), "once\n" * 2)
        # An explicit version is the key, whatever the command.
        self.update("once", "setup", setup={**setup, "version": "v1"})
        self.update("once", "setup", setup={**changed, "version": "v1"})
        self.assertEqual(marks.read_text(), "once\n" * 3)
        number = self.status("once")["target_revision"]
        revision = self.cluster.call("AppService/GetAppRevision",
                                     {"name": f"projects/default/apps/once/revisions/{number}"})
        self.assertEqual(revision["setup_state"], "SETUP_STATE_SUCCEEDED")

    def test_a_failed_setup_starts_nothing_until_it_is_tried_again(self):
        gate = self.cluster.dir / "gate"
        marks, setup = self.counting("failing", f"echo no database >&2; test -e {gate}")
        operation = self.serve_without_wait("failing", setup=setup)
        ended = self.cluster.wait_operation(operation["name"], ok=False)
        self.assertIn("Setup of revision 1 failed", ended["error"]["message"])
        self.assertIn("exited with code 1", ended["error"]["message"])
        self.assertIn("no database", ended["error"]["message"])
        self.assertEqual(self.status("failing")["state"], "APP_STATE_FAILED")
        self.assertEqual(self.apps_instances("failing"), [])
        self.assertIn("no database", self.logs("failing"))
        with self.assertRaises(CallError) as refused:  # Its outcome is known.
            self.verb("AcceptSetup", "failing")
        self.assertEqual(refused.exception.code, "FailedPrecondition")
        self.assertIn("error", self.verb("RetrySetup", "failing", ok=False))
        gate.touch()
        gate.chmod(0o644)
        self.verb("RetrySetup", "failing")
        self.assertEqual(self.body("failing"), "1")
        self.assertEqual(marks.read_text(), "failing\n" * 3)
        with self.assertRaises(CallError) as refused:
            self.verb("RetrySetup", "failing")
        self.assertEqual(refused.exception.code, "FailedPrecondition")

    def serve_without_wait(self, app, **spec):
        return self.cluster.create_app(app, SERVE, wait=False, ports=[{"name": "http"}],
                                       env={"VERSION": "1"}, checks=QUICK, **spec)

    def test_a_setup_that_takes_too_long_is_ended(self):
        operation = self.serve_without_wait("long", setup={"command": ["sleep", "1000"], "timeout": "1s"})
        ended = self.cluster.wait_operation(operation["name"], ok=False)
        self.assertIn("timed out after 1s", ended["error"]["message"])

    def test_an_unknown_outcome_is_never_hidden_and_can_be_accepted(self):
        path = self.shared_file("unknown")
        script = f"import os, time; open({str(path)!r}, 'w').write(str(os.getpid())); time.sleep(1000)"
        operation = self.serve_without_wait("unknown", setup={"command": ["python3", "-c", script]})
        pid = wait_pid(path)
        # Keeper and agent die: nobody sees how the setup ends.
        self.cluster.agents["n1"].kill()
        self.cluster.keepers["n1"].kill()
        if is_alive(pid):
            os.kill(pid, signal.SIGKILL)
        wait_for("it is gone", lambda: not is_alive(pid))
        self.cluster.keepers["n1"].start()
        self.cluster.agents["n1"].start()
        condition = self.wait_condition("unknown", "SetUp", "SetupOutcomeUnknown")
        self.assertIn("AcceptSetup", condition["message"])
        self.assertEqual(self.apps_instances("unknown"), [])
        self.assertIn("error", self.cluster.wait_operation(operation["name"], ok=False))
        self.verb("AcceptSetup", "unknown")
        self.assertEqual(self.body("unknown"), "1")

    def test_install_runs_per_artifact_in_its_folder_and_its_failure_is_told(self):
        source = self.cluster.dir / "plain.txt"
        source.write_text("artifact\n")
        source.chmod(0o644)
        artifact = {"uri": f"file://{source}", "unpack": "UNPACK_MODE_NONE"}
        self.cluster.create_app("inst", ["sh", "-c", "grep -q artifact made || exit 9; exec sleep 1000"],
                                artifact=artifact, install={"command": ["sh", "-c", "cat plain.txt > made; date +%N >> made; chmod 600 made"]},
                                restart={"policy": "RESTART_POLICY_NEVER"}, checks={
                                    "readiness": {"exec": {"command": ["test", "-s", "made"]}, "period": "0.1s"}})
        sha256 = hashlib.sha256(b"artifact\n").hexdigest()
        self.assertIn(sha256, self.condition("inst", "ArtifactReady")["message"])
        self.verb("ScaleApp", "inst", replicas=2)
        operation = self.cluster.create_app("bad", ["sleep", "1000"], wait=False, artifact=artifact,
                                            install={"command": ["sh", "-c", "echo no compiler; exit 4"]})
        condition = self.wait_condition("bad", "ArtifactReady", "ArtifactUnavailable")
        self.assertIn("code 4", condition["message"])
        self.assertIn("no compiler", condition["message"])
        self.assertNotIn("done", self.cluster.call("OperationService/GetOperation", {"name": operation["name"]}))


if __name__ == "__main__":
    unittest.main(verbosity=2)
