"""CPU of an entry whose agents only send heartbeats (every 3 s), with 10 instances each; beside a gRPC server with
as many mutual TLS streams, on each of which as much is said and answered as often."""
import shutil
import tempfile
import time

from support.fleet import Fleet
from support.peer import Peer, cpu_per_cent

SETTLE = 10  # Seconds.
PERIOD = 3  # Of heartbeats: the default.


def measure(agents, seconds):
    comparison = {"name": "quiet_fleet/cpu", "unit": "% of a core", "ours": [], "bare": []}
    with Fleet(agents) as fleet:
        time.sleep(SETTLE)
        fleet.ask("mark")
        comparison["ours"].append(cpu_per_cent(fleet.cluster.entry.process.pid, seconds))
        figures = fleet.ask("figures")
        assert figures["connected"] == agents and figures["changed"] == 0, figures
    comparison["bare"].append(bare_cpu(agents, seconds))
    return [comparison]


def bare_cpu(count, seconds):
    folder = tempfile.mkdtemp(prefix="appsup-bench-")
    server = Peer("streams_bench", "server", folder, lines=1)
    try:
        client = Peer("streams_bench", "bare", folder, server.lines[0], count, PERIOD)
        time.sleep(SETTLE)
        used = cpu_per_cent(server.process.pid, seconds)
        client.end()
        return used
    finally:
        server.end()
        shutil.rmtree(folder, ignore_errors=True)
