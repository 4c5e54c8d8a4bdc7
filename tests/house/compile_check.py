#!/usr/bin/env python3
"""Compiles with clang what the usual build does not judge: that each lock is held where the annotations (ABSL_GUARDED_BY and its like) want
it, and that headers without a source of their own stand alone. (Any other header is the first that its source includes: house_rules.py.)
Nothing is linked or kept.

    python3 tests/house/compile_check.py BUILD [--root ROOT] [--clang PROGRAM] [--jobs N] [--all-headers]

BUILD holds the compile_commands.json of the tree at ROOT (this one). Sources that take locks are compiled, and headers of which no source
is the own; with --all-headers all other headers, too, without what a precompiled header might hide. Prints clang's errors; exits with 1 if
there are any, and with 77, after saying so, where there is no clang.
"""

import argparse
import concurrent.futures
import json
import os
import pathlib
import re
import shlex
import shutil
import subprocess
import sys
from typing import Dict, List

ROOMS = ("common/", "server/", "worker/", "cli/", "config/")
TAKES_LOCKS = re.compile(r"MutexLock|\bABSL_[A-Z_]*(?:GUARDED|LOCK)[A-Z_]*\b|absl::Mutex\b")
FLAGS = ["-fsyntax-only", "-std=c++20", "-march=x86-64-v2", "-Wthread-safety", "-Werror=thread-safety", "-ferror-limit=5",
         "-fno-caret-diagnostics", "-Wno-pragma-once-outside-header", "-x", "c++"]
SKIPPED = 77


def flags_of(database: List[Dict[str, str]], root: pathlib.Path) -> List[str]:
    """The include paths and definitions of all our rooms together."""
    found: Dict[str, None] = {}
    for entry in database:
        path = os.path.relpath(os.path.join(entry["directory"], entry["file"]), root)
        if not path.startswith(ROOMS):
            continue
        words = shlex.split(entry["command"])
        for word, following in zip(words, words[1:] + [""]):
            if word in ("-I", "-isystem", "-D"):
                found.setdefault(f"{word} {following}")
            elif word.startswith(("-I", "-D")) and "SAMOVAR_" not in word and not word.endswith("_EXPORTS"):
                found.setdefault(word)
    return [word for flag in found for word in flag.split(" ", 1)]


def units(root: pathlib.Path, all_headers: bool) -> List[str]:
    """What is to be compiled, relative to the root."""
    found = []
    for path in sorted(p.relative_to(root).as_posix() for room in ROOMS for p in (root / room).rglob("*.cc")):
        header = path[:-len(".cc")] + ".h"
        texts = [(root / p).read_text(encoding="utf-8") for p in (path, header) if (root / p).is_file()]
        if any(TAKES_LOCKS.search(text) for text in texts):
            found.append(path)
    for header in sorted(p.relative_to(root).as_posix() for room in ROOMS for p in (root / room).rglob("*.h")):
        source = header[:-len(".h")] + ".cc"
        if source not in found and (all_headers or not (root / source).is_file()):
            found.append(header)
    return found


class Compiler:
    """clang with the flags of the tree at `root`."""

    def __init__(self, clang: str, root: pathlib.Path, flags: List[str]):
        self.command = [clang, *FLAGS, *flags]
        self.root = root

    def run(self, *arguments: str) -> str:
        """clang's errors, or nothing."""
        ended = subprocess.run([*self.command, *arguments], cwd=self.root, capture_output=True, text=True, timeout=300, check=False)
        return ended.stderr if ended.returncode != 0 else ""


def main(arguments: List[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("build", type=pathlib.Path)
    parser.add_argument("--root", type=pathlib.Path, default=pathlib.Path(__file__).resolve().parents[2])
    parser.add_argument("--clang", default="clang++")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--all-headers", action="store_true")
    options = parser.parse_args(arguments)
    if shutil.which(options.clang) is None:
        print(f"skipped: there is no {options.clang} here; tests/packages.txt names the package")
        return SKIPPED
    root = options.root.resolve()
    flags = flags_of(json.loads((options.build / "compile_commands.json").read_text(encoding="utf-8")), root)
    todo = units(root, options.all_headers)
    if not flags or not todo:
        print(f"{options.build} compiles no source below {root}", file=sys.stderr)
        return 2
    compiler = Compiler(options.clang, root, flags)
    failed = 0
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        for path, errors in zip(todo, pool.map(compiler.run, todo)):
            if errors:
                failed += 1
                print(f"{path} does not compile:\n{errors}")
    print(f"{len(todo)} units, {failed} with errors")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
