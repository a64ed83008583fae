"""Apps that write down, in shared files, when they live: what ran where and when, by the processes' own word.

    beats = Beats(cluster)
    cluster.create_app("a", BEAT, env=beats.env, stop={"grace_period": "0.2s"})
    beats.of("a")                  # A Life per process tree, in the order of their beginnings.

All times are of CLOCK_BOOTTIME, which network namespaces share, so that lives on different nodes can be compared.
"""
import dataclasses
import pathlib
import time

from cluster import wait_for

WIDTH = 20
# Deaf to all polite signals, with a child in a session of its own that is as deaf: what ends it ends the tree.
# By itself it ends once the file $UNTIL exists.
SCRIPT = r"""
import os, signal, time
for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP): signal.signal(number, signal.SIG_IGN)
main = os.getpid()
name = os.environ
parts = [name["APPSUP_APP"], name["APPSUP_SLOT"], name["APPSUP_NODE"], name["APPSUP_INSTANCE"], str(main),
         name.get("APPSUP_FENCE_TOKEN", "0"), "main"]
if os.fork() == 0:
    os.setsid()
    parts[-1] = "child"
path = os.path.join(os.environ["BEATS"], ":".join(parts))
file = os.open(path, os.O_WRONLY | os.O_CREAT, 0o644)
first = b"%%%(width)d.6f" %% time.clock_gettime(time.CLOCK_BOOTTIME)
while not os.path.exists(os.environ.get("UNTIL", "")):
    os.pwrite(file, first + b"%%%(width)d.6f" %% time.clock_gettime(time.CLOCK_BOOTTIME), 0)
    time.sleep(0.01)
""" % {"width": WIDTH}
BEAT = ["python3", "-S", "-E", "-c", SCRIPT]


def now():
    return time.clock_gettime(time.CLOCK_BOOTTIME)


@dataclasses.dataclass
class Life:
    app: str
    slot: int
    node: str
    instance: str
    pid: int
    token: int
    first: float
    last: float  # Of the last of its processes.

    def __str__(self):
        return f"{self.instance} on {self.node}, pid {self.pid}: {self.first:.3f} to {self.last:.3f}"


class Beats:
    def __init__(self, cluster, name="beats"):
        self.folder = pathlib.Path(cluster.dir / name)
        self.folder.mkdir()
        self.folder.chmod(0o777)
        self.env = {"BEATS": str(self.folder)}

    def of(self, app):
        found = {}
        for path in self.folder.glob(f"{app}:*"):
            text = path.read_text()
            if len(text) != 2 * WIDTH:
                continue  # It is just beginning.
            _, slot, node, instance, pid, token, _ = path.name.split(":")
            life = found.setdefault(int(pid), Life(app, int(slot), node, instance, int(pid), int(token),
                                                   float(text[:WIDTH]), 0))
            life.first = min(life.first, float(text[:WIDTH]))
            life.last = max(life.last, float(text[WIDTH:]))
        return sorted(found.values(), key=lambda life: life.first)

    def newest(self, app):
        return self.of(app)[-1]

    def begun(self, app, count, timeout=30):
        """Waits for this many lives; all of them."""
        return wait_for(f"{app} has lived {count} times", lambda: len(self.of(app)) >= count and self.of(app), timeout)

    def alive(self, app):
        """Lives that still beat."""
        at = now()
        wait_for("a beat could be heard", lambda: now() > at + 0.3)
        return [life for life in self.of(app) if life.last > at]

    def lives_past(self, app, moment, timeout=30):
        """The newest life goes on past this moment."""
        wait_for(f"{app} lives past {moment:.1f}", lambda: self.newest(app).last > moment, timeout)
        return self.newest(app)

    def overlaps(self, app):
        """Pairs of lives of one slot that were at one time."""
        found, latest = [], {}
        for life in self.of(app):
            before = latest.get(life.slot)
            if before and life.first <= before.last:
                found.append(f"{before} and {life}")
            if not before or life.last > before.last:
                latest[life.slot] = life
        return found
