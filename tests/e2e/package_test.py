#!/usr/bin/env python3
# requires: root
"""The Debian package: what is in it, and what it does on a machine where systemd is process 1."""
import gzip
import json
import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import unittest

from cluster import BIN, PROGRAMS, SOURCE, process_start, wait_for
from machine import Machine

UNITS = ("appsup-entry", "appsup-keeper", "appsup-agent")
NO_TRACE = SOURCE / "tests/simulation/faults/no_trace"
CONFIGURATION = ("/etc/appsup/entry.yaml", "/etc/appsup/agent.yaml", "/etc/appsup/keeper.yaml")


def output(*command, **kwargs):
    return subprocess.run([str(word) for word in command], check=True, capture_output=True, text=True, **kwargs).stdout


class Package:
    """Made once, from what the build folder already holds: nothing is built for it."""
    dir = file = None

    @classmethod
    def make(cls):
        if cls.file is None:
            cls.dir = pathlib.Path(tempfile.mkdtemp(prefix="appsup-package-"))
            unittest.addModuleCleanup(shutil.rmtree, cls.dir)
            try:
                output("cpack", "-G", "DEB", "--config", BIN.parent / "CPackConfig.cmake", "-B", cls.dir,
                       cwd=cls.dir)
            except subprocess.CalledProcessError as error:
                raise AssertionError(f"cpack failed:\n{error.stdout}\n{error.stderr}") from None
            cls.file, = cls.dir.glob("appsup_*.deb")
            cls.tree = cls.dir / "tree"
            output("dpkg-deb", "--raw-extract", cls.file, cls.tree)
        return cls

    @classmethod
    def newer(cls):
        """The same with a higher version."""
        tree = cls.dir / "newer"
        shutil.copytree(cls.tree, tree, symlinks=True)
        control = tree / "DEBIAN/control"
        control.write_text(re.sub(r"^Version: (.*)$", r"Version: \1+1", control.read_text(), flags=re.M))
        file = cls.dir / "newer.deb"
        output("dpkg-deb", "--root-owner-group", "-Zgzip", "-z1", "--build", tree, file)
        return file


class Contents(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.package = Package.make()

    def field(self, name):
        return output("dpkg-deb", "--field", self.package.file, name).strip()

    def members(self):
        """path: (mode, owner) of everything in it."""
        found = {}
        for line in output("dpkg-deb", "--contents", self.package.file).splitlines():
            mode, owner, _, _, _, path = line.split(None, 5)
            found[path.split(" -> ")[0].lstrip(".").rstrip("/") or "/"] = (mode, owner)
        return found

    def test_it_says_what_it_is_and_needs(self):
        self.assertEqual(self.field("Package"), "appsup")
        self.assertRegex(self.field("Version"), r"^\d+\.\d+\.\d+$")
        self.assertEqual(self.field("Architecture"), output("dpkg", "--print-architecture").strip())
        self.assertRegex(self.field("Maintainer"), r"^.+ <.+@.+>$")
        summary, extended = self.field("Description").split("\n", 1)
        self.assertLess(len(summary), 80)
        self.assertGreater(len(extended), 80)
        needed = {name.split()[0] for name in self.field("Depends").split(", ")}
        for name in ("adduser", "libc6", "libgrpc++1.51", "libprotobuf32", "libsqlite3-0", "libpq5"):
            self.assertIn(name, needed)
        self.assertEqual([name for name in needed if name.endswith("-dev")], [])
        files = (self.package.tree / "DEBIAN/conffiles").read_text().split()
        self.assertEqual(files, list(CONFIGURATION))

    def test_it_holds_what_belongs_in_it_and_nothing_of_this_machine(self):
        members = self.members()
        for path in (*(f"/usr/bin/{name}" for name in PROGRAMS), *(f"/lib/systemd/system/{unit}.service" for unit in UNITS),
                     *CONFIGURATION, "/usr/share/doc/appsup/copyright", "/usr/share/doc/appsup/operations.md",
                     "/usr/share/appsup/proto/appsupervisor/v1/app.proto"):
            self.assertIn(path, members)
        tops = {path.split("/")[1] for path in members if path != "/"}
        self.assertLessEqual(tops, {"etc", "lib", "usr"})
        for path, (mode, owner) in members.items():
            self.assertEqual(owner, "root/root", path)
            wanted = "drwxr-xr-x" if mode[0] == "d" else (
                "-rwxr-xr-x" if path.startswith(("/usr/bin/", "/usr/lib/appsup/")) else "-rw-r--r--")
            self.assertEqual(mode, wanted, path)
        for name in PROGRAMS:
            program = self.package.tree / "usr/bin" / name
            sections = output("readelf", "--sections", "--dynamic", "--wide", program)
            for unwanted in (".debug_info", ".symtab", "RPATH", "RUNPATH"):
                self.assertNotIn(unwanted, sections, name)
        text = gzip.decompress((self.package.tree / "usr/share/doc/appsup/changelog.gz").read_bytes()).decode()
        self.assertEqual(text.splitlines()[0].split()[:2], ["appsup", f"({self.field('Version')})"])

    def no_trace(self, programs, build=BIN):
        """What it says of them, and whether all is well."""
        done = subprocess.run([NO_TRACE, build, programs], capture_output=True, text=True)
        self.assertEqual(done.stderr, "")
        return done.stdout, done.returncode == 0

    def test_its_programs_hold_no_planted_fault_and_no_step_switch(self):
        programs = self.package.tree / "usr/bin"
        binaries = {path for path in self.package.tree.rglob("*")
                    if path.is_file() and path.read_bytes().startswith(b"\x7fELF")}
        self.assertEqual(binaries, {programs / name for name in PROGRAMS})
        told, well = self.no_trace(programs)
        self.assertTrue(well, told)

    def test_a_trace_in_its_programs_would_be_found(self):
        for name, bad, marks in (("appsup-agent", "steps/appsup-agent", ("APPSUP_STEPS", "flushed")),
                                 ("appsup-keeper", "steps/appsup-keeper", ("APPSUP_STEPS", "record-written")),
                                 ("appsup-entry", "simulation_planted", ("reply-before-commit", "guard-lapses-past-index"))):
            with self.subTest(bad=bad), tempfile.TemporaryDirectory() as folder:
                programs = pathlib.Path(folder) / "bin"
                shutil.copytree(self.package.tree / "usr/bin", programs)
                output("strip", "-o", programs / name, BIN / bad)
                told, well = self.no_trace(programs)
                self.assertFalse(well)
                for mark in marks:
                    self.assertIn(f"{programs / name}: holds {mark}\n", told)
                self.assertIn(f"{programs / name}: has build id", told)

    def test_without_programs_in_which_a_trace_is_found_nothing_is_shown(self):
        with tempfile.TemporaryDirectory() as folder:
            for name in PROGRAMS:
                os.symlink(BIN / name, f"{folder}/{name}")
            told, well = self.no_trace(self.package.tree / "usr/bin", build=folder)
        self.assertFalse(well)
        for name in ("simulation_planted", "steps/appsup-entry", "steps/appsup-agent", "steps/appsup-keeper"):
            self.assertIn(f"{folder}/{name}: is not there", told)

    def test_its_scripts_can_be_read_by_a_plain_shell(self):
        control = self.package.tree / "DEBIAN"
        for script in (control / "postinst", control / "prerm", control / "postrm",
                       self.package.tree / "usr/lib/appsup/enroll-local"):
            lines = script.read_text().splitlines()
            self.assertEqual(lines[0], "#!/bin/sh", script)
            self.assertTrue({"set -e", "set -eu"} & set(lines), script)
            self.assertEqual(script.stat().st_mode & 0o777, 0o755, script)
            output("sh", "-n", script)

    def test_systemd_accepts_its_units(self):
        # The programs that units name must be there; the package is not installed here.
        with tempfile.TemporaryDirectory() as folder:
            for unit in UNITS:
                text = (self.package.tree / f"lib/systemd/system/{unit}.service").read_text()
                (pathlib.Path(folder) / f"{unit}.service").write_text(
                    text.replace("=/usr/bin/", f"={self.package.tree}/usr/bin/"))
            done = subprocess.run(["systemd-analyze", "verify", "--man=no", "--recursive-errors=no",
                                   *(f"{folder}/{unit}.service" for unit in UNITS)], capture_output=True, text=True)
        told = [line for line in (done.stdout + done.stderr).splitlines() if "appsup" in line]
        self.assertEqual((done.returncode, told), (0, []), done.stderr)


class Installed(unittest.TestCase):
    """Each test on a machine of its own."""

    def setUp(self):
        self.package = Package.make()
        self.machine = Machine()
        self.machine.__enter__()
        self.addCleanup(self.machine.__exit__)

    # --- verbs ---

    def apt(self, *arguments):
        return self.machine.run("apt-get", "-q", "-y", "-o", "APT::Sandbox::User=root", "-o", "Dpkg::Use-Pty=0", *arguments)

    def install(self, file=None, *options):
        self.machine.put(file or self.package.file, "/root/appsup.deb")
        return self.apt("install", "--no-install-recommends", *options, "/root/appsup.deb")

    def appsup(self, *arguments, **kwargs):
        return self.machine.run("appsup", *arguments, **kwargs).stdout

    def states(self):
        return {unit: self.machine.run("systemctl", "is-active", unit, check=False).stdout.strip() for unit in UNITS}

    def main_pid(self, unit):
        return self.machine.run("systemctl", "show", "--value", "--property=MainPID", unit).stdout.strip()

    def run_app(self, name):
        """Deploys it, and returns the identity of its process once it is RUNNING."""
        self.machine.path("/root/app.yaml").write_text(json.dumps({
            "kind": "App", "name": name, "spec": {
                "runtime": {"process": {"command": ["sleep", "100000"]}}, "stop": {"grace_period": "2s"}}}))
        self.appsup("apply", "-f", "/root/app.yaml")
        return self.process(name)

    def process(self, name):
        """(pid on that machine, start time) of the app's only instance."""
        def running():
            asked = self.machine.run("appsup", "get", "apps", name, "-o", "json", check=False)
            if asked.returncode != 0 or json.loads(asked.stdout)["status"].get("state") != "APP_STATE_RUNNING":
                return None
            stat = [(entry.name, process_start(entry)) for entry in self.apps()]
            return stat[0] if len(stat) == 1 else None
        return wait_for(f"{name} runs", running, 60)

    def apps(self):
        return [path for path in self.machine.path("/proc").glob("[0-9]*")
                if (path / "cmdline").read_bytes() == b"sleep\x00100000\x00"]

    def test_install_upgrade_remove_install_purge(self):
        self.install()
        self.assertEqual(self.states(), dict.fromkeys(UNITS, "active"))
        process = self.run_app("steady")
        self.assertIn("READY", self.appsup("get", "nodes"))

        before = {unit: self.main_pid(unit) for unit in UNITS}
        keeper = f"/proc/{before['appsup-keeper']}/exe"
        for options in (("--reinstall",), ()):
            self.install(None if options else self.package.newer(), *options)
            self.assertEqual(self.states(), dict.fromkeys(UNITS, "active"))
            self.assertEqual(self.process("steady"), process)
            # The new program, not what is left of the old one's file.
            self.assertEqual(self.machine.run("readlink", keeper).stdout.strip(), "/usr/bin/appsup-keeper")
        after = {unit: self.main_pid(unit) for unit in UNITS}
        self.assertEqual([unit for unit in UNITS if before[unit] == after[unit]], ["appsup-keeper"])
        self.assertIn("+1", self.machine.run("dpkg-query", "--show", "appsup").stdout)

        # Only what an administrator has to decide is kept: configuration and state, but no process.
        self.apt("remove", "appsup")
        self.assertEqual(self.apps(), [])
        self.assertEqual(list(self.machine.path("/sys/fs/cgroup").glob("appsup.slice/appsup-*")), [])
        self.assertEqual(self.states(), dict.fromkeys(UNITS, "inactive"))
        for path in (*CONFIGURATION, "/var/lib/appsup/entry/catalog.db", "/var/lib/appsup/agent/identity/node.key"):
            self.assertTrue(self.machine.path(path).exists(), path)
        self.assertFalse(self.machine.path("/run/systemd/system/appsup-keeper.service.d").exists())

        self.install()
        self.assertEqual(self.states(), dict.fromkeys(UNITS, "active"))
        self.assertNotEqual(self.process("steady"), process)

        self.apt("purge", "appsup")
        self.assertEqual(self.apps(), [])
        for path in ("/etc/appsup", "/var/lib/appsup", "/run/appsup", "/usr/bin/appsup",
                     *(f"/etc/systemd/system/multi-user.target.wants/{unit}.service" for unit in UNITS)):
            self.assertFalse(os.path.lexists(self.machine.path(path)), path)
        self.assertNotIn("appsup", self.machine.path("/etc/passwd").read_text())
        self.assertNotIn("appsup", self.machine.path("/etc/group").read_text())

    def test_apps_outlive_every_service_and_come_back_with_the_machine(self):
        self.install()
        process = self.run_app("steady")
        # Beside the keeper: systemd cannot start a service again whose group hands controllers on.
        group = (self.apps()[0] / "cgroup").read_text().strip().splitlines()[-1]
        self.assertRegex(group, r"^0::.*/appsup\.slice/appsup-[0-9a-f]+/")
        for unit in UNITS:
            self.machine.run("systemctl", "kill", "--kill-whom=main", "--signal=KILL", unit)
            wait_for(f"{unit} is started again", lambda: set(self.states().values()) == {"active"})
            self.assertEqual(self.process("steady"), process)
        for unit in UNITS:
            self.machine.run("systemctl", "restart", unit)
            self.assertEqual(self.process("steady"), process)
        self.machine.run("systemctl", "stop", *UNITS)
        self.assertEqual(len(self.apps()), 1)  # A stop of the services is no stop of the apps.
        self.machine.reboot()
        wait_for("all services are up", lambda: set(self.states().values()) == {"active"})
        self.assertNotEqual(self.process("steady"), process)

    def test_an_apps_own_way_to_end_is_respected_on_removal(self):
        self.install()
        self.machine.path("/root/app.yaml").write_text(json.dumps({
            "kind": "App", "name": "polite", "spec": {"stop": {"signal": "SIGINT", "grace_period": "20s"}, "runtime": {
                "process": {"command": ["sh", "-c", "trap 'echo by INT >/tmp/told; exit 0' INT; trap : TERM; while :; do sleep 0.2; done"]}}}}))
        self.appsup("apply", "-f", "/root/app.yaml")
        self.machine.run("systemctl", "stop", *UNITS)  # Nobody watches it now, and still it is not forgotten.
        self.apt("remove", "appsup")
        self.assertEqual(self.machine.path("/tmp/told").read_text(), "by INT\n")

    def test_units_that_were_disabled_stay_so(self):
        self.install()
        self.machine.run("systemctl", "disable", "--now", "appsup-agent")
        self.install(None, "--reinstall")
        self.assertEqual(self.states(), {"appsup-entry": "active", "appsup-keeper": "active", "appsup-agent": "inactive"})

    def test_services_never_give_up_except_on_their_configuration(self):
        self.install()
        for _ in range(7):  # systemd's own limit is 5 in 10 s.
            self.machine.run("systemctl", "kill", "--kill-whom=main", "--signal=KILL", *UNITS)
            wait_for("all run again", lambda: set(self.states().values()) == {"active"})
        self.machine.path("/etc/appsup/entry.yaml").write_text("no_such_key: 1\n")
        self.machine.run("systemctl", "restart", "appsup-entry", check=False)
        wait_for("it is left alone", lambda: self.states()["appsup-entry"] == "failed")
        self.assertIn("unknown key no_such_key", self.machine.journal())

    def test_a_role_decides_what_runs(self):
        defaults = self.machine.path("/etc/default/appsup")
        defaults.write_text("ROLE=nonsense\n")
        self.machine.put(self.package.file, "/root/appsup.deb")
        refused = self.machine.run("dpkg", "--install", "/root/appsup.deb", check=False)
        self.assertNotEqual(refused.returncode, 0)
        self.assertIn("ROLE=nonsense is none of", refused.stdout)

        defaults.write_text("ROLE=entry\n")
        self.machine.run("dpkg", "--configure", "--pending")
        self.assertEqual(self.states(), {"appsup-entry": "active", "appsup-keeper": "inactive", "appsup-agent": "inactive"})

        # The same machine as a node of its own entry, by the line that is printed.
        defaults.write_text("ROLE=node\n")
        self.machine.run("dpkg-reconfigure", "appsup")
        self.assertEqual(self.states(), {"appsup-entry": "active", "appsup-keeper": "active", "appsup-agent": "inactive"})
        self.appsup("environments", "create", "eu")
        line = self.appsup("nodes", "token", "eu").strip().splitlines()[-1]
        self.machine.run("sh", "-c", line)
        self.machine.run("systemctl", "start", "appsup-keeper", "appsup-agent")
        wait_for("the node is ready", lambda: "READY" in self.appsup("get", "nodes"))

    def test_the_socket_is_for_the_group_and_nobody_else(self):
        self.install()
        self.machine.run("adduser", "--quiet", "--disabled-password", "--gecos", "", "visitor")
        as_visitor = ("runuser", "--user", "visitor", "--", "appsup", "get", "apps")
        self.assertNotEqual(self.machine.run(*as_visitor, check=False).returncode, 0)
        self.machine.run("adduser", "--quiet", "visitor", "appsup")
        self.machine.run(*as_visitor)


if __name__ == "__main__":
    unittest.main(verbosity=2)
