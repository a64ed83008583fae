"""What has landed before the work under test: the protos that the present ones must stay compatible with."""
import pathlib
import shutil
import subprocess
import tarfile


class GitError(Exception):
    """git refused or failed; the text is what it said."""


class Repository:
    def __init__(self, root):
        self.root = pathlib.Path(root)

    def git(self, *arguments, good=(0,)):
        """Its output. The checkout may belong to another user than the one who tests it."""
        command = ["git", "-c", f"safe.directory={self.root}", *arguments]
        done = subprocess.run(command, cwd=self.root, capture_output=True)
        if done.returncode not in good:
            said = done.stderr.decode("utf-8", "replace").strip()
            raise GitError(f"git {' '.join(arguments)}: exit {done.returncode}\n{said}")
        return done.stdout

    def lines(self, *arguments):
        return self.git(*arguments).decode().split()

    def landed_protos(self):
        """The commit to compare proto/ with, or None while no protos have landed.

        Where HEAD leaves main, of origin or else of here. A HEAD that is part of main itself is compared
        with what stood before its last change of proto/.
        """
        head = self.lines("rev-parse", "--verify", "HEAD^{commit}")[0]
        base = None
        for ref in ("refs/remotes/origin/main", "refs/heads/main"):
            found = self.lines("for-each-ref", "--format=%(objectname)", ref)
            if found and found[0] != head:
                base = self.merge_base(found[0], head) or found[0]
                break
        if base is None or base == head:
            changes = self.lines("log", "--max-count=2", "--format=%H", head, "--", "proto")
            base = changes[1] if len(changes) == 2 else None
        has_protos = base and self.lines("ls-tree", "--name-only", base, "proto/buf.yaml")
        return base if has_protos else None

    def merge_base(self, one, other):
        """The newest common commit; None without any."""
        return self.git("merge-base", one, other, good=(0, 1)).decode().strip() or None

    def extract_protos(self, commit, folder):
        """proto/ of that commit below `folder`, which is emptied first."""
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        archive = folder / "proto.tar"
        archive.write_bytes(self.git("archive", "--format=tar", commit, "proto"))
        with tarfile.open(archive) as tar:
            tar.extractall(folder)
        archive.unlink()
        return folder / "proto"
