"""Programs that a measurement starts beside those that it measures, and what /proc tells of a process."""
import json
import os
import pathlib
import re
import subprocess
import time

import cluster as e2e


class Peer:
    """Says when it is ready and ends with its input."""

    def __init__(self, program, *arguments, lines=0):
        self.process = subprocess.Popen([e2e.BIN / program, *map(str, arguments)], text=True,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.lines = [self.process.stdout.readline().strip() for _ in range(lines)]
        assert self.process.stdout.readline().strip() == "ready", f"{program} ended"

    def say(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def hear(self):
        line = self.process.stdout.readline()
        assert line, f"{self.process.args[0]} ended"
        return json.loads(line)

    def ask(self, line):
        self.say(line)
        return self.hear()

    def end(self):
        self.process.stdin.close()
        try:
            self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def pss_kib(pid):
    text = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text()
    return int(re.search(r"^Pss:\s+(\d+) kB", text, re.MULTILINE).group(1))


def settled_kib(pid):
    """Once it changes by less than 1 % within a second."""
    last = pss_kib(pid)
    for _ in range(15):
        time.sleep(1)
        now = pss_kib(pid)
        if abs(now - last) < last / 100:
            return now
        last = now
    return last


def anonymous_kib(pid):
    """What it has allocated and touched: no pages of files."""
    text = pathlib.Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"^RssAnon:\s+(\d+) kB", text, re.MULTILINE).group(1))


def cpu_seconds(pid):
    """User and system time of all its threads."""
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def cpu_per_cent(pid, seconds):
    """Of one core, over so long from now on."""
    begin, before = time.monotonic(), cpu_seconds(pid)
    time.sleep(seconds)
    return 100 * (cpu_seconds(pid) - before) / (time.monotonic() - begin)
