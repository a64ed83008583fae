"""A cluster whose programs can be killed at a chosen step (common/step_switch.h), for steps_test.py."""
import collections
import contextlib
import glob
import os
import pathlib
import shutil
import signal
import sqlite3
import tempfile
import threading
import time
import uuid

from cluster import BIN, TIME_FACTOR, CallError, Cluster, wait_for

QUIET = 0.3  # Seconds without a step: what was asked is done, also what nobody waits for.
PAUSE = 0.01  # Of whoever looks after the programs.


class Switch:
    """The steps of one program: `arm`, let it work, `disarm`."""

    def __init__(self, folder, program):
        self.file, self.log = folder / program, folder / f"{program}.log"
        self.run, self.seen = 0, 0

    def arm(self, stop_at=0):
        """From now on steps count; the program dies at number `stop_at`, with 0 at none."""
        self.run += 1
        self.seen = self.log.stat().st_size if self.log.exists() else 0
        fresh = self.file.with_suffix(".new")
        fresh.write_text(f"{self.run} {stop_at}\n")
        fresh.chmod(0o644)
        os.replace(fresh, self.file)

    def steps(self):
        """The names of the steps so far."""
        if not self.log.exists():
            return []
        with open(self.log, encoding="utf-8") as file:
            file.seek(self.seen)
            return [line.split(maxsplit=2)[2].strip() for line in file if line.startswith(f"{self.run} ")]

    def fired(self):
        return not self.file.exists()

    def await_quiet(self):
        """Until it has killed the program, or no step was made for a while; says whether it has."""
        count, since = -1, time.monotonic()
        while not self.fired() and time.monotonic() < since + QUIET * TIME_FACTOR:
            now = len(self.steps())
            if now != count:
                count, since = now, time.monotonic()
            threading.Event().wait(PAUSE)
        return self.fired()

    def disarm(self):
        self.file.unlink(missing_ok=True)


class StepCluster(Cluster):
    """Whoever ends is started again, as systemd does it."""

    def __init__(self, **options):
        super().__init__(**options)
        for path in (BIN / "steps").iterdir():
            shutil.copy2(path, self.bin / path.name)
        self.switches, self.faults = {}, []
        self.deaths = collections.Counter()  # By SIGKILL, by the name of programs().
        self.ending = threading.Event()
        self.systemd = threading.Thread(target=self.keep_up, daemon=True)
        self.entry_prefix = self.prefix("entry", "appsup-entry")

    def prefix(self, place, *programs):
        folder = self.dir / "steps" / place
        folder.mkdir(parents=True)
        folder.chmod(0o777)  # The agent has a user of its own.
        for program in programs:
            self.switches[program.removeprefix("appsup-"), place] = Switch(folder, program)
        return ("env", f"APPSUP_STEPS={folder}")

    def __exit__(self, *arguments):
        self.ending.set()
        if self.systemd.is_alive():
            self.systemd.join()
        super().__exit__(*arguments)

    def add_nodes(self, *nodes):
        for node, part in nodes:
            self.add_agent(node, prefix=self.prefix(node, "appsup-agent", "appsup-keeper"))
            self.call("NodeService/UpdateNode", {"node": {"name": f"nodes/{node}", "labels": {"part": part}},
                                                 "updateMask": {"paths": ["labels"]}})
        self.systemd.start()

    def programs(self):
        yield "entry", self.entry
        yield from ((f"agent {node}", program) for node, program in self.agents.items())
        yield from ((f"keeper {node}", program) for node, program in self.keepers.items())

    def keep_up(self):
        while not self.ending.wait(PAUSE):
            for name, program in self.programs():
                if not program.alive():
                    self.start_again(name, program)

    def start_again(self, name, program):
        if program.process.returncode == -signal.SIGKILL:
            self.deaths[name] += 1
        else:
            self.faults.append(f"{name} ended with {program.process.returncode}:\n{program.output()[-2000:]}")
        program.start()

    def ask(self, method, request=None, timeout=60):
        """A call that is repeated until it is answered: it may have been done already."""
        def answered():
            try:
                return [self.call(method, request)]
            except CallError as error:
                if error.code not in ("Unavailable", "DeadlineExceeded"):
                    raise
                return None
        return wait_for(f"{method} is answered", answered, timeout)[0]

    def change(self, method, request):
        """A change and what came of it: its operation, ended."""
        operation = self.ask(method, {**request, "requestId": str(uuid.uuid4())})

        def ended():
            shown = self.ask("OperationService/WaitOperation", {"name": operation["name"], "timeout": "5s"})
            return shown if shown.get("done") else None
        return wait_for(f"the end of {operation['name']}", ended, 60)

    def places(self, node):
        """Folders and control groups of instances on a node."""
        run_dir = self.dir / node / "run/appsup/keeper-run"
        group = 14695981039346656037  # As the keeper names its own: FNV-1a.
        for byte in str(run_dir).encode():
            group = (group ^ byte) * 1099511628211 % 2**64
        state = self.dir / node / "var/lib/appsup/agent"
        return [*map(str, (state / "instances").iterdir()), *map(str, (state / "data").glob("*/*")),
                *glob.glob(f"/sys/fs/cgroup/**/appsup-{group:016x}/*/", recursive=True)]

    def journal(self, node):
        """(table, key) of each row of the agent's journal; read from a copy, because it is held exclusively."""
        state = self.dir / node / "var/lib/appsup/agent"
        with tempfile.TemporaryDirectory() as folder:
            for path in state.glob("journal.db*"):
                shutil.copy(path, folder)
            with contextlib.closing(sqlite3.connect(pathlib.Path(folder) / "journal.db")) as journal:
                return journal.execute("SELECT tab, key FROM row").fetchall()

    def processes(self):
        """What runs of apps: (pid, environment), by app."""
        found = collections.defaultdict(list)
        for path in pathlib.Path("/proc").glob("[0-9]*"):
            try:
                text = (path / "environ").read_bytes().decode(errors="replace")
            except OSError:
                continue
            if "APPSUP_APP=" in text and str(self.dir) in text:
                variables = dict(line.split("=", 1) for line in text.split("\0") if "=" in line)
                found[variables["APPSUP_APP"]].append((int(path.name), variables))
        return found
