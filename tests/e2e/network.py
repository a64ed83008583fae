"""A small network of namespaces: hosts that see each other only through a router that can lose packets.

    with Network("entry", "n1") as net:
        Cluster(link_host=net.address("entry"), entry_prefix=net.on("entry"))
        net.cut("entry", "n1")    # Silently, both ways: nobody gets a reset or an error.
        net.drop("n1", "entry")   # Silently, what n1 sends to the entry.
        net.unplug("n1")          # The cable: n1 itself notices.
        net.heal()

Packets are lost by rules of the router's own routing ("blackhole"), which every kernel and iproute2 have;
neither a packet filter nor a traffic shaper is needed. Needs root.
"""
import json
import os
import pathlib
import subprocess
import unittest

FIRST_RULE = 100  # Preferences of the rules that lose packets.


def ip(*arguments):
    done = subprocess.run(["ip", *map(str, arguments)], capture_output=True, text=True)
    if done.returncode != 0:
        raise AssertionError(f"ip {' '.join(map(str, arguments))}: exit {done.returncode}: {done.stderr.strip()}")
    return done.stdout


def require_root():
    """Network namespaces cannot be had without; said by name, as all that is missing."""
    if os.geteuid() != 0:
        raise unittest.SkipTest("requires: root, for network namespaces")


class Network:
    count = 0  # Of this process, so that names differ.

    def __init__(self, *hosts):
        require_root()
        Network.count += 1
        self.hosts, self.rules = hosts, []
        self.tag = f"{os.getpid()}-{Network.count}"
        self.router = f"appsup-{self.tag}-router"

    def __enter__(self):
        try:
            self.make(self.router)
            for host in self.hosts:
                self.connect(host)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        """What runs in the namespaces should have ended before."""
        for name in [self.router, *map(self.namespace, self.hosts)]:
            if pathlib.Path("/run/netns", name).exists():
                ip("netns", "del", name)

    def make(self, name):
        ip("netns", "add", name)
        ip("-n", name, "link", "set", "lo", "up")
        subprocess.run(["ip", "netns", "exec", name, "sh", "-c", "echo 1 >/proc/sys/net/ipv4/ip_forward"], check=True)

    def connect(self, host):
        name, gate = self.namespace(host), self.gate(host)
        self.make(name)
        ip("link", "add", gate, "netns", self.router, "type", "veth", "peer", "name", "eth0", "netns", name)
        for where, link, address in ((self.router, gate, self.address(host, 1)), (name, "eth0", self.address(host))):
            ip("-n", where, "addr", "add", f"{address}/24", "dev", link)
            ip("-n", where, "link", "set", link, "up")
        ip("-n", name, "route", "add", "default", "via", self.address(host, 1))

    def namespace(self, host):
        return f"appsup-{self.tag}-{host}"

    def gate(self, host):
        return f"to{self.hosts.index(host)}"

    def address(self, host, last=2):
        return f"10.78.{self.hosts.index(host)}.{last}"

    def on(self, host):
        """What a command is run by on this host. (`ip netns exec` would hide the control groups, too.)"""
        return ["nsenter", f"--net=/run/netns/{self.namespace(host)}"]

    def drop(self, sender, receiver):
        rule = FIRST_RULE + len(self.rules)
        ip("-n", self.router, "rule", "add", "pref", rule, "from", self.address(sender), "to", self.address(receiver),
           "blackhole")
        self.rules.append(rule)

    def cut(self, one, other):
        self.drop(one, other)
        self.drop(other, one)

    def unplug(self, host):
        ip("-n", self.router, "link", "set", self.gate(host), "down")

    def heal(self):
        while self.rules:
            ip("-n", self.router, "rule", "del", "pref", self.rules.pop())
        for host in self.hosts:
            ip("-n", self.router, "link", "set", self.gate(host), "up")

    def received_bytes(self, host):
        """Since it was made."""
        return json.loads(ip("-n", self.namespace(host), "-s", "-j", "link", "show", "eth0"))[0]["stats64"]["rx"]["bytes"]
