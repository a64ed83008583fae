"""A peer that does not read any more (its process is stopped), while an operator restarts apps on it and on others:
what that costs the entry in memory, and the other agents in time. Rounds with and without it alternate; both have
the same load."""
import signal
import subprocess
import sys
import time

import cluster as e2e
from support.peer import Peer, anonymous_kib

AGENTS, APPS, SLOW_APPS = 64, 640, 64
RATE = 500  # Restarts per second, over all apps evenly.
WARM_UP = 20  # Seconds, until the entry's memory has what it keeps of such a load.


def measure(seconds, rounds):
    memory = {"name": "slow_peer/memory", "unit": "MiB", "ours": [], "bare": []}
    p99 = {"name": "slow_peer/p99", "unit": "ms", "ours": [], "bare": []}
    with e2e.Cluster(environment="fast") as cluster:
        cluster.call("EnvironmentService/CreateEnvironment", {"environmentId": "slow"})
        link = f"{cluster.link_host}:{cluster.link_port}"
        nodes = cluster.dir / "nodes"
        nodes.mkdir()
        for name, count in (("fast", AGENTS), ("slow", 1)):
            subprocess.run([e2e.BIN / "fleet_bench", "enroll", cluster.socket, link, nodes, name, name, str(count)],
                           check=True)
        slow = Peer("fleet_bench", "agents", link, nodes, "slow", 0, 1)
        others = Peer("slow_peer_bench", cluster.socket, link, nodes, AGENTS, APPS, SLOW_APPS)
        try:
            load(cluster, others, WARM_UP)
            for _ in range(rounds):
                without, time_without = load(cluster, others, seconds)
                slow.process.send_signal(signal.SIGSTOP)
                beside, time_beside = load(cluster, others, seconds)
                slow.process.send_signal(signal.SIGCONT)
                memory["ours"].append(beside - without)
                p99["ours"].append(1000 * time_beside)
                p99["bare"].append(1000 * time_without)
                slow.ask("mark")
                cluster.wait_node("slow-0", timeout=60)
        finally:
            slow.process.send_signal(signal.SIGCONT)
            slow.end()
            others.end()
    return [memory, p99]


def load(cluster, others, seconds):
    """Growth of the entry's memory in MiB, and p99 of the other agents' round trips in seconds."""
    pid = cluster.entry.process.pid
    before = anonymous_kib(pid)
    done = others.ask(f"{seconds} {RATE}")
    growth = (anonymous_kib(pid) - before) / 1024
    print(f"{done}; entry {before / 1024:.1f} MiB, then {growth:+.2f} MiB", file=sys.stderr, flush=True)
    assert done["failed"] == 0, done
    return growth, done["p99"]
