#!/usr/bin/env python3
"""What Prometheus reads from the entry and from an agent: format, names as documented, numbers that make sense."""
import re
import unittest
import urllib.error
import urllib.request

from case import Case
from cluster import SOURCE, CallError, free_port, wait_for

LINE = re.compile(r'([a-z_]+)(?:\{((?:[a-z_]+="(?:[^"\\\n]|\\.)*",?)*)\})? (\S+)')
LABEL = re.compile(r'([a-z_]+)="((?:[^"\\\n]|\\.)*)"')
SECRET = "hush-not-for-prometheus"


def scrape(port):
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        return answer.headers["Content-Type"], answer.read().decode()


class Figures:
    """A page of metrics; anything in it that is not of the text format is an error."""

    def __init__(self, text):
        self.kinds, self.values, helped = {}, {}, set()
        if not text.endswith("\n"):
            raise AssertionError("the last line does not end")
        for line in text.splitlines():
            words = line.split(" ", 3)
            if line.startswith("# HELP "):
                helped.add(words[2])
            elif line.startswith("# TYPE "):
                assert words[2] not in self.kinds, f"twice: {line}"
                self.kinds[words[2]] = words[3]
            elif line:
                found = LINE.fullmatch(line)
                assert found, f"no metric: {line!r}"
                key = (found[1], frozenset(LABEL.findall(found[2] or "")))
                assert key not in self.values, f"twice: {line}"
                self.values[key] = float(found[3])
        assert helped == set(self.kinds), helped ^ set(self.kinds)
        for name, _ in self.values:
            assert self.family(name), f"without a type: {name}"

    def family(self, name):
        """A histogram's values have names longer than its own."""
        if self.kinds.get(name) in ("counter", "gauge"):
            return name
        base = re.sub("_(bucket|sum|count)$", "", name)
        return base if base != name and self.kinds.get(base) == "histogram" else None

    def get(self, name, **labels):
        return self.values.get((name, frozenset(labels.items())), 0)

    def all(self, name):
        return {labels: value for (it, labels), value in self.values.items() if it == name}


def documented():
    """Names to label names, per program, from the tables of docs/operations.md."""
    page = (SOURCE / "docs/operations.md").read_text()
    section = re.search(r"^## Metrics\n(.*?)^## ", page, re.S | re.M)[1]
    programs = {}
    for line in section.splitlines():
        cells = [cell.strip() for cell in line.split("|")]
        if len(cells) < 4 or cells[1].startswith("---"):
            continue
        if cells[2] == "":
            names = programs.setdefault(cells[1], {})
            continue
        # Labels are those of the names before them, up to other labels.
        for some, labels in re.findall(r"([^{}]+)(?:\{([^}]*)\})?", cells[1]):
            for name in re.findall(r"appsup_\w+", some):
                names[name] = set(labels.split(", ")) - {""}
    return programs


class MetricsTest(Case):
    nodes = ()

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.agent_port = free_port()
        agent = cls.cluster.add_agent("n1", ready=False)
        config = cls.cluster.dir / "n1/agent.yaml"
        config.write_text(config.read_text() + f"http: {{listen: '127.0.0.1:{cls.agent_port}'}}\nusage_period: 1s\n")
        agent.kill()
        agent.start()
        cls.cluster.wait_node("n1")
        cls.token = cls.cluster.call("NodeService/CreateEnrollmentToken", {"environment": "local"})["token"]
        cls.admin = (cls.cluster.root / "var/lib/appsup/entry/admin.token").read_text().strip()

    def entry(self):
        return Figures(scrape(self.cluster.http_port)[1])

    def agent(self):
        return Figures(scrape(self.agent_port)[1])

    def refused(self, code, token=None, method="AppService/ListApps"):
        with self.assertRaises(CallError) as refused:
            self.cluster.call(method, {"parent": "projects/-"}, token=token,
                              address=f"127.0.0.1:{self.cluster.api_port}")
        self.assertEqual(refused.exception.code, code)

    def run_app(self, name):
        self.serve(name, env={"VERSION": "1", "PASSWORD": SECRET})
        self.wait_instance(name, "it runs", lambda it: it.get("pid"))

    def test_the_entry_counts_apps_calls_and_commits(self):
        before = self.entry()
        self.run_app("counted")
        list_apps = {"method": "appsupervisor.v1.AppService/ListApps", "code": "UNAUTHENTICATED"}
        self.refused("Unauthenticated")
        self.refused("Unauthenticated", token="wrong")
        after = self.entry()

        def rise(name, **labels):
            return after.get(name, **labels) - before.get(name, **labels)
        self.assertEqual(rise("appsup_apps", state="RUNNING"), 1)
        self.assertEqual(rise("appsup_instances", state="RUNNING"), 1)
        self.assertEqual(after.get("appsup_nodes", state="READY"), 1)
        self.assertEqual(after.get("appsup_link_streams"), 1)
        self.assertEqual(after.get("appsup_operations_open"), 0)
        self.assertGreater(rise("appsup_catalog_log_index"), 0)
        create = {"method": "appsupervisor.v1.AppService/CreateApp", "code": "OK"}
        self.assertEqual(rise("appsup_calls_total", **create), 1, after.all("appsup_calls_total"))
        self.assertEqual(rise("appsup_calls_total", **list_apps), 2, after.all("appsup_calls_total"))
        for reason in ("TOKEN_REQUIRED", "TOKEN_UNKNOWN"):
            self.assertEqual(rise("appsup_calls_refused_total", reason=reason), 1,
                             after.all("appsup_calls_refused_total"))
        for name in ("appsup_store_commit_seconds", "appsup_store_commit_transactions", "appsup_call_seconds"):
            self.assertGreater(rise(name + "_count"), 0, name)
            self.assertGreater(rise(name + "_sum"), 0, name)
            self.assertEqual(after.get(name + "_bucket", le="+Inf"), after.get(name + "_count"))
        # Each commit holds at least one transaction.
        self.assertGreaterEqual(after.get("appsup_store_commit_transactions_sum"),
                                after.get("appsup_store_commit_transactions_count"))

    def test_an_app_that_stopped_and_a_node_that_left_are_counted_as_such(self):
        self.run_app("stopped")
        before = self.entry()
        self.verb("StopApp", "stopped")
        after = self.entry()
        self.assertEqual(after.get("appsup_apps", state="STOPPED") - before.get("appsup_apps", state="STOPPED"), 1)
        self.assertEqual(before.get("appsup_apps", state="RUNNING") - after.get("appsup_apps", state="RUNNING"), 1)
        self.cluster.agents["n1"].kill()
        wait_for("the stream is gone", lambda: self.entry().get("appsup_link_streams") == 0)
        self.cluster.agents["n1"].start()
        wait_for("the stream is back", lambda: self.entry().get("appsup_link_streams") == 1)
        self.cluster.wait_node("n1")

    def test_the_agent_counts_what_it_holds_and_measures_it(self):
        self.run_app("measured")
        instance = self.instance("measured")
        figures = wait_for("its use is measured",
                           lambda: (it := self.agent()).get("appsup_instance_pids", instance=instance["uid"]) and it)
        self.assertGreater(figures.get("appsup_instance_memory_bytes", instance=instance["uid"]), 2**20)
        self.assertGreaterEqual(figures.get("appsup_instance_cpu_millis", instance=instance["uid"]), 0)
        self.assertEqual(figures.get("appsup_agent_link_connected"), 1)
        self.assertEqual(figures.get("appsup_agent_keeper_connected"), 1)
        self.assertEqual(figures.get("appsup_agent_ignored_messages"), 0)
        running = figures.get("appsup_agent_instances_running")
        self.assertGreaterEqual(running, 1)
        self.assertGreaterEqual(figures.get("appsup_agent_instances"), running)
        self.verb("StopApp", "measured")
        wait_for("one less runs", lambda: self.agent().get("appsup_agent_instances_running") == running - 1)
        wait_for("what has ended has no use", lambda: (
            "appsup_instance_pids", frozenset({("instance", instance["uid"])})) not in self.agent().values)

    def test_names_and_labels_are_those_of_the_handbook(self):
        self.run_app("named")
        self.refused("Unauthenticated")
        wait_for("use is measured", lambda: self.agent().all("appsup_instance_pids"))
        listed = documented()
        for program, figures in (("entry", self.entry()), ("agent", self.agent())):
            shown = {}
            for name, labels in figures.values:
                shown.setdefault(figures.family(name), set()).update(label for label, _ in labels if label != "le")
            self.assertEqual(set(shown), set(listed[program]), f"{program}: names")
            for name, labels in shown.items():
                self.assertEqual(labels, listed[program][name], f"{program}: labels of {name}")

    def test_no_secret_is_among_them(self):
        self.run_app("secretive")
        self.refused("Unauthenticated", token="aw.wrong-but-secret")
        for port in (self.cluster.http_port, self.agent_port):
            kind, text = scrape(port)
            self.assertEqual(kind, "text/plain; version=0.0.4")
            secrets = [SECRET, self.admin, self.token, "wrong-but-secret", *self.token.split(".")[1:2]]
            for secret in secrets:
                self.assertNotIn(secret, text)

    def test_other_paths_of_the_agent_are_not_found(self):
        with self.assertRaises(urllib.error.HTTPError) as answer:
            urllib.request.urlopen(f"http://127.0.0.1:{self.agent_port}/apps/named/", timeout=10)
        self.addCleanup(answer.exception.close)
        self.assertEqual(answer.exception.code, 404)


if __name__ == "__main__":
    unittest.main(verbosity=2)
