#!/usr/bin/env python3
"""What the second thread gives, beside what the machine has to give: one process of one thread, two such processes at once, which share
nothing but the machine, and one process of two threads, in turns.

    python3 benchmarks/training/threads.py [--net lenet ...] [--rounds 5] [--level v3] [--json]

Ratios are to one process of one thread in the same round: medians, smallest and largest. Two processes that together are less than twice as
fast say what clock, caches and memory cost; what two threads lack of that is the engine's.
"""

import argparse
import json
import statistics
import subprocess

import nets
import sides


def begin(net, threads, options):
    command = [options.bench, "--solver", net.solver_path, "--shape", "x".join(map(str, net.shape)), "--classes", net.classes,
               "--batch", net.batch, "--rate_scale", nets.RATE_SCALE, "--threads", threads, "--steps", options.steps]
    return subprocess.Popen([str(word) for word in command], env=sides.environment_of(threads, options), stdout=subprocess.PIPE, text=True)


def images_per_second(net, process):
    """Of the fastest step."""
    output = process.communicate()[0]
    if process.returncode != 0:
        raise SystemExit(f"{net.name}: {process.args[0]} ended with {process.returncode}")
    return 1000 * net.batch / json.loads(output)["ms"]


def measure(net, options):
    rows = []
    for _ in range(options.rounds):
        one = images_per_second(net, begin(net, 1, options))
        processes = [begin(net, 1, options) for _ in range(2)]
        both = sum(images_per_second(net, process) for process in processes)
        rows.append((one, both / one, images_per_second(net, begin(net, 2, options)) / one))
    spread = lambda values: {"median": statistics.median(values), "smallest": min(values), "largest": max(values)}
    return {"net": net.name, "batch": net.batch, "images_per_second": spread([row[0] for row in rows]),
            "two_processes": spread([row[1] for row in rows]), "two_threads": spread([row[2] for row in rows])}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bench", default=nets.ROOT / "build/release/bin/roofline", help="the program that measures one net")
    parser.add_argument("--net", nargs="+", choices=list(nets.NETS), default=list(nets.NETS), help="all if not given")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=5, help="steps, of which the fastest counts")
    parser.add_argument("--level", choices=["v3"], help="no instructions beyond AVX2")
    parser.add_argument("--json", action="store_true", help="an object a line")
    options = parser.parse_args()
    for name in options.net:
        row = measure(nets.NETS[name], options)
        text = lambda ratio: f"{ratio['median']:5.2f} ({ratio['smallest']:.2f} to {ratio['largest']:.2f})"
        print(json.dumps(row) if options.json else f"{name:14} two processes {text(row['two_processes'])}   two threads {text(row['two_threads'])}",
              flush=True)


if __name__ == "__main__":
    main()
