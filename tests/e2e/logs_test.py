#!/usr/bin/env python3
"""Logs: the last lines, both streams, following, and what earlier attempts and killed agents leave."""
import os
import signal
import unittest

from case import Case, Stream
from cluster import CallError, wait_for

# Says what is written into a file, line by line, as it comes.
ECHO = ["sh", "-c", 'echo begin; exec tail -n +1 -f "$SAY"']


class Logs(Case):
    def say(self, path, *lines):
        with open(path, "a") as file:
            file.write("".join(line + "\n" for line in lines))

    def test_the_last_lines_and_both_streams(self):
        self.cluster.create_app("both", ["sh", "-c", "for i in 1 2 3; do echo out $i; echo err $i >&2; done; exec sleep 1000"])
        wait_for("all is there", lambda: len(self.logs("both", lines=100).split("\n")) == 7)
        self.assertEqual(self.logs("both", lines=1, stream="LOG_STREAM_STDOUT"), "out 3\n")
        self.assertEqual(self.logs("both", lines=2, stream="LOG_STREAM_STDERR"), "err 2\nerr 3\n")
        name = self.instance("both")["name"]
        pieces = self.cluster.stream("AppService/TailLogs", {"name": name, "lines": 100})
        self.assertEqual({p["instance"] for p in pieces}, {name})
        self.assertEqual({p["stream"] for p in pieces}, {"LOG_STREAM_STDOUT", "LOG_STREAM_STDERR"})

    def test_follow_brings_new_lines_also_across_a_killed_agent(self):
        path = self.shared_file("say")
        self.cluster.create_app("follow", ECHO, env={"SAY": str(path)})
        with Stream(self.cluster, "AppService/TailLogs", {"name": "projects/default/apps/follow", "follow": True}) as stream:
            wait_for("the beginning", lambda: stream.text() == "begin\n")
            self.say(path, "one")
            wait_for("a new line", lambda: stream.text() == "begin\none\n")
            self.cluster.agents["n1"].kill()
            self.say(path, "two")  # Nobody but the file hears it now.
            self.cluster.agents["n1"].start()
            self.say(path, "three")
            wait_for("what came meanwhile, once", lambda: stream.text().endswith("three\n"))
            self.assertEqual(stream.text(), "begin\none\ntwo\nthree\n")

    def test_follow_goes_on_with_the_next_attempt_and_the_next_revision(self):
        self.cluster.create_app("next", ["sh", "-c", "echo attempt of $APPSUP_REVISION; exec sleep 1000"],
                                restart={"initial_backoff": "0.1s"})
        with Stream(self.cluster, "AppService/TailLogs", {"name": "projects/default/apps/next", "follow": True}) as stream:
            wait_for("the first", lambda: stream.text() == "attempt of 1\n")
            os.kill(self.pid("next"), signal.SIGKILL)
            wait_for("the second attempt", lambda: stream.text() == "attempt of 1\n" * 2)
            self.update("next", "env", env={"A": "1"})
            wait_for("the next revision", lambda: stream.text().endswith("attempt of 2\n"))
            self.assertEqual(stream.text(), "attempt of 1\n" * 2 + "attempt of 2\n")
        self.assertEqual(self.logs("next", lines=100).count("attempt of 2"), 1)

    def test_a_megabyte_in_one_go_arrives_whole(self):
        script = "import sys\nfor n in range(20000): print(f'{n:050}')\nsys.stdout.flush(); import time; time.sleep(1000)"
        self.cluster.create_app("much", ["python3", "-c", script])
        expected = "".join(f"{n:050}\n" for n in range(20000))
        with Stream(self.cluster, "AppService/TailLogs",
                    {"name": "projects/default/apps/much", "follow": True, "lines": -1}) as stream:
            wait_for("all of it", lambda: len(stream.text()) >= len(expected))
            self.assertEqual(stream.text(), expected)

    def test_logs_of_nothing_are_an_error(self):
        with self.assertRaises(CallError) as refused:
            self.cluster.call("AppService/TailLogs", {"name": "projects/default/apps/nobody"})
        self.assertEqual(refused.exception.code, "NotFound")


if __name__ == "__main__":
    unittest.main(verbosity=2)
