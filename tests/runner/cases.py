"""Runs test programs and scripts and collects one result per test case."""
import dataclasses
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as xml

RUN_SCRIPT = pathlib.Path(__file__).with_name("run_script.py")


@dataclasses.dataclass
class Case:
    name: str  # "program: case"
    status: str  # passed, failed, skipped
    seconds: float = 0.0
    message: str = ""


def run_limited(command, log, limit, env, cwd):
    """Exit code, or None after the limit; the whole process group ends with the program."""
    with open(log, "wb") as out:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT,
                                   env=env, cwd=cwd, start_new_session=True)
        try:
            return process.wait(timeout=limit)
        except subprocess.TimeoutExpired:
            return None
        finally:
            try:
                os.killpg(process.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
            process.wait()


def tail(log, size=3000):
    return pathlib.Path(log).read_bytes()[-size:].decode("utf-8", "replace").strip()


def _list(program, tests, env):
    """Names of the program's test cases that match a Catch2 test specification."""
    done = subprocess.run([program, *tests, "--list-test-names-only"], env=env,
                          capture_output=True, text=True, timeout=60)
    return [line for line in done.stdout.splitlines() if line.strip()]


def _escape(name):
    return '"' + re.sub(r'([\\,\["*])', r"\\\1", name) + '"'


def _describe(case):
    """What failed in a <TestCase> of Catch2's XML."""
    lines = []
    for item in case.iter():
        where = f'{item.get("filename", "")}:{item.get("line", "")}: '
        text = (item.text or "").strip()
        if item.tag == "Expression" and item.get("success") == "false":
            original = (item.findtext("Original") or "").strip()
            expanded = (item.findtext("Expanded") or "").strip()
            lines.append(f'{where}{item.get("type")}( {original} )\n    with {expanded}')
            thrown = item.findtext("Exception")
            if thrown:
                lines.append(f"    threw {thrown.strip()}")
        elif item.tag in ("Failure", "FatalErrorCondition"):
            lines.append(where + text)
        elif item.tag == "Exception" and item.get("filename"):
            lines.append(f"{where}threw {text}")
        elif item.tag in ("Info", "Warning"):
            lines.append(f"    {item.tag.lower()}: {text}")
    return "\n".join(lines)


def _parse(text):
    """(name, success, seconds, message) per case; one cut off by a crash has success None."""
    for match in re.finditer(r'<TestCase\b.*?(?:</TestCase>|\Z)', text, re.S):
        try:
            case = xml.fromstring(match.group())
        except xml.ParseError:
            name = re.search(r'<TestCase name="([^"]*)"', match.group())
            if name:
                yield xml.fromstring(f'<a n="{name.group(1)}"/>').get("n"), None, 0.0, ""
            continue
        result = case.find("OverallResult")
        yield (case.get("name"), result is not None and result.get("success") == "true",
               float(result.get("durationInSeconds") or 0) if result is not None else 0.0,
               _describe(case))


def run_catch(program, logs, env, limit, without, expression):
    """Cases of one Catch2 program. `without`: tags whose cases are skipped, as the caller allowed."""
    program = pathlib.Path(program)
    names = _list(program, [], env)
    if expression:
        names = [name for name in names if re.search(expression, f"{program.name}: {name}")]
    skipped = {name for tag in without for name in _list(program, [f"[{tag}]"], env)} & set(names)
    wanted = [name for name in names if name not in skipped]
    cases = [Case(f"{program.name}: {name}", "skipped") for name in names if name in skipped]
    if not wanted:
        return cases
    log = logs / f"{program.name}.log"
    report = logs / f"{program.name}.xml"
    report.unlink(missing_ok=True)
    arguments = [str(program), "-r", "xml", "-d", "yes", "-o", str(report)]
    if len(wanted) != len(_list(program, [], env)):
        chosen = logs / f"{program.name}.names"
        chosen.write_text("".join(_escape(name) + "\n" for name in wanted))
        arguments += ["-f", str(chosen)]
    code = run_limited(arguments, log, limit, env, logs)
    found = {}
    if report.exists():
        for name, success, seconds, message in _parse(report.read_text("utf-8", "replace")):
            found[name] = (success, seconds, message)
    ended = f"no end within {limit} s" if code is None else f"the program ended with {code}"
    for name in wanted:
        full = f"{program.name}: {name}"
        success, seconds, message = found.get(name, (False, 0.0, f"not run, {ended}"))
        if success is None:
            success, message = False, f"{ended}\n{tail(log)}"
        cases.append(Case(full, "passed" if success else "failed", seconds, message))
    if code != 0 and all(case.status != "failed" for case in cases):
        cases.append(Case(f"{program.name}: ends cleanly", "failed", 0.0, f"{ended}\n{tail(log)}"))
    return cases


def requirements_of(script):
    """Names after "requires:" in a comment of the script's first lines."""
    head = pathlib.Path(script).read_text("utf-8", "replace")[:1000]
    match = re.search(r"^#\s*requires:\s*(.*)$", head, re.M)
    return set(re.split(r"[,\s]+", match.group(1).strip())) if match else set()


def run_script(script, logs, env, limit, without, expression):
    """Cases of one *_test.py or *_test.sh. A case may skip itself for a requirement that the caller allows
    to be missing, and says so: "requires: NAME, why". Any other skip is a failure."""
    script = pathlib.Path(script)
    if requirements_of(script) & set(without):
        return [Case(f"{script.name}: all", "skipped")]
    if expression and script.suffix == ".sh" and not re.search(expression, script.name):
        return []
    log = logs / f"{script.name}.log"
    with tempfile.NamedTemporaryFile("r", suffix=".json") as results:
        command = [sys.executable, str(RUN_SCRIPT), "--results", results.name]
        if expression:
            command += ["--filter", expression]
        began = time.monotonic()
        code = run_limited([*command, str(script)], log, limit, env, logs)
        cases = []
        for line in results.read().splitlines():
            row = json.loads(line)
            status, message = row["status"], row["message"]
            allowed = re.match(r"requires: (\w+)", message)
            if status == "skipped" and not (allowed and allowed.group(1) in without):
                status, message = "failed", f"skipped itself: {message}"
            cases.append(Case(f"{script.name}: {row['name']}", status, row["seconds"], message))
    if code != 0 and all(case.status != "failed" for case in cases):
        ended = f"no end within {limit} s" if code is None else f"ended with {code}"
        cases.append(Case(f"{script.name}: ends cleanly", "failed", time.monotonic() - began,
                          f"{ended}\n{tail(log)}"))
    return cases


class Reports:
    """A folder into which sanitizers write instead of standard error, where a script would not see it."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        self.folder.chmod(0o777)  # Programs under test run as several users.

    def option(self):
        return f"log_path={self.folder}/report"

    def take(self, name):
        """A failed case with the reports that were written since the last time, if any."""
        texts = []
        for path in sorted(self.folder.iterdir()):
            texts.append(path.read_text("utf-8", "replace")[:6000].strip())
            path.unlink()
        if not texts:
            return []
        return [Case(f"{name}: no report of a sanitizer", "failed", 0.0, "\n\n".join(texts))]


def run_command(name, command, logs, env, limit, cwd):
    """A check that is one command: passed by exit 0."""
    log = logs / (re.sub(r"[^\w.-]+", "_", name) + ".log")
    began = time.monotonic()
    code = run_limited(command, log, limit, env, cwd)
    status = "passed" if code == 0 else "failed"
    return Case(name, status, time.monotonic() - began, "" if code == 0 else tail(log))
