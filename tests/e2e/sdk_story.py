"""What every generated client must be able to do; sdk_python_test.py and sdk_go_test.py run it."""
import hashlib
import json
import os
import pathlib
import subprocess

from cluster import SOURCE, Cluster

TOOLS = SOURCE / "build" / "tools"
PROTO = SOURCE / "proto"
SERVE = "import http.server,os;http.server.HTTPServer(('',int(os.environ['PORT'])),http.server.SimpleHTTPRequestHandler).serve_forever()"


def protos():
    """The public API. google/rpc is left out: every language brings its own copy of it."""
    return sorted(str(path.relative_to(PROTO)) for path in (PROTO / "appsupervisor" / "v1").glob("*.proto"))


def digest(*parts):
    """Of texts and of what files hold: a name for what was made from them."""
    whole = hashlib.sha256()
    for part in parts:
        data = part.read_bytes() if isinstance(part, pathlib.Path) else part.encode()
        whole.update(b"%d:" % len(data) + data)
    return whole.hexdigest()[:16]


def run(command, cwd=None, timeout=600, **environment):
    """What the command printed; fails with all that it said."""
    done = subprocess.run([str(word) for word in command], cwd=cwd, capture_output=True, text=True,
                          timeout=timeout, env={**os.environ, **environment})
    if done.returncode != 0:
        raise AssertionError(f"{' '.join(map(str, command))}: exit {done.returncode}\n{done.stdout}\n{done.stderr}")
    return done.stdout


class SdkStory:
    """Mixed into a TestCase that gives `client()`: the command of a client program. It gets
    HOST:PORT, the file with the token and an app's id as arguments, and prints what it saw as JSON."""

    @classmethod
    def setUpClass(cls):
        command = cls.client()
        cluster = Cluster()
        cluster.__enter__()
        cls.addClassCleanup(lambda: cluster.__exit__(False, None, None))
        cluster.add_agent("n1")
        token = cluster.root / "var/lib/appsup/entry/admin.token"
        cls.seen = json.loads(run([*command, f"127.0.0.1:{cluster.api_port}", token, "shop", SERVE], timeout=120))

    def test_creates_an_app_and_waits_until_it_runs(self):
        self.assertRegex(self.seen["operation"], r"^projects/default/operations/[a-z0-9-]+$")
        self.assertEqual(self.seen["wait"], {"done": True, "error": 0, "app": "projects/default/apps/shop",
                                             "state": "APP_STATE_RUNNING"})

    def test_watches_the_app_from_its_creation_until_it_runs(self):
        self.assertEqual(self.seen["events"][0], "EVENT_TYPE_SNAPSHOT_END")
        self.assertEqual(self.seen["events"][1], "EVENT_TYPE_CREATED")
        self.assertEqual(set(self.seen["events"][2:]), {"EVENT_TYPE_UPDATED"})
        self.assertEqual(self.seen["watched_state"], "APP_STATE_RUNNING")

    def test_decodes_all_violations_of_a_bad_request(self):
        bad = self.seen["bad_request"]
        self.assertEqual(bad["code"], 3)
        self.assertEqual(bad["domain"], "appsupervisor")
        self.assertEqual(bad["reason"], "INVALID_ARGUMENT")
        self.assertLessEqual({"app_id", "app.spec.replicas", "app.spec.runtime"}, set(bad["fields"]))

    def test_deletes_the_app(self):
        self.assertEqual(self.seen["deleted"], {"done": True, "error": 0})
        self.assertEqual(self.seen["after"], {"code": 5, "reason": "APP_NOT_FOUND"})
