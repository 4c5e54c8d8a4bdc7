"""A side of the comparison, as a process: it says what it is, and measures a round for each line on standard input, as feeding_bench --wait does."""

import argparse
import json
import sys
import time

import records


def arguments(description):
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--folder", required=True)
    parser.add_argument("--kind", choices=["raw", "encoded", "list"], required=True)
    parser.add_argument("--mean", choices=["value", "file"], required=True)
    parser.add_argument("--decoder", choices=["pil", "tensor"], default="pil")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=1)
    parser.add_argument("--warm-up", type=int, default=2)
    return parser.parse_args()


def serve(about, step, ahead, processor_seconds, options):
    """`ahead`: batches that may be made while nobody waits; so many are taken before the clock runs."""
    for _ in range(options.warm_up):
        step()
    print(json.dumps(about), flush=True)
    for _ in sys.stdin:
        for _ in range(ahead):
            step()
        start, cpu, steps = time.monotonic(), processor_seconds(), 0
        while time.monotonic() - start < options.seconds:
            step()
            steps += 1
        images = steps * records.BATCH
        print(json.dumps({"images_per_second": images / (time.monotonic() - start),
                          "images_per_cpu_second": images / max(processor_seconds() - cpu, 1e-3)}), flush=True)
