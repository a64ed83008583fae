"""A whole AppSupervisor of real programs in a temporary folder, for end-to-end tests.

    with Cluster() as cluster:
        cluster.add_agent("n1")
        op = cluster.call("AppService/CreateApp", {...})
        cluster.wait_operation(op["name"])

Everything is asked through the public API by grpcurl. As root the agent runs as a user id of its own
without an account, as the packages do; otherwise everything runs as the present user.
"""
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import tempfile
import time

SOURCE = pathlib.Path(os.environ.get("APPSUP_SOURCE_DIR", pathlib.Path(__file__).resolve().parents[2]))
BIN = pathlib.Path(os.environ.get("APPSUP_BIN_DIR", SOURCE / "build/dev/bin"))
AGENT_UID = 19999  # Outside the range of the apps' user ids.
TIME_FACTOR = float(os.environ.get("APPSUP_TIME_FACTOR", "1"))  # For slower programs, such as instrumented ones.
# Ask programs to end at the end of a test instead of killing them, so that leaks are found.
CLEAN_END = bool(os.environ.get("APPSUP_CLEAN_END"))
PROGRAMS = ("appsup-entry", "appsup-agent", "appsup-keeper", "appsup-keeper-config", "appsup")


def free_port():
    """A port that is free now, below the range that the agents pick theirs from."""
    while True:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            return probe.getsockname()[1]


def wait_for(what, condition, timeout=30.0):
    """Returns condition()'s first true value; fails with `what` after `timeout` seconds."""
    deadline = time.monotonic() + timeout * TIME_FACTOR
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {timeout} s: {what}; last: {value!r}")
        time.sleep(0.02)


class CallError(Exception):
    """A call that was answered with an error."""

    def __init__(self, code, message, details):
        super().__init__(f"{code}: {message}")
        self.code, self.message, self.details = code, message, details

    def detail(self, kind):
        for detail in self.details:
            if detail.get("@type", "").endswith(kind):
                return detail
        return None


class Program:
    """One running program whose output goes to a file."""

    def __init__(self, name, arguments, log, prefix=()):
        self.name, self.arguments, self.log, self.prefix = name, arguments, log, list(prefix)
        self.process = None

    def start(self):
        with open(self.log, "ab") as out:
            self.process = subprocess.Popen(
                self.prefix + [str(a) for a in self.arguments], stdout=out, stderr=out,
                stdin=subprocess.DEVNULL, start_new_session=True)
        return self

    def kill(self, number=signal.SIGKILL, wait=True):
        if self.process is None or self.process.poll() is not None:
            return
        self.process.send_signal(number)
        if wait:
            self.process.wait(30)

    def stop(self):
        """Asks it to end; returns its exit code."""
        self.kill(signal.SIGTERM, wait=False)
        try:
            return self.process.wait(30 * TIME_FACTOR)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"{self.name} did not end within 30 s of SIGTERM; see {self.log}")

    def alive(self):
        return self.process is not None and self.process.poll() is None

    def output(self):
        return pathlib.Path(self.log).read_text(errors="replace")


class Cluster:
    def __init__(self, store=None, entry_extra="", environment="local", link_host="127.0.0.1", entry_prefix=()):
        """`store`: the store section of entry.yaml, as YAML; `link_host`: where agents find the entry;
        `entry_prefix`: a command that the entry is run by, such as `ip netns exec NAME`."""
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="appsup-e2e-"))
        self.dir.chmod(0o755)
        self.bin = self.dir / "bin"
        self.bin.mkdir()
        for program in PROGRAMS:  # Apps' and agents' users may not be able to look into the build folder.
            shutil.copy2(BIN / program, self.bin / program)
        self.store, self.entry_extra, self.environment = store, entry_extra, environment
        self.api_port, self.link_port, self.http_port = free_port(), free_port(), free_port()
        self.root = self.dir / "entry"
        self.socket = self.root / "run/appsup/api.sock"
        self.link_host, self.entry_prefix = link_host, entry_prefix
        self.entry = None
        self.keepers, self.agents = {}, {}

    # --- life ---

    def __enter__(self):
        try:
            self.start_entry()
            self.call("EnvironmentService/CreateEnvironment", {"environmentId": self.environment})
        except BaseException:
            self.__exit__(True, None, None)
            raise
        return self

    def __exit__(self, failed, *_):
        problems = []
        for program in [*self.agents.values(), self.entry]:
            if CLEAN_END and program and program.alive() and program.stop() != 0:
                problems.append(f"{program.name} ended with {program.process.returncode}:\n{program.output()[-2000:]}")
            elif program:
                program.kill()
        for _ in range(2):  # The second SIGTERM lets it kill the apps that do not end; killed, it would leave them.
            for keeper in self.keepers.values():
                keeper.kill(signal.SIGTERM, wait=False)
            for keeper in self.keepers.values():
                try:
                    keeper.process.wait(10 * TIME_FACTOR)
                except subprocess.TimeoutExpired:
                    pass
        for keeper in self.keepers.values():
            keeper.kill()
        for program in [self.entry, *self.keepers.values(), *self.agents.values()]:
            # What is undefined is told on standard error, whatever file a sanitizer's reports go to.
            text = program.output() if program else ""
            found = text.find(": runtime error: ")
            if found >= 0:
                problems.append(f"{program.name}: {text[text.rfind(chr(10), 0, found) + 1:][:2000]}")
        if failed:
            for program in [self.entry, *self.keepers.values(), *self.agents.values()]:
                if program:
                    print(f"--- {program.name}: end of {program.log}")
                    print("\n".join(program.output().splitlines()[-25:]))
        if not (failed and os.environ.get("APPSUP_KEEP")):
            shutil.rmtree(self.dir, ignore_errors=True)
        if problems and not failed:
            raise AssertionError("\n".join(problems))

    def start_entry(self):
        config = self.dir / "entry.yaml"
        store = f"store: {self.store}\n" if self.store else ""
        config.write_text(
            f"root_dir: {self.root}\n"
            f"api: {{listen: '127.0.0.1:{self.api_port}', socket_group: ''}}\n"
            f"link: {{listen: '{self.link_host}:{self.link_port}'}}\n"
            f"http: {{listen: '127.0.0.1:{self.http_port}'}}\n" + store + self.entry_extra)
        self.entry = Program("entry", [self.bin / "appsup-entry", "--config", config],
                             self.dir / "entry.log", prefix=self.entry_prefix).start()
        self.wait_entry()

    def wait_entry(self):
        def up():
            if not self.entry.alive():
                raise AssertionError("the entry ended:\n" + self.entry.output()[-2000:])
            try:
                return self.call("ProjectService/GetProject", {"name": "projects/default"})
            except CallError as error:
                if error.code in ("Unavailable", "DeadlineExceeded"):
                    return None
                raise
        wait_for("the entry answers", up)

    def restart_entry(self, number=signal.SIGKILL):
        self.entry.kill(number)
        self.entry.start()
        self.wait_entry()

    def add_agent(self, node, environment=None, prefix=(), advertise="127.0.0.1", ready=True):
        """Enrols a node and starts its keeper and agent."""
        folder = self.dir / node
        uid = AGENT_UID if os.geteuid() == 0 else None
        state = folder / "var/lib/appsup/agent"
        state.mkdir(parents=True, mode=0o755)
        keeper_dir = folder / "run/appsup/keeper"
        keeper_dir.mkdir(parents=True, mode=0o700)
        first_port = 20000 + 600 * len(self.agents)
        if uid is not None:
            os.chown(state, uid, uid)
            os.chown(keeper_dir, uid, uid)
        keeper_yaml, agent_yaml = folder / "keeper.yaml", folder / "agent.yaml"
        keeper_yaml.write_text(f"root_dir: {folder}\n" + (f"agent_uid: {uid}\n" if uid is not None else ""))
        agent_yaml.write_text(
            f"root_dir: {folder}\n"
            f"address: {advertise}\n"
            f"ports: {{first: {first_port}, last: {first_port + 599}}}\n")
        keeper = Program(f"keeper {node}", [self.bin / "appsup-keeper", "--config", keeper_yaml,
                                            "--stop-apps-on-exit"], folder / "keeper.log", prefix=prefix)
        self.keepers[node] = keeper.start()
        token = self.call("NodeService/CreateEnrollmentToken",
                          {"environment": environment or self.environment})["token"]
        enrol = Program(f"enrol {node}", [self.bin / "appsup-agent", "enroll", "--config", agent_yaml,
                                          "--entry", f"{self.link_host}:{self.link_port}", "--token", token,
                                          "--node-id", node], folder / "enrol.log", prefix=prefix)
        enrol.start()
        if enrol.process.wait(30) != 0:
            raise AssertionError("enrolment failed:\n" + enrol.output())
        # The prefix may need root; the agent has none.
        drop = ["setpriv", "--reuid", uid, "--regid", uid, "--clear-groups"] if uid is not None else []
        agent = Program(f"agent {node}", [*drop, self.bin / "appsup-agent", "--config", agent_yaml],
                        folder / "agent.log", prefix=prefix)
        self.agents[node] = agent.start()
        if ready:
            self.wait_node(node)
        return agent

    def restart_agent(self, node, number=signal.SIGKILL):
        self.agents[node].kill(number)
        self.agents[node].start()

    # --- API ---

    def call(self, method, request=None, timeout=30, token=None, address=None):
        """One unary call. CallError carries code, message and details."""
        answers = self._grpcurl(method, request, timeout, token, address)
        return answers[0] if answers else {}

    def stream(self, method, request=None, timeout=5):
        """All messages of a streaming call until it ends or `timeout` is over."""
        return self._grpcurl(method, request, timeout, None, None, partial=True)

    def _grpcurl(self, method, request, timeout, token, address, partial=False):
        timeout *= 1 if partial else TIME_FACTOR
        command = ["grpcurl", "-plaintext", "-max-time", str(timeout), "-format-error",
                   "-d", json.dumps(request or {})]
        if address or token:
            if token:
                command += ["-H", f"authorization: Bearer {token}"]
            command += [address or f"127.0.0.1:{self.api_port}"]
        else:
            command += ["-unix", str(self.socket)]
        command.append("appsupervisor.v1." + method)
        done = subprocess.run(command, capture_output=True, text=True, timeout=timeout + 20)
        if done.returncode != 0 and not partial:
            raise self._error(done.stderr)
        return list(_documents(done.stdout))

    @staticmethod
    def _error(text):
        try:
            status = json.loads(text)
        except ValueError:
            return CallError("Unavailable", text.strip(), [])
        codes = ["OK", "Canceled", "Unknown", "InvalidArgument", "DeadlineExceeded", "NotFound", "AlreadyExists",
                 "PermissionDenied", "ResourceExhausted", "FailedPrecondition", "Aborted", "OutOfRange",
                 "Unimplemented", "Internal", "Unavailable", "DataLoss", "Unauthenticated"]
        return CallError(codes[status.get("code", 2)], status.get("message", ""), status.get("details", []))

    def appsup(self, *arguments, check=True, stdin=None, timeout=120, **kwargs):
        """Runs the command line tool; returns the finished process."""
        done = subprocess.run([self.bin / "appsup", "--server", f"unix:{self.socket}", *map(str, arguments)],
                              capture_output=True, text=True, input=stdin, timeout=timeout * TIME_FACTOR, **kwargs)
        if check and done.returncode != 0:
            raise AssertionError(f"appsup {arguments}: exit {done.returncode}\n{done.stdout}\n{done.stderr}")
        return done

    # --- shorthands ---

    def create_app(self, app_id, command, wait=True, project="default", **spec):
        spec = {"runtime": {"process": {"command": command}}, **spec}
        operation = self.call("AppService/CreateApp", {
            "parent": f"projects/{project}", "appId": app_id, "app": {"spec": spec}})
        return self.wait_operation(operation["name"]) if wait else operation

    def get_app(self, app_id, project="default"):
        return self.call("AppService/GetApp", {"name": f"projects/{project}/apps/{app_id}"})

    def instances(self, app_id="-", project="-"):
        return self.call("AppService/ListInstances", {
            "parent": f"projects/{project}/apps/{app_id}", "pageSize": 1000}).get("instances", [])

    def wait_operation(self, name, timeout=60, ok=True):
        """Waits until it is done; with `ok`, fails if it ended with an error."""
        timeout *= TIME_FACTOR
        operation = self.call("OperationService/WaitOperation", {"name": name, "timeout": f"{timeout}s"},
                              timeout=timeout + 5)
        assert operation.get("done"), f"not done within {timeout} s: {json.dumps(operation, indent=1)}"
        if ok:
            assert "error" not in operation, json.dumps(operation, indent=1)
        return operation

    def wait_app(self, app_id, state, timeout=30):
        def reached():
            app = self.get_app(app_id)
            return app if app.get("status", {}).get("state") == "APP_STATE_" + state else None
        try:
            return wait_for(f"{app_id} is {state}", reached, timeout)
        except AssertionError:
            raise AssertionError(f"{app_id} is not {state} within {timeout} s:\n"
                                 + json.dumps(self.get_app(app_id), indent=1)) from None

    def wait_node(self, node, state="READY", timeout=30):
        def reached():
            return self.call("NodeService/GetNode", {"name": f"nodes/{node}"}).get(
                "status", {}).get("state") == "NODE_STATE_" + state
        return wait_for(f"node {node} is {state}", reached, timeout)


def _documents(text):
    """The JSON documents that stand one after another in a text."""
    decoder, position = json.JSONDecoder(), 0
    while True:
        while position < len(text) and text[position].isspace():
            position += 1
        if position >= len(text):
            return
        try:
            document, position = decoder.raw_decode(text, position)
        except ValueError:  # The last one was cut off when the time was over.
            return
        yield document


def process_start(pid):
    """Start time of a process in clock ticks since boot; None if it is gone."""
    try:
        return int(pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19])
    except (FileNotFoundError, ProcessLookupError):
        return None
