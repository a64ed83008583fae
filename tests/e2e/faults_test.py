#!/usr/bin/env python3
"""Faults of the surroundings: told clearly, nothing lost, and on it goes when they are over."""
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import threading
import unittest
import uuid

from case import PORT, QUICK, SERVE, Case, is_alive
from cluster import AGENT_UID, TIME_FACTOR, CallError, Cluster, process_start, wait_for
from postgres import Postgres


class Starts(Case):
    """What keeps one app from starting, said in the app's condition; others are not touched."""

    def why(self, app, part, **spec):
        command = spec.pop("command", ["sleep", "1000"])
        self.cluster.create_app(app, command, wait=False, restart={"initial_backoff": "0.1s", "max_backoff": "0.3s"}, **spec)
        wait_for(f"{app} says {part}", lambda: part in self.condition(app, "Ready").get("message", ""))
        self.assertEqual(self.status(app).get("ready_replicas", 0), 0)
        return self.condition(app, "Ready")["message"]

    def test_a_port_that_another_program_has(self):
        with socket.create_server(("127.0.0.1", 0)) as other:
            number = other.getsockname()[1]
            self.why("port", f"port {number} is in use by another program on this node", command=SERVE,
                     ports=[{"name": "http", "number": number}])
        self.cluster.wait_app("port", "RUNNING")  # By itself, when it is free.

    def test_a_command_that_is_not_there_or_cannot_run(self):
        self.why("nowhere", "command no-such-program not found", command=["no-such-program"])
        plain = self.shared_file("plain.sh", "#!/bin/sh\n")
        self.why("plain", f"{plain} is not executable", command=[str(plain)])
        self.why("folder", "is a folder, not a program", command=["/tmp"])
        broken = self.shared_file("broken", "#!/no/such/interpreter\n")
        broken.chmod(0o755)
        self.why("broken", "its interpreter or loader does not exist", command=[str(broken)])

    def test_a_command_that_comes_later(self):
        path = self.cluster.dir / "later"
        self.why("later", "not found", command=[str(path)])
        path.write_text("#!/bin/sh\nexec sleep 1000\n")
        path.chmod(0o755)
        self.cluster.wait_app("later", "RUNNING")

    def test_a_working_folder_that_is_not_there(self):
        self.why("dir", "working folder /no/such/folder does not exist",
                 runtime={"process": {"command": ["sleep", "1"], "working_dir": "/no/such/folder"}})
        self.why("file", "is not a folder",
                 runtime={"process": {"command": ["sleep", "1"], "working_dir": "/etc/passwd"}})

    @unittest.skipIf(os.geteuid() != 0, "requires: root, without it apps run as the present user")
    def test_a_user_that_is_refused(self):
        for user in ("root", "daemon", "nobody-at-all"):
            message = self.why(f"user-{user}", f'user "{user}" is refused',
                               runtime={"process": {"command": ["sleep", "1"], "user": user}})
            self.assertIn("keeper.yaml", message)

    def test_a_missing_working_folder_fails_an_update_but_not_the_app(self):
        self.serve("good", restart={"initial_backoff": "0.1s"})
        operation = self.update("good", "runtime", ok=False, runtime={
            "process": {"command": SERVE, "working_dir": "/no/such/folder"}})
        self.assertIn("working folder /no/such/folder does not exist", operation["error"]["message"])
        self.assertEqual(self.body("good"), "1")


class SmallDisk:
    """A folder on a disk of its own that can be full. Needs root."""

    def __init__(self, cluster, folder, size, owner=None):
        if os.geteuid() != 0:
            raise unittest.SkipTest("requires: root, to mount")
        self.cluster, self.path = cluster, cluster.dir / folder
        self.path.mkdir(parents=True, exist_ok=True)
        owner_options = f",uid={owner},gid={owner}" if owner is not None else ""
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size},mode=755{owner_options}", "appsup-test", str(self.path)],
                       check=True)

    def fill(self):
        with open(self.path / "filler", "wb", buffering=0) as file:
            try:
                while True:
                    file.write(b"x" * 4096)
            except OSError:
                pass

    def free(self):
        (self.path / "filler").unlink()

    def close(self):
        subprocess.run(["umount", "-l", str(self.path)], check=False)
        if self.cluster.entry is None or not self.cluster.entry.alive():  # It could not remove what was in use.
            shutil.rmtree(self.cluster.dir, ignore_errors=True)


class FullDisk(unittest.TestCase):
    def start(self, cluster):
        cluster.__enter__()
        self.addCleanup(lambda: cluster.__exit__(False, None, None))
        return cluster

    def test_of_the_entry(self):
        cluster = Cluster()
        disk = SmallDisk(cluster, "entry/var/lib/appsup/entry", "24m")
        self.addCleanup(disk.close)
        self.start(cluster).add_agent("n1")
        cluster.create_app("before", ["sleep", "1000"])
        pid = int(cluster.instances("before")[0]["pid"])
        started = process_start(pid)
        disk.fill()
        acknowledged, refused = ["before"], None
        for number in range(2000):  # Until what the store has reserved is used up.
            try:
                cluster.call("AppService/CreateApp", {"parent": "projects/default", "appId": f"a{number}", "app": {
                    "description": "x" * 4000, "spec": {
                        "run_state": "RUN_STATE_STOPPED", "runtime": {"process": {"command": ["sleep", "1000"]}}}}})
                acknowledged.append(f"a{number}")
            except CallError as error:
                refused = error
                break
        self.assertIsNotNone(refused)
        self.assertEqual(refused.code, "Unavailable")
        self.assertEqual(process_start(pid), started)
        self.assertIn("disk", cluster.entry.output())
        disk.free()

        def names():
            try:
                listed = cluster.call("AppService/ListApps", {"parent": "projects/default", "pageSize": 1000})["apps"]
                return {app["name"].rpartition("/")[2] for app in listed}
            except CallError:
                return None
        shown = wait_for("the entry answers again, by itself", names)
        self.assertEqual(shown, set(acknowledged))
        cluster.create_app("after", ["sleep", "1000"])
        self.assertEqual(process_start(pid), started)

    def test_of_the_agents_state(self):
        cluster = Cluster()
        disk = SmallDisk(cluster, "n1/var/lib/appsup", "24m", AGENT_UID)
        self.addCleanup(disk.close)
        self.start(cluster)
        cluster.add_agent("n1")
        cluster.create_app("before", ["sleep", "1000"])
        pid = int(cluster.instances("before")[0]["pid"])
        started = process_start(pid)
        disk.fill()
        operation = cluster.create_app("during", ["sleep", "1000"], wait=False)
        wait_for("somebody says it", lambda: any(word in (cluster.agents["n1"].output() + str(
            cluster.get_app("during")["status"])).lower() for word in ("no space", "disk", "full")))
        self.assertEqual(process_start(pid), started)
        disk.free()
        if not cluster.agents["n1"].alive():
            cluster.agents["n1"].start()  # As systemd does.
        cluster.wait_operation(operation["name"])
        self.assertEqual(process_start(pid), started)

    def test_under_an_entry_and_an_agent_that_start(self):
        cluster = Cluster()
        disks = [SmallDisk(cluster, "entry/var/lib/appsup/entry", "24m"), SmallDisk(cluster, "n1/var/lib/appsup", "24m", AGENT_UID)]
        for disk in disks:
            self.addCleanup(disk.close)
        self.start(cluster).add_agent("n1")
        cluster.create_app("before", ["sleep", "1000"], replicas=2)
        before = {i["uid"]: (i["pid"], process_start(int(i["pid"]))) for i in cluster.instances("before")}
        for disk in disks:
            disk.fill()
        programs = (cluster.entry, cluster.agents["n1"])
        for program in programs:
            program.kill()
            said = len(program.output())
            program.start()

            def goes_on_or_says_why():
                words = program.output()[said:]
                if not program.alive():
                    self.assertTrue("No space left" in words or "full" in words, words)
                return not program.alive() or " started " in words
            wait_for(f"{program.name} goes on, or says why it cannot", goes_on_or_says_why)
        for pid, start in before.values():
            self.assertEqual(process_start(int(pid)), start)
        for disk in disks:
            disk.free()
        for program in programs:
            if not program.alive():
                program.start()  # As systemd does.
        cluster.wait_entry()
        cluster.wait_node("n1")
        cluster.create_app("after", ["sleep", "1000"])
        wait_for("all are seen again", lambda: all(i.get("reachable") for i in cluster.instances("before")))
        self.assertEqual({i["uid"]: (i["pid"], process_start(int(i["pid"]))) for i in cluster.instances("before")}, before)

    def test_of_the_logs(self):
        cluster = self.start(Cluster())
        cluster.add_agent("n1")
        disk = SmallDisk(cluster, "n1/var/lib/appsup/agent/logs", "256k", AGENT_UID)
        self.addCleanup(disk.close)
        noisy = ("import os\nwhile True:\n try: os.write(1, b'x' * 4095 + b'\\n')\n"
                 " except OSError as error: open('told', 'w').write(str(error)); break\n"
                 "import time; time.sleep(1000)")
        cluster.create_app("noisy", ["python3", "-c", noisy])
        pid = int(cluster.instances("noisy")[0]["pid"])
        cwd = pathlib.Path(os.readlink(f"/proc/{pid}/cwd"))
        # The app itself hears of it, as of any full disk; neither keeper nor agent suffer.
        told = wait_for("the app heard of it", lambda: (cwd / "told").exists() and (cwd / "told").read_text())
        self.assertIn("No space left", told)
        self.assertTrue(is_alive(pid))
        operation = cluster.create_app("other", ["sleep", "1000"], wait=False)
        cluster.wait_node("n1")
        cluster.wait_operation(cluster.call("AppService/DeleteApp", {"name": "projects/default/apps/noisy", "purge": True})["name"])
        for path in disk.path.rglob("*.stdout"):
            os.truncate(path, 0)
        cluster.wait_operation(operation["name"])


class Unwritable(Case):
    """Programs that cannot use their folders say which and end."""
    nodes = ()
    drop = ["setpriv", "--reuid", str(AGENT_UID), "--regid", str(AGENT_UID), "--clear-groups"] if os.geteuid() == 0 else []

    def run_program(self, program, root, *arguments):
        config = self.cluster.dir / f"{program}.yaml"
        config.write_text(f"root_dir: {root}\n")
        return subprocess.run([*self.drop, self.cluster.bin / program, *arguments, "--config", config],
                              capture_output=True, text=True, timeout=30 * TIME_FACTOR)

    def refuse(self, root, *parts):
        token = self.cluster.call("NodeService/CreateEnrollmentToken", {"environment": "local"})["token"]
        enroll = ("enroll", "--entry", f"127.0.0.1:{self.cluster.link_port}", "--token", token)
        for program, arguments in (("appsup-entry", ()), ("appsup-keeper", ()), ("appsup-agent", enroll)):
            done = self.run_program(program, root, *arguments)
            self.assertNotEqual(done.returncode, 0)
            for part in (str(root), *parts):
                self.assertIn(part, done.stderr)
        return enroll

    @unittest.skipIf(os.geteuid() != 0, "requires: root, or the folder would be one's own")
    def test_a_folder_of_somebody_else(self):
        folder = self.cluster.dir / "closed"
        (folder / "run/appsup").mkdir(parents=True)
        enroll = self.refuse(folder, "ermission denied")
        # The token was not spent on what could not be kept.
        os.chown(folder, AGENT_UID, AGENT_UID)
        done = self.run_program("appsup-agent", folder, *enroll)
        self.assertEqual(done.returncode, 0, done.stderr)

    def test_a_file_in_the_place_of_a_folder(self):
        self.refuse(self.shared_file("file"))


class PostgresGone(unittest.TestCase):
    def test_and_back_while_writes_arrive(self):
        server = Postgres()
        self.addCleanup(server.close)
        cluster = Cluster(store=f"{{kind: postgres, url: '{server.url}'}}")
        cluster.__enter__()
        self.addCleanup(lambda: cluster.__exit__(False, None, None))
        cluster.add_agent("n1")
        cluster.create_app("stays", ["sleep", "1000"])
        pid = int(cluster.instances("stays")[0]["pid"])
        started = process_start(pid)
        stop, acknowledged, refusals = threading.Event(), [], []

        def write(writer):
            number = 0
            while not stop.is_set():
                request = {"parent": "projects/default", "appId": f"w{writer}-{number}", "requestId": str(uuid.uuid4()),
                           "app": {"spec": {"run_state": "RUN_STATE_STOPPED",
                                            "runtime": {"process": {"command": ["sleep", "1"]}}}}}
                while not stop.is_set():
                    try:  # The same request until it is answered: it may be there already.
                        cluster.call("AppService/CreateApp", request, timeout=10)
                        acknowledged.append(request["appId"])
                        break
                    except CallError as error:
                        refusals.append(error)
                number += 1
        writers = [threading.Thread(target=write, args=(n,)) for n in range(3)]
        for writer in writers:
            writer.start()
        try:
            for _ in range(2):
                reached = len(acknowledged) + 5
                wait_for("writes succeed", lambda: len(acknowledged) >= reached)
                server.stop()
                refused = len(refusals) + 3
                wait_for("writes are refused", lambda: len(refusals) >= refused)
                self.assertEqual(process_start(pid), started)
                server.start()
            reached = len(acknowledged) + 5
            wait_for("writes succeed again", lambda: len(acknowledged) >= reached)
        finally:
            stop.set()
            for writer in writers:
                writer.join()
        self.assertEqual({error.code for error in refusals} - {"Unavailable", "DeadlineExceeded"}, set())
        listed = cluster.call("AppService/ListApps", {"parent": "projects/default", "pageSize": 1000})["apps"]
        names = {app["name"].rpartition("/")[2] for app in listed}
        self.assertEqual(set(acknowledged) - names, set())
        self.assertEqual(len(acknowledged), len(set(acknowledged)))
        cluster.wait_node("n1")
        self.assertEqual(process_start(pid), started)
        # The whole way works again.
        cluster.wait_operation(cluster.call("AppService/RestartApp", {"name": "projects/default/apps/stays"})["name"])
        cluster.restart_entry(signal.SIGKILL)
        self.assertEqual(set(acknowledged) - {a["name"].rpartition("/")[2] for a in cluster.call(
            "AppService/ListApps", {"parent": "projects/default", "pageSize": 1000})["apps"]}, set())


class Versions(Case):
    nodes = ()

    def test_an_agent_of_another_version_is_accepted_and_shown(self):
        program = self.cluster.bin / "appsup-agent"
        ours = subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout.strip()
        other = "9" + ours[1:]
        code = program.read_bytes()
        old, new = b"\0" + ours.encode() + b"\0", b"\0" + other.encode() + b"\0"
        self.assertGreater(code.count(old), 0)
        program.write_bytes(code.replace(old, new))
        said = subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout.strip()
        self.assertEqual(said, other)
        self.cluster.add_agent("n1")
        node = self.cluster.call("NodeService/GetNode", {"name": "nodes/n1"})
        self.assertEqual(node["status"]["versions"]["agent"], other)
        self.cluster.create_app("any", SERVE, ports=PORT, checks=QUICK)
        self.assertEqual(self.body("any"), "0")


if __name__ == "__main__":
    unittest.main(verbosity=2)
