"""Jobs for the scripts of this folder: nets with small data sets of random pictures, and runs of the real programs whose rate is taken
from what they report."""

import json
import os
import pathlib
import random
import re
import struct
import subprocess
import zlib
from typing import Dict, List

ROOT = pathlib.Path(__file__).resolve().parents[2]
# Left out of a run: the first images, while processes start and leases grow.
WARM_UP = 0.3
COMMAND_SECONDS = 300


def program(name: str) -> str:
    return str(pathlib.Path(os.environ.get("SAMOVAR_BIN_DIR", ROOT / "build/release/bin")).resolve() / name)


def samovar(*words: object) -> str:
    return subprocess.run([program("samovar"), *map(str, words)], stdout=subprocess.PIPE, encoding="utf-8", check=True,
                          timeout=COMMAND_SECONDS).stdout


def png(side: int, channels: int, noise: random.Random) -> bytes:
    rows = b"".join(b"\0" + noise.randbytes(side * channels) for _ in range(side))

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    head = struct.pack(">IIBBBBB", side, side, 8, {1: 0, 3: 2}[channels], 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows, 1)) + chunk(b"IEND", b"")


# Net: side of its pictures, channels, how many, classes.
PICTURES = {"lenet": (28, 1, 2000, 10), "cifar10_quick": (32, 3, 2000, 10), "caffenet": (256, 3, 64, 1000)}


def make_data(net: str, folder: pathlib.Path) -> pathlib.Path:
    """An LMDB of random pictures."""
    lmdb = folder / f"{net}_lmdb"
    if lmdb.exists():
        return lmdb
    side, channels, count, classes = PICTURES[net]
    pictures = folder / f"{net}_pictures"
    pictures.mkdir()
    noise = random.Random(1)
    lines = []
    for i in range(count):
        (pictures / f"{i}.png").write_bytes(png(side, channels, noise))
        lines.append(f"{i}.png {i % classes}")
    (pictures / "list.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    flags = ["--gray"] if channels == 1 else []
    samovar("data", "import", "images", "--list", pictures / "list.txt", "--root", pictures, "--output", lmdb, *flags)
    return lmdb


def make_solver(net: str, batch: int, folder: pathlib.Path, iterations: int, name: str = "job") -> pathlib.Path:
    """The solver that comes with Samovar, without tests and snapshots, on random pictures; a rate so low that nothing diverges."""
    model = ROOT / "config/models" / net
    text = (model / f"{net}_train_test.prototxt").read_text(encoding="utf-8")
    text = re.sub(r'source: "[^"]*"', f'source: "{make_data(net, folder)}"', text)
    text = re.sub(r'mean_file: "[^"]*"', "", text)
    text = re.sub(r"batch_size: \d+", f"batch_size: {batch}", text)
    (folder / f"{name}_net.prototxt").write_text(text, encoding="utf-8")
    solver = (model / f"{net}_solver.prototxt").read_text(encoding="utf-8")
    solver = re.sub(r"(?m)^\s*(max_iter|test_\w+|snapshot\w*|display|net|base_lr)\s*:.*$", "", solver)
    path = folder / f"{name}_solver.prototxt"
    path.write_text(f'net: "{folder / (name + "_net.prototxt")}"\nmax_iter: {iterations}\nbase_lr: 0.0001\ndisplay: 0\n'
                    f'snapshot_prefix: "{folder / name}"\nsnapshot_after_train: false\n{solver}', encoding="utf-8")
    return path


def rate_of(output: str) -> float:
    """Images a second behind the warm-up, of a run's events."""
    events = [json.loads(line) for line in output.splitlines() if line.startswith("{")]
    progress = [event for event in events if event["event"] == "progress"]
    last = progress[-1]
    first = next(event for event in progress if event["samples"] >= WARM_UP * last["samples"])
    if first is last:
        raise ValueError("the run was too short: it has reported once only")
    return (last["samples"] - first["samples"]) / (last["seconds"] - first["seconds"])


def plan(solver: pathlib.Path, *flags: object) -> Dict:
    return json.loads(samovar("plan", solver, "--json", *flags))


def train(solver: pathlib.Path, flags: List[object]) -> str:
    return samovar("train", "--solver", solver, "--seed", 3, "--json", "--restart", *flags)
