"""Memory: what /proc/PID/smaps_rollup calls Pss, of the real programs."""
import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import time

import cluster as e2e

AGENTS = 300
APPS, REPLICAS = 10, 1000
ROUNDS = int(os.environ.get("APPSUP_BENCH_ROUNDS", "3"))
HOSTED = 500
MIB = 1 << 20


def measure():
    return [*entry_figures(), *node_figures()]


def pss_kib(pid):
    text = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text()
    return int(re.search(r"^Pss:\s+(\d+) kB", text, re.MULTILINE).group(1))


def settled_kib(pid):
    """Once it changes by less than 1 % within a second."""
    last = pss_kib(pid)
    for _ in range(15):
        time.sleep(1)
        now = pss_kib(pid)
        if abs(now - last) < last / 100:
            return now
        last = now
    return last


class Peer:
    """A streams_bench program; says when it is ready and ends with its input."""

    def __init__(self, *arguments, lines=0):
        self.process = subprocess.Popen([e2e.BIN / "streams_bench", *map(str, arguments)], text=True,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.lines = [self.process.stdout.readline().strip() for _ in range(lines)]
        assert self.process.stdout.readline().strip() == "ready", "streams_bench ended"

    def end(self):
        self.process.stdin.close()
        self.process.wait(30)


def bare_kib_per_stream():
    folder = tempfile.mkdtemp(prefix="appsup-bench-")
    server = Peer("server", folder, lines=1)
    try:
        before = settled_kib(server.process.pid)
        client = Peer("bare", folder, server.lines[0], AGENTS)
        after = settled_kib(server.process.pid)
        client.end()
        return (after - before) / AGENTS
    finally:
        server.end()
        shutil.rmtree(folder, ignore_errors=True)


def entry_figures():
    agent = {"name": "memory/entry-agent", "unit": "KiB", "ours": [], "bare": []}
    fresh = {"name": "memory/entry-instance", "unit": "KiB", "ours": [], "bare": []}
    live = {"name": "memory/entry-instance-live", "unit": "KiB", "ours": [], "bare": []}
    with e2e.Cluster(environment="bench") as cluster:
        link = f"{cluster.link_host}:{cluster.link_port}"
        nodes = cluster.dir / "nodes"
        nodes.mkdir()
        subprocess.run([e2e.BIN / "streams_bench", "enroll", cluster.socket, link, nodes, str(AGENTS)], check=True)
        for _ in range(ROUNDS):  # Each time an entry that has just started, and knows the nodes.
            cluster.restart_entry()
            before = settled_kib(cluster.entry.process.pid)
            peers = Peer("agents", link, nodes, AGENTS)
            agent["ours"].append((settled_kib(cluster.entry.process.pid) - before) / AGENTS)
            agent["bare"].append(bare_kib_per_stream())
            peers.end()
        cluster.restart_entry()
        empty = settled_kib(cluster.entry.process.pid)
        peers = Peer("agents", link, nodes, AGENTS)
        before = settled_kib(cluster.entry.process.pid)
        for number in range(APPS):
            cluster.create_app(f"app-{number}", ["/bin/sleep", "1000"], replicas=REPLICAS,
                               placement={"environments": ["bench"]},
                               resources={"memoryBytes": {"reserve": str(MIB)}, "cpuMillis": {"reserve": "1"}})
        live["ours"].append((settled_kib(cluster.entry.process.pid) - before) / (APPS * REPLICAS))
        peers.end()
        cluster.restart_entry()
        fresh["ours"].append((settled_kib(cluster.entry.process.pid) - empty) / (APPS * REPLICAS))
    return [agent, fresh, live]


def node_figures():
    figures = {name: {"name": "memory/" + name, "unit": unit, "ours": [], "bare": []} for name, unit in (
        ("agent-0", "MiB"), ("agent-app", "KiB"), ("keeper-0", "MiB"), ("keeper-500", "MiB"))}
    with e2e.Cluster() as cluster:
        agent = cluster.add_agent("n1").process
        keeper = cluster.keepers["n1"].process
        empty = settled_kib(agent.pid)
        figures["agent-0"]["ours"].append(empty / 1024)
        figures["keeper-0"]["ours"].append(pss_kib(keeper.pid) / 1024)
        cluster.create_app("hosted", ["/bin/sleep", "1000"], replicas=HOSTED,
                           placement={"environments": [cluster.environment]},
                           resources={"memoryBytes": {"reserve": str(MIB)}, "cpuMillis": {"reserve": "1"}})
        figures["agent-app"]["ours"].append((settled_kib(agent.pid) - empty) / HOSTED)
        figures["keeper-500"]["ours"].append(pss_kib(keeper.pid) / 1024)
    return list(figures.values())
