#!/usr/bin/env python3
"""Two machines: an entry and a node in network namespaces of their own, joined by a pasted line and mTLS."""
import os
import pathlib
import shutil
import subprocess
import unittest

from cluster import SOURCE, CallError, Cluster, wait_for

ENTRY_IP, NODE_IP = "10.77.0.1", "10.77.0.2"


def ip(*arguments):
    subprocess.run(["ip", *arguments], check=True)


class TwoMachines(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        if os.geteuid() != 0:
            raise unittest.SkipTest("requires: root, for network namespaces")
        tag = os.getpid()
        cls.entry_ns, cls.node_ns = f"appsup-e{tag}", f"appsup-n{tag}"
        for name in (cls.entry_ns, cls.node_ns):
            ip("netns", "add", name)
            ip("-n", name, "link", "set", "lo", "up")
        cls.addClassCleanup(cls.remove_namespaces)
        ip("link", "add", "veth-e", "netns", cls.entry_ns, "type", "veth", "peer", "name", "veth-n", "netns", cls.node_ns)
        for name, link, address in ((cls.entry_ns, "veth-e", ENTRY_IP), (cls.node_ns, "veth-n", NODE_IP)):
            ip("-n", name, "addr", "add", f"{address}/24", "dev", link)
            ip("-n", name, "link", "set", link, "up")
        cls.on_entry = ["ip", "netns", "exec", cls.entry_ns]
        cls.on_node = ["ip", "netns", "exec", cls.node_ns]
        cls.cluster = Cluster(environment="eu", link_host=ENTRY_IP, entry_prefix=cls.on_entry)
        cls.cluster.__enter__()
        cls.addClassCleanup(lambda: cls.cluster.__exit__(False, None, None))

    @classmethod
    def remove_namespaces(cls):
        for name in (cls.entry_ns, cls.node_ns):
            subprocess.run(["ip", "netns", "del", name], check=False)

    def enrol(self, line, folder):
        """Runs the line as it was printed, in the node's namespace, below a folder of its own."""
        words = line.split()
        self.assertEqual(words[0], "appsup-agent")
        return subprocess.run([*self.on_node, self.cluster.bin / words[0], *words[1:]], capture_output=True, text=True,
                              env={**os.environ, "APPSUP_AGENT_CONFIG": str(folder / "agent.yaml")})

    def node_folder(self, name):
        folder = self.cluster.dir / name
        folder.mkdir()
        (folder / "agent.yaml").write_text(f"root_dir: {folder}\n")
        return folder

    def test_a_pasted_line_makes_a_node_that_hosts_apps(self):
        self.cluster.add_agent("far", environment="eu", prefix=self.on_node, advertise=NODE_IP)
        node = self.cluster.call("NodeService/GetNode", {"name": "nodes/far"})
        self.assertEqual(node["status"]["address"], NODE_IP)
        self.cluster.create_app("web", ["python3", "-c", WEB], ports=[{"name": "http"}],
                                checks={"readiness": {"http": {"port": "http"}, "period": "0.2s"}})
        endpoint = self.cluster.get_app("web")["status"]["endpoints"][0]["address"]
        self.assertTrue(endpoint.startswith(NODE_IP + ":"), endpoint)
        # From the entry's machine, through its redirect.
        body = subprocess.run([*self.on_entry, "curl", "--silent", "--fail", "--location", "--max-time", "10",
                               f"http://127.0.0.1:{self.cluster.http_port}/apps/web/"],
                              capture_output=True, text=True, check=True).stdout
        self.assertEqual(body, "hello from another machine\n")

    def test_the_printed_line_works_as_it_is_and_only_once(self):
        line = self.cluster.appsup("nodes", "token", "eu").stdout.strip().splitlines()[-1].strip()
        folder = self.node_folder("pasted")
        done = self.enrol(line + " --node-id pasted", folder)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("nodes/pasted", done.stdout)
        key = folder / "var/lib/appsup/agent/identity/node.key"
        self.assertEqual(key.stat().st_mode & 0o777, 0o600)
        again = self.enrol(line + " --node-id other", self.node_folder("pasted-again"))
        # The same machine may repeat its own enrolment, but not become another node.
        self.assertNotEqual(again.returncode, 0)
        self.assertIn("token", again.stderr)

    def test_a_token_of_another_ca_is_refused_by_the_machine(self):
        line = self.cluster.appsup("nodes", "token", "eu").stdout.strip().splitlines()[-1].strip()
        words = line.split()
        token = words[words.index("--token") + 1]
        # One changed character in the middle: secret or fingerprint, both must be noticed.
        middle = len(token) // 2
        words[words.index("--token") + 1] = token[:middle] + ("A" if token[middle] != "A" else "B") + token[middle + 1:]
        done = self.enrol(" ".join(words), self.node_folder("mangled"))
        self.assertNotEqual(done.returncode, 0)

    def test_without_a_certificate_the_link_answers_nobody(self):
        with self.assertRaises(Exception):
            self.cluster.call("LinkService/Connect", {}, timeout=3, address=f"{ENTRY_IP}:{self.cluster.link_port}")

    def test_a_revoked_node_is_cut_off(self):
        self.cluster.add_agent("bad", environment="eu", prefix=self.on_node, advertise=NODE_IP)
        self.cluster.call("NodeService/RevokeNode", {"name": "nodes/bad"})
        self.cluster.wait_node("bad", "REVOKED")
        self.cluster.restart_agent("bad")
        wait_for("the agent says that it was refused", lambda: "revoked" in self.cluster.agents["bad"].output().lower())
        self.assertEqual(self.cluster.call("NodeService/GetNode", {"name": "nodes/bad"})["status"]["state"],
                         "NODE_STATE_REVOKED")

    def test_the_api_beyond_loopback_needs_tls(self):
        config = self.cluster.dir / "open.yaml"
        config.write_text(f"root_dir: {self.cluster.dir}/open\napi: {{listen: '0.0.0.0:0'}}\n")
        done = subprocess.run([self.cluster.bin / "appsup-entry", "--config", config], capture_output=True, text=True)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("api.tls", done.stderr)


class Doors(unittest.TestCase):
    """Who may talk to the API of the own machine."""

    def setUp(self):
        self.cluster = Cluster()
        self.cluster.__enter__()
        self.addCleanup(lambda: self.cluster.__exit__(False, None, None))
        self.cluster.add_agent("n1")

    def test_a_hosted_app_that_tries_the_doors_fails(self):
        if os.geteuid() != 0:
            self.skipTest("requires: root, without it apps run as the same user")
        # The cluster's folder is open to all: what refuses is what the programs made in it.
        grpcurl = shutil.copy2(shutil.which("grpcurl"), self.cluster.bin / "grpcurl")
        node = self.cluster.dir / "n1"
        doors = {"socket": self.cluster.socket, "keeper": node / "run/appsup/keeper/keeper.sock"}
        files = {"token": self.cluster.root / "var/lib/appsup/entry/admin.token",
                 "ca-key": self.cluster.root / "var/lib/appsup/entry/ca/ca.key",
                 "node-key": node / "var/lib/appsup/agent/identity/node.key"}
        for path in (*doors.values(), *files.values()):
            self.assertTrue(path.exists(), path)
        tcp = [str(grpcurl), "-plaintext", "-max-time", "10", f"127.0.0.1:{self.cluster.api_port}",
               "appsupervisor.v1.EnvironmentService/ListEnvironments"]
        # Without reflection grpcurl would not know the method, and its error would prove nothing.
        tcp[1:1] = ["-import-path", str(self.protos()), "-proto", "appsupervisor/v1/environment_service.proto"]
        script = THIEF.format(doors={name: str(path) for name, path in doors.items()},
                              files={name: str(path) for name, path in files.items()}, tcp=tcp)
        self.cluster.create_app("thief", ["python3", "-c", script], restart={"policy": "RESTART_POLICY_NEVER"}, wait=False)

        def said():
            import base64
            pieces = self.cluster.stream("AppService/TailLogs", {"name": "projects/default/apps/thief"}, timeout=3)
            text = b"".join(base64.b64decode(p.get("data", "")) for p in pieces).decode()
            return text if "done" in text else None
        text = wait_for("the app tried", said)
        self.assertNotIn("OPEN", text)
        for name in (*doors, *files):
            self.assertIn(f"closed {name} 13", text)
        self.assertRegex(text, r"closed tcp [^0].*Unauthenticated")

    def protos(self):
        folder = self.cluster.dir / "proto"
        shutil.copytree(SOURCE / "proto", folder)  # The checkout may be closed to the app's user.
        return folder

    def test_tcp_needs_the_token_even_on_loopback(self):
        address = f"127.0.0.1:{self.cluster.api_port}"
        with self.assertRaises(CallError) as refused:
            self.cluster.call("AppService/ListApps", {"parent": "projects/-"}, address=address, token="wrong")
        self.assertEqual(refused.exception.code, "Unauthenticated")
        token_file = pathlib.Path(self.cluster.root / "var/lib/appsup/entry/admin.token")
        self.assertEqual(token_file.stat().st_mode & 0o777, 0o600)
        self.cluster.call("AppService/ListApps", {"parent": "projects/-"}, address=address,
                          token=token_file.read_text().strip())


# Says of each way in whether it is open.
THIEF = """
import socket, subprocess
for name, path in {doors}.items():
    try:
        socket.socket(socket.AF_UNIX).connect(path)
        print("OPEN", name)
    except OSError as error:
        print("closed", name, error.errno)
for name, path in {files}.items():
    try:
        open(path).read()
        print("OPEN", name)
    except OSError as error:
        print("closed", name, error.errno)
try:
    done = subprocess.run({tcp}, capture_output=True, text=True)
    answer = done.stderr.replace(chr(10), " ")
    print("OPEN tcp" if done.returncode == 0 else f"closed tcp {{done.returncode}} {{answer}}")
finally:
    print("done", flush=True)
"""

WEB = """
import http.server, os
class Hello(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"hello from another machine\\n")
    def log_message(self, *_):
        pass
http.server.HTTPServer(("", int(os.environ["PORT"])), Hello).serve_forever()
"""

if __name__ == "__main__":
    unittest.main(verbosity=2)
