#!/usr/bin/env python3
"""Images that the engine and PyTorch train on a second, measured in turns on the same machine.

    python3 benchmarks/training/compare.py [--net lenet] [--threads 1 2] [--rounds 9] [--seconds 1] [--bench FILE] [--blas FOLDER]
                                             [--python /usr/bin/python3 OTHER/bin/python]

A step is forward, backward and the update of SGD with momentum and weight decay, always on the same synthetic batch. Each side is
a process of its own that waits for its turn, so that other work of the machine meets all alike. README.md says how the
figures are to be read. Needs torch (Debian: python3-torch) and a BLAS of its own class (Debian: libopenblas0-pthread): without
one, Debian's torch falls back on the reference BLAS, and this program refuses to compare. --python compares with the torch of each
of these interpreters, side by side: a newer one of PyPI in a virtual environment, say. The engine's side is engine_bench.cc.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time

BATCHES = {"lenet": 64, "cifar10_quick": 100}
# A matrix product of a BLAS that makes use of the processor is faster, GFLOP/s; the reference BLAS is slower.
LEAST_GEMM_GFLOPS = 20
# Settings of a BLAS that somebody may have made for another program; and the threads of each library that torch may use.
LEFT_OUT = ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")
THREADS = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")
# A round is quiet if all other processes together used less than this many processors.
QUIET = 0.1


def torch_net(name):
    from torch import nn
    if name == "lenet":
        return nn.Sequential(
            nn.Conv2d(1, 20, 5), nn.MaxPool2d(2), nn.Conv2d(20, 50, 5), nn.MaxPool2d(2), nn.Flatten(),
            nn.Linear(800, 500), nn.ReLU(inplace=True), nn.Linear(500, 10)), (1, 28, 28)
    return nn.Sequential(
        nn.Conv2d(3, 32, 5, padding=2), nn.MaxPool2d(3, 2, ceil_mode=True), nn.ReLU(inplace=True),
        nn.Conv2d(32, 32, 5, padding=2), nn.ReLU(inplace=True), nn.AvgPool2d(3, 2, ceil_mode=True),
        nn.Conv2d(32, 64, 5, padding=2), nn.ReLU(inplace=True), nn.AvgPool2d(3, 2, ceil_mode=True), nn.Flatten(),
        nn.Linear(1024, 64), nn.Linear(64, 10)), (3, 32, 32)


def gemm_gflops():
    """What one thread of torch does in matrix products; the best of three."""
    import torch
    size = 768
    a = torch.rand(size, size)
    times = []
    for _ in range(3):
        start = time.process_time()
        torch.mm(a, a)
        times.append(time.process_time() - start)
    return 2 * size ** 3 / min(times) / 1e9


def serve_torch(name, threads, seconds):
    """A round for each line on standard input, as engine_bench --wait does."""
    import torch
    torch.set_num_threads(1)
    gflops = gemm_gflops()
    print(json.dumps({"torch": torch.__version__, "gemm_gflops": round(gflops, 1)}), flush=True)
    torch.set_num_threads(threads)
    torch.manual_seed(1)
    net, image = torch_net(name)
    rate = 0.01 if name == "lenet" else 0.001
    decay = 0.0005 if name == "lenet" else 0.004
    groups = [{"params": [p for p in net.parameters() if p.dim() > 1]},
              {"params": [p for p in net.parameters() if p.dim() == 1], "lr": 2 * rate}]
    optimizer = torch.optim.SGD(groups, lr=rate, momentum=0.9, weight_decay=decay)
    loss = torch.nn.CrossEntropyLoss()
    batch = BATCHES[name]
    data, labels = torch.rand(batch, *image), torch.randint(10, (batch,))

    def step():
        optimizer.zero_grad()
        loss(net(data), labels).backward()
        optimizer.step()

    for _ in range(3):
        step()
    for _ in sys.stdin:
        start, cpu, steps = time.monotonic(), time.process_time(), 0
        while time.monotonic() - start < seconds:
            step()
            steps += 1
        images = steps * batch
        print(json.dumps({"images_per_second": images / (time.monotonic() - start),
                          "images_per_cpu_second": images / (time.process_time() - cpu)}), flush=True)


def busy_seconds():
    """Of all processors, since the machine started."""
    with open("/proc/stat", encoding="ascii") as stat:
        user, nice, system, _, _, irq, softirq, steal = map(int, stat.readline().split()[1:9])
    return (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK")


class Side:
    """A process that measures a round when it is told to."""

    def __init__(self, command, environment):
        self.command = command
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)
        self.rounds = []

    def read(self):
        line = self.process.stdout.readline()
        if not line:
            sys.exit(f"compare: {' '.join(self.command)} ended early")
        return json.loads(line)

    def measure(self):
        start, busy = time.monotonic(), busy_seconds()
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        entry = self.read()
        used = entry["images_per_second"] / entry["images_per_cpu_second"]
        entry["others"] = (busy_seconds() - busy) / (time.monotonic() - start) - used
        self.rounds.append(entry)

    def values(self, figure, quiet):
        return [entry[figure] for entry in self.rounds if not quiet or entry["others"] < QUIET]

    def end(self):
        self.process.stdin.close()
        self.process.wait()


def start_sides(net, options):
    environment = {key: value for key, value in os.environ.items() if key not in LEFT_OUT}
    sides = {}
    for threads in options.threads:
        torch_environment = {**environment, **{key: str(threads) for key in THREADS}}
        if options.blas:
            torch_environment["LD_LIBRARY_PATH"] = options.blas
        shared = ["--net", net, "--threads", str(threads), "--seconds", str(options.seconds)]
        sides["samovar", threads] = Side([options.bench, *shared, "--batch", str(BATCHES[net]), "--rounds", str(options.rounds),
                                          "--wait"], environment)
        for python in options.python:
            side = Side([python, __file__, "--serve-torch", *shared], torch_environment)
            about = side.read()
            if about["gemm_gflops"] < LEAST_GEMM_GFLOPS and not options.any_blas:
                sys.exit(f"compare: torch's matrix products do {about['gemm_gflops']} GFLOP/s, so its BLAS is none to compare with; "
                         "install libopenblas0-pthread, or name a folder with another libblas.so.3 by --blas")
            sides[f"torch {about['torch']}", threads] = side
            print(f"{net}, batch {BATCHES[net]}: torch {about['torch']}, matrix product {about['gemm_gflops']} GFLOP/s")
    return sides


def compare(net, options):
    sides = start_sides(net, options)
    for _ in range(options.rounds):
        for side in sides.values():
            side.measure()
    for side in sides.values():
        side.end()
    print(f"  samovar: engine for {sides['samovar', options.threads[0]].rounds[0]['level']}")
    others = [entry["others"] for side in sides.values() for entry in side.rounds]
    print(f"  others used {statistics.median(others):.2f} processors ({min(others):.2f} to {max(others):.2f})")
    report(sides, options, "images_per_cpu_second", quiet=False)
    report(sides, options, "images_per_second", quiet=False)
    report(sides, options, "images_per_second", quiet=True)


def spread(values, digits):
    return f"median {statistics.median(values):.{digits}f} ({min(values):.{digits}f} to {max(values):.{digits}f}, {len(values)} rounds)"


def report(sides, options, figure, quiet):
    print(f"  {figure}, {'quiet' if quiet else 'all'} rounds")
    for (name, threads), side in sides.items():
        values = side.values(figure, quiet)
        if values:
            print(f"    {name}, threads {threads}: {spread(values, 0)}")
    names = list(dict.fromkeys(name for name, _ in sides))
    pairs = [(("samovar", threads), (name, threads)) for threads in options.threads for name in names if name != "samovar"]
    pairs += [((name, threads), (name, options.threads[0])) for name in names for threads in options.threads[1:]]
    for over, under in pairs:
        ratios = [a[figure] / b[figure] for a, b in zip(sides[over].rounds, sides[under].rounds)
                  if not quiet or max(a["others"], b["others"]) < QUIET]
        if ratios:
            print(f"    {over[0]} {over[1]} / {under[0]} {under[1]}, ratios of the same round: {spread(ratios, 2)}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bench", default="build/release/bin/engine_bench", help="the engine's side")
    parser.add_argument("--net", choices=sorted(BATCHES), help="both if not given")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2], help="numbers of threads of either side")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--seconds", type=float, default=1, help="length of a measurement")
    parser.add_argument("--blas", help="folder of the libblas.so.3 for torch; the system's if not given")
    parser.add_argument("--python", nargs="+", default=[sys.executable], help="interpreters that have torch, each another one")
    parser.add_argument("--any-blas", action="store_true", help="compares with a slow BLAS, too")
    parser.add_argument("--serve-torch", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve_torch:
        serve_torch(options.net, options.threads[0], options.seconds)
        return
    print("load before:", " ".join(f"{load:.2f}" for load in os.getloadavg()), flush=True)
    for net in [options.net] if options.net else BATCHES:
        compare(net, options)
    print("load after:", " ".join(f"{load:.2f}" for load in os.getloadavg()))


if __name__ == "__main__":
    main()
