#!/usr/bin/env python3
# requires: root
"""Runs what the documents say, literally and in order, on a machine that looks as they say.

Blocks marked `sh` must exit 0, `sh fails` must not, `sh follow` runs until Ctrl-C. Each document gets
a mount and network namespace of its own in which a fresh entry and node have the default paths and
ports; the README's begins with deploy/quickstart itself.
"""
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import unittest

from cluster import BIN, SOURCE, Cluster, Program, wait_for

LIMIT = 60  # Seconds for one block.
PLACES = ("/run/appsup", "/var/lib/appsup", "/etc/appsup", "/var/tmp/appsup-quickstart", "/root/.config/appsup")
INTERRUPTED = (0, 128 + signal.SIGINT, -signal.SIGINT)

# A test that was started in the background inherits that Ctrl-C is ignored, and so would all it starts.
signal.signal(signal.SIGINT, signal.default_int_handler)


def blocks(document):
    """(first line, kind, text) of the blocks to run: kind is "", "fails", "follow" or "quickstart"."""
    text = (SOURCE / document).read_text()
    for match in re.finditer(r"^```sh(?: (\w+))?\n(.*?)^```$", text, re.M | re.S):
        yield text[:match.start()].count("\n") + 2, match.group(1) or "", match.group(2)


class Shell:
    """Blocks run one after another by one user: variables, functions and the folder stay."""

    def __init__(self, home, folder):
        self.state = home / "shell-state"
        self.state.write_text(f"cd {folder}\n")

    def run(self, kind, text):
        """What is wrong with it, or None."""
        keep = f'{{ export -p; declare -f; printf "cd %q\\n" "$PWD"; }} >{self.state}'
        script = f". {self.state}\nset -aeuo pipefail\n{text}\n{keep}\n"
        with tempfile.TemporaryFile("w+") as out:
            process = subprocess.Popen(["bash", "-c", script], stdin=subprocess.DEVNULL, stdout=out, stderr=out,
                                       start_new_session=True)
            try:
                if kind == "follow":  # Something must come before Ctrl-C ends it.
                    wait_for("output", lambda: os.fstat(out.fileno()).st_size or process.poll() is not None, LIMIT)
                    os.killpg(process.pid, signal.SIGINT)
                code = process.wait(LIMIT)
            except (subprocess.TimeoutExpired, AssertionError):
                code = f"no end within {LIMIT} s"
            finally:
                if process.poll() is None:
                    os.killpg(process.pid, signal.SIGKILL)
                    process.wait()
            out.seek(0)
            said = out.read()
        wanted = {"": code == 0, "fails": isinstance(code, int) and code > 0,
                  "follow": code in INTERRUPTED and said.strip() != ""}[kind]
        return None if wanted else f"exit {code}\n{said[-3000:]}"


class DefaultCluster(Cluster):
    """An entry with the ports and paths that a program has without any configuration."""

    def __init__(self):
        super().__init__()
        self.api_port, self.link_port, self.http_port = 7070, 7071, 7072
        self.root = pathlib.Path("/")
        self.socket = pathlib.Path("/run/appsup/api.sock")


def run_blocks(document, shell):
    ran = 0
    for line, kind, text in blocks(document):
        if kind == "quickstart":
            continue
        problem = shell.run(kind, text)
        if problem:
            sys.exit(f"{document}:{line}: block{' (' + kind + ')' if kind else ''}:\n{text}{problem}")
        ran += 1
    print(f"{ran} blocks")


def copy_of_examples(folder):
    """Where commands run: manifests that they may name lie in apps/ and deploy/examples/."""
    shutil.copytree(SOURCE / "deploy/examples", folder / "apps")
    shutil.copytree(SOURCE / "deploy/examples", folder / "deploy/examples")


def run_inside(document):
    """In the namespaces, as root."""
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    for place in PLACES:
        if pathlib.Path(place).is_dir():
            subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=0755", "tmpfs", place], check=True)
    for name in ("APPSUP_SERVER", "APPSUP_TOKEN_FILE", "APPSUP_PROJECT", "APPSUP_CA_FILE", "APPSUP_ROOT"):
        os.environ.pop(name, None)
    folder = pathlib.Path(tempfile.mkdtemp(prefix="appsup-docs-"))
    copy_of_examples(folder)
    try:
        if document == "README.md":
            return run_readme(folder)
        with DefaultCluster() as cluster:
            cluster.add_agent("n1")
            os.environ["PATH"] = f"{cluster.bin}:{os.environ['PATH']}"
            run_blocks(document, Shell(folder, folder))
    finally:
        shutil.rmtree(folder)


def run_readme(folder):
    starts = [text.strip() for _, kind, text in blocks("README.md") if kind == "quickstart"]
    assert starts and starts[0].split()[0] == "deploy/quickstart", starts
    quickstart = Program("quickstart", [SOURCE / "deploy/quickstart", "--bin", BIN], folder / "quickstart.log").start()
    try:
        wait_for("the quickstart serves", lambda: "Ctrl-C stops everything" in quickstart.output()
                 or not quickstart.alive(), LIMIT)
        assert quickstart.alive(), quickstart.output()
        run_blocks("README.md", Shell(folder, folder))
    finally:
        code = quickstart.stop()  # By SIGTERM, so that it takes along what it started.
    assert code == 0, quickstart.output()


class Docs(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        if os.geteuid() != 0:
            raise unittest.SkipTest("requires: root, for namespaces")
        for place in map(pathlib.Path, PLACES):
            missing = [folder for folder in (place, *place.parents) if not folder.exists()]
            place.mkdir(parents=True, exist_ok=True)
            for folder in missing:
                cls.addClassCleanup(lambda folder=folder: folder.rmdir())
        cls._class_cleanups.reverse()  # Inner folders first: cleanups run from the last.

    def run_document(self, document):
        done = subprocess.run(["unshare", "--mount", "--net", sys.executable, __file__, "--inside", document],
                              capture_output=True, text=True, timeout=600)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertNotIn("\n0 blocks", "\n" + done.stdout)

    def test_the_readme_tour_works_as_written(self):
        self.run_document("README.md")

    def test_every_command_of_the_api_page_works_as_written(self):
        self.run_document("docs/api.md")

    def test_every_command_of_the_cli_page_works_as_written(self):
        self.run_document("docs/cli.md")


def product_sources():
    return "\n".join(path.read_text() for part in ("entry", "agent", "common") for path in (SOURCE / part).rglob("*")
                     if path.suffix in (".cc", ".h"))


class Tables(unittest.TestCase):
    """What the pages list is what the code has."""

    def test_every_limit_that_is_named_exists(self):
        code = set(re.findall(r"\w+", product_sources()))
        named = re.findall(r"`(k[A-Z]\w+|[a-z]+(?:_[a-z]+)+)`", (SOURCE / "docs/limits.md").read_text())
        self.assertGreater(len(named), 80)
        self.assertEqual([name for name in named if name not in code], [])

    def test_every_key_of_the_configuration_files_is_described(self):
        text = (SOURCE / "docs/operations.md").read_text()
        described = {word for key in re.findall(r"`([a-z_.]+)`", text) for word in key.split(".")}
        for file in ("entry/config.cc", "agent/config.cc", "agent/keeper/config/config.cc"):
            keys = re.findall(r'\.(?:String|Bool|StringList|Duration|Int|Bytes|Enum<\w+>|Section)\(\s*"(\w+)"',
                              (SOURCE / file).read_text())
            self.assertGreater(len(keys), 8, file)
            self.assertEqual([key for key in keys if key not in described], [], file)

    def test_every_metric_is_described(self):
        text = (SOURCE / "docs/operations.md").read_text()
        names = set(re.findall(r'"(appsup_[a-z_]+)"', product_sources()))
        self.assertGreater(len(names), 10)
        self.assertEqual([name for name in sorted(names) if f"`{name}`" not in text], [])

    def test_links_into_pages_lead_to_a_heading(self):
        for page in (SOURCE / "README.md", *(SOURCE / "docs").rglob("*.md")):
            for target, anchor in re.findall(r"\]\((?!https?:)([^)#]*)#([^)]*)\)", page.read_text()):
                other = page.parent / target if target else page
                titles = re.findall(r"^#+ (.*)$", other.read_text(), re.M)
                slugs = [re.sub(r"[^a-z0-9_ -]", "", title.lower()).replace(" ", "-") for title in titles]
                self.assertIn(anchor, slugs, f"{page}: {target}#{anchor}")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--inside"]:
        run_inside(sys.argv[2])
    else:
        unittest.main()
