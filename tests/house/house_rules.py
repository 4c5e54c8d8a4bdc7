#!/usr/bin/env python3
"""Checks the rules of the house that a compiler does not: who includes whom, which room has which third party's door,
what every file has, and that nothing lies about that is not built.

    python3 tests/house/house_rules.py [ROOT]

Prints one line a violation, "file:line: what is wrong", and exits with 1 if there is any. Lines that begin with "warning:"
are about size budgets and never fail.
"""

import pathlib
import re
import sys
from dataclasses import dataclass
from typing import Callable, Iterator, List, Optional

# Directories at the top of the tree that are not source.
NOT_SOURCE = {".git", "build", "data", "output", ".cache", ".vscode", ".idea"}
SOURCE_SUFFIXES = {".h", ".cc"}
TEXT_SUFFIXES = SOURCE_SUFFIXES | {".py", ".sh", ".md", ".txt", ".cmake", ".json", ".proto", ".prototxt", ".toml", ".yml", ".ts", ".mjs", ".css", ".html", ""}

# Our own headers that each part of the tree may include, by path prefix; the longest prefix that fits a file counts.
# Includes flow main -> config -> server | worker | cli -> common -> proto.
MAY_INCLUDE = {
    "common/": ["common/"],
    "common/base/": ["common/base/"],
    "common/telemetry/": ["common/telemetry/", "common/base/"],
    "common/rpc/": ["common/rpc/", "common/telemetry/", "common/base/"],
    "common/storage/": ["common/storage/", "common/base/"],
    "common/http/": ["common/http/", "common/base/"],
    "common/pages/": ["common/pages/", "common/telemetry/", "common/base/"],
    "common/home/": ["common/home/", "common/rpc/", "common/storage/", "common/base/"],
    "common/remote/": ["common/remote/", "common/http/", "common/storage/", "common/telemetry/", "common/base/"],
    "common/caffe/": ["common/caffe/", "common/storage/", "common/base/"],
    "common/data/": ["common/data/", "common/caffe/", "common/storage/", "common/base/"],
    "common/import/": ["common/import/", "common/data/", "common/caffe/", "common/storage/", "common/base/"],
    "common/model/": ["common/model/", "common/caffe/", "common/storage/", "common/base/"],
    "common/parameters/": ["common/parameters/", "common/model/", "common/rpc/", "common/telemetry/", "common/base/"],
    "server/": ["server/", "common/"],
    # One half knows weights, the other half who computes; each room is above those that it lists.
    "server/solver/": ["server/solver/", "common/"],
    "server/snapshot/": ["server/snapshot/", "server/solver/", "common/"],
    "server/store/": ["server/store/", "server/snapshot/", "server/solver/", "common/"],
    # Leases are plain tables: no clock, no lock, no call.
    "server/leases/": ["server/leases/", "common/model/", "common/data/", "common/base/"],
    "server/cluster/": ["server/cluster/", "common/"],
    "server/jobs/": ["server/jobs/", "server/leases/", "server/cluster/", "common/"],
    "server/coordinator/": ["server/coordinator/", "server/jobs/", "server/leases/", "server/cluster/", "common/"],
    # Files for browsers: it knows nothing of what they show.
    "server/dashboard/": ["server/dashboard/", "common/pages/"],
    "server/monitor/": ["server/monitor/", "server/dashboard/", "server/coordinator/", "common/"],
    "server/main.cc": ["config/", "server/", "common/"],
    "worker/": ["worker/", "common/"],
    "worker/main.cc": ["config/", "worker/", "common/"],
    # The engine knows nothing of where its data comes from, nor the feed who computes.
    "worker/nn/": ["worker/nn/", "common/"],
    # Layers know what a layer is, not the net that they are in; kernels know arrays and their shapes.
    "worker/nn/layers/": ["worker/nn/layers/", "worker/nn/kernels/", "worker/nn/layer.h", "worker/nn/layer_factories.h", "worker/nn/shape.h", "common/"],
    "worker/nn/kernels/": ["worker/nn/kernels/", "worker/nn/shape.h", "common/base/"],
    "worker/feed/": ["worker/feed/", "common/"],
    # `check` builds nets and opens data as a worker would; it has no business with leases, nor inside a server.
    "cli/": ["cli/", "worker/nn/", "worker/feed/", "common/"],
    "cli/check/": ["cli/check/", "worker/nn/", "worker/feed/", "common/"],
    "cli/plan/": ["cli/plan/", "worker/nn/", "common/"],
    "cli/report/": ["cli/report/", "cli/check/", "common/"],
    "cli/run/": ["cli/run/", "cli/terminal/", "cli/report/", "cli/check/", "common/"],
    "cli/terminal/": ["cli/terminal/", "cli/report/", "cli/check/", "common/"],
    "cli/yarn/": ["cli/yarn/", "cli/report/", "common/"],
    "cli/main.cc": ["config/", "cli/", "worker/nn/engine.h", "common/"],
    # Binds flags to option structs.
    "config/": ["config/", "cli/", "server/", "worker/", "common/"],
    "benchmarks/": ["benchmarks/", "config/", "cli/", "server/", "worker/", "common/"],
    "tests/": ["tests/", "benchmarks/", "config/", "cli/", "server/", "worker/", "common/"],
}
OUR_ROOTS = ("common/", "server/", "worker/", "cli/", "config/", "tests/", "benchmarks/", "cmake/", "deploy/", "proto/")


@dataclass(frozen=True)
class Door:
    """A third party and the only places that may include its headers."""
    name: str
    header: "re.Pattern[str]"
    places: List[str]
    instead: str


DOORS = [
    Door("CLI11", re.compile(r"CLI/"), ["config/", "tests/config/"], "flags are bound in config"),
    Door("spdlog", re.compile(r"(spdlog|fmt)/"), ["common/telemetry/"], "log through common/telemetry/log.h"),
    Door("prometheus-cpp", re.compile(r"prometheus/"), ["common/telemetry/"], "count with common/telemetry/metrics.h"),
    Door("libcurl", re.compile(r"curl/"), ["common/http/"], "make requests with common/http/http_client.h"),
    Door("civetweb", re.compile(r"civetweb\.h$"), ["common/pages/page_server"], "serve pages with common/pages/page_server.h"),
    Door("Expat", re.compile(r"expat\.h$"), ["common/remote/xml"], "use common/remote/xml.h"),
    Door("ncurses", re.compile(r"(n?curses\w*/)?(n?curses|term)\.h$"), ["cli/terminal/screen"], "draw with cli/terminal/screen.h"),
    Door("LMDB", re.compile(r"lmdb\.h$"), ["common/storage/"], "use common/storage/lmdb.h"),
    Door("HDF5", re.compile(r"(hdf5|H5\w*)\.h$"), ["common/caffe/hdf5_archive", "common/caffe/hdf5_guards", "common/data/hdf5_file",
                                                   "tests/common/caffe/hdf5_archive", "tests/common/data/write_hdf5"],
         "use common/caffe/hdf5_archive.h or common/data/hdf5_file.h"),
    Door("Eigen", re.compile(r"(unsupported/)?Eigen/"), ["worker/nn/kernels/"], "matrices belong into the engine: a process has one Eigen, and one level of it"),
    Door("gRPC", re.compile(r"(grpcpp|grpc)/|.*\.grpc\.pb\.h$"),
         ["common/rpc/", "common/home/", "common/parameters/", "server/", "worker/train/", "worker/main.cc", "cli/", "tests/", "benchmarks/"],
         "only services and clients speak gRPC"),
    Door("Catch2", re.compile(r"catch2/"), ["tests/support/"], "use tests/support/catch.h"),
]

HEADER_BUDGET = 250
SOURCE_BUDGET = 500
COLUMNS = 120

INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')
# Homes and workspaces of people and machines. Taken apart so that the pattern does not find itself.
MACHINE_PATH = re.compile(r"(?<![\w.~\-}])/(?:" + "|".join(["ho" + "me", "ro" + "ot", "Us" + "ers", "wo" + "rk"]) + r")/[\w.]")
DIRECTORY_LISTER = "common/base/list_directory.cc"
# Calls that connect or listen past a Dialer or a Listener, and so without their credentials and limits.
DIALS = re.compile(r"\b(?:Insecure(?:Channel|Server)Credentials|Create(?:Custom)?Channel|MakeChannel|AddListeningPort)\b")
# Those that are about HTTP/2 itself choose their channel's windows.
DIALS_ITSELF = ("common/rpc/", "tests/server/store/bounds_test.cc")
# A Dialer that is made of no options of the program's.
OWN_DIALER = re.compile(r"\b(?:Dialer|Listener)[({]\s*(?:samovar::)?RpcOptions\b")
# A table of storages that is not the one that the program has made.
OWN_STORAGE = re.compile(r"\bStorageTable\s*(?:\(\)|\{\})")
UNFINISHED = re.compile(r"\b(?:" + "|".join(["TO" + "DO", "FIX" + "ME", "X" + "XX"]) + r")\b")
COMMENT_OPENING = re.compile(r"\s*// (Of|Who|Whoever|What|Whatever|Such|Lest)\b")
TEST_NAME = re.compile(r'\b(?:TEST_CASE|TEMPLATE_TEST_CASE|SCENARIO)\(\s*"((?:[^"\\]|\\.)*)"')


@dataclass(frozen=True)
class Include:
    line: int
    quoted: bool
    header: str


@dataclass(frozen=True)
class SourceFile:
    # Relative to the root, with forward slashes.
    path: str
    lines: List[str]

    @property
    def includes(self) -> List[Include]:
        found = []
        for number, text in enumerate(self.lines, start=1):
            match = INCLUDE.match(text)
            if match:
                found.append(Include(number, match.group(1) == '"', match.group(2)))
        return found

    @property
    def is_source(self) -> bool:
        return pathlib.PurePosixPath(self.path).suffix in SOURCE_SUFFIXES


@dataclass
class Tree:
    root: pathlib.Path
    files: List[SourceFile]

    def has(self, path: str) -> bool:
        return (self.root / path).is_file()


def read_tree(root: pathlib.Path) -> Tree:
    files = []
    for path in sorted(root.rglob("*")):
        parts = path.relative_to(root).parts
        if parts[0] in NOT_SOURCE or "__pycache__" in parts or "node_modules" in parts or path.is_symlink() or not path.is_file():
            continue
        if path.suffix not in TEXT_SUFFIXES:
            continue
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        files.append(SourceFile("/".join(parts), text.splitlines()))
    return Tree(root, files)


def allowed_for(path: str) -> Optional[List[str]]:
    prefixes = [prefix for prefix in MAY_INCLUDE if path.startswith(prefix)]
    return MAY_INCLUDE[max(prefixes, key=len)] if prefixes else None


def check_directions(tree: Tree) -> Iterator[str]:
    """Includes flow one way, and are written from the root of the tree."""
    for file in tree.files:
        allowed = allowed_for(file.path) if file.is_source else None
        if allowed is None:
            continue
        for include in file.includes:
            where = f"{file.path}:{include.line}"
            header = include.header
            if ".." in header.split("/"):
                yield f'{where}: "{header}" climbs; write the path from the root of the tree'
            elif header.startswith(OUR_ROOTS):
                if not header.startswith(tuple(allowed)):
                    yield f'{where}: {file.path} must not include "{header}"; it may include {", ".join(allowed)}'
                elif not tree.has(header):
                    yield f'{where}: there is no "{header}"'
            elif include.quoted and tree.has(str(pathlib.PurePosixPath(file.path).parent / header)):
                yield f'{where}: "{header}" is a neighbour; write the path from the root of the tree'


def check_doors(tree: Tree) -> Iterator[str]:
    """Each third party has one door."""
    for file in tree.files:
        if not file.is_source or file.path.startswith("cmake/"):
            continue
        for include in file.includes:
            for door in DOORS:
                if door.header.match(include.header) and not file.path.startswith(tuple(door.places)):
                    # A wrapper of ours may have the third party's file name: "common/storage/lmdb.h".
                    if not include.header.startswith(OUR_ROOTS):
                        yield f"{file.path}:{include.line}: <{include.header}> is {door.name}'s; {door.instead}"


def check_cycles(tree: Tree) -> Iterator[str]:
    """No header includes itself by way of others: `#pragma once` would hide it until the order of includes changes."""
    graph = {file.path: [i.header for i in file.includes if i.header.startswith(OUR_ROOTS)] for file in tree.files if file.is_source}
    done = set()

    def visit(path: str, trail: List[str]) -> Iterator[str]:
        if path in trail:
            yield f'{path}:1: includes itself: {" -> ".join(trail[trail.index(path):] + [path])}'
            return
        if path in done:
            return
        for header in graph.get(path, []):
            yield from visit(header, trail + [path])
        done.add(path)

    for path in graph:
        yield from visit(path, [])


def check_pragma_once(tree: Tree) -> Iterator[str]:
    for file in tree.files:
        if file.path.endswith(".h") and "#pragma once" not in file.lines:
            yield f"{file.path}:1: has no #pragma once"


def check_own_header_first(tree: Tree) -> Iterator[str]:
    """A source includes its own header before any other, so that the header is seen to need nothing before it."""
    for file in tree.files:
        own = file.path[:-len(".cc")] + ".h"
        if not file.path.endswith(".cc") or not tree.has(own):
            continue
        first = next(iter(file.includes), None)
        if first is None or first.header != own:
            yield f'{file.path}:{first.line if first else 1}: must include "{own}" first'


def check_columns(tree: Tree) -> Iterator[str]:
    """clang-format does not reflow comments."""
    for file in tree.files:
        for number, text in enumerate(file.lines, start=1):
            if file.is_source and len(text) > COLUMNS and text.lstrip().startswith("//") and " " in text.strip("/ ").strip():
                yield f"{file.path}:{number}: the comment is longer than {COLUMNS} columns"


def check_comment_openings(tree: Tree) -> Iterator[str]:
    """A comment names its subject first."""
    for file in tree.files:
        if not file.path.endswith((".h", ".cc", ".proto")) or file.path.startswith(("tests/", "benchmarks/")):
            continue
        above = ""
        for number, text in enumerate(file.lines, start=1):
            opens = not above.lstrip().startswith("//")
            above = text
            match = COMMENT_OPENING.match(text) if opens else None
            if match:
                yield f'{file.path}:{number}: the comment begins with "{match.group(1)}"; say first what it is about'


def check_built(tree: Tree) -> Iterator[str]:
    """Every .cc is named by the CMakeLists.txt of its folder, or of the nearest one above that has one, so that no test and no code exists
    without being compiled."""
    for file in tree.files:
        path = pathlib.PurePosixPath(file.path)
        if path.suffix != ".cc" or str(path.parent) == "cmake":
            continue  # Those in cmake are named by cmake/*.cmake.
        folder = path.parent
        while not tree.has(str(folder / "CMakeLists.txt")) and str(folder) != ".":
            folder = folder.parent
        lists = folder / "CMakeLists.txt"
        code = re.sub(r"#.*", "", (tree.root / lists).read_text(encoding="utf-8") if tree.has(str(lists)) else "")
        if not re.search(rf"(?<![\w./-]){re.escape(str(path.relative_to(folder)))}(?![\w./-])", code):
            yield f"{file.path}:1: {lists} does not list it, so it is not built"


def check_folders_built(tree: Tree) -> Iterator[str]:
    """Every CMakeLists.txt below the root's is added by that of the folder above, or its tests would not run."""
    for file in tree.files:
        path = pathlib.PurePosixPath(file.path)
        if path.name != "CMakeLists.txt" or str(path.parent) == ".":
            continue
        above = path.parent.parent
        text = (tree.root / above / "CMakeLists.txt").read_text(encoding="utf-8") if tree.has(str(above / "CMakeLists.txt")) else ""
        if not re.search(rf"add_subdirectory\(\s*{re.escape(path.parent.name)}[\s)]", re.sub(r"#.*", "", text)):
            yield f'{file.path}:1: {above / "CMakeLists.txt"} does not add this folder'


def check_test_names(tree: Tree) -> Iterator[str]:
    """Names of Catch2's cases become lists of CMake and patterns of Catch2. A bracket glues all names behind it together, and
    the one test that ctest then has passes without running anything."""
    for file in tree.files:
        if not file.path.startswith("tests/") or not file.path.endswith(".cc"):
            continue
        for number, text in enumerate(file.lines, start=1):
            match = TEST_NAME.search(text)
            bad = set(match.group(1)) & set("[];\\$*") if match else set()
            if bad:
                yield f'{file.path}:{number}: a test\'s name must not hold {" ".join(sorted(bad))}: ctest would not run it'


def check_machine_paths(tree: Tree) -> Iterator[str]:
    for file in tree.files:
        for number, text in enumerate(file.lines, start=1):
            match = MACHINE_PATH.search(text)
            if match:
                yield f'{file.path}:{number}: "{match.group(0)}..." is a path of one machine'


def check_unfinished(tree: Tree) -> Iterator[str]:
    for file in tree.files:
        for number, text in enumerate(file.lines, start=1):
            match = UNFINISHED.search(text)
            if match:
                yield f'{file.path}:{number}: "{match.group(0)}": finish it, or leave it out'


def check_directory_loops(tree: Tree) -> Iterator[str]:
    """The file system's iterators throw in the middle of a loop; one function lists directories."""
    for file in tree.files:
        if not file.is_source or file.path.startswith("tests/") or file.path == DIRECTORY_LISTER:
            continue
        for number, text in enumerate(file.lines, start=1):
            if "directory_iterator" in text:
                yield f"{file.path}:{number}: loops over a directory; use ListDirectory (common/base/list_directory.h)"


def check_dialing(tree: Tree) -> Iterator[str]:
    """Connections are made and taken by common/rpc alone, with the credentials of the program."""
    for file in tree.files:
        if not file.is_source or file.path.startswith(DIALS_ITSELF):
            continue
        for number, text in enumerate(file.lines, start=1):
            match = DIALS.search(text)
            if match:
                yield f"{file.path}:{number}: {match.group(0)}: connect with a Dialer, listen with a Listener (common/rpc)"
            elif OWN_DIALER.search(text) and not file.path.startswith(("tests/", "benchmarks/")):
                yield f"{file.path}:{number}: makes up its RpcOptions; take those of the program, by constructor or options"
            elif OWN_STORAGE.search(text) and not file.path.startswith(("tests/", "benchmarks/", "common/storage/")) and not file.path.endswith("/main.cc"):
                yield f"{file.path}:{number}: makes a StorageTable of its own; take the program's, by constructor or options"


def size_warnings(tree: Tree) -> Iterator[str]:
    for file in tree.files:
        budget = HEADER_BUDGET if file.path.endswith(".h") else SOURCE_BUDGET
        if file.is_source and len(file.lines) > budget:
            yield f"{file.path}:{len(file.lines)}: longer than {budget} lines; is it one thing?"


CHECKS: List[Callable[[Tree], Iterator[str]]] = [
    check_directions, check_doors, check_cycles, check_pragma_once, check_own_header_first, check_columns, check_comment_openings, check_built, check_folders_built, check_test_names,
    check_machine_paths, check_unfinished, check_directory_loops, check_dialing,
]


def violations(tree: Tree) -> List[str]:
    return [line for check in CHECKS for line in check(tree)]


def main(arguments: List[str]) -> int:
    root = pathlib.Path(arguments[0]) if arguments else pathlib.Path(__file__).resolve().parents[2]
    tree = read_tree(root.resolve())
    if not any(file.is_source for file in tree.files):
        print(f"{root} holds no source files", file=sys.stderr)
        return 2
    found = violations(tree)
    for line in size_warnings(tree):
        print(f"warning: {line}")
    for line in found:
        print(line)
    print(f"{len(tree.files)} files, {len(found)} violations")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
