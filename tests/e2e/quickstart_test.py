#!/usr/bin/env python3
"""deploy/quickstart, as root and as a user without any rights: starts, serves, ends, starts again at once."""
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import unittest
import urllib.request

from cluster import BIN, PROGRAMS, SOURCE, TIME_FACTOR, wait_for

UID = 61234  # Without an account, outside the range of the apps' user ids.
LIMIT = 120  # Seconds for one start or end.
SECOND_START = 5.0  # Seconds, as promised; the best of three counts, because machines are noisy.
TIMES = re.compile(r"First HTTP 200 after ([\d.]+) s, of which ([\d.]+) s from start to serving\.")


def free_ports(count):
    """The first of so many free ports in a row, below those that nodes pick from."""
    for first in range(9100, 19000, count):
        try:
            for port in range(first, first + count):
                with socket.socket() as probe:
                    probe.bind(("127.0.0.1", port))
            return first
        except OSError:
            continue
    raise AssertionError(f"no {count} free ports in a row")


def processes_below(folder):
    """Those whose program, folder or command line lies in it: our programs and the apps."""
    found = []
    for entry in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            seen = [os.readlink(entry / "exe"), os.readlink(entry / "cwd"),
                    (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")]
        except OSError:
            continue
        if any(str(folder) + "/" in text for text in seen):
            found.append(f"{entry.name}: {seen[2]}")
    return found


class Place(unittest.TestCase):
    """A folder with the sources that quickstart needs, the programs, and a state folder to come."""
    uid = None

    def setUp(self):
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="appsup-quickstart-"))
        self.dir.chmod(0o755)
        self.addCleanup(shutil.rmtree, self.dir, ignore_errors=True)
        shutil.copytree(SOURCE / "deploy", self.dir / "source/deploy")  # The checkout may be closed to others.
        (self.dir / "bin").mkdir()
        for program in PROGRAMS:
            shutil.copy2(BIN / program, self.dir / "bin")
        self.home, self.state = self.dir / "home", self.dir / "state"
        for folder in (self.home, self.state):
            folder.mkdir()
            if self.uid is not None:
                os.chown(folder, self.uid, self.uid)
        self.port = free_ports(3)

    def command(self, *arguments):
        drop = ["setpriv", "--reuid", str(self.uid), "--regid", str(self.uid), "--clear-groups"] if self.uid else []
        return [*drop, str(self.dir / "source/deploy/quickstart"), *map(str, arguments)]

    def environment(self, **more):
        keep = {name: value for name, value in os.environ.items() if not name.startswith(("APPSUP_", "XDG_"))}
        keep.pop("CI", None)
        return {**keep, "HOME": str(self.home), **more}


class Starts:
    """What holds for every user."""

    def start(self, *more, port=None, log="output"):
        arguments = ("--bin", self.dir / "bin", "--dir", self.state, "--port-base", port or self.port, *more)
        out = open(self.dir / log, "w+", encoding="utf-8")
        self.addCleanup(out.close)
        process = subprocess.Popen(self.command(*arguments), stdin=subprocess.DEVNULL, stdout=out, stderr=out,
                                   env=self.environment(), cwd=self.home, start_new_session=True,
                                   preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))
        self.addCleanup(self.end, process)
        return process, lambda: (self.dir / log).read_text()

    @staticmethod
    def end(process):
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGTERM)
            process.wait(LIMIT)

    def interrupt(self, process):
        os.killpg(process.pid, signal.SIGINT)  # As a terminal does: to all of the group.
        return process.wait(LIMIT)

    def nothing_is_left(self):
        self.assertEqual(processes_below(self.dir), [])
        for port in range(self.port, self.port + 3):
            with socket.socket() as probe:
                self.assertNotEqual(probe.connect_ex(("127.0.0.1", port)), 0, f"port {port} is still served")

    def serve(self):
        process, output = self.start()
        wait_for("it serves", lambda: "Ctrl-C stops everything" in output() or process.poll() is not None, LIMIT)
        self.assertIsNone(process.poll(), output())
        return process, output

    def appsup(self, *arguments):
        return subprocess.run([self.dir / "bin/appsup", "--server", f"unix:{self.state}/entry/run/appsup/api.sock",
                               *arguments], capture_output=True, text=True, check=True).stdout

    def conditions(self, app):
        status = json.loads(self.appsup("get", "apps", app, "-o", "json"))["status"]
        return {condition["type"]: condition for condition in status["conditions"]}

    def test_once_then_again_and_to_the_end(self):
        process, output = self.start("--once")
        self.assertEqual(process.wait(LIMIT), 0, output())
        self.assertRegex(output(), TIMES)
        self.assertIn("All example apps answer over HTTP.", output())
        self.nothing_is_left()

        quickest = None
        for _ in range(3):
            process, output = self.serve()
            total, serving = map(float, TIMES.search(output()).groups())
            self.assertGreaterEqual(total, serving)
            quickest = total if quickest is None else min(total, quickest)
            self.assertIn("State of an earlier start", output())
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port + 2}/apps/hello/", timeout=10) as answer:
                self.assertEqual(answer.status, 200)
            self.look()
            self.assertEqual(self.interrupt(process), 0, output())
            self.nothing_is_left()
            if quickest <= SECOND_START:
                break
        self.assertLessEqual(quickest, SECOND_START * TIME_FACTOR)

    def test_a_second_one_is_told_of_the_first_and_resets_nothing(self):
        first, output = self.serve()
        catalog = self.state / "entry/var/lib/appsup/entry/catalog.db"
        for options in ({}, {"port": free_ports(3)}):  # The same ports; the same folder, by other ports.
            second, told = self.start("--reset", **options, log="second")
            self.assertEqual(second.wait(LIMIT), 1, told())
            self.assertIn("is in use", told())
            self.assertTrue(catalog.exists(), told())
        self.assertIn("hello", self.appsup("get", "apps"))
        self.assertEqual(self.interrupt(first), 0, output())
        self.nothing_is_left()

    def test_a_reset_keeps_nothing_of_the_last_start(self):
        process, output = self.serve()
        self.appsup("run", "--no-wait", "--name", "mine", "--", "sleep", "1000")
        self.assertEqual(self.interrupt(process), 0, output())
        process, output = self.start("--reset")
        wait_for("it serves", lambda: "Ctrl-C stops everything" in output() or process.poll() is not None, LIMIT)
        self.assertNotIn("State of an earlier start", output())
        self.assertNotIn("mine", self.appsup("get", "apps"))
        self.assertEqual(self.interrupt(process), 0, output())

    def test_a_folder_of_somebody_else_is_left_alone(self):
        letter = self.state / "letter"
        letter.write_text("dear friend")
        for options in ((), ("--reset",), ("--once", "--reset")):
            process, output = self.start(*options)
            self.assertEqual(process.wait(LIMIT), 64, output())
            self.assertIn(f"{self.state} is not empty", output())
            self.assertEqual([path.name for path in self.state.iterdir()], ["letter"])
        self.assertEqual(letter.read_text(), "dear friend")

    def test_an_app_that_does_not_end_is_not_left_behind(self):
        process, output = self.serve()
        self.appsup("run", "--name", "stubborn", "--", "/bin/sh", "-c", f'trap "" TERM; : {self.state}/x; sleep 1000')
        stubborn = [line for line in processes_below(self.state) if 'trap "" TERM' in line]
        self.assertEqual(len(stubborn), 1, stubborn)
        began = time.monotonic()
        self.assertEqual(self.interrupt(process), 0, output())
        self.assertLess(time.monotonic() - began, 25 * TIME_FACTOR)  # Its grace alone is 30 s.
        self.nothing_is_left()

    def test_a_program_that_ends_ends_all(self):
        process, output = self.serve()
        agents = [line for line in processes_below(self.state) if "appsup-agent --config" in line]
        self.assertEqual(len(agents), 1, agents)
        os.kill(int(agents[0].split(":")[0]), signal.SIGKILL)
        self.assertEqual(process.wait(LIMIT), 1)
        self.assertIn("a program ended by itself", output())
        self.nothing_is_left()


class WithoutRoot(Starts, Place):
    uid = UID if os.geteuid() == 0 else None

    def look(self):
        limits = self.conditions("hello")["LimitsEnforced"]
        self.assertEqual((limits["status"], limits["reason"]), ("CONDITION_STATUS_FALSE", "LimitsNotEnforced"))
        self.assertIn("memory", limits["message"])


@unittest.skipIf(os.geteuid() != 0, "requires: root")
class AsRoot(Starts, Place):
    def look(self):
        owners = {os.stat(f"/proc/{line.split(':')[0]}").st_uid for line in processes_below(self.state)
                  if "server.py" in line}
        self.assertEqual(len(owners), 1)  # Both copies of one app: a user of its own, and not root.
        self.assertNotIn(0, owners)


class DefaultFolder(Place):
    uid = UID if os.geteuid() == 0 else None

    def test_the_default_folder_is_made_and_emptied(self):
        for _ in range(2):  # Absent; of an earlier start.
            done = subprocess.run(self.command("--once", "--reset", "--bin", self.dir / "bin", "--port-base", self.port),
                                  capture_output=True, text=True, timeout=LIMIT, stdin=subprocess.DEVNULL,
                                  env=self.environment())
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
            self.assertTrue((self.home / ".local/state/appsup-quickstart/.appsup-quickstart").exists())


class MissingPackages(Place):
    """Nothing is installed that nobody agreed to: one line to run, and exit 2."""

    def setUp(self):
        super().setUp()
        stubs = self.dir / "stubs"
        stubs.mkdir()
        for name, text in (("dpkg-query", '[ "${*: -1}" = libre2-dev ] && exit 1\necho "install ok installed"'),
                           ("cmake", "exit 99"), ("ninja", "exit 99"),
                           ("apt-get", f"echo ran >>{self.dir}/apt-get-ran"), ("sudo", f"echo ran >>{self.dir}/apt-get-ran")):
            (stubs / name).write_text("#!/bin/bash\n" + text + "\n")
            (stubs / name).chmod(0o755)
        self.path = f"{stubs}:{os.environ['PATH']}"

    def told(self, uid, **more):
        self.uid = uid
        done = subprocess.run(self.command("--once", "--dir", self.state), capture_output=True, text=True, timeout=60,
                              stdin=subprocess.DEVNULL, env=self.environment(PATH=self.path, **more))
        self.assertEqual(done.returncode, 2, done.stdout + done.stderr)
        lines = [line for line in done.stdout.splitlines() if "apt-get install" in line]
        self.assertEqual(len(lines), 1, done.stdout)
        self.assertTrue(lines[0].endswith(" libre2-dev"), lines)
        self.assertFalse((self.dir / "apt-get-ran").exists())
        return lines[0].strip()

    def test_without_root(self):
        self.assertTrue(self.told(UID if os.geteuid() == 0 else None).startswith("sudo apt-get"))

    def test_without_root_and_sudo_not_even_in_ci(self):
        sudo = self.dir / "stubs/sudo"
        sudo.unlink()
        if shutil.which("sudo", path=self.path):  # The machine's own, as one that grants nothing.
            sudo.write_text("#!/bin/sh\nexit 1\n")
            sudo.chmod(0o755)
        self.told(UID if os.geteuid() == 0 else None, CI="true")

    @unittest.skipIf(os.geteuid() != 0, "requires: root")
    def test_as_root_it_asks_first(self):
        self.assertTrue(self.told(None).startswith("apt-get"))


if __name__ == "__main__":
    unittest.main(verbosity=2)
