#!/usr/bin/env python3
"""WatchEvents: a snapshot, every change once and in order, also across kills of the entry."""
import signal
import threading
import unittest

from case import Case, Stream
from cluster import CallError, wait_for

CHANGES = ("EVENT_TYPE_CREATED", "EVENT_TYPE_UPDATED", "EVENT_TYPE_DELETED", "EVENT_TYPE_LEFT")


def changes(messages):
    return [(int(m["log_index"]), m["type"], m["name"]) for m in messages if m["type"] in CHANGES]


class Events(Case):
    def watch(self, **request):
        return Stream(self.cluster, "EventService/WatchEvents", request)

    def snapshot_end(self, stream):
        return wait_for("the end of the snapshot", lambda: next(
            (m for m in list(stream.messages) if m["type"] == "EVENT_TYPE_SNAPSHOT_END"), None))

    def test_a_watch_begins_with_what_is_and_goes_on_with_what_changes(self):
        self.cluster.create_app("old", ["sleep", "1000"])
        with self.watch(parent="projects/default", kinds=["App"]) as stream:
            self.snapshot_end(stream)
            shown = [m["name"] for m in stream.messages if m["type"] == "EVENT_TYPE_SNAPSHOT"]
            self.assertIn("projects/default/apps/old", shown)
            self.cluster.create_app("fresh", ["sleep", "1000"])
            created = wait_for("it is told", lambda: next(
                (m for m in list(stream.messages) if m["type"] == "EVENT_TYPE_CREATED"), None))
            self.assertEqual((created["kind"], created["name"]), ("App", "projects/default/apps/fresh"))
            self.assertEqual(created["resource"]["name"], "projects/default/apps/fresh")
            self.assertTrue(created["actor"])
            self.verb("DeleteApp", "fresh", purge=True)
            wait_for("the deletion", lambda: ("EVENT_TYPE_DELETED", "projects/default/apps/fresh") in
                     [(m["type"], m.get("name")) for m in list(stream.messages)])

    def test_a_filter_says_when_something_leaves_it(self):
        self.cluster.create_app("leaves", ["sleep", "1000"])
        with self.watch(parent="projects/default", kinds=["App"],
                        filter='status.state = RUNNING AND name = "projects/default/apps/leaves"') as stream:
            self.snapshot_end(stream)
            self.verb("StopApp", "leaves")
            wait_for("it left", lambda: "EVENT_TYPE_LEFT" in [m["type"] for m in list(stream.messages)])

    def test_no_gap_and_no_repeat_across_kills_of_the_entry(self):
        with self.watch() as stream:
            token = self.snapshot_end(stream)["resume_token"]
        stop = threading.Event()
        self.cluster.create_app("busy", ["sleep", "1000"])

        def write():
            number = 0
            while not stop.is_set():
                number += 1
                try:
                    self.cluster.call("AppService/UpdateApp", {
                        "app": {"name": "projects/default/apps/busy", "labels": {"n": str(number)}},
                        "updateMask": {"paths": ["labels"]}}, timeout=5)
                except CallError:
                    pass  # The entry is away.
        writer = threading.Thread(target=write)
        writer.start()
        seen, resume = [], token
        for round_ in range(4):
            with self.watch(resume_token=resume) as stream:
                wait_for("some changes", lambda: len(changes(list(stream.messages))) >= 10)
                if round_ < 3:
                    self.cluster.restart_entry(signal.SIGKILL)
                else:
                    stop.set()
                    writer.join()
                    self.cluster.create_app("last", ["sleep", "1000"])
                    wait_for("the last", lambda: any(c[2].startswith("projects/default/operations/") for c in
                                                     changes(list(stream.messages))) and any(
                        c[2] == "projects/default/apps/last" for c in changes(list(stream.messages))))
                stream.close()
                seen += changes(stream.messages)
                resume = stream.messages[-1]["resume_token"]
        # The truth: one watch from the first token over all of it.
        with self.watch(resume_token=token) as stream:
            wait_for("all of it", lambda: len(changes(list(stream.messages))) >= len(seen))
            stream.close()
            truth = changes(stream.messages)[:len(seen)]
        self.assertEqual(seen, truth)
        self.assertEqual(len(set(seen)), len(seen))
        indices = [index for index, _, _ in seen]
        self.assertEqual(indices, sorted(indices))

    def test_a_token_that_is_not_ours_is_refused(self):
        for token in ("nonsense", "AAAA"):
            with self.assertRaises(CallError) as refused:
                self.cluster.call("EventService/WatchEvents", {"resumeToken": token}, timeout=5)
            self.assertIn(refused.exception.code, ("InvalidArgument", "OutOfRange"))
        with self.assertRaises(CallError) as refused:
            self.cluster.call("EventService/WatchEvents", {"kinds": ["Bogus"]}, timeout=5)
        self.assertEqual(refused.exception.code, "InvalidArgument")


if __name__ == "__main__":
    unittest.main(verbosity=2)
