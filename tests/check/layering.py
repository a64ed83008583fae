#!/usr/bin/env python3
"""Arrows on #include run downwards only: main -> api | link | driver -> core -> common."""
import re

import sources

# A room (the longest matching folder) and the rooms whose headers it may include besides its own.
SHARED = ["common"]
ENTRY_EDGE = ["common", "common/rpc", "entry/core", "entry/security", "entry/artifact"]
AGENT_ROOM = ["common", "agent/core"]
ALLOWED = {
    "common": [],
    "common/rpc": SHARED,
    "entry/core": SHARED,
    "entry/store": ["common", "entry/core"],
    "entry/security": ["common", "entry/core"],
    "entry/artifact": ["common", "entry/core"],
    "entry/database": ["common", "entry/core"],
    "entry/gateway": ["common", "entry/core"],
    "entry/console": ["common", "entry/core"],
    "entry/api": ENTRY_EDGE,
    "entry/link": ENTRY_EDGE,
    "entry/cli": ["common", "common/rpc"],  # a client of the public API and nothing else
    "entry": ["common", "common/rpc", "entry/*"],
    "agent/core": SHARED,
    "agent/journal": AGENT_ROOM,
    "agent/log": AGENT_ROOM,
    "agent/probe": AGENT_ROOM,
    "agent/artifact": AGENT_ROOM,
    "agent/driver": AGENT_ROOM,
    "agent/link": AGENT_ROOM + ["common/rpc", "agent/artifact"],  # it is one source of blobs
    "agent/keeper": SHARED,  # the privileged program: it shares no code with the agent
    "agent": ["common", "common/rpc", "agent/*"],
}
# What a core must not see: I/O, threads, locks, clocks, chance, logs.
CORES = ("entry/core", "agent/core")
FORBIDDEN_IN_CORES = re.compile(
    r"^(grpc|grpcpp|sqlite3|libpq|postgresql|pg_|spdlog|curl|microhttpd|archive|openssl|yaml-cpp|prometheus"
    r"|sys/|netinet/|arpa/|unistd\.h|fcntl\.h|poll\.h|pthread\.h|thread$|mutex$|shared_mutex$"
    r"|condition_variable$|atomic$|future$|random$|fstream$|iostream$|filesystem$|absl/synchronization"
    r"|absl/random|common/(mutex|event_loop|log|log_file_sink|file|tls|bounded_queue|metrics)\.h)")
# Only these rooms talk gRPC; only these talk to a database.
GRPC_ROOMS = ("common/rpc", "entry/api", "entry/link", "entry/cli", "entry", "agent/link", "agent")
SQL_ROOMS = ("entry/store", "agent/journal")


def room(name):
    folder = name.rsplit("/", 1)[0] if "/" in name else ""
    while folder:
        if folder in ALLOWED:
            return folder
        folder = folder.rpartition("/")[0]
    return None


def may_include(source, target):
    if source == target:
        return True
    for rule in ALLOWED[source]:
        if rule == target or (rule.endswith("/*") and target.startswith(rule[:-1])):
            # The programs' wiring may use all rooms but the other programs of the folder.
            return target not in ("entry/cli", "agent/keeper")
    return False


def check(name):
    source = room(name)
    for number, line in enumerate(sources.read(name).splitlines(), 1):
        match = re.match(r'\s*#\s*include\s*[<"]([^>"]+)[>"]', line)
        if not match:
            continue
        header = match.group(1)
        where = f"{name}:{number}: "
        if source is None:
            yield where + "this folder is no room of the house; add it to tests/check/layering.py"
            return
        if source in CORES and FORBIDDEN_IN_CORES.match(header):
            yield where + f"a core must not include {header}"
        if re.match(r"grpc|.*\.grpc\.pb\.h$", header) and source not in GRPC_ROOMS:
            yield where + f"{source} must not include gRPC ({header})"
        if re.match(r"sqlite3|libpq|postgresql/", header) and source not in SQL_ROOMS:
            yield where + f"{source} must not include SQL headers ({header})"
        if header.startswith("tests/"):
            yield where + "product code must not include test code"
        if header.split("/")[0] in ("common", "entry", "agent"):
            target = room(header)
            if target is None:
                yield where + f"{header} is in no known room"
            elif not may_include(source, target):
                yield where + f"{source} must not include {target} ({header})"


problems = [p for name in sources.files(".h", ".cc", under=("common", "entry", "agent"))
            for p in check(name)]
sources.finish(problems, "Arrows: main -> api | link | driver -> core -> common.")
