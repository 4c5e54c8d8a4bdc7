#!/usr/bin/env python3
"""Images that the engine and other systems train on a second, measured in turns on the same machine.

    python3 benchmarks/training/compare.py --python TORCH/bin/python [--caffe CAFFE/bin/python] [--net resnet50 ...] [--threads 1 2]
                                           [--rounds 9] [--seconds 1] [--level v3] [--quick] [--json]
    python3 benchmarks/training/compare.py --python TORCH/bin/python --check

A step is forward, backward and the update of SGD with momentum and weight decay, always on the same synthetic batch. Each side is
a process of its own that waits for its turn, so that other work of the machine meets all alike. README.md says what is needed and
how the figures are to be read. --check compares the nets instead of their speed: parameters, and losses from the same weights.
"""

import argparse
import dataclasses
import json
import math
import os
import sys
import time

import nets
import report
import same_net
import sides

# A matrix product of a BLAS that makes use of the processor is faster, GFLOP/s; the reference BLAS is slower.
LEAST_GEMM_GFLOPS = 20


def check_peers(net, running, options):
    parameters = running["samovar"].about["parameters"]
    for name, side in running.items():
        if side.about["parameters"] != parameters:
            sys.exit(f"compare: {net.name}: {name} has {side.about['parameters']} parameters, and the engine {parameters}")
        gflops = side.about.get("gemm_gflops", LEAST_GEMM_GFLOPS)
        if gflops < LEAST_GEMM_GFLOPS and not options.any_blas:
            sys.exit(f"compare: {name}: its matrix products do {gflops} GFLOP/s, so its BLAS is none to compare with; install "
                     "libopenblas0-pthread, or name a folder with another libblas.so.3 by --blas")


def measure_round(running, left_out, options):
    for name, side in list(running.items()):
        try:
            side.measure(options.limit)
        except sides.SideEnded as error:
            if name == "samovar":
                sys.exit(f"compare: the engine ended: {error}")
            left_out[name] = str(error)
            del running[name]


def compare(net, threads, options, patience):
    """`patience`: seconds that a side may take to begin without which the comparison still makes sense."""
    running, left_out = sides.start(net, threads, options, patience)
    try:
        check_peers(net, running, options)
        for done in range(options.rounds):
            if done > 0 and time.monotonic() > options.deadline:
                break
            measure_round(running, left_out, options)
        of_net = report.result(net, threads, running, left_out)
        if options.json:
            print(json.dumps(of_net), flush=True)
        else:
            report.print_text(threads, running, of_net)
        return of_net
    finally:
        for side in running.values():
            side.end()


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bench", default=nets.ROOT / "build/release/bin/engine_bench", help="the engine's side")
    parser.add_argument("--net", nargs="+", choices=list(nets.NETS), default=list(nets.NETS), help="all if not given")
    parser.add_argument("--python", nargs="+", default=[sys.executable], help="interpreters that have torch, each another one")
    parser.add_argument("--variants", nargs="+", choices=["nchw", "channels_last", "compile"], default=["nchw", "channels_last", "compile"],
                        help="how torch runs the net; all if not given")
    parser.add_argument("--caffe", help="an interpreter that has Caffe; without it Caffe is no side")
    parser.add_argument("--threads", type=int, nargs="+", help="numbers of threads of every side; 1 and that of processors, with --quick the latter")
    parser.add_argument("--batch", type=int, help="images of a step, of all nets; else each has its own")
    parser.add_argument("--rounds", type=int, help="9; with --quick 3")
    parser.add_argument("--seconds", type=float, help="shortest length of a measurement: 1; with --quick 0.5")
    parser.add_argument("--warm-up", type=int, help="steps before the first round: 3; with --quick 1")
    parser.add_argument("--limit", type=float, default=900, help="seconds that a side may take to begin, and for a round: 900")
    parser.add_argument("--budget", type=float, help="seconds that all should take: torch.compile and Caffe are left out where they take too long "
                        "to begin, and later nets get a round each; no limit, with --quick 700")
    parser.add_argument("--level", choices=["v3"], help="no instructions beyond AVX2, on any side")
    parser.add_argument("--blas", help="folder of the libblas.so.3 for torch; the system's if not given")
    parser.add_argument("--any-blas", action="store_true", help="compares with a slow BLAS, too")
    parser.add_argument("--quick", action="store_true", help="a look at all nets within a quarter of an hour")
    parser.add_argument("--json", action="store_true", help="an object a line for each net and number of threads")
    parser.add_argument("--check", action="store_true", help="compares the nets instead of their speed")
    options = parser.parse_args()
    processors = len(os.sched_getaffinity(0))
    usual = {"threads": [processors], "rounds": 3, "seconds": 0.5, "warm_up": 1, "budget": 700} if options.quick else {
        "threads": sorted({1, processors}), "rounds": 9, "seconds": 1, "warm_up": 3, "budget": math.inf}
    for name, value in usual.items():
        if getattr(options, name) is None:
            setattr(options, name, value)
    return options


def main():
    options = parse_arguments()
    chosen = [dataclasses.replace(nets.NETS[name], batch=options.batch or nets.NETS[name].batch) for name in options.net]
    if options.check:
        sys.exit(0 if all([same_net.check(net, options) for net in chosen]) else 1)
    print("load before:", " ".join(f"{load:.2f}" for load in os.getloadavg()), file=sys.stderr, flush=True)
    options.deadline = time.monotonic() + options.budget
    for i, net in enumerate(chosen):
        # The other half is for the sides that are needed, and for the rounds.
        patience = max(0, options.deadline - time.monotonic()) / (len(chosen) - i) / len(options.threads) / 2
        by_threads = {threads: compare(net, threads, options, patience) for threads in options.threads}
        if not options.json:
            report.print_gains(by_threads)
    print("load after:", " ".join(f"{load:.2f}" for load in os.getloadavg()), file=sys.stderr)


if __name__ == "__main__":
    main()
