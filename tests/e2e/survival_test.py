#!/usr/bin/env python3
"""Nothing is lost when the agent or the entry is killed: the real programs, through the public API."""
import os
import signal
import time
import unittest

from cluster import CallError, Cluster, process_start, wait_for


class Survival(unittest.TestCase):
    def setUp(self):
        self.cluster = Cluster()
        self.cluster.__enter__()
        self.addCleanup(self.finish)
        self.cluster.add_agent("n1")

    def finish(self):
        failed = any(error for _, error in getattr(self._outcome, "errors", [])) or bool(
            self._outcome.result.failures or self._outcome.result.errors)
        self.cluster.__exit__(failed, None, None)

    def pid(self, app):
        return int(self.cluster.instances(app)[0].get("pid", 0))

    def running(self, app, **spec):
        self.cluster.create_app(app, ["sleep", "1000"], **spec)
        pid = self.pid(app)
        return pid, process_start(pid)

    def test_killed_agent_leaves_apps_running_and_the_next_one_adopts_them(self):
        pid, started = self.running("a", replicas=3)
        before = {i["uid"]: (i["pid"], process_start(int(i["pid"]))) for i in self.cluster.instances("a")}
        self.cluster.agents["n1"].kill()
        for number, start in before.values():
            self.assertEqual(process_start(int(number)), start)
        self.cluster.agents["n1"].start()
        self.cluster.wait_node("n1")
        wait_for("instances are reachable again", lambda: all(i.get("reachable") for i in self.cluster.instances("a")))
        after = {i["uid"]: (i["pid"], process_start(int(i["pid"]))) for i in self.cluster.instances("a")}
        self.assertEqual(after, before)
        self.assertTrue(all(i.get("restarts", 0) == 0 for i in self.cluster.instances("a")))
        # It is really held: a stop reaches it.
        self.cluster.wait_operation(self.cluster.call("AppService/StopApp", {"name": "projects/default/apps/a"})["name"])
        self.assertIsNone(process_start(pid))

    def test_exit_codes_of_apps_that_ended_while_no_agent_ran_are_known(self):
        for app, command in (("code", "sleep 1.5; exit 7"), ("signal", "sleep 1.5; kill -11 $$")):
            self.cluster.create_app(app, ["sh", "-c", command], restart={"policy": "RESTART_POLICY_NEVER"})
        pids = [self.pid("code"), self.pid("signal")]
        self.cluster.agents["n1"].kill()
        wait_for("both ended", lambda: all(process_start(pid) is None for pid in pids))
        self.cluster.agents["n1"].start()
        ended = wait_for("the exit of code is known", lambda: self.cluster.instances("code")[0].get("exit"))
        self.assertEqual((ended.get("code"), ended.get("signal", 0), ended.get("unknown", False)), (7, 0, False))
        ended = wait_for("the exit of signal is known", lambda: self.cluster.instances("signal")[0].get("exit"))
        self.assertEqual((ended.get("signal"), ended.get("unknown", False)), (11, False))

    def test_an_app_that_died_while_no_agent_ran_is_started_again(self):
        pid, _ = self.running("a")
        self.cluster.agents["n1"].kill()
        os.kill(pid, signal.SIGKILL)
        self.cluster.agents["n1"].start()
        wait_for("a new process", lambda: self.pid("a") not in (0, pid))
        instance = self.cluster.instances("a")[0]
        self.assertEqual(instance["exit"]["signal"], 9)
        self.assertEqual(instance["restarts"], 1)

    def test_killed_entry_loses_nothing_acknowledged_and_stops_no_app(self):
        pid, started = self.running("a")
        names = []
        for number in range(30):  # Acknowledged, then at once a kill: no time to be lazy.
            operation = self.cluster.create_app(f"b{number}", ["sleep", "1000"], wait=False,
                                                resources={"memory_bytes": {"reserve": 1 << 20}})
            names.append(operation["name"])
            if number % 10 == 9:
                self.cluster.restart_entry(signal.SIGKILL)
        self.assertEqual(process_start(pid), started)
        for name in names:
            self.cluster.wait_operation(name)
        apps = self.cluster.call("AppService/ListApps", {"parent": "projects/default", "pageSize": 100})["apps"]
        self.assertEqual({app["name"].rpartition("/")[2] for app in apps}, {"a", *(f"b{n}" for n in range(30))})
        self.assertEqual((self.pid("a"), process_start(pid)), (pid, started))

    def test_apps_crash_and_restart_while_the_entry_is_gone(self):
        pid, _ = self.running("a")
        self.cluster.entry.kill()
        os.kill(pid, signal.SIGKILL)

        def successor():
            found = [p for p in os.listdir("/proc") if p.isdigit() and self.is_app(p)]
            return found and found[0]
        wait_for("the agent started it again by itself", successor)
        self.cluster.entry.start()
        self.cluster.wait_entry()
        wait_for("the entry knows", lambda: self.cluster.instances("a")[0].get("restarts") == 1)

    def is_app(self, pid):
        try:
            with open(f"/proc/{pid}/environ", "rb") as file:
                environment = file.read()
                return b"APPSUP_APP=" in environment and str(self.cluster.dir).encode() in environment
        except OSError:
            return False

    def test_the_same_request_id_twice_is_one_app_also_across_a_restart_of_the_entry(self):
        request = {"parent": "projects/default", "appId": "once",
                   "app": {"spec": {"runtime": {"process": {"command": ["sleep", "1000"]}}}},
                   "requestId": "7d9f5f0a-8f0e-4c53-9c0a-2f6f5f1f0b11"}
        first = self.cluster.call("AppService/CreateApp", request)
        self.cluster.restart_entry()
        self.assertEqual(self.cluster.call("AppService/CreateApp", request)["name"], first["name"])
        request["app"]["spec"]["runtime"]["process"]["command"] = ["sleep", "2000"]
        with self.assertRaises(CallError) as refused:
            self.cluster.call("AppService/CreateApp", request)
        self.assertEqual(refused.exception.code, "InvalidArgument")

    def test_a_clean_stop_of_agent_and_entry_leaves_apps_running(self):
        pid, started = self.running("a")
        self.assertEqual(self.cluster.agents["n1"].stop(), 0)
        self.assertEqual(self.cluster.entry.stop(), 0)
        self.assertEqual(process_start(pid), started)
        self.cluster.entry.start()
        self.cluster.wait_entry()
        agent = self.cluster.agents["n1"].start()
        wait_for("the new agent's link", lambda: agent.output().count(" link-open ") == 2)
        self.cluster.wait_node("n1")
        self.assertEqual((self.pid("a"), process_start(pid)), (pid, started))

    def test_a_frozen_agent_is_lost_and_comes_back_with_everything(self):
        pid, started = self.running("a")
        self.cluster.agents["n1"].process.send_signal(signal.SIGSTOP)
        self.cluster.wait_node("n1", "LOST", timeout=40)
        self.assertEqual(self.cluster.get_app("a")["status"]["state"], "APP_STATE_UNKNOWN")
        self.assertEqual(process_start(pid), started)
        self.cluster.agents["n1"].process.send_signal(signal.SIGCONT)
        self.cluster.wait_node("n1")
        self.cluster.wait_app("a", "RUNNING")
        self.assertEqual((self.pid("a"), process_start(pid)), (pid, started))


if __name__ == "__main__":
    unittest.main(verbosity=2)
