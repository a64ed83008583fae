"""What each figure is called, what it should be, and whether it is.

A measurement gives comparisons: {"name", "unit", "ours": [per round], "bare": [per round]}. Without
a reference `bare` is empty, and the aim is a limit on ours. Some figures have no aim.
"""
import statistics

# name: (what, how ratio or value is judged, aim). "ratio" is ours to bare, round by round.
AIMS = {
    "start/1000": ("start 1,000 processes; bare: posix_spawn loop", "ratio>=", 0.5),
    "start/200": ("start 200 processes; bare: supervisord 4.2.5", "ratio>=", 2),
    "link/round-trips": ("assignment round trips, 64 mTLS connections; bare: gRPC ping-pong", "ratio>=", 0.6),
    "quiet/api-call": ("API call after 2 s of silence; bare: gRPC call", "ratio<=", 2),
    "quiet/agent-command": ("command to an agent after 2 s of silence; bare: gRPC ping-pong", "ratio<=", 2),
    "store/sqlite-1": ("durable writes, SQLite, 1 caller; bare: 1 per transaction", "ratio>=", 0.7),
    "store/sqlite-64": ("durable writes, SQLite, 64 callers; bare: 64 per transaction", "ratio>=", 0.7),
    "store/postgres-1": ("durable writes, PostgreSQL, 1 caller; bare: 1 per transaction", "ratio>=", 0.7),
    "store/postgres-64": ("durable writes, PostgreSQL, 64 callers; bare: 64 per transaction", "ratio>=", 0.7),
    "memory/entry-agent": ("entry, per idle agent; bare: gRPC server, per mTLS stream", "ratio<=", 1.3),
    "memory/entry-instance": ("entry, per instance, after a restart", "value<=", 3),
    "memory/entry-instance-live": ("entry, per instance, as they came", "value<=", 3),
    "memory/agent-0": ("agent, no app", "value<=", 20),
    "memory/agent-app": ("agent, per app, with 500", "value<=", 16),
    "memory/keeper-0": ("keeper, no app", "value<=", 2),
    "memory/keeper-500": ("keeper, 500 apps", "value<=", 2),
    "slow_peer/memory": ("entry's memory: more growth while one peer does not read", "value<=", 1),
    "slow_peer/p99": ("assignment round trips of the others, p99, beside a peer that does not read; bare: without it",
                      "ratio<=", 1.1),
    "quiet_fleet/cpu": ("CPU of an entry with quiet agents of 10 instances; bare: gRPC server, as many streams",
                        "value", None),
    "failover/lost": ("node's death until it is LOST", "value", None),
    "failover/replaced": ("node's death until its fenced instance is replaced", "value", None),
    "failover/running": ("node's death until the replacement is ready", "value", None),
    "reconnect/1000": ("1,000 agents back after an entry's restart, median; bare: 1,000 mTLS streams", "value<=", 3),
    "reconnect/1000-worst": ("the same, worst run", "value<=", 10),
}


def aim_of(name):
    if name in AIMS:
        return AIMS[name]
    if name.startswith("reconnect/bytes-"):
        way, share = name.removeprefix("reconnect/bytes-").split("-")
        return f"bytes {way} an agent that connects again, {share} % of assignments changed", "value", None
    count, _, part = name.removeprefix("reconnect/").partition("-")
    what = {"": "median; bare: as many mTLS streams", "worst": "worst run",
            "entry": "all READY and RUNNING in the entry's metrics, median"}[part]
    return f"{int(count):,} agents back after an entry's restart, {what}", "value", None


def judge(comparison):
    what, kind, aim = aim_of(comparison["name"])
    ours, bare = comparison["ours"], comparison["bare"]
    ratios = [a / b for a, b in zip(ours, bare)]
    judged = statistics.median(ratios if kind.startswith("ratio") else ours)
    return {
        "name": comparison["name"], "what": what, "unit": comparison["unit"],
        "ours": statistics.median(ours), "bare": statistics.median(bare) if bare else None,
        "ratio": statistics.median(ratios) if ratios else None, "aim": "-" if aim is None else kind[-2:] + f" {aim}",
        "met": None if aim is None else judged >= aim if kind.endswith(">=") else judged <= aim,
        "rounds": {"ours": ours, "bare": bare, "ratio": ratios},
    }


def number(value):
    if value is None:
        return "-"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def table(rows):
    head = ["what", "unit", "ours", "bare", "ratio", "lowest..highest", "aim", "met?"]
    lines = [head]
    for row in rows:
        ratios = row["rounds"]["ratio"]
        spread = f"{number(min(ratios))}..{number(max(ratios))}" if ratios else "-"
        lines.append([row["what"], row["unit"], number(row["ours"]), number(row["bare"]), number(row["ratio"]),
                      spread, row["aim"], {None: "-", True: "yes", False: "NO"}[row["met"]]])
    widths = [max(len(line[i]) for line in lines) for i in range(len(head))]
    lines.insert(1, ["-" * width for width in widths])
    return "\n".join("| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths)) + " |"
                     for line in lines)
