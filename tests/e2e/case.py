"""What the end-to-end tests of one cluster per class share: verbs, waits, streams, small apps."""
import base64
import json
import pathlib
import subprocess
import sys
import threading
import time
import unittest
import urllib.error
import urllib.request

from cluster import Cluster, wait_for

QUICK = {"readiness": {"http": {"port": "http"}, "period": "0.1s"}}
PORT = [{"name": "http"}]

# Answers with $VERSION. After SIGTERM it serves $LINGER seconds more, as a server behind redirects should.
SERVER = r"""
import http.server, os, signal, sys, threading, time
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = os.environ.get("VERSION", "0").encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *_):
        pass
server = http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler)
def end(*_):
    threading.Thread(target=lambda: (time.sleep(float(os.environ.get("LINGER", "0"))), server.shutdown())).start()
signal.signal(signal.SIGTERM, end)
server.serve_forever()
"""
SERVE = ["python3", "-c", SERVER]


class Case(unittest.TestCase):
    """One Cluster for all tests of the class: each uses apps of its own names."""
    nodes = ("n1",)
    cluster_options = {}

    @classmethod
    def setUpClass(cls):
        cls.failed = False
        cls.cluster = Cluster(**cls.cluster_options)
        cls.cluster.__enter__()
        cls.addClassCleanup(lambda: cls.cluster.__exit__(cls.failed, None, None))
        try:
            for node in cls.nodes:
                cls.cluster.add_agent(node)
        except BaseException:
            cls.failed = True
            raise

    def run(self, result=None):
        before = len(result.failures) + len(result.errors) if result else 0
        super().run(result)
        if result and len(result.failures) + len(result.errors) > before:
            type(self).failed = True

    # --- what is asked ---

    def verb(self, method, app, ok=True, wait=True, **fields):
        """StopApp and the like; the ended operation, or with wait=False the fresh one."""
        operation = self.cluster.call("AppService/" + method, {"name": f"projects/default/apps/{app}", **fields})
        return self.cluster.wait_operation(operation["name"], ok=ok) if wait else operation

    def update(self, app, mask, ok=True, wait=True, **spec):
        operation = self.cluster.call("AppService/UpdateApp", {
            "app": {"name": f"projects/default/apps/{app}", "spec": spec},
            "updateMask": {"paths": [f"spec.{path}" for path in mask.split(",")]}})
        return self.cluster.wait_operation(operation["name"], ok=ok) if wait else operation

    def serve(self, app, **spec):
        spec = {"ports": PORT, "checks": QUICK, "env": {"VERSION": "1"}, **spec}
        return self.cluster.create_app(app, SERVE, **spec)

    def status(self, app):
        return self.cluster.get_app(app).get("status", {})

    def condition(self, app, kind):
        for condition in self.status(app).get("conditions", []):
            if condition["type"] == kind:
                return condition
        return {}

    def wait_condition(self, app, kind, reason, timeout=30):
        def reached():
            condition = self.condition(app, kind)
            return condition if condition.get("reason") == reason else None
        try:
            return wait_for(f"{app}: {kind} is {reason}", reached, timeout)
        except AssertionError:
            raise AssertionError(f"{app}: {kind} is not {reason}: "
                                 + json.dumps(self.status(app), indent=1)) from None

    def apps_instances(self, app):
        """Instances that run or shall run it; not those of setup, nor those on their way out."""
        return sorted((i for i in self.cluster.instances(app)
                       if not i.get("setup") and i.get("desired") != "DESIRED_STATE_REMOVE"),
                      key=lambda i: i.get("slot", 0))

    def instance(self, app):
        found = self.apps_instances(app)
        self.assertEqual(len(found), 1, found)
        return found[0]

    def pid(self, app):
        return int(self.instance(app).get("pid", 0))

    def wait_instance(self, app, what, condition, timeout=30):
        def reached():
            found = self.apps_instances(app)
            return found[0] if found and condition(found[0]) else None
        try:
            return wait_for(f"{app}: {what}", reached, timeout)
        except AssertionError:
            raise AssertionError(f"{app}: not within {timeout} s: {what}\n"
                                 + json.dumps(self.cluster.instances(app), indent=1)) from None

    def body(self, app):
        """What a visitor of /apps/NAME/ reads."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.cluster.http_port}/apps/{app}/", timeout=10) as answer:
            return answer.read().decode()

    def logs(self, app, **request):
        pieces = self.cluster.stream("AppService/TailLogs", {"name": f"projects/default/apps/{app}", **request})
        return b"".join(base64.b64decode(piece.get("data", "")) for piece in pieces).decode()

    # --- what the machine shows ---

    def shared_file(self, name, text=""):
        """A file that every app may read and write."""
        path = self.cluster.dir / name
        path.write_text(text)
        path.chmod(0o666)
        return path

    def shared_folder(self, name):
        path = self.cluster.dir / name
        path.mkdir()
        path.chmod(0o777)
        return path


class Visitor:
    """Asks /apps/NAME/ again and again; keeps every answer that is not 200, and the order of new bodies."""

    def __init__(self, cluster, app):
        self.url = f"http://127.0.0.1:{cluster.http_port}/apps/{app}/"
        self.bodies, self.faults, self.visits, self.stopped = [], [], 0, threading.Event()
        self.thread = threading.Thread(target=self.visit)

    def visit(self):
        while not self.stopped.is_set():
            try:
                with urllib.request.urlopen(self.url, timeout=10) as answer:
                    body = answer.read().decode()
                if not self.bodies or self.bodies[-1] != body:
                    self.bodies.append(body)
            except urllib.error.HTTPError as error:
                self.faults.append(f"{error.code}: {error.read().decode()}")
            except OSError as error:
                self.faults.append(repr(error))
            self.visits += 1
            self.stopped.wait(0.005)  # A pace, not a wait for something.

    def __enter__(self):
        self.thread.start()
        wait_for("the first visit", lambda: self.visits > 0)
        return self

    def __exit__(self, *_):
        visits = self.visits
        wait_for("a visit after the last change", lambda: self.visits > visits + 1)
        self.stopped.set()
        self.thread.join()


class Stream:
    """A streaming call that goes on while the test does something else."""

    def __init__(self, cluster, method, request):
        self.messages, self.ended = [], threading.Event()
        self.process = subprocess.Popen(
            ["grpcurl", "-plaintext", "-d", json.dumps(request), "-unix", str(cluster.socket),
             "appsupervisor.v1." + method], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.thread = threading.Thread(target=self.read, daemon=True)
        self.thread.start()

    def read(self):
        lines = []
        for line in self.process.stdout:
            lines.append(line)
            if line.rstrip("\n") in ("}", "{}"):  # grpcurl's JSON is indented: only the outermost ends so.
                self.messages.append(json.loads("".join(lines)))
                lines = []
        self.ended.set()

    def text(self):
        return b"".join(base64.b64decode(m.get("data", "")) for m in list(self.messages)).decode()

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(10)
        self.thread.join(10)
        self.process.stdout.close()
        self.process.stderr.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def is_alive(pid):
    """Runs, and is not a zombie."""
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in ("Z", "X")
    except (FileNotFoundError, ProcessLookupError):
        return False


def wait_pid(path):
    """The number that an app writes into a file."""
    return int(wait_for(f"a pid in {path}", lambda: path.exists() and path.read_text().strip()))


if __name__ == "__main__":
    sys.exit("case.py has no tests of its own")
