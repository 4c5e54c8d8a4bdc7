#!/usr/bin/env python3
"""How far the engine's training steps are from what the machine can do, net by net; roofline.cc says what is counted.

    python3 benchmarks/training/roofline.py [--net resnet50 ...] [--threads 1 2] [--level v3] [--json]
"""

import argparse
import json
import os
import subprocess

import nets
import sides

COLUMNS = [("net", 14), ("threads", 8), ("batch", 6), ("gflop", 9), ("peak_gflops", 12), ("gb", 8), ("triad_gbs", 10), ("ms_at_peak", 11),
           ("ms_at_triad", 12), ("ms", 10), ("of_peak", 8), ("of_both", 8)]


def measure(net, threads, options):
    command = [options.bench, "--solver", net.solver_path, "--shape", "x".join(map(str, net.shape)), "--classes", net.classes,
               "--batch", net.batch, "--rate_scale", nets.RATE_SCALE, "--threads", threads, "--steps", options.steps]
    done = subprocess.run([str(word) for word in command], env=sides.environment_of(threads, options), check=True, stdout=subprocess.PIPE, text=True)
    return {"net": net.name, **json.loads(done.stdout)}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bench", default=nets.ROOT / "build/release/bin/roofline", help="the program that measures one net")
    parser.add_argument("--net", nargs="+", choices=list(nets.NETS), default=list(nets.NETS), help="all if not given")
    parser.add_argument("--threads", type=int, nargs="+", default=sorted({1, len(os.sched_getaffinity(0))}))
    parser.add_argument("--steps", type=int, default=5, help="steps, of which the fastest counts")
    parser.add_argument("--level", choices=["v3"], help="no instructions beyond AVX2")
    parser.add_argument("--json", action="store_true", help="an object a line")
    options = parser.parse_args()
    if not options.json:
        print("".join(f"{name:>{width}}" for name, width in COLUMNS), flush=True)
    for name in options.net:
        for threads in options.threads:
            row = measure(nets.NETS[name], threads, options)
            print(json.dumps(row) if options.json else "".join(f"{row[column]:>{width}}" for column, width in COLUMNS), flush=True)


if __name__ == "__main__":
    main()
