"""A node's machine that is started again: its processes end at once, and the kernel names its start anew.

    boot = BootId(cluster.dir / "boot-id")
    cluster.add_agent("n1", prefix=boot.prefix)
    power_off(cluster, "n1"); boot.change(); power_on(cluster, "n1")

The name is a file of the kernel; the node's programs see another one in its place, in a mount namespace of their own.
"""
import os
import pathlib
import signal

from case import is_alive
from cluster import wait_for

FILE = "/proc/sys/kernel/random/boot_id"
PREFIX = ["unshare", "--mount", "sh", "-c", f'mount --bind "$0" {FILE} && exec "$@"']


class BootId:
    def __init__(self, path):
        self.path, self.count = path, 0
        self.change()
        self.prefix = [*PREFIX, str(path)]

    def change(self):
        self.count += 1
        self.path.write_text(f"{self.count:08x}-1111-4111-8111-111111111111\n")

    def __str__(self):
        return self.path.read_text().strip()


def apps_of(cluster, node=None):
    """Process ids of all that its apps have started, on this node only or on all."""
    found = []
    for path in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            environment = b"\0" + (path / "environ").read_bytes()
        except OSError:
            continue
        ours = b"\0APPSUP_APP=" in environment and str(cluster.dir).encode() in environment
        here = node is None or f"\0APPSUP_NODE={node}\0".encode() in environment
        if ours and here and is_alive(path.name):
            found.append(int(path.name))
    return found


def power_off(cluster, node):
    programs = (cluster.agents[node], cluster.keepers[node])
    for program in programs:
        program.kill(wait=False)
    for program in programs:
        program.kill()

    def nothing_runs():  # Some may be just beginning.
        found = apps_of(cluster, node)
        for pid in found:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        return not found
    wait_for(f"nothing runs on {node}", nothing_runs)


def power_on(cluster, node):
    cluster.keepers[node].start()
    cluster.agents[node].start()
