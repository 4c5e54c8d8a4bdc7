#!/usr/bin/env python3
"""Records a second that the worker's feed, PyTorch's DataLoader and OpenCV with numpy make batches of, measured in turns on one machine.

    python3 benchmarks/feeding/compare.py --python TORCH/bin/python [--kinds raw encoded list] [--means value file] [--threads 1 2]
                                          [--rounds 9] [--seconds 1] [--images 1024] [--quick] [--json]

Each side reads, decodes, crops, mirrors and subtracts the mean, of the same files; each is a process of its own that waits for its turn.
README.md says what is needed and how the figures are to be read.
"""

import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path.append(str(HERE.parent / "training"))
import report  # noqa: E402
import sides  # noqa: E402

# The batches' means may differ by so much: each side draws others of the records.
MEANS_DIFFER = 25
BATCH, CROP = 32, 227


def commands(kind, mean, threads, net, options):
    """(name, command) of each side."""
    # One round more than are measured.
    yield "samovar", [options.bench, "--net", net, "--threads", threads, "--seconds", options.seconds, "--rounds", options.rounds + 1, "--wait"]
    common = ["--folder", options.folder, "--kind", kind, "--mean", mean, "--threads", threads, "--seconds", options.seconds]
    decoders = ["tensor"] if kind == "raw" else ["pil", "tensor"]
    for decoder in decoders:
        yield f"torch {decoder}", [options.python, HERE / "torch_side.py", *common, "--decoder", decoder]
    yield "opencv", [options.python, HERE / "opencv_side.py", *common]


def start(kind, mean, threads, net, options):
    # A side has as many threads or processes as are asked for, each without threads of its libraries.
    environment = sides.environment_of(1, options)
    running = {}
    try:
        for name, command in commands(kind, mean, threads, net, options):
            running[name] = sides.Side(name, command, environment, options.limit)
        return running
    except (sides.SideEnded, OSError) as error:
        end(running)
        sys.exit(f"compare: {kind}: {name} does not run: {error}")


def end(running):
    for side in running.values():
        side.end()


def check_means(kind, running):
    means = {name: side.about["mean"] for name, side in running.items()}
    if max(means.values()) - min(means.values()) > MEANS_DIFFER:
        sys.exit(f"compare: {kind}: the sides make other batches: {means}")


def result(kind, mean, threads, running):
    peers = {name: report.figures(side) for name, side in running.items() if name != "samovar"}

    def against(names):
        best = max(names, key=lambda name: peers[name]["images_per_second"])
        ratios = report.ratios(running["samovar"], running[best], "images_per_second")
        return {"peer": best, "ratio": round(statistics.median(ratios), 3), "ratio_spread": [round(min(ratios), 3), round(max(ratios), 3)]}

    others = [entry["others"] for side in running.values() for entry in side.rounds]
    return {"records": kind, "mean": mean, "threads": threads, "batch": BATCH, "rounds": len(running["samovar"].rounds),
            **report.figures(running["samovar"]), "best_torch": against([name for name in peers if name.startswith("torch")]),
            "best_peer": against(list(peers)), "others_processors": round(statistics.median(others), 2), "peers": peers}


def print_text(row, running):
    print(f"{row['records']}, mean {row['mean']}, threads {row['threads']}; others used {row['others_processors']:.2f} processors")
    for name, side in running.items():
        ratio = ""
        if name != "samovar":
            of_peer = report.ratios(running["samovar"], side, "images_per_second")
            ratio = f"; samovar / {name}, ratios of the same round: {report.spread(of_peer, 2)}"
        print(f"  {name}, records/s: {report.spread(report.values(side, 'images_per_second'), 0)}{ratio}", flush=True)


def compare(kind, mean, threads, options):
    with tempfile.NamedTemporaryFile("w", suffix=".prototxt") as net:
        layer = ["layer", options.folder, kind, mean]
        net.write(subprocess.run([options.python, HERE / "photos.py", *map(str, layer)], check=True, capture_output=True, text=True).stdout)
        net.flush()
        running = start(kind, mean, threads, net.name, options)
    try:
        check_means(kind, running)
        for _ in range(options.rounds):
            for side in running.values():
                side.measure(options.limit)
        row = result(kind, mean, threads, running)
        if options.json:
            print(json.dumps(row), flush=True)
        else:
            print_text(row, running)
    finally:
        end(running)


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    bin_ = ROOT / "build/release/bin"
    parser.add_argument("--bench", default=bin_ / "feeding_bench", help="the worker's side")
    parser.add_argument("--samovar", default=bin_ / "samovar", help="makes the data sets")
    parser.add_argument("--python", default=sys.executable, help="an interpreter that has torch, torchvision, pillow, opencv-python-headless, lmdb and numpy")
    parser.add_argument("--folder", default=pathlib.Path(tempfile.gettempdir()) / "samovar_feeding", help="where the records are, or are made")
    parser.add_argument("--images", type=int, default=1024, help="records of a data set: 1024")
    parser.add_argument("--kinds", nargs="+", choices=["raw", "encoded", "list"], default=["raw", "encoded", "list"])
    parser.add_argument("--means", nargs="+", choices=["value", "file"], default=["value", "file"], help="mean_value, mean_file")
    parser.add_argument("--threads", type=int, nargs="+", default=sorted({1, min(2, len(os.sched_getaffinity(0)))}),
                        help="threads of a side, or DataLoader's worker processes: 1 and 2")
    parser.add_argument("--rounds", type=int, help="9; with --quick 3")
    parser.add_argument("--seconds", type=float, help="length of a measurement: 1; with --quick 0.5")
    parser.add_argument("--limit", type=float, default=120, help="seconds that a side may take to begin, and for a round: 120")
    parser.add_argument("--quick", action="store_true", help="all rows within three minutes")
    parser.add_argument("--json", action="store_true", help="an object a line for each row")
    options = parser.parse_args()
    options.level = None
    options.rounds = options.rounds or (3 if options.quick else 9)
    options.seconds = options.seconds or (0.5 if options.quick else 1)
    return options


def main():
    options = parse_arguments()
    print("load before:", " ".join(f"{load:.2f}" for load in os.getloadavg()), file=sys.stderr, flush=True)
    make = [options.python, HERE / "photos.py", "make", options.folder, options.images, options.samovar]
    subprocess.run([str(word) for word in make], check=True)
    for kind in options.kinds:
        for mean in options.means:
            for threads in options.threads:
                compare(kind, mean, threads, options)
    print("load after:", " ".join(f"{load:.2f}" for load in os.getloadavg()), file=sys.stderr)


if __name__ == "__main__":
    main()
