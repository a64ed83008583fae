"""The project's own source files, as the checks see them."""
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]


def files(*suffixes, under=("common", "entry", "agent", "tests")):
    """Paths relative to the top, tracked or new, ignored ones left out."""
    listed = subprocess.run(  # The checkout may belong to another user than the one who tests it.
        ["git", "-c", f"safe.directory={ROOT}", "ls-files", "--cached", "--others", "--exclude-standard", "--", *under],
        cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
    return sorted({name for name in listed if name.endswith(suffixes) and (ROOT / name).is_file()})


def read(name):
    return (ROOT / name).read_text(encoding="utf-8")


def without_comments(text):
    """The same text with comments and string contents blanked, line numbers kept."""
    pattern = re.compile(r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"', re.S)

    def blank(match):
        if match.group().startswith('"'):
            return '""'
        return re.sub(r"[^\n]", " ", match.group())

    return pattern.sub(blank, text)


def finish(problems, hint):
    """Prints the problems and ends with the check's exit code."""
    for problem in problems:
        print(problem)
    if problems:
        print(hint)
    sys.exit(1 if problems else 0)
