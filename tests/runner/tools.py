"""Tools that Debian does not have, at fixed versions, kept below build/tools."""
import os
import pathlib
import shutil
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[2]
TOOLS = ROOT / "build" / "tools"
BUF_VERSION = "1.50.0"
GRPCURL_VERSION = "v1.8.9"


def _run(command, **environment):
    """None when the command succeeds, else the end of what it said."""
    try:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=900,
                              env={**os.environ, **environment})
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    if done.returncode == 0:
        return None
    return (done.stdout + done.stderr).strip()[-1000:] or f"exit {done.returncode}"


def buf():
    """(path, None) or (None, why it cannot be had)."""
    folder = TOOLS / f"buf-{BUF_VERSION}"
    path = folder / "node_modules" / ".bin" / "buf"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        why = _run(["npm", "install", "--prefix", str(folder), "--no-audit", "--no-fund", "--silent",
                    f"@bufbuild/buf@{BUF_VERSION}"])
        if why or not path.exists():
            return None, why or "npm installed no buf"
    return path, None


def grpcurl():
    """(path, None) or (None, why it cannot be had). TOOLS/bin is put on the tests' PATH."""
    stamp = TOOLS / "bin" / f".grpcurl-{GRPCURL_VERSION}"
    path = TOOLS / "bin" / "grpcurl"
    if not (stamp.exists() and path.exists()):
        (TOOLS / "bin").mkdir(parents=True, exist_ok=True)
        why = _run(["go", "install", f"github.com/fullstorydev/grpcurl/cmd/grpcurl@{GRPCURL_VERSION}"],
                   GOBIN=str(TOOLS / "bin"))
        if why:
            return _buf_as_grpcurl(path, why)
        stamp.touch()
    return path, None


def _buf_as_grpcurl(path, why):
    """`buf curl` speaks the same over reflection where Go cannot build grpcurl."""
    found, buf_why = buf()
    if found is None:
        return None, f"go: {why}; buf: {buf_why}"
    wrapper = ROOT / "tests" / "runner" / "grpcurl_by_buf"
    shutil.copy(wrapper, path)
    return path, None


def postgresql():
    for folder in sorted(pathlib.Path("/usr/lib/postgresql").glob("*/bin"), reverse=True):
        if (folder / "initdb").exists() and (folder / "pg_ctl").exists():
            return folder, None
    return None, "no initdb and pg_ctl below /usr/lib/postgresql"


def root():
    return (True, None) if os.geteuid() == 0 else (None, "not run as root")
