"""A node goes away at once: agent, keeper and app are killed. How long until the only replica of a fenced app runs
and is ready on the other node. Real programs, and the default lease of 10 s. The parts are told apart by the events
that the entry publishes."""
import datetime
import json
import os
import signal
import subprocess
import sys
import threading
import time

import cluster as e2e

NODES = ("n1", "n2")
LIMIT = 90  # Seconds.
APP = "projects/default/apps/fenced"


def measure(runs):
    parts = {part: {"name": f"failover/{part}", "unit": "s", "ours": [], "bare": []}
             for part in ("lost", "replaced", "running")}
    with e2e.Cluster() as cluster:
        for node in NODES:
            cluster.add_agent(node)
        cluster.create_app("fenced", ["/bin/sleep", "100000"], replicas=1,
                           placement={"environments": [cluster.environment]},
                           disconnect={"atLeaseEnd": "AT_LEASE_END_STOP", "replace": "REPLACE_AFTER_STOP"})
        for _ in range(runs):
            for part, seconds in fail_over(cluster).items():
                parts[part]["ours"].append(seconds)
    return list(parts.values())


def fail_over(cluster):
    """Seconds from the node's death until each of the parts."""
    instance = serving(cluster)
    node = instance["node"]
    watch = Watch(cluster)
    died = time.time()
    kill_node(cluster, node, int(instance["pid"]))
    seen = watch.until(node, instance["name"])
    parts = {part: at - died for part, at in seen.items()}
    print(f"{node} died: " + ", ".join(f"{part} after {took:.2f} s" for part, took in parts.items()),
          file=sys.stderr, flush=True)
    cluster.keepers[node].start()
    cluster.agents[node].start()
    cluster.wait_node(node, timeout=60)
    e2e.wait_for("the dead instance is gone", lambda: len(cluster.instances("fenced")) == 1, timeout=60)
    return parts


def serving(cluster):
    def found():
        return [i for i in cluster.instances("fenced") if i.get("ready") and i.get("reachable")]
    return e2e.wait_for("one instance serves", found, timeout=60)[0]


def kill_node(cluster, node, pid):
    cluster.agents[node].kill(wait=False)
    cluster.keepers[node].kill(wait=False)
    try:
        os.killpg(os.getpgid(pid), signal.SIGKILL)
    except ProcessLookupError:
        pass  # It was faster: a fenced process ends with its keeper.
    cluster.agents[node].process.wait(30)
    cluster.keepers[node].process.wait(30)


class Watch:
    """The entry's events from now on, with the time at which each was committed."""

    def __init__(self, cluster):
        self.began = threading.Event()
        self.news = threading.Condition()
        self.events = []
        self.process = subprocess.Popen(
            ["grpcurl", "-plaintext", "-max-time", str(LIMIT), "-d", json.dumps({"kinds": ["Node", "Instance"]}),
             "-unix", str(cluster.socket), "appsupervisor.v1.EventService/WatchEvents"],
            stdout=subprocess.PIPE, text=True)
        self.reader = threading.Thread(target=self._read)
        self.reader.start()
        assert self.began.wait(30), "no snapshot came"

    def _read(self):
        text, decoder = "", json.JSONDecoder()
        for line in self.process.stdout:
            text += line
            if not line.startswith("}"):
                continue
            event, _ = decoder.raw_decode(text)
            text = ""
            if event["type"] == "EVENT_TYPE_SNAPSHOT_END":
                self.began.set()
            with self.news:
                self.events.append(event)
                self.news.notify()

    def until(self, node, dead):
        """When the node was LOST, when the slot was given away, and when an instance elsewhere was ready."""
        deadline = time.monotonic() + LIMIT
        try:
            with self.news:
                while len(seen := self._seen(node, dead)) < 3:
                    assert self.news.wait(deadline - time.monotonic()), f"not within {LIMIT} s; seen: {seen}"
                return seen
        finally:
            self.process.kill()
            self.process.wait()
            self.reader.join()

    def _seen(self, node, dead):
        seen = {}
        for event in self.events:
            if event["type"] not in ("EVENT_TYPE_CREATED", "EVENT_TYPE_UPDATED"):
                continue
            resource, name, at = event["resource"], event["name"], when(event["time"])
            if name == f"nodes/{node}" and resource.get("status", {}).get("state") == "NODE_STATE_LOST":
                seen.setdefault("lost", at)
            elif name.startswith(APP + "/instances/") and name != dead and resource.get("node") != node:
                seen.setdefault("replaced", at)
                if resource.get("state") == "INSTANCE_STATE_RUNNING" and resource.get("ready"):
                    seen.setdefault("running", at)
        return seen


def when(text):
    """RFC 3339 with any number of digits, as seconds since 1970."""
    whole, _, part = text.rstrip("Z").partition(".")
    return datetime.datetime.fromisoformat(f"{whole}.{(part + '000000')[:6]}+00:00").timestamp()
