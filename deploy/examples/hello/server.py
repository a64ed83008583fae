"""Answers every request with a greeting. Standard library only."""
import os
import signal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

GREETING = os.environ.get("GREETING", "Hello")


class Hello(BaseHTTPRequestHandler):
    def do_GET(self):
        healthy = self.path == "/healthz"
        text = "ok\n" if healthy else f"{GREETING} from process {os.getpid()} on port {os.environ['PORT']}.\n"
        body = text.encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, template, *values):
        if self.path != "/healthz":
            print(f"{self.address_string()} {template % values}", flush=True)


def stop(*_):
    print("stopping", flush=True)
    raise SystemExit(0)


signal.signal(signal.SIGTERM, stop)
print(f"listening on port {os.environ['PORT']}", flush=True)
ThreadingHTTPServer(("", int(os.environ["PORT"])), Hello).serve_forever()
