"""An entry is killed and started again: how long until all agents have a session and have applied what they should
be, and how much is said for it. The entry, the agents' links and their cores are real; processes are in memory.

The bare reference opens as many mutual TLS connections to a gRPC server with nothing behind it, from one client."""
import subprocess
import sys
import tempfile
import time

import cluster as e2e
from support.fleet import Fleet

SHARES = (0, 1, 100)  # Per cent of the assignments that change while the agents are away.
LIMIT = 120  # Seconds.


def measure(agents, runs):
    name = f"reconnect/{agents}"
    took = {"name": name, "unit": "s", "ours": [], "bare": []}
    known = {"name": name + "-entry", "unit": "s", "ours": [], "bare": []}
    with Fleet(agents) as fleet:
        for run in range(runs):
            began, back = restart(fleet)
            took["ours"].append(back["back_at"] - began)
            known["ours"].append(fleet.await_all_run() - began)
            took["bare"].append(bare_seconds(agents))
            print(f"run {run + 1}: {took['ours'][-1]:.2f} s at the agents, {known['ours'][-1]:.2f} s at the entry, "
                  f"bare {took['bare'][-1]:.2f} s", file=sys.stderr, flush=True)
        worst = {"name": name + "-worst", "unit": "s", "ours": [max(took["ours"])], "bare": [max(took["bare"])]}
        return [took, worst, known, *bytes_said(fleet)]


def restart(fleet):
    """When the new process was started, and the agents' figures."""
    fleet.cluster.entry.kill()
    fleet.ask("mark")
    began = time.monotonic()
    fleet.cluster.entry.start()
    back = fleet.back(LIMIT)
    assert back["back"] == fleet.agents, f"{back['back']} of {fleet.agents} agents are back after {LIMIT} s"
    assert back["changed"] == 0, f"{back['changed']} processes ended or began"
    return began, back


def bare_seconds(count):
    with tempfile.TemporaryDirectory(prefix="appsup-bench-") as folder:
        done = subprocess.run([e2e.BIN / "streams_bench", "open", folder, str(count)], stdout=subprocess.PIPE,
                              text=True, check=True)
    return float(done.stdout)


def bytes_said(fleet):
    comparisons = []
    for share in SHARES:
        fleet.ask("leave")
        for number in range(fleet.apps * share // 100):
            fleet.cluster.call("AppService/RestartApp", {"name": f"projects/default/apps/app-{number}"})
        fleet.cluster.restart_entry()
        fleet.ask("mark")
        fleet.ask("join")
        back = fleet.back(LIMIT)
        assert back["back"] == fleet.agents, f"{back['back']} of {fleet.agents} agents are back after {LIMIT} s"
        for way in ("to", "from"):
            comparisons.append({"name": f"reconnect/bytes-{way}-{share}", "unit": "B", "bare": [],
                                "ours": [back[f"bytes_{way}"] / fleet.agents]})
        fleet.await_all_run()
    return comparisons
