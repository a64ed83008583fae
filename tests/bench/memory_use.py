"""Memory: what /proc/PID/smaps_rollup calls Pss, of the real programs."""
import os
import shutil
import subprocess
import tempfile

import cluster as e2e
from support.peer import Peer, pss_kib, settled_kib

AGENTS = 300
APPS, REPLICAS = 10, 1000
ROUNDS = int(os.environ.get("APPSUP_BENCH_ROUNDS", "3"))
HOSTED = 500
MIB = 1 << 20


def measure():
    return [*entry_figures(), *node_figures()]


def bare_kib_per_stream():
    folder = tempfile.mkdtemp(prefix="appsup-bench-")
    server = Peer("streams_bench", "server", folder, lines=1)
    try:
        before = settled_kib(server.process.pid)
        client = Peer("streams_bench", "bare", folder, server.lines[0], AGENTS)
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
            peers = Peer("streams_bench", "agents", link, nodes, AGENTS)
            agent["ours"].append((settled_kib(cluster.entry.process.pid) - before) / AGENTS)
            agent["bare"].append(bare_kib_per_stream())
            peers.end()
        cluster.restart_entry()
        empty = settled_kib(cluster.entry.process.pid)
        peers = Peer("streams_bench", "agents", link, nodes, AGENTS)
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
