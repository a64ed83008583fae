"""A page of notes: shows them, and takes new ones. Standard library only."""
import html
import os
import pathlib
import signal
import sys
import threading
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

FILE = pathlib.Path(os.environ.get("APPSUP_DATA_DIR", "."), "notes.txt")
MAX_NOTE = 2000
LOCK = threading.Lock()
PAGE = """<!doctype html><meta charset="utf-8"><title>Notes</title>
<style>body {{ font: 16px/1.5 system-ui; max-width: 40em; margin: 3em auto; padding: 0 1em }}
li {{ white-space: pre-wrap }} textarea {{ width: 100%; font: inherit }}</style>
<h1>Notes</h1><form method="post"><textarea name="note" rows="3" autofocus></textarea>
<button>Keep</button></form><ul>{items}</ul>"""


def notes():
    return FILE.read_text().splitlines() if FILE.exists() else []


class Notes(BaseHTTPRequestHandler):
    def answer(self, code, body, kind="text/html; charset=utf-8", **headers):
        data = body.encode()
        self.send_response(code)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    def do_GET(self):
        if self.path == "/healthz":
            self.answer(200, "ok\n", "text/plain")
        elif self.path == "/notes.txt":
            self.answer(200, "".join(note + "\n" for note in notes()), "text/plain; charset=utf-8")
        else:
            items = "".join(f"<li>{html.escape(note)}</li>" for note in reversed(notes()))
            self.answer(200, PAGE.format(items=items))

    def do_POST(self):
        size = min(int(self.headers.get("Content-Length") or 0), 4 * MAX_NOTE)
        form = urllib.parse.parse_qs(self.rfile.read(size).decode(errors="replace"))
        note = " ".join(form.get("note", [""])[0].split())[:MAX_NOTE]
        if note:
            with LOCK, FILE.open("a") as file:
                file.write(note + "\n")
            print(f"kept a note of {len(note)} characters", flush=True)
        self.answer(303, "", Location=".")

    def log_message(self, *_):
        pass


def stop(*_):
    print("stopping", flush=True)
    raise SystemExit(0)


if "--setup" in sys.argv:
    if not notes():
        FILE.write_text("This note was written by setup, before the first start.\n")
    print(f"setup: {FILE} holds {len(notes())} notes", flush=True)
else:
    signal.signal(signal.SIGTERM, stop)
    print(f"{len(notes())} notes, listening on port {os.environ['PORT']}", flush=True)
    ThreadingHTTPServer(("", int(os.environ["PORT"])), Notes).serve_forever()
