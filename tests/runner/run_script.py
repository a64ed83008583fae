#!/usr/bin/env python3
"""Runs one test script: a *_test.py with unittest cases, or a *_test.sh as a single case.

  run_script.py [--results FILE] [--filter EXPRESSION] SCRIPT

FILE gets one JSON object per finished case: name, status (passed, failed, skipped), seconds, message.
A shell script is passed by exit 0, skipped by 77. Exit 0 when nothing failed.
"""
import argparse
import importlib.util
import json
import pathlib
import re
import subprocess
import sys
import time
import unittest


class Report:
    def __init__(self, path):
        self.file = open(path, "w", encoding="utf-8") if path else None
        self.failed = False

    def add(self, name, status, seconds, message=""):
        self.failed |= status == "failed"
        if self.file:
            self.file.write(json.dumps({"name": name, "status": status, "seconds": round(seconds, 3),
                                        "message": message}) + "\n")
            self.file.flush()
        else:
            print(f"{status}: {name} ({seconds:.1f} s)" + (f"\n{message}" if message else ""))


class JsonResult(unittest.TestResult):
    def __init__(self, report):
        super().__init__()
        self.report = report
        self.finished = False

    def startTest(self, test):
        super().startTest(test)
        self.began = time.monotonic()
        self.outcome = ("passed", "")

    def stopTest(self, test):
        super().stopTest(test)
        self.report.add(name_of(test), self.outcome[0], time.monotonic() - self.began, self.outcome[1])

    def _error(self, test, error):
        text = self._exc_info_to_string(error, test)
        self.outcome = ("failed", text)
        if not isinstance(test, unittest.TestCase):  # setUpClass or setUpModule: no startTest
            self.report.add(str(test), "failed", 0.0, text)

    def addError(self, test, err):
        super().addError(test, err)
        self._error(test, err)

    def addFailure(self, test, err):
        super().addFailure(test, err)
        self._error(test, err)

    def addSubTest(self, test, subtest, err):
        super().addSubTest(test, subtest, err)
        if err is not None:
            self._error(test, err)

    def addUnexpectedSuccess(self, test):
        super().addUnexpectedSuccess(test)
        self.outcome = ("failed", "passed unexpectedly")

    def addSkip(self, test, reason):
        super().addSkip(test, reason)
        self.outcome = ("skipped", reason)
        if not isinstance(test, unittest.TestCase):
            self.report.add(str(test), "skipped", 0.0, reason)


def name_of(test):
    """The first line of the doc string, else the method's name in words."""
    return test.shortDescription() or test._testMethodName.removeprefix("test_").replace("_", " ")


def each(suite):
    for item in suite:
        if isinstance(item, unittest.TestSuite):
            yield from each(item)
        else:
            yield item


def run_python(path, report, expression):
    root = path.resolve().parents[2] if "tests" in path.parts else path.parent
    sys.path[:0] = [str(path.parent), str(root)]
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:  # a script that cannot be loaded is a failed case, not a crash
        report.add("loads", "failed", 0.0, repr(error))
        return
    suite = unittest.TestSuite()
    for case in each(unittest.defaultTestLoader.loadTestsFromModule(module)):
        if expression is None or re.search(expression, f"{path.name}: {name_of(case)}"):
            suite.addTest(case)
    if suite.countTestCases():
        suite.run(JsonResult(report))
    elif expression is None:
        report.add("has cases", "failed", 0.0, "no test case in this script")


def run_shell(path, report):
    began = time.monotonic()
    done = subprocess.run(["bash", str(path)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    status = {0: "passed", 77: "skipped"}.get(done.returncode, "failed")
    report.add(path.stem.removesuffix("_test").replace("_", " "), status, time.monotonic() - began,
               "" if status == "passed" else done.stdout[-4000:])


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--results")
    parser.add_argument("--filter")
    parser.add_argument("script", type=pathlib.Path)
    options = parser.parse_args()
    report = Report(options.results)
    if options.script.suffix == ".py":
        run_python(options.script.absolute(), report, options.filter)
    else:
        run_shell(options.script, report)
    sys.exit(1 if report.failed else 0)


main()
