#!/usr/bin/env python3
"""The runner's own rules: its stages, what counts as skipped, and what the protos are compared with."""
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest
from unittest import mock

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "runner"))
import cases  # noqa: E402
import landed  # noqa: E402
import suite  # noqa: E402


TESTS = pathlib.Path(__file__).resolve().parents[1]


def git(folder, *arguments):
    subprocess.run(["git", "-C", folder, "-c", "user.name=t", "-c", "user.email=t@localhost", *arguments],
                   check=True, capture_output=True)


class Temporary(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.dir = pathlib.Path(folder.name)


class Landed(Temporary):
    def setUp(self):
        super().setUp()
        git(self.dir, "init", "-q", "-b", "main")
        (self.dir / "proto").mkdir()
        self.repository = landed.Repository(self.dir)

    def commit(self, text, file="proto/a.proto"):
        (self.dir / file).write_text(text)
        git(self.dir, "add", ".")
        git(self.dir, "commit", "-q", "-m", text)
        return subprocess.run(["git", "-C", self.dir, "rev-parse", "HEAD"], capture_output=True, text=True,
                              check=True).stdout.strip()

    def test_on_main_it_is_what_stood_before_the_last_change_of_the_protos(self):
        self.commit("buf", "proto/buf.yaml")
        before = self.commit("one")
        self.commit("two")
        self.commit("other", "README")
        self.assertEqual(self.repository.landed_protos(), before)

    def test_a_branch_is_compared_with_where_it_left_main(self):
        left = self.commit("buf", "proto/buf.yaml")
        git(self.dir, "checkout", "-q", "-b", "work")
        self.commit("mine")
        self.commit("mine too")
        self.assertEqual(self.repository.landed_protos(), left)
        git(self.dir, "checkout", "-q", "main")
        self.commit("of others meanwhile", "proto/b.proto")
        git(self.dir, "checkout", "-q", "work")
        self.assertEqual(self.repository.landed_protos(), left)

    def test_origins_main_counts_before_the_local_one(self):
        left = self.commit("buf", "proto/buf.yaml")
        git(self.dir, "update-ref", "refs/remotes/origin/main", left)
        self.commit("one")
        self.commit("two")
        self.assertEqual(self.repository.landed_protos(), left)

    def test_the_first_protos_have_nothing_to_be_compared_with(self):
        self.commit("readme", "README")
        self.commit("buf", "proto/buf.yaml")
        self.assertIsNone(self.repository.landed_protos())

    def test_an_error_of_git_is_no_absence(self):
        with self.assertRaisesRegex(landed.GitError, "HEAD"):
            self.repository.landed_protos()  # Without any commit.

    @unittest.skipIf(os.geteuid() != 0, "only root can give a folder away")
    def test_a_checkout_of_another_user_is_read(self):
        self.commit("buf", "proto/buf.yaml")
        before = self.commit("one")
        self.commit("two")
        for path in (self.dir, *self.dir.rglob("*")):
            os.chown(path, 65534, 65534)
        with mock.patch.dict(os.environ, {"HOME": str(self.dir), "GIT_CONFIG_NOSYSTEM": "1"}):
            self.assertEqual(self.repository.landed_protos(), before)
            found = self.repository.extract_protos(before, self.dir / "landed")
        self.assertEqual((found / "a.proto").read_text(), "one")


class Stages(unittest.TestCase):
    def test_each_is_there_and_told_by_the_help(self):
        shown = subprocess.run([TESTS / "run", "--help"], capture_output=True, text=True, check=True).stdout
        for stage in suite.STAGES + suite.ON_REQUEST:
            self.assertTrue(callable(getattr(suite.Suite, stage)))
            self.assertRegex(shown, rf"--only STAGE .*\b{stage}\b")

    def test_ci_fuzzes_each_fuzzer_from_a_kept_corpus(self):
        self.assertIn("fuzz", suite.STAGES)
        self.assertGreaterEqual(suite.FUZZ_SECONDS, 60)
        listed = subprocess.run([TESTS / "fuzz" / "run", "--list"], capture_output=True, text=True, check=True)
        for name in listed.stdout.split():
            self.assertTrue(any((TESTS / "fuzz" / "corpus" / name).glob("*")), name)


SCRIPT = """import unittest
class Some(unittest.TestCase):
    def test_needs_root(self):
        self.skipTest("requires: root, to mount")
    def test_has_no_reason(self):
        self.skipTest("not today")
    def test_runs(self):
        pass
class Whole(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        raise unittest.SkipTest("requires: postgresql")
    def test_runs(self):
        pass
"""


class Skips(Temporary):
    def statuses(self, without, script=SCRIPT):
        path = self.dir / "some_test.py"
        path.write_text(script)
        found = cases.run_script(path, self.dir, dict(os.environ), 60, without, None)
        return {case.name.removeprefix("some_test.py: ").split(" (")[0]: case.status for case in found}

    def test_a_skip_counts_only_if_its_requirement_may_be_missing(self):
        self.assertEqual(self.statuses({"root"}), {
            "needs root": "skipped", "has no reason": "failed", "runs": "passed", "setUpClass": "failed"})
        self.assertEqual(self.statuses({"postgresql"}), {
            "needs root": "failed", "has no reason": "failed", "runs": "passed", "setUpClass": "skipped"})

    def test_a_script_that_says_so_at_its_head_is_skipped_as_a_whole(self):
        self.assertEqual(self.statuses({"root"}, "# requires: root\n" + SCRIPT), {"all": "skipped"})

    def test_a_report_of_a_sanitizer_fails_the_script(self):
        script = "import os, unittest\nclass A(unittest.TestCase):\n    def test_a(self):\n" \
                 "        open(os.environ['REPORTS'] + '/report.12', 'w').write('ERROR: LeakSanitizer')\n"
        reports = cases.Reports(self.dir / "reports")
        with mock.patch.dict(os.environ, {"REPORTS": str(reports.folder)}):
            self.assertEqual(self.statuses(set(), script), {"a": "passed"})
        found = reports.take("some_test.py")
        self.assertEqual([(case.name, case.status) for case in found],
                         [("some_test.py: no report of a sanitizer", "failed")])
        self.assertIn("ERROR: LeakSanitizer", found[0].message)
        self.assertEqual(reports.take("some_test.py"), [])


if __name__ == "__main__":
    unittest.main()
