"""An entry and nodes, each in a network namespace of its own, with a short lease: what tests of cut networks share."""
import datetime
import signal
import time

from beats import BEAT, Beats, now
from case import Case
from cluster import TIME_FACTOR, process_start, wait_for
from network import Network

LEASE, HEARTBEAT = 4 * TIME_FACTOR, 0.5 * TIME_FACTOR
SLACK = 2.0  # Timers, logs and looks at them, on a busy machine; times TIME_FACTOR where it is used.
# An attempt to connect that began before the network healed, and the longest pause until the next.
RECONNECT = 10 + 8 + SLACK
STOP = "AT_LEASE_END_STOP"
KEEP = "AT_LEASE_END_KEEP"
MARGIN = 2 * 0.01 * LEASE + 1  # After LOST, until a fenced slot is given away.
REPLACED = LEASE + MARGIN + 2 * SLACK * TIME_FACTOR


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
                cls.cluster.add_agent(host, prefix=cls.prefix(host), advertise=cls.net.address(host))
        except BaseException:
            cls.failed = True
            raise

    @classmethod
    def prefix(cls, host):
        """What the programs of a node are run by."""
        return cls.net.on(host)

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


class Nodes(Partitioned):
    """Three of them, and apps that say where and when they live."""
    hosts = ("n1", "n2", "n3")

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.beats = Beats(cls.cluster)

    def tearDown(self):
        for agent in self.cluster.agents.values():
            agent.kill(signal.SIGCONT, wait=False)
        super().tearDown()
        for app in self.cluster.call("AppService/ListApps", {"parent": "projects/default"}).get("apps", []):
            self.verb("DeleteApp", app["name"].rpartition("/")[2], purge=True)

    # --- what is done ---

    def start(self, app, at_lease_end, replace, lost_after=None, **spec):
        """Starts it; the life of its only instance, or of its last."""
        disconnect = {"at_lease_end": at_lease_end, "replace": "REPLACE_" + replace}
        if lost_after is not None:
            disconnect["lost_after"] = f"{lost_after}s"
        self.cluster.create_app(app, BEAT, env=self.beats.env, stop={"grace_period": "0.2s"}, disconnect=disconnect, **spec)
        return self.beats.begun(app, spec.get("replicas", 1))[-1]

    def cut(self, *nodes):
        """Cuts them off, and waits until all are LOST; when it was done."""
        at = now()
        for node in nodes:
            self.net.cut("entry", node)
        for node in nodes:
            self.cluster.wait_node(node, "LOST", timeout=LEASE / TIME_FACTOR + SLACK)
        return at

    def heal(self, *nodes):
        self.net.heal()
        for node in nodes:
            self.cluster.wait_node(node, timeout=RECONNECT)

    # --- what is seen ---

    def never_two(self, app):
        self.assertEqual(self.beats.overlaps(app), [])

    def settled(self, app, count=1):
        """No more instances than that, all of them heard: the nodes have done what they were told. Their nodes."""
        def is_settled():
            found = self.cluster.instances(app)
            return found if len(found) == count and all(
                i.get("reachable") and i.get("ready") and not i.get("replaced") for i in found) else None
        return [i["node"] for i in wait_for(f"{app} has {count} instances", is_settled)]

    def told_of(self, instance):
        """What the entry's log says of its replacement."""
        return [line for line in self.cluster.entry.output().splitlines()
                if " instance-replaced " in line and f"/instances/{instance} " in line]
