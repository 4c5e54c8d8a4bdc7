"""A side of the comparison, as a process: it says what it is, and measures a round for each line on standard input, as
engine_bench --wait does. Works with Python 3.8, which Caffe's package needs."""

import argparse
import json
import sys
import time


def arguments(description):
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--net", required=True)
    parser.add_argument("--batch", type=int, required=True)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=1)
    parser.add_argument("--warm-up", type=int, default=3)
    parser.add_argument("--variant", choices=["nchw", "channels_last", "compile"], default="nchw")
    parser.add_argument("--level", choices=["v3"], help="no instructions beyond AVX2")
    return parser.parse_args()


def resident_mib():
    with open("/proc/self/status", encoding="ascii") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS")) // 1024


def serve(about, step, options):
    for _ in range(options.warm_up):
        step()
    print(json.dumps(about), flush=True)
    for _ in sys.stdin:
        start, cpu, steps = time.monotonic(), time.process_time(), 0
        while time.monotonic() - start < options.seconds:
            step()
            steps += 1
        images = steps * options.batch
        print(json.dumps({"images_per_second": images / (time.monotonic() - start),
                          "images_per_cpu_second": images / (time.process_time() - cpu)}), flush=True)
