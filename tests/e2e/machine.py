"""A throwaway machine with systemd as process 1, made of this machine's own files.

    with Machine() as machine:
        machine.put(package, "/root/x.deb")
        machine.run("apt-get", "install", "-y", "/root/x.deb")

Its root is an overlay: this machine's files below, what it changes in memory above. Namespaces of its own for
processes, mounts, network (loopback only), host name and control groups (version 2). Needs root.
"""
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile

from cluster import wait_for

SYSTEMD = "/lib/systemd/systemd"
NODES = (("null", 1, 3), ("zero", 1, 5), ("full", 1, 7), ("random", 1, 8), ("urandom", 1, 9), ("tty", 5, 0))
# They would look for devices, or change what belongs to the kernel of all.
MASKED = ("getty.target", "systemd-udevd.service", "systemd-modules-load.service", "systemd-sysctl.service",
          "systemd-timesyncd.service", "systemd-resolved.service")
ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root", "LC_ALL": "C.UTF-8",
               "DEBIAN_FRONTEND": "noninteractive", "SYSTEMD_PAGER": "", "SYSTEMD_COLORS": "0"}

# Runs as process 1 of the new namespaces and becomes systemd.
BOOT = """
set -eu
mount --make-rprivate /
cd "$1"
mount -t overlay overlay -o lowerdir=/,upperdir="$1/upper",workdir="$1/work" "$1/root"
cd root
mount -t proc proc proc
mount --bind proc/sys proc/sys
mount -o remount,bind,ro proc/sys
mount -t sysfs -o ro sysfs sys
mount -t cgroup2 cgroup2 sys/fs/cgroup
mount -t tmpfs -o mode=755 tmpfs dev
mount -t tmpfs -o mode=755 tmpfs run
mount -t tmpfs -o mode=1777 tmpfs tmp
mkdir dev/pts dev/shm run/lock
mount -t devpts -o newinstance,ptmxmode=0666 devpts dev/pts
mount -t tmpfs -o mode=1777 tmpfs dev/shm
ln -s pts/ptmx dev/ptmx
ln -s /proc/self/fd dev/fd
NODES
umask 022
hostname appsup-test
exec /usr/sbin/chroot . /usr/bin/env -i container=appsup-test PATH="$PATH" SYSTEMD --unit=multi-user.target --log-target=journal --show-status=no
""".replace("NODES", "\n".join(f"mknod -m 666 dev/{name} c {major} {minor}" for name, major, minor in NODES)
            ).replace("SYSTEMD", SYSTEMD)


def cgroup_base():
    """Where version 2 of the control groups is mounted."""
    for line in pathlib.Path("/proc/self/mounts").read_text().splitlines():
        _, place, kind = line.split()[:3]
        if kind == "cgroup2":
            return pathlib.Path(place)
    raise AssertionError("control groups of version 2 are not mounted")


class Machine:
    def __init__(self):
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="appsup-machine-"))
        self.root = self.dir / "root"
        self.init = self.process = None
        self.group = cgroup_base() / self.dir.name

    def __enter__(self):
        try:
            subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", str(self.dir)], check=True)
            for name in ("upper", "work", "root"):
                (self.dir / name).mkdir()
            self.prepare()
            self.boot()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        self.power_off()
        subprocess.run(["umount", "-l", str(self.dir)], check=False)
        self.dir.rmdir()

    def prepare(self):
        """What this machine runs and holds does not matter: no units but those of systemd, no state of ours."""
        overlay = f"lowerdir=/,upperdir={self.dir}/upper,workdir={self.dir}/work"
        subprocess.run(["mount", "-t", "overlay", "overlay", "-o", overlay, str(self.root)], check=True)
        try:
            for pattern in ("etc/systemd/system/*", "etc/rc?.d", "etc/init.d/*", "var/lib/appsup", "etc/appsup",
                            "etc/default/appsup", "usr/sbin/policy-rc.d", "var/log/journal"):
                for path in self.root.glob(pattern):
                    shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
            for unit in MASKED:
                (self.root / "etc/systemd/system" / unit).symlink_to("/dev/null")
            (self.root / "etc/machine-id").write_text("5e4a1c0ffee04e5fb0c1d2e3f4a5b6c7\n")
        finally:
            subprocess.run(["umount", str(self.root)], check=True)

    def boot(self):
        self.group.mkdir()
        for controller in ("cpu", "memory", "pids"):  # Where the host has them in version 2.
            try:
                (self.group.parent / "cgroup.subtree_control").write_text("+" + controller)
            except OSError:
                pass
        script = f'echo 0 >{self.group}/cgroup.procs\nexec unshare --mount --pid --fork --kill-child --net --uts --ipc ' \
                 f'--cgroup --propagation private sh -c "$0" sh {self.dir}'
        log = open(self.dir / "boot.log", "ab")
        self.process = subprocess.Popen(["sh", "-c", script, BOOT], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                        start_new_session=True)
        log.close()
        children = pathlib.Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        self.init = int(wait_for("the first process", lambda: children.read_text().split() or self.ended())[0])
        subprocess.run(["nsenter", "--target", str(self.init), "--net", "ip", "link", "set", "lo", "up"], check=True)

        def is_up():
            self.ended()
            state = self.run("systemctl", "is-system-running", check=False).stdout.strip()
            return state in ("running", "degraded")
        wait_for("systemd is up", is_up, 60)

    def ended(self):
        if self.process.poll() is not None:
            raise AssertionError("systemd ended:\n" + (self.dir / "boot.log").read_text())

    def power_off(self):
        """At once. Everything in the namespace ends with its process 1."""
        if self.process is not None:
            if self.init is not None and self.process.poll() is None:
                os.kill(self.init, signal.SIGKILL)
            self.process.kill()
            self.process.wait(30)
            self.process = self.init = None
        if self.group.exists():
            wait_for("the control groups are empty", self.remove_groups)

    def remove_groups(self):
        for folder, _, _ in os.walk(self.group, topdown=False):
            try:
                os.rmdir(folder)
            except OSError:
                return False
        return True

    def reboot(self):
        self.power_off()
        self.boot()

    def run(self, *command, check=True, stdin=None, timeout=180):
        """A command inside; output and errors are one text."""
        inside = ["nsenter", "--target", str(self.init), "--mount", "--pid", "--net", "--uts", "--ipc", "--cgroup",
                  "--root", "--wd", "--", "env", "-i", *(f"{k}={v}" for k, v in ENVIRONMENT.items()), *map(str, command)]
        done = subprocess.run(inside, input=stdin, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              timeout=timeout)
        if check and done.returncode != 0:
            raise AssertionError(f"{' '.join(map(str, command))}: exit {done.returncode}\n{done.stdout}\n{self.journal()}")
        return done

    def journal(self):
        return self.run("journalctl", "--no-pager", "--lines=60", "--unit=appsup-*", check=False).stdout

    def path(self, name):
        """A file of the machine, as seen from here."""
        return pathlib.Path(f"/proc/{self.init}/root") / str(name).lstrip("/")

    def put(self, source, name):
        shutil.copy(source, self.path(name))
