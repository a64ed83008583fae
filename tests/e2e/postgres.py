"""A PostgreSQL server of the test's own, in a temporary folder, on a socket only."""
import os
import pathlib
import pwd
import shutil
import subprocess
import tempfile
import unittest


class Postgres:
    def __init__(self):
        found = sorted(pathlib.Path("/usr/lib/postgresql").glob("*/bin/initdb"))
        if not found:
            raise unittest.SkipTest("requires: postgresql, which is not installed: apt install postgresql")
        self.bin = found[-1].parent
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="appsup-pg-"))
        self.dir.chmod(0o755)
        if os.geteuid() == 0:  # PostgreSQL refuses to run as root.
            owner = pwd.getpwnam("postgres")
            os.chown(self.dir, owner.pw_uid, owner.pw_gid)
        try:
            self.run("initdb", "-D", self.dir / "data", "-A", "trust", "-U", "postgres", "--no-sync")
            self.start()
            self.run("createdb", "-h", self.dir, "-U", "postgres", "catalog")
        except BaseException:
            self.close()
            raise
        self.url = f"host={self.dir} user=postgres dbname=catalog"

    def run(self, program, *arguments):
        drop = ["setpriv", "--reuid", "postgres", "--regid", "postgres", "--init-groups"] if os.geteuid() == 0 else []
        with open(self.dir / "commands.log", "ab") as log:
            done = subprocess.run([*drop, self.bin / program, *map(str, arguments)], stdout=log, stderr=log,
                                  stdin=subprocess.DEVNULL, cwd=self.dir, check=False)
        if done.returncode != 0:
            raise AssertionError(f"{program} failed:\n" + (self.dir / "commands.log").read_text()[-2000:])

    def start(self):
        self.run("pg_ctl", "-D", self.dir / "data", "-w", "-l", self.dir / "server.log",
                 "-o", f"-k {self.dir} -c listen_addresses=''", "start")

    def stop(self):
        """At once, as a crash would."""
        self.run("pg_ctl", "-D", self.dir / "data", "-w", "-m", "immediate", "stop")

    def close(self):
        if (self.dir / "data/postmaster.pid").exists():
            self.stop()
        shutil.rmtree(self.dir, ignore_errors=True)
