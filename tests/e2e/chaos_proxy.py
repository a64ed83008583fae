"""Proxies that lose or hold one exchange at the moment that a test chooses.

    with ChaosProxy(cluster.api_port) as proxy:
        cut = proxy.next(LOSE_REPLY)   # What becomes of the next connection.
        call(address=proxy.address)
        cut.acted                      # Set: it was this that ended the call.

ChaosProxy knows gRPC without TLS, as on loopback, one call per connection. StoreProxy stands between the
entry and PostgreSQL, where it can hold a commit, or the answer to one.
"""
import pathlib
import queue
import socket
import tempfile
import threading

PASS = "pass"
LOSE_REQUEST = "lose request"  # Cut where the request would end: the entry never has all of it.
LOSE_REPLY = "lose reply"      # Cut where the reply would begin: the entry has done it.
HOLD = "hold"                  # The request waits in the network until it is released.

PREFACE, DATA, HEADERS, END_STREAM = 24, 0, 1, 1


class Fate:
    """What becomes of one exchange, and how far it is."""

    def __init__(self, plan):
        self.plan = plan
        self.held, self.released, self.acted = threading.Event(), threading.Event(), threading.Event()

    def hold(self):
        self.held.set()
        self.released.wait()
        self.acted.set()


class Connection:
    """Pumps both directions; told what to do by what passes, not by time. Cut when either direction ends."""

    def __init__(self, client, server, fate):
        self.client, self.server, self.fate = client, server, fate
        self.threads = [threading.Thread(target=self.run, args=(pump,), daemon=True) for pump in (self.up, self.down)]

    def start(self):
        for thread in self.threads:
            thread.start()

    def run(self, pump):
        try:
            pump()
        except (OSError, EOFError):
            pass  # One side has gone; then so does the other.
        finally:
            self.cut()

    def cut(self):
        for end in (self.client, self.server):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def close(self):
        self.fate.released.set()
        self.cut()
        for thread in self.threads:
            thread.join(10)
        self.client.close()
        self.server.close()


class Call(Connection):
    """HTTP/2 frame by frame."""

    def up(self):
        self.server.sendall(exactly(self.client, PREFACE))
        waiting, holding = b"", False
        while True:
            frame, kind, flags = read_frame(self.client)
            ends = kind in (DATA, HEADERS) and flags & END_STREAM
            if ends and self.fate.plan == LOSE_REQUEST:
                self.fate.acted.set()
                return
            waiting += frame
            holding = holding or (self.fate.plan == HOLD and kind == HEADERS)
            if holding and not ends:
                continue
            if holding:
                self.fate.hold()
                holding = False
            self.server.sendall(waiting)
            waiting = b""

    def down(self):
        while True:
            frame, kind, _ = read_frame(self.server)
            if kind == HEADERS and self.fate.plan == LOSE_REPLY:
                self.fate.acted.set()
                return
            self.client.sendall(frame)


def exactly(end, size):
    data = b""
    while len(data) < size:
        piece = end.recv(size - len(data))
        if not piece:
            raise EOFError
        data += piece
    return data


def read_frame(end):
    head = exactly(end, 9)
    return head + exactly(end, int.from_bytes(head[:3], "big")), head[3], head[4]


class Proxy:
    """Listens, and gives each connection the oldest fate that waits for one."""

    def __init__(self, listener, kind):
        self.listener, self.kind = listener, kind
        self.fates, self.all = queue.SimpleQueue(), []
        self.thread = threading.Thread(target=self.accept, daemon=True)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.thread.join(10)
        for connection in self.all:
            connection.close()

    def next(self, plan):
        fate = Fate(plan)
        self.fates.put(fate)
        return fate

    def accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            try:
                server = self.connect()
            except OSError:
                client.close()  # As if nobody listened here either.
                continue
            connection = self.kind(client, server, self.fate())
            self.all.append(connection)
            connection.start()

    def fate(self):
        try:
            return self.fates.get_nowait()
        except queue.Empty:
            return Fate(PASS)


class ChaosProxy(Proxy):
    def __init__(self, port):
        super().__init__(socket.create_server(("127.0.0.1", 0)), Call)
        self.port = port
        self.address = f"127.0.0.1:{self.listener.getsockname()[1]}"

    def connect(self):
        return socket.create_connection(("127.0.0.1", self.port))


HOLD_COMMIT = "hold commit"  # PostgreSQL never hears of it.
HOLD_ANSWER = "hold answer"  # PostgreSQL has committed; the entry does not know.


class Session(Connection):
    """PostgreSQL's protocol, of which only the end of an answer is read. The fate is the store proxy's, that of now."""

    def up(self):
        while True:
            data = self.client.recv(1 << 16)
            if not data:
                return
            fate = self.fate.now
            if fate.plan == HOLD_COMMIT:
                fate.hold()
                return
            self.server.sendall(data)

    def down(self):
        while True:
            head = exactly(self.server, 5)
            message = head + exactly(self.server, int.from_bytes(head[1:], "big") - 4)
            fate = self.fate.now
            if fate.plan == HOLD_ANSWER:
                if head[:1] == b"Z":  # Ready for the next transaction: this one is durable.
                    fate.hold()
                    return
                continue
            self.client.sendall(message)


class StoreProxy(Proxy):
    """`socket_name`: PostgreSQL's; `folder`: where the entry finds this one instead."""

    def __init__(self, socket_name):
        self.folder = tempfile.TemporaryDirectory(prefix="appsup-pg-")
        self.socket_name, self.now, self.released = str(socket_name), Fate(PASS), threading.Event()
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(pathlib.Path(self.folder.name) / pathlib.Path(socket_name).name))
        listener.listen()
        super().__init__(listener, Session)

    def __exit__(self, *_):
        self.next(PASS)
        super().__exit__()
        self.folder.cleanup()

    def next(self, plan):
        """What becomes of the next transaction, whatever connection it comes on."""
        self.now.released.set()
        self.now = Fate(plan)
        return self.now

    def fate(self):
        return self

    def connect(self):
        server = socket.socket(socket.AF_UNIX)
        server.connect(self.socket_name)
        return server
