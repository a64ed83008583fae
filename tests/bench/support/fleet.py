"""A whole entry with a fleet of agents whose links and cores are real and whose processes are in memory."""
import math
import re
import time
import urllib.request

import cluster as e2e
from support.peer import Peer

ENVIRONMENT = "bench"
PER_PROCESS = 2500  # Agents; each has a thread and two descriptors.
PER_AGENT = 10  # Instances.
MIB = 1 << 20


class Fleet:
    """`agents` agents of 10 instances each; use with `with`. Apps are named app-0, app-1, ...: each is 1 % of the
    instances, or less."""

    def __init__(self, agents):
        self.agents, self.instances = agents, agents * PER_AGENT
        self.apps = max(100, math.ceil(self.instances / 1000))
        self.cluster = e2e.Cluster(environment=ENVIRONMENT)
        self.peers = []

    def __enter__(self):
        self.cluster.__enter__()
        try:
            self._fill()
        except BaseException:
            self.__exit__(True, None, None)
            raise
        return self

    def __exit__(self, *failed):
        for peer in self.peers:
            peer.end()
        self.cluster.__exit__(*failed)

    def _fill(self):
        link = f"{self.cluster.link_host}:{self.cluster.link_port}"
        nodes = self.cluster.dir / "nodes"
        nodes.mkdir()
        e2e.subprocess.run([e2e.BIN / "fleet_bench", "enroll", self.cluster.socket, link, nodes, ENVIRONMENT, "bench",
                            str(self.agents)], check=True)
        for first in range(0, self.agents, PER_PROCESS):
            self.peers.append(Peer("fleet_bench", "agents", link, nodes, "bench", first,
                                   min(PER_PROCESS, self.agents - first)))
        assert self.back(120)["back"] == self.agents, "not all agents have a session"
        left = self.instances
        for number in range(self.apps):
            replicas = left // (self.apps - number)
            left -= replicas
            self.cluster.create_app(
                f"app-{number}", ["serve", "--port", "8080"], wait=False, replicas=replicas,
                placement={"environments": [ENVIRONMENT]}, update={"maxUnavailable": replicas},
                env={"MODE": "production", "LANG": "C.UTF-8", "TZ": "UTC", "DATABASE": f"app-{number}"},
                resources={"memoryBytes": {"reserve": str(MIB)}, "cpuMillis": {"reserve": "1"}})
        e2e.wait_for("all instances run", self.all_run, timeout=300)

    def ask(self, line):
        """All processes of agents at once; sums."""
        for peer in self.peers:
            peer.say(line)
        answers = [peer.hear() for peer in self.peers]
        total = {key: sum(answer[key] for answer in answers) for key in answers[0]}
        total["back_at"] = max(answer["back_at"] for answer in answers)
        return total

    def back(self, seconds):
        """Waits until all agents have applied what a stream since the last mark brought them."""
        return self.ask(f"await {seconds}")

    def all_run(self):
        """As the entry knows it."""
        text = urllib.request.urlopen(f"http://127.0.0.1:{self.cluster.http_port}/metrics", timeout=60).read().decode()

        def gauge(name):
            found = re.search(rf"^{re.escape(name)} (\S+)$", text, re.MULTILINE)
            return float(found.group(1)) if found else None

        return (gauge("appsup_link_streams") == self.agents
                and gauge('appsup_nodes{state="READY"}') == self.agents
                and gauge('appsup_instances{state="RUNNING"}') == self.instances)

    def await_all_run(self, timeout=60):
        e2e.wait_for("all nodes are READY and all instances RUNNING", self.all_run, timeout)
        return time.monotonic()
