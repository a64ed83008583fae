"""Starting processes: CreateApp through the public API until all instances are RUNNING as the entry
knows, with the real entry, agent and keeper; beside a bare posix_spawn loop, and supervisord."""
import datetime
import os
import pathlib
import shutil
import subprocess
import tempfile
import time
import xmlrpc.client

import cluster as e2e

ROUNDS = int(os.environ.get("APPSUP_BENCH_ROUNDS", "3"))
MIB = 1 << 20


def measure():
    comparisons = [{"name": "start/1000", "unit": "processes/s", "ours": [], "bare": []}]
    if shutil.which("supervisord"):
        comparisons.append({"name": "start/200", "unit": "processes/s", "ours": [], "bare": []})
    else:
        print("supervisord is not installed (apt install supervisor): not compared")
    with e2e.Cluster() as cluster:
        cluster.add_agent("n1")
        for number in range(ROUNDS):
            for comparison in comparisons:
                count = int(comparison["name"].split("/")[1])
                bare = bare_rate if count == 1000 else supervisord_rate
                comparison["ours"].append(our_rate(cluster, f"bench-{count}-{number}", count))
                comparison["bare"].append(bare(count))
    return comparisons


def our_rate(cluster, app_id, count):
    """From the entry's taking of CreateApp until its operation ended, by the entry's clock."""
    operation = cluster.create_app(
        app_id, ["/bin/sleep", "1000"], wait=False, replicas=count, placement={"environments": [cluster.environment]},
        resources={"memoryBytes": {"reserve": str(MIB)}, "cpuMillis": {"reserve": "1"}})
    operation = cluster.wait_operation(operation["name"], timeout=120)
    running = [i for i in cluster.instances(app_id) if i.get("state") == "INSTANCE_STATE_RUNNING"]
    assert len(running) == count, f"{len(running)} of {count} instances run"
    begin, end = (operation.get(camel) or operation[snake]  # buf curl and grpcurl differ.
                  for camel, snake in (("createTime", "create_time"), ("endTime", "end_time")))
    took = (when(end) - when(begin)).total_seconds()
    done = cluster.call("AppService/DeleteApp", {"name": f"projects/default/apps/{app_id}", "purge": True})
    cluster.wait_operation(done["name"], timeout=180)
    return count / took


def when(text):
    """RFC 3339 with any number of digits."""
    text = text.rstrip("Z")
    whole, _, part = text.partition(".")
    return datetime.datetime.fromisoformat(f"{whole}.{(part + '000000')[:6]}+00:00")


def bare_rate(count):
    done = subprocess.run([e2e.BIN / "spawn_bench", str(count)], stdout=subprocess.PIPE, text=True, check=True)
    return count / float(done.stdout)


def supervisord_rate(count):
    """From startAllProcesses until all are RUNNING; startsecs=0, so that it does not wait for them."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="appsup-bench-"))
    port = e2e.free_port()
    config = folder / "supervisord.conf"
    config.write_text(f"""[supervisord]
nodaemon=true
logfile={folder}/log
pidfile={folder}/pid
childlogdir={folder}
minfds=4096
[inet_http_server]
port=127.0.0.1:{port}
[rpcinterface:supervisor]
supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface
[program:sleep]
command=/bin/sleep 1000
process_name=%(process_num)s
numprocs={count}
autostart=false
startsecs=0
""")
    daemon = subprocess.Popen(["supervisord", "-c", config], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        server = xmlrpc.client.ServerProxy(f"http://127.0.0.1:{port}/RPC2").supervisor

        def answers():
            try:
                return server.getState()["statename"] == "RUNNING"
            except OSError:
                return False
        e2e.wait_for("supervisord answers", answers)
        begin = time.monotonic()
        server.startAllProcesses(True)  # Asking meanwhile would keep its one thread from starting.
        rate = count / (time.monotonic() - begin)
        running = [p for p in server.getAllProcessInfo() if p["statename"] == "RUNNING"]
        assert len(running) == count, f"supervisord runs {len(running)} of {count}"
        return rate
    finally:
        daemon.terminate()
        daemon.wait(60)
        shutil.rmtree(folder, ignore_errors=True)
