#!/usr/bin/env python3
"""Every header starts with #pragma once and each foo.cc includes its own foo.h first.

With the clang preset, which has no precompiled headers, this proves that a header compiles alone;
headers without a source get one from the target appsup_headers.
"""
import re

import sources

problems = []
headers = set(sources.files(".h"))
for name in headers:
    if "#pragma once" not in sources.read(name):
        problems.append(f"{name}: #pragma once is missing")
for name in sources.files(".cc", under=("common", "entry", "agent")):
    own = name[:-3] + ".h"
    if own not in headers:
        continue
    first = re.search(r'^\s*#\s*include\s*[<"]([^>"]+)[>"]', sources.read(name), re.M)
    if not first or first.group(1) != own:
        problems.append(f'{name}: must include "{own}" first')
sources.finish(sorted(problems), "A header is proved complete by being included first.")
