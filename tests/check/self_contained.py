#!/usr/bin/env python3
"""Local Markdown links lead somewhere, scripts are executable and shell scripts parse."""
import os
import re
import subprocess

import sources

problems = []
everything = sources.files("", under=(".",))
for name in everything:
    if name.endswith(".md"):
        for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", sources.read(name)):
            if "://" not in target and not target.startswith("mailto:"):
                if not (sources.ROOT / name).parent.joinpath(target).exists():
                    problems.append(f"{name}: link to {target}, which does not exist")
        continue
    path = sources.ROOT / name
    with open(path, "rb") as file:
        first = file.readline(80)
    if first.startswith(b"#!") and not os.access(path, os.X_OK):
        problems.append(f"{name}: has an interpreter line but is not executable")
    if re.match(rb"#!.*\b(bash|sh)\b", first):
        parsed = subprocess.run(["bash", "-n", str(path)], capture_output=True, text=True)
        if parsed.returncode != 0:
            problems.append(f"{name}: {parsed.stderr.strip()}")
sources.finish(problems, "Mend the file named.")
