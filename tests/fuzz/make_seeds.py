#!/usr/bin/env python3
"""Writes inputs for the fuzzers to begin with: tests/fuzz/make_seeds.py FOLDER makes FOLDER/<name>/seed-*.
What a seed means is written here, the form of an input in steps.h and at the top of each fuzzer."""
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
FILES = {
    "appsupervisor.v1.": ["link", "app_service", "node_service", "operation_service", "event_service", "app"],
    "appsupervisor.agent.v1.": ["journal"],
    "appsupervisor.keeper.v1.": ["keeper", "state"],
}
V1 = "appsupervisor.v1."
JOURNAL = "appsupervisor.agent.v1."
KEEPER = "appsupervisor.keeper.v1."
SAID, TOLD, HELLO = V1 + "ConnectRequest", V1 + "ConnectResponse", V1 + "Hello"


def encode(name, text):
    """A message of this type from protobuf's text format."""
    package, _, _ = name.rpartition(".")
    folder = package.replace(".", "/")
    protos = [f"{folder}/{stem}.proto" for stem in FILES[package + "."]]
    return subprocess.run(["protoc", f"-I{ROOT / 'proto'}", f"--encode={name}", *protos], cwd=ROOT / "proto",
                          input=text.encode(), capture_output=True, check=True).stdout


def step(kind, body=b"", text=None):
    """`body`: bytes, or the name of a message whose text follows."""
    if text is not None:
        body = encode(body, text)
    return bytes([kind]) + len(body).to_bytes(2, "little") + body


PROCESS = 'spec { runtime { process { command: "serve" } } ports { name: "http" } }'
RUN = ('uid: "u1" name: "projects/default/apps/web/instances/web-0" app_uid: "app1" generation: 2 '
       'digest: "d2" desired: DESIRED_STATE_RUN revision: 3 environment: "eu" ' + PROCESS)
WELCOME = ('welcome { session: "s1" incarnation: 2 session_secret: "secret" node: "n1" lease { seconds: 10 } '
           'heartbeat_period { seconds: 3 } position { catalog_uid: "c" timeline: "t1" log_index: 7 } }')
SETUP = 'setup { command: "migrate" version: "1" timeout { seconds: 60 } }'


def entry_link():
    status = ('status { instances { uid: "u1" attempt: 1 sequence: 2 state: INSTANCE_STATE_RUNNING ready: true '
              'generation: 1 pid: 7 endpoints { port: "http" address: "10.0.0.1:80" } usage { cpu_millis: 1 } } }')
    yield step(0, SAID, 'heartbeat { number: 1 usage { cpu_millis: 5 } }') + step(3, b"\x20")
    yield step(0, SAID, status) + step(0, SAID, 'assignments_applied { version: 1 resync: true }')
    yield step(0, SAID, 'assignments_applied { version: 1 refused { uid: "u1" generation: 1 message: "no" } }')
    yield step(0, SAID, 'command_result { id: 1 status { code: 5 message: "gone" } }')
    yield step(0, SAID, 'log_chunk { command_id: 1 attempt: 1 stream: LOG_STREAM_STDOUT data: "x" at_end: true }')
    yield step(2, HELLO, 'machine_id: "machine-n1" boot_id: "b" instances { uid: "u9" attempt: 1 sequence: 3 } '
                         'position { catalog_uid: "c" timeline: "timeline-1" log_index: 9 } guarded: true')
    yield step(2, HELLO, 'machine_id: "other" more: true') + step(0, SAID, 'hello { instances { uid: "u1" } }')
    yield step(1, SAID, 'hello { more: true }') + step(3, b"\xff") + step(3, b"\xff")
    yield step(4, b"\x01") + step(0, SAID, status) + step(6) + step(4, b"\x00")
    yield step(5, V1 + "CreateAppRequest", 'parent: "projects/default" app_id: "x" app { spec { replicas: 2 '
               'placement { environments: "eu" } runtime { process { command: "a" } } } }') + step(3, b"\x10")


def agent_link():
    yield step(0, TOLD, f'assignments {{ type: ASSIGNMENTS_TYPE_INCREMENTAL base: 2 version: 3 '
                        f'assignments {{ {RUN} }} }}') + step(2, b"\x20")
    yield step(0, TOLD, f'assignments {{ type: ASSIGNMENTS_TYPE_COMPLETE version: 3 begin: true end: true '
                        f'assignments {{ {RUN} slot: 1 restart_nonce: 4 }} node_desired: NODE_DESIRED_DRAINED }}')
    yield step(0, TOLD, 'assignments { type: ASSIGNMENTS_TYPE_INCREMENTAL base: 2 version: 3 assignments '
                        '{ uid: "u1" generation: 9 digest: "x" desired: DESIRED_STATE_REMOVE } }') + step(2, b"\xff")
    yield step(0, TOLD, f'assignments {{ type: ASSIGNMENTS_TYPE_INCREMENTAL base: 2 version: 3 assignments '
                        f'{{ uid: "u3" name: "projects/default/apps/x/instances/i" app_uid: "a" generation: 1 '
                        f'digest: "d" desired: DESIRED_STATE_RUN environment: "eu" setup: true '
                        f'spec {{ runtime {{ process {{ command: "serve" }} }} {SETUP} }} }} }}') + step(2, b"\x90")
    yield step(0, TOLD, f'assignments {{ type: ASSIGNMENTS_TYPE_INCREMENTAL base: 2 version: 3 assignments '
                        f'{{ {RUN} fenced: true fence_token: 4 }} }}') + step(2, b"\x90") + step(3) + step(2, b"\xff")
    yield step(0, TOLD, 'lease_granted { number: 1 heartbeat_period { seconds: 2 } }') + step(2, b"\x40")
    yield step(0, TOLD, 'status_ack { instances { uid: "u1" attempt: 1 sequence: 1 } }')
    yield step(0, TOLD, 'command { id: 1 read_log { instance_uid: "u1" stream: LOG_STREAM_STDOUT lines: 10 } }') + \
        step(0, TOLD, 'cancel_command { id: 1 }')
    yield step(0, TOLD, 'goodbye { reason: "moved" retry_after { seconds: 1 } go_to: "a:1" final: true }')
    yield step(3, b"\x01") + step(1, TOLD, 'timeline: "t2" epoch: 2 ' + WELCOME) + step(2, b"\x20")
    yield step(3, b"\x01") + step(0, TOLD, WELCOME.replace("welcome {", 'welcome { guard: "foreign" ')) + \
        step(0, TOLD, 'assignments { type: ASSIGNMENTS_TYPE_COMPLETE version: 1 begin: true end: true }')
    foreign = WELCOME.replace("welcome {", 'welcome { guard: "foreign" ')
    yield step(3, b"\x01") + step(0, TOLD, foreign) + step(0, TOLD, 'assignments { type: '
        'ASSIGNMENTS_TYPE_INCREMENTAL version: 1 assignments { uid: "u1" generation: 9 digest: "x" '
        'desired: DESIRED_STATE_REMOVE } }') + step(3, b"\x01") + \
        step(0, TOLD, WELCOME.replace("welcome {", "welcome { catalog_accepted: true ")) + step(2, b"\x20")
    yield step(0, TOLD, f'assignments {{ type: ASSIGNMENTS_TYPE_INCREMENTAL base: 2 version: 3 assignments '
                        f'{{ {RUN} known_attempt: 7 known_sequence: 12884901889 }} '
                        'position { catalog_uid: "c" timeline: "t1" log_index: 9 } }') + step(4) + step(2, b"\x10")
    yield step(6, b"\x01") + step(4) + step(2, b"\x10") + step(5) + step(7) + step(3) + step(2, b"\xff")


def agent_journal():
    node = 'start_count: 3 session_secret: "s" node: "n1" position { catalog_uid: "c" timeline: "t" log_index: 5 } ' \
           'timelines { timeline: "t1" epoch: 1 } desired: NODE_DESIRED_ACTIVE'
    opened = f'assignment {{ {RUN} }} attempt: 1 open {{ boot_id: "boot1" started: true pid: 101 ' \
             'start_boot_micros: 500000000 spec_digest: "x" } ports { key: "http" value: 20001 }'
    yield step(0, JOURNAL + "NodeRecord", node) + step(1, JOURNAL + "InstanceRecord", opened) + step(5, b"u1\n\0\1")
    yield step(1, JOURNAL + "InstanceRecord", opened) + step(6, b"u1\n\0\1") + step(8, b"\x20")
    yield step(1, JOURNAL + "InstanceRecord", f'assignment {{ {RUN} }} attempt: 2 rest {{ state: '
               'INSTANCE_STATE_FAILED message: "m" } log_tail: "x" last_exit { code: 1 }')
    yield step(1, JOURNAL + "InstanceRecord", f'assignment {{ {RUN} }} attempt: 9 restarts: 4 restart {{ failures: 3 '
               'exit_boot_micros: 900000000 exit_boot_micros: 950000000 boot_id: "boot1" looping: true }') + step(8, b"\xff")
    yield step(1, JOURNAL + "InstanceRecord", 'assignment { uid: "u2" generation: 1 desired: DESIRED_STATE_REMOVE } '
               'attempt: 1 removed: true') + step(0, JOURNAL + "NodeRecord", node + ' guard: "foreign"')
    yield step(2, b"app1/eu/0/http\n" + encode(JOURNAL + "PortRecord", "number: 20001")) + \
        step(1, JOURNAL + "InstanceRecord", f'assignment {{ {RUN} }}')
    yield step(3, b"u7\n\x0a\xff") + step(4, b"node\n\x08") + step(5, b"u7\n\3\2")
    yield step(1, JOURNAL + "InstanceRecord", f'assignment {{ {RUN} fenced: true fence_token: 1 }} attempt: 1') + \
        step(7, TOLD, 'lease_granted { number: 1 }') + step(8, b"\x20")


def keeper_requests():
    request, record = KEEPER + "Request", KEEPER + "ProcessRecord"
    one = 'id { instance_uid: "u1" kind: PROCESS_KIND_MAIN attempt: 1 }'
    spawn = f'spawn {{ {one} app_uid: "a1" command: "/bin/true" env {{ name: "A" value: "b" }} working_dir: "/" ' \
            'folders { path: "/x/apps/u1" owner: FOLDER_OWNER_APP mode: 493 } limits { cpu_millis: 100 } ' \
            'stop { signal: 15 grace_millis: 1000 } log_bound_bytes: 1000 '
    yield step(0, request, 'hello { protocol: 1 version: "1" }') + step(0, request, "list { }")
    yield step(0, request, spawn + "}") + step(0, request, spawn + "}")
    yield step(0, request, spawn + 'user: "nobody" fence { deadline_boot_nanos: 900000000000 } }')
    yield step(1, record, one + ' app_uid: "a1" pid: 5 stop { signal: 15 } log_paths: "/x" log_bound_bytes: 4096') + \
        step(0, request, "list { }") + step(0, request, f'stop {{ {one} settings {{ signal: 9 }} }}')
    yield step(1, record, one + f' exited {{ {one} code: 1 unix_nanos: 5 }}') + step(0, request, "list { }") + \
        step(0, request, f'ack_exits {{ {one.replace("id {", "ids {")} }}') + step(0, request, "list { }")
    yield step(0, request, f'set_limits {{ {one} limits {{ memory_bytes: 9 }} }}') + \
        step(0, request, 'sample_usage { page_token: "u" }')
    yield step(1, record, one + ' app_uid: "a1" pid: 5 fence { deadline_boot_nanos: 9 stop_before_millis: 3 }') + \
        step(0, request, f'set_fences {{ items {{ {one} fence {{ deadline_boot_nanos: 9000000000 '
                         'stop_before_millis: 1000 } } }') + step(0, request, f'set_fences {{ items {{ {one} }} }}')
    yield step(0, request, f'set_fences {{ items {{ {one} fence {{ deadline_boot_nanos: 9 }} }} }}')
    yield step(0, request, 'remove_folders { paths: "/x/apps/../y" paths: "/x/apps/u1" }')
    yield step(2, b"appsup-keeper records, version 1\n\0" + b"\0" * 2014 + b"\5\0\0\0abcdhello")
    yield step(3, b"20000 a1\n20001 b1\n2000") + step(0, request, spawn + "}")
    yield step(4, b"u1/work") + step(4, b"u1//x") + step(4, b"../x") + step(4, b"a/./b")


def keeper_answers():
    response = KEEPER + "Response"
    one = 'id { instance_uid: "u1" kind: PROCESS_KIND_MAIN attempt: 1 }'
    hello = step(0, response, 'hello { protocol: 1 version: "1" enforces: "cpu" enforces: "deadline" }')
    ready = hello + step(0, response, f'list {{ running {{ {one} app_uid: "a" pid: 9 start_boot_nanos: 5 }} '
                                      f'exited {{ {one} code: 3 }} }}')
    yield ready
    yield hello + step(0, response, 'list { next_page_token: "x" }') + step(0, response, 'list { }')
    yield step(3, b"serve") + ready + step(0, response, 'spawn { pid: 5 start_boot_nanos: 77 }')
    yield ready + step(3, b"serve") + step(0, response, 'error { code: 5 message: "command not found" }')
    yield ready + step(1, response, f'exited {{ {one} signal: 9 out_of_memory: true unix_nanos: 99 }}')
    yield ready + step(6) + step(0, response, f'sample_usage {{ samples {{ {one} cpu_micros: 5 memory_bytes: 7 '
                                              'boot_nanos: 99 } }') + step(6) + \
        step(0, response, f'sample_usage {{ samples {{ {one} cpu_micros: 50 boot_nanos: 199 }} }}')
    yield ready + step(5, b"/x") + step(4, b"\x0f") + step(7, b"\x05") + step(0, response, "") + step(0, response, "")
    yield step(2, b"b\x08\x01") + step(2, b"m") + step(0, response, 'error { code: 9 message: "no" }')


def keeper_state():
    state, magic = KEEPER + "KeeperState", b"appsup-keeper state\n"
    head = 'version: 1 program: "1.2" listener: 11 lock: 12 warden_pid: 98 warden_socket: 13 '
    one = 'record { id { instance_uid: "u1" kind: PROCESS_KIND_MAIN attempt: 3 } app_uid: "a" pid: 99 ' \
          'stop { signal: 15 grace_millis: 1000 } '
    runs = f'processes {{ {one} fence {{ deadline_boot_nanos: 900000000 stop_before_millis: 5 }} }} ' \
           'phase: PROCESS_PHASE_RUNNING pidfd: 21 logs: 22 logs: 23 slot: 2 } '
    ended = 'processes { record { id { instance_uid: "u2" kind: PROCESS_KIND_SETUP attempt: 1 } exited { id { ' \
            'instance_uid: "u2" kind: PROCESS_KIND_SETUP attempt: 1 } code: 1 } } phase: PROCESS_PHASE_EXITED }'
    full = encode(state, head + runs + ended + ' policy { socket: "/s" run_dir: "/r" roots: "/x" use_cgroups: true } '
                  'groups { v2: "/g" enforced: true } file_limit: 1024 file_limit_max: 4096')
    yield b"\0" + magic + full
    yield b"\1" + full
    yield b"\1" + full[:len(full) // 2]
    yield b"\0" + magic[:7]
    yield b"\1" + encode(state, head.replace("version: 1", "version: 9"))
    yield b"\1" + encode(state, head + runs + runs)
    yield b"\1" + encode(state, head + f'processes {{ {one} }} phase: PROCESS_PHASE_STARTING pidfd: 21 gate: 24 }}')
    moves = [(5, b"u1.1.3"), (900000000, b"u2.2.1"), (0, b"u1.1.3")]
    packet = b"".join(at.to_bytes(8, "little") + bytes([len(name)]) + name for at, name in moves)
    yield b"\2" + packet
    yield b"\2" + packet[:-3]


def config():
    texts = {
        0: "root_dir: /srv/x\nstate_dir: s\napi:\n  listen: 127.0.0.1:7070\n  tls: true\nlink: {lease: 12s}\n",
        1: "unsafe: {}\nstore: {kind: postgres, url: 'postgresql://x'}\n",
        2: "entry: a:7071\nports: {first: 20000, last: 20100}\nlog: {level: debug}\nusage_period: 1m30s\n",
        3: "roots: [/a, /b]\nuids: {first: 20000, last: 30000}\nlimits: {cpu: '8', memory: 16GiB, pids: 4096}\n"
           "agent_uid: 7\nusers: [www-data]\ncgroups: false\n",
    }
    yield from (bytes([kind]) + text.encode() for kind, text in texts.items())
    for kind, pattern in ((0, "entry*.yaml"), (2, "agent*.yaml"), (3, "keeper*.yaml")):
        for path in sorted((ROOT / "deploy").rglob(pattern)):
            yield bytes([kind]) + path.read_bytes()
    for text in ("a: &x [*x]", "a: {a: {a: {", "? [a]\n: b", "a: !!binary x", "- a\n- b", "a: 1\na: 2", "%YAML 9\n---"):
        yield b"\0" + text.encode()


def manifest():
    yield from (path.read_bytes() for path in sorted(ROOT.rglob("deploy/**/*.yaml")) if b"kind:" in path.read_bytes())
    app = "kind: App\nname: web\nspec:\n  runtime: {process: {command: [serve, -p, '8080']}}\n"
    yield (app + "  replicas: 2\n  ports: [{name: http, number: 8080}]\n  env: {A: b}\n  resources: {memory: 512Mi}\n"
           "  placement: {environments: [eu]}\n  setup: {command: [m], version: '1', timeout: 5m}\n").encode()
    yield (app + "  artifact: {uri: 'https://x/a.tgz', sha256: " + "a" * 64 + "}\n  update: {max_surge: 1}\n"
           "  health: {readiness: {http: {port: http, path: /ok}, period: 1s}}\n  stop: {grace: 10s}\n").encode()
    yield b"kind: Environment\nname: eu\n---\nkind: Project\nname: shop\n---\nkind: Node\nname: n1\nlabels: {a: b}\n"
    yield from (b"kind: App\nname: [x]", b"kind: App\nname: &a x\nspec: *a", b"kind: Nope\n", b"- kind: App", b"\xff\xfe")


def query():
    apps = V1 + "ListAppsRequest"
    yield step(0, apps, 'parent: "projects/default" page_size: 1 order_by: "create_time desc, name"') + step(6) + step(6)
    for text in ("labels.tier = gold AND NOT state = FAILED", 'name:"web" OR spec.replicas >= 2', "-(a=b) c",
                 "create_time > \\\"2026-01-01T00:00:00Z\\\"", "labels:*", "spec.stop.grace < 5s"):
        text = text.replace("\\", "")
        quoted = text.replace('"', '\\"')
        yield step(0, apps, f'parent: "projects/-" filter: "{quoted}" show_deleted: true') + step(8, text.encode())
    yield step(1, V1 + "ListInstancesRequest", 'parent: "projects/default/apps/web" filter: "state = RUNNING"')
    yield step(2, V1 + "ListNodesRequest", 'page_size: 1 filter: "environment = eu" page_token: "abcd"')
    yield step(3, V1 + "ListOperationsRequest", 'parent: "projects/default" page_size: 2') + step(6)
    yield step(4, V1 + "ListAppRevisionsRequest", 'parent: "projects/default/apps/web" page_size: 1') + step(6)
    yield step(5, V1 + "WatchEventsRequest", 'parent: "projects/default" kinds: "App" filter: "labels.tier = gold"')
    yield step(7, b"3/timeline-1") + step(7, b"99999999999999999999/") + step(7, b"-1/timeline-1") + step(7, b"0/")
    yield step(9, V1 + "TailLogsRequest", 'name: "projects/default/apps/web" lines: 5')


def log_read():
    read = V1 + "ReadLog"
    files = step(0, b"1.stdout\none\ntwo\nthree\n") + step(0, b"2.stdout\nfour\nfi") + step(0, b"1.stderr\nbad\n")
    yield files + step(1, read, 'instance_uid: "u1" stream: LOG_STREAM_STDOUT attempt: 1') + step(2, b"\x01")
    yield files + step(1, read, 'instance_uid: "u1" stream: LOG_STREAM_STDOUT lines: 2 max_bytes: 5')
    yield files + step(3, b"\x01") + step(1, read, 'instance_uid: "u1" stream: LOG_STREAM_STDOUT since { seconds: 9 }')
    index = (1000).to_bytes(8, "little") + (4).to_bytes(8, "little")
    yield files + step(0, b"1.stdout.index\n" + index + b"torn") + step(3, b"\x01") + \
        step(1, read, 'instance_uid: "u1" stream: LOG_STREAM_STDOUT since { seconds: 1 } offset: 3')
    yield files + step(1, read, 'instance_uid: "u1" stream: LOG_STREAM_STDERR offset: 9223372036854775807') + step(4)
    yield step(0, b"9223372036854775808.stdout\nx") + step(0, b"-1.stdout\nx") + step(0, b"01.stdout\nx\n") + \
        step(1, read, 'instance_uid: "u1" stream: LOG_STREAM_STDOUT offset: 1')
    yield step(0, b"1.stdout\n" + b"x" * 3000 + b"\n\xff\xc3\n") + step(2, b"\x01") + \
        step(1, read, 'instance_uid: "../u1" stream: LOG_STREAM_STDOUT')


def text():
    words = ["1h30m 250ms 1.5s 7d 0 106751d 1e9s", "4096 512Mi 50MiB 1.5GiB 9223372036854775807 8192Pi 0.5Ki",
             "500m 2 0.5 9223372036854775 1.0005", "projects/default/apps/web projects/a/apps/b/c",
             "aj1.secret." + "a" * 64 + ".host:7071", "200 2xx 200-399,404 99 599-100", "blobs/" + "a" * 64,
             "tier=gold,customer!=acme web !old a==b a='x\"y'", "caf\u00e9 \ud7ff \u20ac x",
             "/apps/web/a%20b?c /projects/p/apps/x/ /apps/web/\r\nx", "https://u:p@h/a.tgz?t=1 file:///a/b http://h/..",
             ]
    for kind, line in enumerate(words):
        yield from (bytes([kind]) + word.encode("utf-8", "surrogatepass") for word in line.split(" "))
    yield bytes([11]) + encode(V1 + "Check", 'http { port: "http" path: "/ok" } period { seconds: 1 }')


def main():
    target = pathlib.Path(sys.argv[1])
    for make in (entry_link, agent_link, agent_journal, keeper_requests, keeper_answers, keeper_state, config,
                 manifest, query, log_read, text):
        folder = target / make.__name__
        folder.mkdir(parents=True, exist_ok=True)
        for number, seed in enumerate(make()):
            (folder / f"seed-{number:02}").write_bytes(seed)
        print(f"{make.__name__}: {number + 1} seeds")


if __name__ == "__main__":
    main()
