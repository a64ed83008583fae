"""An entry and nodes, each in a network namespace of its own, with a short lease: what tests of cut networks share."""
import datetime
import time

from case import Case
from cluster import TIME_FACTOR, process_start, wait_for
from network import Network

LEASE, HEARTBEAT = 4 * TIME_FACTOR, 0.5 * TIME_FACTOR
SLACK = 2.0  # Timers, logs and looks at them, on a busy machine; times TIME_FACTOR where it is used.
# An attempt to connect that began before the network healed, and the longest pause until the next.
RECONNECT = 10 + 8 + SLACK


class Partitioned(Case):
    """An entry and nodes, each in a namespace of its own."""
    nodes = ()
    hosts = ("n1",)

    @classmethod
    def setUpClass(cls):
        cls.net = Network("entry", *cls.hosts)
        cls.net.__enter__()
        cls.addClassCleanup(cls.net.__exit__)
        cls.cluster_options = {
            "link_host": cls.net.address("entry"), "entry_prefix": cls.net.on("entry"),
            "entry_extra": f"limits: {{heartbeat: '{HEARTBEAT}s', lease: '{LEASE}s'}}\n"}
        super().setUpClass()
        try:
            for host in cls.hosts:
                cls.cluster.add_agent(host, prefix=cls.net.on(host), advertise=cls.net.address(host))
        except BaseException:
            cls.failed = True
            raise

    def tearDown(self):
        self.net.heal()
        for host in self.hosts:
            self.cluster.wait_node(host, timeout=RECONNECT)

    # --- what is seen ---

    def processes(self, app):
        """Of all its instances: uid to pid and start time."""
        return {i["uid"]: (int(i["pid"]), process_start(int(i["pid"]))) for i in self.apps_instances(app)}

    def sessions(self, node="n1"):
        """How many streams the entry has taken so far."""
        return self.cluster.entry.output().count(f" node-connected node={node} ")

    def losses(self, node="n1"):
        return self.cluster.entry.output().count(f" node-lost node={node} ")

    def lease_left(self, node="n1"):
        expires = self.cluster.call("NodeService/GetNode", {"name": f"nodes/{node}"})["status"]["lease_expire_time"]
        end = datetime.datetime.fromisoformat(expires)
        return end.timestamp() - time.time()
