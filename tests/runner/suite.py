"""What tests/run runs once the packages are there. `tests/run --help` tells the options."""
import argparse
import concurrent.futures
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import time
import traceback

import cases
import landed
import tools

ROOT = tools.ROOT
STAGES = ("checks", "dev", "simulation", "asan", "fuzz", "tsan")
ON_REQUEST = ("clang",)
CHECKS = ("layering", "banned_calls", "sizes", "headers", "format", "test_names", "self_contained",
          "mutants", "planted", "runner")
UNIT = re.compile(r"test_unit_|test_simulation$|fuzz_")
FUZZ_SECONDS = 60  # for each fuzzer
SIMULATED_SEEDS = 4000  # takes less than a minute on two idle cores
PROGRAM_LIMIT = 900  # seconds for one test program or script
# End-to-end scripts that the instrumented programs run too: the ways through them that are seldom taken.
ASAN_SCRIPTS = ("artifact_test.py", "bad_input_test.py", "drain_test.py", "events_test.py", "faults_test.py",
                "lifecycle_test.py", "logs_test.py", "restart_test.py", "setup_test.py", "stop_test.py",
                "survival_test.py", "update_test.py")
ASAN_TIME_FACTOR = 3  # for the deadlines inside scripts


class Suite:
    def __init__(self, options):
        self.options = options
        self.without = set(options.allow_skip)
        self.began = time.monotonic()
        self.results = []  # (stage, Case)
        self.env = dict(os.environ)
        self.env["PATH"] = f"{tools.TOOLS / 'bin'}:{self.env['PATH']}"
        self.env["APPSUP_SOURCE_DIR"] = str(ROOT)
        self.env["ASAN_OPTIONS"] = "detect_stack_use_after_return=1:strict_string_checks=1"
        self.env["UBSAN_OPTIONS"] = "print_stacktrace=1"
        self.env["TSAN_OPTIONS"] = "halt_on_error=0:exitcode=66:second_deadlock_stack=1"

    def say(self, text):
        passed = int(time.monotonic() - self.began)
        print(f"[{passed // 60:2d}:{passed % 60:02d}] {text}", flush=True)

    def add(self, stage, found, quiet=False):
        """Records cases; shows failures in full and the rest as one line."""
        for case in found:
            self.results.append((stage, case))
            if case.status == "failed":
                self.say(f"FAILED {stage} {case.name} ({case.seconds:.1f} s)")
                for line in case.message.splitlines()[-60:]:
                    print("        " + line)
            elif self.options.verbose or (not quiet and len(found) == 1):
                self.say(f"{case.status} {stage} {case.name} ({case.seconds:.1f} s)")

    def chosen(self, name):
        return not self.options.filter or re.search(self.options.filter, name)

    def logs(self, stage):
        folder = ROOT / "build" / "test-logs" / stage
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    # -- the stages -------------------------------------------------------------------------------

    def requirements(self):
        """What the machine must have beyond packages: missing is a failure unless allowed."""
        for name, look in (("root", tools.root), ("postgresql", tools.postgresql), ("grpcurl", tools.grpcurl)):
            why = None if name in self.without else look()[1]
            if why is None and name in self.without:
                self.add("requires", [cases.Case(name, "skipped")])
            elif why is not None:
                self.add("requires", [cases.Case(name, "failed", 0.0,
                                                 f"{why}\nTo go on without: --allow-skip {name}")])

    def checks(self):
        logs = self.logs("checks")
        for name in CHECKS:
            if self.chosen(f"checks: {name}"):
                command = [sys.executable, str(ROOT / "tests" / "check" / f"{name}.py")]
                self.add("checks", [cases.run_command(name, command, logs, self.env, 120, ROOT)])
        if self.chosen("checks: buf lint") or self.chosen("checks: buf breaking"):
            self.protos(logs)

    def protos(self, logs):
        buf, why = tools.buf()
        if buf is None:
            self.add("checks", [cases.Case("buf lint", "failed", 0.0, why)])
            return
        if self.chosen("checks: buf lint"):
            self.add("checks", [cases.run_command("buf lint", [str(buf), "lint", "proto"], logs, self.env, 120, ROOT)])
        if self.chosen("checks: buf breaking"):
            self.compare_protos(buf, logs)

    def compare_protos(self, buf, logs):
        repository = landed.Repository(ROOT)
        try:
            commit = repository.landed_protos()
            if commit is None:
                self.say("buf breaking: no protos have landed yet to compare with")
                return
            base = repository.extract_protos(commit, logs / "landed")
        except landed.GitError as error:
            self.add("checks", [cases.Case("buf breaking", "failed", 0.0, str(error))])
            return
        command = [str(buf), "breaking", "proto", "--against", str(base)]
        self.add("checks", [cases.run_command("buf breaking", command, logs, self.env, 120, ROOT)])

    def build(self, preset, targets=()):
        """True when the preset is configured and built; a failure is a failed case."""
        logs = self.logs(preset)
        began = time.monotonic()
        folder = ROOT / "build" / preset
        configured = cases.run_command("configure", ["cmake", "--preset", preset], logs, self.env, 300, ROOT)
        if configured.status == "failed":
            self.add(preset, [configured])
            return False
        command = ["ninja", "-C", str(folder), "-k", "20", *targets]
        if self.options.jobs:
            command += ["-j", str(self.options.jobs)]
        log = logs / "build.log"
        code = self.follow(preset, command, log)
        if code != 0:
            errors = [line for line in log.read_text("utf-8", "replace").splitlines()
                      if re.search(r"\berror\b|^FAILED|undefined reference", line)]
            self.add(preset, [cases.Case("build", "failed", time.monotonic() - began,
                                         "\n".join(errors[:40]) or cases.tail(log))])
            return False
        self.add(preset, [cases.Case("build", "passed", time.monotonic() - began)])
        return True

    def follow(self, preset, command, log):
        """Runs ninja with its output in the log, and says every quarter minute how far it is."""
        began = said = time.monotonic()
        self.say(f"building {preset}")
        with open(log, "w", encoding="utf-8") as out:
            process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                                       env={**self.env, "NINJA_STATUS": "[%f/%t] "}, cwd=ROOT)
            for line in process.stdout:
                out.write(line)
                step = re.match(r"\[(\d+)/(\d+)\]", line)
                now = time.monotonic()
                if step and now - said >= 15:
                    said = now
                    done, total = int(step.group(1)), int(step.group(2))
                    left = (now - began) / max(done, 1) * (total - done)
                    self.say(f"building {preset}: {done} of {total} steps, about {left:.0f} s left")
            return process.wait()

    def programs(self, preset):
        folder = ROOT / "build" / preset / "bin"
        listed = subprocess.run(["ctest", "--show-only=json-v1"], cwd=ROOT / "build" / preset,
                                capture_output=True, text=True, check=True).stdout
        names = set(re.findall(r'"name"\s*:\s*"((?:test|fuzz)_\w+)"', listed))
        return sorted((path for path in folder.glob("*") if path.name in names),
                      key=lambda path: (not UNIT.match(path.name), path.name))

    def run_programs(self, preset, wanted=lambda name: True):
        logs = self.logs(preset)
        env = {**self.env, "APPSUP_BIN_DIR": str(ROOT / "build" / preset / "bin")}
        for program in self.programs(preset):
            if not wanted(program.name):
                continue
            began = time.monotonic()
            if program.name.startswith("fuzz_"):
                if self.chosen(f"{program.name}: corpus"):
                    inputs = [str(ROOT / "tests" / "fuzz" / folder / program.name.removeprefix("fuzz_"))
                              for folder in ("corpus", "crashes")]
                    found = [cases.run_command(f"{program.name}: corpus", [str(program), *inputs], logs,
                                               env, PROGRAM_LIMIT, logs)]
                else:
                    found = []
            else:
                found = cases.run_catch(program, logs, env, PROGRAM_LIMIT, self.without, self.options.filter)
            self.summarize(preset, program.name, found, began)
        return env

    def summarize(self, stage, name, found, began):
        self.add(stage, found, quiet=True)
        if found:
            passed = sum(case.status == "passed" for case in found)
            seconds = time.monotonic() - began
            self.say(f"{stage} {name}: {passed} of {len(found)} passed ({seconds:.1f} s)")

    def dev(self):
        if self.options.quick:
            if self.build("dev", ["appsup_unit_tests"]):
                self.run_programs("dev", UNIT.match)
            return
        if not self.build("dev"):
            return
        env = self.run_programs("dev")
        if self.chosen("programs hold no planted fault"):
            command = [str(ROOT / "tests" / "simulation" / "faults" / "no_trace"), env["APPSUP_BIN_DIR"]]
            self.add("dev", [cases.run_command("programs hold no planted fault", command, self.logs("dev"), env,
                                               120, ROOT)])
        self.run_scripts("dev", self.scripts(), env)

    def scripts(self):
        folder = ROOT / "tests" / "e2e"
        return sorted(folder.rglob("*_test.py")) + sorted(folder.rglob("*_test.sh"))

    def run_scripts(self, stage, scripts, env, limit=PROGRAM_LIMIT, after=lambda name: []):
        """`after`: more cases of a script, by its name, once it has ended."""
        logs = self.logs(stage)
        for script in scripts:
            began = time.monotonic()
            found = cases.run_script(script, logs, env, limit, self.without, self.options.filter)
            self.summarize(stage, script.name, found + after(script.name), began)

    def asan(self):
        """Unit and integration tests, then chosen scripts, with the programs that are instrumented too."""
        if not self.build("asan"):
            return
        env = self.run_programs("asan", lambda name: name != "test_e2e")
        with tempfile.TemporaryDirectory(prefix="appsup-reports-") as folder:
            pathlib.Path(folder).chmod(0o755)
            reports = cases.Reports(pathlib.Path(folder) / "reports")
            for name in ("ASAN_OPTIONS", "UBSAN_OPTIONS"):
                env[name] += ":" + reports.option()
            env["APPSUP_TIME_FACTOR"] = str(ASAN_TIME_FACTOR)
            env["APPSUP_CLEAN_END"] = "1"
            scripts = [script for script in self.scripts() if script.name in ASAN_SCRIPTS]
            self.run_scripts("asan", scripts, env, PROGRAM_LIMIT * 2, reports.take)

    def tsan(self):
        if self.build("tsan"):
            self.run_programs("tsan")

    def fuzz(self):
        """Each fuzzer on its kept corpus for a minute, as many at a time as there are cores."""
        if not self.build("fuzz", ["appsup_fuzzers"]):
            return
        fuzz = str(ROOT / "tests" / "fuzz" / "run")
        listed = subprocess.run([fuzz, "--list"], capture_output=True, text=True, check=True).stdout.split()
        logs = self.logs("fuzz")

        def run(name):
            command = [fuzz, "--no-build", "--seconds", str(FUZZ_SECONDS), "--seed", "1", name]
            return cases.run_command(f"fuzz_{name}: {FUZZ_SECONDS} s", command, logs, self.env, PROGRAM_LIMIT, ROOT)

        with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
            chosen = [name for name in listed if self.chosen(f"fuzz_{name}")]
            for name, found in zip(chosen, pool.map(run, chosen)):
                self.add("fuzz", [found])
                for log in logs.glob(f"fuzz_{name}_*.log") if found.status == "passed" else ():
                    self.say((cases.tail(log).splitlines() or ["no figure"])[-1])

    def simulation(self):
        """Thousands of seeds of the whole system under virtual time, optimised; its figures are its last line."""
        if not self.build("simulation", ["simulation"]):
            return
        if self.chosen("simulation: seeds"):
            logs = self.logs("simulation")
            command = [str(ROOT / "build" / "simulation" / "bin" / "simulation"),
                       "--seeds", f"1-{SIMULATED_SEEDS}", "--jobs", str(os.cpu_count())]
            found = cases.run_command("simulation: seeds", command, logs, self.env, PROGRAM_LIMIT, ROOT)
            self.add("simulation", [found])
            for log in logs.glob("simulation*seeds*"):
                self.say(next((line for line in cases.tail(log).splitlines() if "events/s" in line), "no figure"))

    def clang(self):
        """All product code without precompiled headers: each file includes what it uses."""
        self.build("clang", ["appsup_product", "appsup_headers"])

    # ---------------------------------------------------------------------------------------------

    def run(self):
        stages = self.options.only or (("checks", "dev") if self.options.quick else STAGES)
        if "dev" in stages and not self.options.quick:
            self.requirements()
        for stage in stages:
            try:
                getattr(self, stage)()
            except Exception:  # a fault of the runner itself is a failed case, not a lost last line
                self.add(stage, [cases.Case("the stage runs", "failed", 0.0, traceback.format_exc())])
        return self.finish()

    def finish(self):
        failed = [(stage, case) for stage, case in self.results if case.status == "failed"]
        for stage, case in failed:
            print(f"failed: {stage} {case.name}")
        counts = {status: sum(case.status == status for _, case in self.results)
                  for status in ("passed", "failed", "skipped")}
        total = time.monotonic() - self.began
        print(f"{len(self.results)} cases in {total / 60:.1f} minutes; logs are in build/test-logs")
        print("{passed} passed, {failed} failed, {skipped} skipped".format(**counts), flush=True)
        return 1 if failed or not self.results else 0


def main():
    parser = argparse.ArgumentParser(prog="tests/run")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--filter")
    parser.add_argument("--only", action="append", choices=STAGES + ON_REQUEST)
    parser.add_argument("--allow-skip", action="append", default=[], choices=("postgresql", "grpcurl", "root"))
    parser.add_argument("--jobs", type=int)
    parser.add_argument("--verbose", action="store_true")
    sys.exit(Suite(parser.parse_args()).run())


if __name__ == "__main__":
    main()
