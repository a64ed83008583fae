#!/usr/bin/env python3
"""Artifacts by file, http and pushed blob; what is wrong with them; the node's cache."""
import gzip
import hashlib
import http.server
import io
import tarfile
import threading
import unittest

from case import Case
from cluster import wait_for

SHOW = ["sh", "-c", "cat hello.txt; exec sleep 1000"]


def archive(text):
    """A .tgz with hello.txt in it, always the same bytes for the same text."""
    packed = io.BytesIO()
    with gzip.GzipFile(fileobj=packed, mode="wb", mtime=0) as zipped, tarfile.open(fileobj=zipped, mode="w") as tar:
        info = tarfile.TarInfo("hello.txt")
        info.size = len(text)
        tar.addfile(info, io.BytesIO(text.encode()))
    return packed.getvalue()


class Server:
    """Serves bytes by path, and counts."""

    def __init__(self):
        self.files, self.asked = {}, []
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                outer.asked.append(self.path)
                data = outer.files.get(self.path)
                self.send_response(200 if data is not None else 404)
                self.send_header("Content-Length", str(len(data or b"")))
                self.end_headers()
                self.wfile.write(data or b"")

            def log_message(self, *_):
                pass
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()


class Artifacts(Case):
    def setUp(self):
        self.server = Server()
        self.addCleanup(self.server.close)

    def said(self, app, text):
        wait_for(f"{app} says {text}", lambda: text in self.logs(app, lines=100))

    def test_a_file_uri_is_unpacked_for_the_app(self):
        path = self.cluster.dir / "app.tgz"
        path.write_bytes(archive("from a file\n"))
        path.chmod(0o644)
        self.cluster.create_app("file", SHOW, artifact={"uri": f"file://{path}"})
        self.said("file", "from a file")

    def test_an_http_uri_is_fetched_once_and_pinned_by_its_digest(self):
        self.server.files["/app.tgz"] = archive("one\n")
        digest = hashlib.sha256(archive("one\n")).hexdigest()
        artifact = {"uri": self.server.url + "/app.tgz", "sha256": digest}
        self.cluster.create_app("web", SHOW, artifact=artifact)
        self.assertIn(digest, self.condition("web", "ArtifactReady")["message"])
        self.verb("ScaleApp", "web", replicas=2)
        self.cluster.create_app("web2", SHOW, artifact=artifact)  # From the node's cache.
        self.verb("RestartApp", "web")
        self.assertEqual(self.server.asked, ["/app.tgz"])
        # A later revision, and the source of the first is gone: the way back still works.
        self.server.files["/two.tgz"] = archive("two\n")
        self.update("web", "artifact", artifact={"uri": self.server.url + "/two.tgz"})
        self.said("web", "two")
        del self.server.files["/app.tgz"]
        self.verb("RollbackApp", "web", revision=1)
        self.assertEqual(self.server.asked, ["/app.tgz", "/two.tgz"])

    def test_a_pushed_blob_reaches_the_node_and_survives_the_entry(self):
        path = self.cluster.dir / "push.tgz"
        path.write_bytes(archive("pushed\n"))
        said = self.cluster.appsup("push", path).stdout
        digest = hashlib.sha256(archive("pushed\n")).hexdigest()
        self.assertIn(f"blobs/{digest}", said)
        blobs = self.cluster.call("ArtifactService/ListBlobs", {})["blobs"]
        self.assertIn(f"blobs/{digest}", [b["name"] for b in blobs])
        self.cluster.restart_entry()
        self.cluster.create_app("blob", SHOW, artifact={"blob": f"blobs/{digest}"})
        self.said("blob", "pushed")

    def test_apply_pushes_the_folder_that_a_manifest_names(self):
        folder = self.cluster.dir / "site"
        folder.mkdir()
        (folder / "hello.txt").write_text("applied\n")
        manifest = self.cluster.dir / "site.yaml"
        manifest.write_text("kind: App\nname: applied\nspec:\n  artifact: {file: ./site}\n"
                            "  runtime: {process: {command: [sh, -c, 'cat hello.txt; exec sleep 1000']}}\n")
        self.cluster.appsup("apply", "-f", manifest)
        self.said("applied", "applied")

    def test_a_wrong_digest_starts_nothing(self):
        self.server.files["/app.tgz"] = archive("evil\n")
        self.cluster.create_app("wrong", SHOW, wait=False,
                                artifact={"uri": self.server.url + "/app.tgz", "sha256": "0" * 64})
        condition = self.wait_condition("wrong", "ArtifactReady", "ArtifactUnusable")
        self.assertIn("sha256", condition["message"].lower().replace("-", ""))
        self.assertIn(hashlib.sha256(archive("evil\n")).hexdigest(), condition["message"])
        self.assertEqual(self.instance("wrong").get("attempt", "0"), "0")

    def test_what_cannot_be_fetched_is_told_and_tried_again(self):
        operation = self.cluster.create_app("late", SHOW, wait=False, artifact={"uri": self.server.url + "/late.tgz"},
                                            restart={"crash_loop": {"retry": "2s"}})
        # What would be the same at each try is told at once, and tried seldom.
        error = self.cluster.wait_operation(operation["name"], ok=False)["error"]
        self.assertIn("404", error["message"])
        self.assertIn("404", self.wait_condition("late", "ArtifactReady", "ArtifactUnusable")["message"])
        self.assertIn("404", self.status("late")["last_failure"]["reason"])
        self.server.files["/late.tgz"] = archive("at last\n")
        self.cluster.wait_app("late", "RUNNING")
        self.cluster.create_app("lost", SHOW, wait=False, artifact={"uri": "http://127.0.0.1:1/x.tgz"})
        self.cluster.create_app("nofile", SHOW, wait=False, artifact={"uri": "file:///no/such.tgz"})
        self.cluster.create_app("noblob", SHOW, wait=False, artifact={"blob": "blobs/" + "1" * 64})
        self.assertIn("refused", self.wait_condition("lost", "ArtifactReady", "ArtifactUnavailable")["message"])
        self.assertIn("/no/such.tgz", self.wait_condition("nofile", "ArtifactReady", "ArtifactUnusable")["message"])
        self.assertIn("1" * 64, self.wait_condition("noblob", "ArtifactReady", "ArtifactUnusable")["message"])

    def test_what_is_no_archive_is_said(self):
        self.server.files["/junk.tgz"] = b"this is no archive"
        self.cluster.create_app("junk", SHOW, wait=False, artifact={"uri": self.server.url + "/junk.tgz",
                                                                  "unpack": "UNPACK_MODE_ARCHIVE"})
        self.assertIn("rchive", self.wait_condition("junk", "ArtifactReady", "ArtifactUnusable")["message"])


if __name__ == "__main__":
    unittest.main(verbosity=2)
