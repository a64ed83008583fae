#!/usr/bin/env python3
"""Restart policies, backoff and crash loops; readiness by http, tcp and exec."""
import os
import signal
import unittest

from case import PORT, SERVE, Case
from cluster import wait_for


class Restart(Case):
    def run_once(self, app, code, policy):
        self.cluster.create_app(app, ["sh", "-c", f"exit {code}"], wait=False,
                                restart={"policy": f"RESTART_POLICY_{policy}", "initial_backoff": "0.1s"})

    def test_never_leaves_it_ended(self):
        self.run_once("never", 5, "NEVER")
        ended = self.wait_instance("never", "it failed", lambda i: i.get("state") == "INSTANCE_STATE_FAILED")
        self.assertEqual((ended["exit"]["code"], ended.get("restarts", 0)), (5, 0))
        self.cluster.wait_app("never", "FAILED")
        self.assertIn("exited with code 5", self.condition("never", "Ready")["message"])

    def test_on_failure_takes_success_for_done(self):
        self.run_once("job", 0, "ON_FAILURE")
        ended = self.wait_instance("job", "it ended", lambda i: i.get("state") == "INSTANCE_STATE_EXITED")
        self.assertEqual(ended["exit"].get("code", 0), 0)
        self.assertEqual(self.wait_condition("job", "Ready", "Completed")["status"], "CONDITION_STATUS_FALSE")
        self.run_once("flaky", 1, "ON_FAILURE")
        self.wait_instance("flaky", "it was started again", lambda i: i.get("restarts", 0) >= 2)

    def test_always_starts_again_what_ended_well(self):
        self.run_once("always", 0, "ALWAYS")
        self.wait_instance("always", "it was started again", lambda i: i.get("restarts", 0) >= 2)

    def test_backoff_doubles_and_a_crash_loop_says_so(self):
        self.cluster.create_app("loop", ["sh", "-c", "echo out of luck >&2; exit 3"], wait=False, restart={
            "initial_backoff": "0.1s", "max_backoff": "0.4s", "crash_loop": {"count": 4, "retry": "3600s"}})
        stuck = self.wait_instance("loop", "a crash loop", lambda i: "crash loop" in i.get("message", ""))
        self.assertIn("crash loop: 4 exits in 5m, the last exited with code 3; next try at", stuck["message"])
        self.assertEqual(stuck["attempt"], "4")
        self.assertIn("next_attempt_time", stuck)
        status = self.status("loop")
        self.assertIn(status["state"], ("APP_STATE_FAILED", "APP_STATE_BACKING_OFF"))
        self.assertEqual(status["last_failure"]["exit"]["code"], 3)
        wait_for("its last words", lambda: "out of luck" in self.status("loop")["last_failure"].get("log_tail", []))
        # Restart is an order: it does not wait for the loop's end.
        self.verb("RestartApp", "loop", wait=False)
        self.wait_instance("loop", "one more try", lambda i: int(i.get("attempt", 0)) >= 5)

    def test_a_command_that_is_not_there_is_a_failure_in_plain_words(self):
        operation = self.cluster.create_app("typo", ["no-such-program"], wait=False, restart={
            "initial_backoff": "0.1s", "max_backoff": "0.4s", "crash_loop": {"count": 3, "retry": "3600s"}})
        stuck = self.wait_instance("typo", "a crash loop", lambda i: "crash loop" in i.get("message", ""))
        self.assertIn("crash loop: 3 failed attempts in 5m, the last could not be started: "
                      "command no-such-program not found in working folder", stuck["message"])
        failure = self.status("typo")["last_failure"]
        self.assertIn("could not be started: command no-such-program not found", failure["reason"])
        self.assertNotIn("next try", failure["reason"])
        self.assertNotIn("exit", failure)
        ended = self.cluster.wait_operation(operation["name"], ok=False)
        self.assertIn("no-such-program", ended["error"]["message"])

    def test_a_killed_app_is_back_with_the_same_port(self):
        self.serve("back", restart={"initial_backoff": "0.1s"})
        before = self.instance("back")
        os.kill(int(before["pid"]), signal.SIGKILL)
        after = self.wait_instance("back", "it is back", lambda i: i.get("ready") and i.get("restarts") == 1)
        self.assertEqual(after["exit"]["signal"], 9)
        self.assertEqual(after["endpoints"], before["endpoints"])
        self.assertNotEqual(after["pid"], before["pid"])
        wait_for("it serves", lambda: self.body("back") == "1")


class Readiness(Case):
    def test_http_looks_at_the_answer(self):
        gate = self.shared_file("gate")
        script = SERVE[2].replace("self.send_response(200)",
                                  f"self.send_response(204 if open({str(gate)!r}).read() else 500)")
        self.cluster.create_app("web", ["python3", "-c", script], wait=False, ports=PORT, checks={"readiness": {
            "http": {"port": "http", "path": "/health", "expect": "204"}, "period": "0.1s", "failure_threshold": 2}})
        wait_for("it says what it got", lambda: "500" in self.condition("web", "Ready").get("message", ""))
        self.assertEqual(self.status("web").get("ready_replicas", 0), 0)
        gate.write_text("open")
        self.cluster.wait_app("web", "RUNNING")
        pid = self.pid("web")
        gate.write_text("")
        wait_for("it is not ready again", lambda: self.status("web").get("ready_replicas", 0) == 0)
        self.assertEqual(self.status("web").get("endpoints", []), [])
        self.assertEqual(self.pid("web"), pid)  # Readiness restarts nothing.

    def test_tcp_connects(self):
        gate = self.cluster.dir / "listen"
        script = (f"import os, socket, time\nwhile not os.path.exists({str(gate)!r}): time.sleep(0.02)\n"
                  "s = socket.create_server(('127.0.0.1', int(os.environ['PORT'])))\n"
                  "while True: s.accept()[0].close()\n")
        self.cluster.create_app("tcp", ["python3", "-c", script], wait=False, ports=[{"name": "raw"}],
                                checks={"readiness": {"tcp": {"port": "raw"}, "period": "0.1s"}})
        wait_for("it says what is wrong", lambda: "refused" in self.condition("tcp", "Ready").get("message", ""))
        gate.touch()
        self.cluster.wait_app("tcp", "RUNNING")

    def test_exec_runs_as_the_app_in_its_folder_with_its_environment(self):
        gate = self.shared_file("exec")
        self.cluster.create_app("exec", ["sh", "-c", "id -u > uid; exec sleep 1000"], wait=False,
                                env={"GATE": str(gate)}, checks={"readiness": {"exec": {"command": [
                                    "sh", "-c", 'test "$(id -u)" = "$(cat uid)" || exit 8; '
                                                'test -s "$GATE" || { echo gate is shut; exit 7; }']},
                                    "period": "0.1s", "success_threshold": 2}})
        wait_for("it says what it got", lambda: "7" in self.condition("exec", "Ready").get("message", ""))
        gate.write_text("open")
        self.cluster.wait_app("exec", "RUNNING")


if __name__ == "__main__":
    unittest.main(verbosity=2)
