#!/usr/bin/env python3
"""Stop: the signal, the grace period, the kill of the whole tree; and start again."""
import time
import unittest

from case import Case, is_alive, wait_pid
from cluster import process_start, wait_for

# A child of its own session whose parent is gone at once: only the kill of the tree finds it.
DAEMON = r"""
import os, signal, sys, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        with open(sys.argv[1], "w") as file: file.write(str(os.getpid()))
        while True: time.sleep(100)
    os._exit(0)
os.wait()
"""
STUBBORN = DAEMON + "signal.signal(signal.SIGTERM, signal.SIG_IGN)\nwhile True: time.sleep(100)\n"
DONE = DAEMON + "while not os.path.getsize(sys.argv[1]): time.sleep(0.01)\n"


class Stop(Case):
    def test_the_handler_of_sigterm_ends_the_app_in_its_own_time(self):
        marks = self.shared_file("handler")
        self.cluster.create_app("polite", ["sh", "-c", f"trap 'sleep 0.5; echo bye > {marks}; exit 0' TERM; "
                                                       "while :; do sleep 0.05; done"])
        pid = self.pid("polite")
        operation = self.verb("StopApp", "polite")
        self.assertEqual(operation["kind"], "STOP")
        self.assertEqual(marks.read_text(), "bye\n")
        self.assertFalse(is_alive(pid))
        self.assertEqual(self.status("polite")["state"], "APP_STATE_STOPPED")
        ended = self.instance("polite")
        self.assertEqual((ended["exit"].get("code", 0), ended["exit"].get("signal", 0)), (0, 0))
        self.assertEqual(self.condition("polite", "Ready")["reason"], "Stopped")

    def test_another_signal_is_sent_where_the_app_wants_it(self):
        marks = self.shared_file("signal")
        self.cluster.create_app("quits", ["sh", "-c", f"trap 'echo quit > {marks}; exit 0' QUIT; "
                                                      f"trap 'echo term > {marks}; exit 0' TERM; "
                                                      "while :; do sleep 0.05; done"], stop={"signal": "SIGQUIT"})
        self.verb("StopApp", "quits")
        self.assertEqual(marks.read_text(), "quit\n")

    def test_after_the_grace_period_the_whole_tree_is_killed(self):
        path = self.shared_file("stubborn")
        self.cluster.create_app("stubborn", ["python3", "-c", STUBBORN, str(path)], stop={"grace_period": "1s"})
        child, pid = wait_pid(path), self.pid("stubborn")
        begin = time.monotonic()
        self.verb("StopApp", "stubborn")
        self.assertGreater(time.monotonic() - begin, 0.9)
        self.assertFalse(is_alive(pid))
        self.assertFalse(is_alive(child), "the grandchild outlived the stop")
        self.assertEqual(self.instance("stubborn")["exit"]["signal"], 9)

    def test_an_app_that_ends_leaves_no_grandchild_behind(self):
        path = self.shared_file("daemon")
        self.cluster.create_app("daemon", ["python3", "-c", DONE, str(path)], wait=False,
                                restart={"policy": "RESTART_POLICY_NEVER"}, stop={"grace_period": "0.5s"})
        child = wait_pid(path)
        self.wait_instance("daemon", "it ended", lambda i: i.get("exit"))
        self.assertFalse(is_alive(child))

    def test_start_and_stop_keep_the_instance_and_change_the_process(self):
        self.serve("again")
        before = self.instance("again")
        self.verb("StopApp", "again")
        self.assertEqual(self.status("again").get("endpoints", []), [])
        self.assertIsNone(process_start(int(before["pid"])))
        self.verb("StartApp", "again")
        after = self.instance("again")
        self.assertEqual((after["uid"], after["revision"]), (before["uid"], before["revision"]))
        self.assertNotEqual(after["pid"], before["pid"])
        self.assertEqual(after["endpoints"], before["endpoints"])  # The port stays the slot's.
        self.assertEqual(self.body("again"), "1")
        # A start of what runs is done at once and touches nothing.
        operation = self.verb("StartApp", "again", wait=False)
        self.assertTrue(operation["done"])
        self.assertEqual(self.instance("again")["pid"], after["pid"])

    def test_a_stop_overtakes_a_start_that_never_ends(self):
        operation = self.cluster.create_app("never", ["sleep", "1000"], wait=False, checks={
            "readiness": {"exec": {"command": ["false"]}, "period": "0.1s"}})
        self.wait_instance("never", "it runs", lambda i: i.get("pid"))
        stopped = self.verb("StopApp", "never")
        self.assertNotIn("error", stopped)
        ended = self.cluster.call("OperationService/GetOperation", {"name": operation["name"]})
        self.assertEqual((ended["error"]["code"], ended["superseded_by"]), (10, stopped["name"]))

    def test_stop_in_a_crash_loop_and_of_what_is_deleted(self):
        self.cluster.create_app("loop", ["false"], wait=False, restart={"initial_backoff": "0.1s"})
        self.wait_instance("loop", "it crashed", lambda i: i.get("restarts", 0) > 0)
        self.verb("StopApp", "loop")
        self.cluster.wait_app("loop", "STOPPED")
        attempt = self.instance("loop")["attempt"]
        self.verb("StopApp", "loop")  # Twice is fine.
        self.assertEqual(self.instance("loop")["attempt"], attempt)
        self.verb("DeleteApp", "loop")
        self.verb("StopApp", "loop")
        self.cluster.wait_app("loop", "DELETED")


if __name__ == "__main__":
    unittest.main(verbosity=2)
