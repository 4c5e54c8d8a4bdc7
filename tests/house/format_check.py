#!/usr/bin/env python3
"""Checks that every source is as clang-format has it, by the .clang-format at the root.

    python3 tests/house/format_check.py [--root ROOT] [--clang-format PROGRAM]

Prints the first difference of each file; exits with 1 if there is any, and with 77, after saying so, where there is no clang-format of
the version that the tree is formatted with: others break lines elsewhere.
"""

import argparse
import pathlib
import re
import shutil
import subprocess
import sys
from typing import List

VERSION = "14"
FOLDERS = ("common", "server", "worker", "cli", "config", "tests", "benchmarks", "cmake")
SKIPPED = 77
# A command line is only so long.
FILES_AT_A_TIME = 100


def version_of(program: str) -> str:
    text = subprocess.run([program, "--version"], capture_output=True, text=True, timeout=60, check=True).stdout
    found = re.search(r"version (\d+)", text)
    return found.group(1) if found else text.strip()


def sources(root: pathlib.Path) -> List[str]:
    return sorted(str(path.relative_to(root)) for folder in FOLDERS for path in (root / folder).rglob("*") if path.suffix in (".cc", ".h"))


def main(arguments: List[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=pathlib.Path, default=pathlib.Path(__file__).resolve().parents[2])
    parser.add_argument("--clang-format", default="clang-format")
    options = parser.parse_args(arguments)
    program = shutil.which(options.clang_format)
    if program is None or version_of(program) != VERSION:
        print(f"skipped: there is no {options.clang_format} {VERSION} here; tests/packages.txt names the package")
        return SKIPPED
    root = options.root.resolve()
    files = sources(root)
    if not files:
        print(f"{root} holds no source files", file=sys.stderr)
        return 2
    wrong = 0
    for first in range(0, len(files), FILES_AT_A_TIME):
        command = [program, "--dry-run", "-Werror", "--ferror-limit=1", *files[first:first + FILES_AT_A_TIME]]
        ended = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=300, check=False)
        lines = [line for line in ended.stderr.splitlines() if "clang-format-violations" in line]
        wrong += len(lines)
        print("\n".join(lines), end="\n" if lines else "")
        if ended.returncode != 0 and not lines:
            print(ended.stderr, file=sys.stderr)
            return 2
    print(f"{len(files)} files, {wrong} to be formatted: clang-format -i FILE")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
