#!/usr/bin/env python3
"""Images that the engine, OpenCV's dnn and ONNX Runtime classify a second, measured in turns on the same machine.

    python3 benchmarks/inference/compare.py --python PEERS/bin/python [--net resnet50 ...] [--batch 1 32] [--threads 1 2] [--rounds 9]
                                            [--seconds 1] [--level v3] [--quick] [--json]

A pass is forward in phase TEST, of a net with drawn weights and always the same images. All sides get the same weights, and have the same
outputs, or the comparison stops. Each side is a process of its own that waits for its turn. README.md says what is needed and how the
figures are to be read.
"""

import argparse
import dataclasses
import json
import math
import os
import pathlib
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.append(str(HERE.parent / "training"))
import deploy  # noqa: E402
import nets  # noqa: E402
import report  # noqa: E402
import sides  # noqa: E402

NETS = ["lenet", "cifar10_quick", "resnet20", "caffenet", "googlenet", "resnet50", "squeezenet", "mobilenet", "vgg16"]
PEERS = ["opencv", "onnxruntime"]
# The largest difference of a probability. Scores have a standard deviation of 2, and sums have other orders on each side.
TOLERANCE = 1e-3
# Written by --prepare in the peers' interpreter, which has onnx.
WRITE_ONNX = "import json, sys; sys.path[:0] = sys.argv[1:3]; import numpy, deploy, nets, onnx_net; net = nets.NETS[sys.argv[3]]; folder = sys.argv[4]; " \
             "onnx_net.write(deploy.layers_of(net), json.load(sys.stdin)['blobs'], numpy.fromfile(folder + '/weights.f32', numpy.float32), " \
             "net.shape, folder + '/net.onnx')"


def prepare(net, folder, options):
    """Writes the net for all sides."""
    (folder / "deploy.prototxt").write_text(deploy.text_of(net), encoding="ascii")
    about = subprocess.run([options.bench, "--model", folder / "deploy.prototxt", "--prepare", folder], check=True, capture_output=True).stdout
    written = subprocess.run([options.python, "-c", WRITE_ONNX, HERE, HERE.parent / "training", net.name, folder], input=about, capture_output=True, check=False)
    return {} if written.returncode == 0 else {"onnxruntime": written.stderr.decode().strip().splitlines()[-1]}


def commands(net, threads, folder, options):
    common = ["--folder", folder, "--batch", net.batch, "--threads", threads, "--seconds", options.seconds]
    # One round more than are measured: its memory is read while it waits for that.
    yield "samovar", [options.bench, "--model", folder / "deploy.prototxt", *common, "--rounds", options.rounds + 1, "--warm_up", options.warm_up, "--wait"]
    for peer in options.peers:
        yield peer, [options.python, HERE / "peer_side.py", "--system", peer, "--shape", *net.shape, *common, "--warm-up", options.warm_up]


def start(net, threads, folder, left_out, options):
    running = {}
    for name, command in commands(net, threads, folder, options):
        if name in left_out:
            continue
        try:
            running[name] = sides.Side(name, command, sides.environment_of(threads, options), options.limit)
        except (sides.SideEnded, OSError) as error:
            left_out[name] = str(error)
    return running


def check(net, running):
    for name, side in running.items():
        if not side.about["difference"] <= TOLERANCE:
            sys.exit(f"compare: {net.name}, batch {net.batch}: an output of {name} differs by {side.about['difference']:.2g}; "
                     f"{TOLERANCE:g} are allowed")


def compare(net, threads, folder, left_out, options):
    running = start(net, threads, folder, left_out, options)
    try:
        if "samovar" not in running or len(running) == 1:
            sys.exit(f"compare: {net.name}: {left_out}")
        check(net, running)
        begin = time.monotonic()
        for done in range(options.rounds):
            if done > 0 and time.monotonic() - begin > options.patience:
                break
            for side in running.values():
                side.measure(options.limit)
        row = report.result(net, threads, running, left_out)
        row["differences"] = {name: side.about["difference"] for name, side in running.items()}
        if options.json:
            print(json.dumps(row), flush=True)
        else:
            report.print_text(threads, running, row)
        return row
    finally:
        for side in running.values():
            side.end()


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bench", default=nets.ROOT / "build/release/bin/inference_bench", help="the engine's side")
    parser.add_argument("--python", default=sys.executable, help="an interpreter that has opencv-python-headless, onnx, onnxruntime and numpy")
    parser.add_argument("--net", nargs="+", choices=NETS, default=NETS, help="all if not given")
    parser.add_argument("--peers", nargs="+", choices=PEERS, default=PEERS, help="both if not given")
    parser.add_argument("--batch", type=int, nargs="+", default=[1, 32], help="images of a pass: 1 and 32")
    parser.add_argument("--threads", type=int, nargs="+", help="numbers of threads of every side; 1 and that of processors, with --quick the latter")
    parser.add_argument("--rounds", type=int, help="9; with --quick 3")
    parser.add_argument("--seconds", type=float, help="shortest length of a measurement: 1; with --quick 0.3")
    parser.add_argument("--warm-up", type=int, help="passes before the first round: 3; with --quick 1")
    parser.add_argument("--limit", type=float, default=600, help="seconds that a side may take to begin, and for a round: 600")
    parser.add_argument("--patience", type=float, help="seconds after which a row gets no further round; no limit, with --quick 8")
    parser.add_argument("--level", choices=["v3"], help="no instructions beyond AVX2 on the engine's side")
    parser.add_argument("--quick", action="store_true", help="a look at all nets within five minutes")
    parser.add_argument("--json", action="store_true", help="an object a line for each row")
    options = parser.parse_args()
    processors = len(os.sched_getaffinity(0))
    usual = {"threads": [processors], "rounds": 3, "seconds": 0.3, "warm_up": 1, "patience": 8} if options.quick else {
        "threads": sorted({1, processors}), "rounds": 9, "seconds": 1, "warm_up": 3, "patience": math.inf}
    for name, value in usual.items():
        if getattr(options, name) is None:
            setattr(options, name, value)
    return options


def main():
    options = parse_arguments()
    print("load before:", " ".join(f"{load:.2f}" for load in os.getloadavg()), file=sys.stderr, flush=True)
    for name in options.net:
        with tempfile.TemporaryDirectory() as folder:
            left_out = prepare(nets.NETS[name], pathlib.Path(folder), options)
            for batch in options.batch:
                net = dataclasses.replace(nets.NETS[name], batch=batch)
                for threads in options.threads:
                    compare(net, threads, pathlib.Path(folder), dict(left_out), options)
    print("load after:", " ".join(f"{load:.2f}" for load in os.getloadavg()), file=sys.stderr)


if __name__ == "__main__":
    main()
