#!/usr/bin/env python3
"""Compiles, with clang and without a precompiled header, what the usual build cannot judge: that each header stands alone, and that
each lock is held where the annotations (ABSL_GUARDED_BY and its like) want it. Nothing is linked or kept.

    python3 tests/house/compile_check.py BUILD [--root ROOT] [--clang PROGRAM] [--jobs N]

BUILD holds the compile_commands.json of the tree at ROOT (this one). A source that takes locks is compiled whole, and its header with
it, which it includes first; otherwise the header is compiled by itself. Prints clang's errors; exits with 1 if there are any, and with
77, after saying so, where there is no clang.
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
FLAGS = ["-fsyntax-only", "-Wthread-safety", "-Werror=thread-safety", "-ferror-limit=5", "-fno-caret-diagnostics"]
SKIPPED = 77


def compile_flags(entry: Dict[str, str]) -> List[str]:
    """The definitions, include paths and language of a command; what is GCC's own, or about output, is left out."""
    words = shlex.split(entry["command"])
    flags = []
    takes_value = {"-I", "-isystem", "-D"}
    for word, following in zip(words, words[1:] + [""]):
        if word in takes_value:
            flags += [word, following]
        elif word.startswith(("-I", "-D", "-isystem", "-std=", "-march=")):
            flags.append(word)
    return flags


def units(root: pathlib.Path, database: List[Dict[str, str]]) -> Dict[str, List[str]]:
    """What is to be compiled, relative to the root, with its flags. A header that no source of its own includes first takes the flags of a
    source in its folder, or of the nearest folder above."""
    flags_of = {}
    for entry in database:
        path = os.path.relpath(os.path.join(entry["directory"], entry["file"]), root)
        if path.startswith(ROOMS):
            flags_of.setdefault(path, compile_flags(entry))
    of_folder: Dict[str, List[str]] = {}
    for path, flags in sorted(flags_of.items()):
        for folder in pathlib.PurePosixPath(path).parents:
            of_folder.setdefault(str(folder), flags)
    found = {}
    for path, flags in flags_of.items():
        header = path[:-len(".cc")] + ".h"
        texts = [(root / p).read_text(encoding="utf-8") for p in (path, header) if (root / p).is_file()]
        if any(TAKES_LOCKS.search(text) for text in texts):
            found[path] = flags
    for header in sorted(p.relative_to(root).as_posix() for room in ROOMS for p in (root / room).rglob("*.h")):
        if header[:-len(".h")] + ".cc" not in found:
            folder = next(str(f) for f in pathlib.PurePosixPath(header).parents if str(f) in of_folder)
            found[header] = of_folder[folder]
    return found


def compile_unit(clang: str, root: pathlib.Path, path: str, flags: List[str]) -> str:
    """clang's errors, or nothing."""
    command = [clang, *FLAGS, *flags, "-x", "c++", path]
    # A header that is compiled by itself is the main file, and clang remarks on its #pragma once.
    command[1:1] = ["-Wno-pragma-once-outside-header"]
    ended = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=300, check=False)
    return ended.stderr if ended.returncode != 0 else ""


def main(arguments: List[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("build", type=pathlib.Path)
    parser.add_argument("--root", type=pathlib.Path, default=pathlib.Path(__file__).resolve().parents[2])
    parser.add_argument("--clang", default="clang++")
    parser.add_argument("--jobs", type=int, default=1)
    options = parser.parse_args(arguments)
    if shutil.which(options.clang) is None:
        print(f"skipped: there is no {options.clang} here; tests/packages.txt names the package")
        return SKIPPED
    root = options.root.resolve()
    database = json.loads((options.build / "compile_commands.json").read_text(encoding="utf-8"))
    todo = units(root, database)
    if not todo:
        print(f"{options.build} compiles no source below {root}", file=sys.stderr)
        return 2
    failed = 0
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        for path, errors in zip(todo, pool.map(lambda unit: compile_unit(options.clang, root, *unit), todo.items())):
            if errors:
                failed += 1
                print(f"{path} does not compile:\n{errors}")
    print(f"{len(todo)} units, {failed} with errors")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
