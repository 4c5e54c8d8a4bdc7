#!/usr/bin/env python3
"""Images that the engine and PyTorch train on a second, one thread each, measured in turns on the same machine.

    python3 benchmarks/training/compare.py [--bench build/release/bin/engine_bench] [--rounds 7] [--seconds 3] [--net lenet]

A step is forward, backward and the update of SGD with momentum and weight decay, on the same synthetic batch. Each side is a
process of its own that waits for its turn, so that whatever else the machine does meets both alike. Figures are medians of
images per second of processor time, which other processes disturb least, and of images per second of the wall's clock. Needs
torch (Debian: python3-torch). The engine's side of a step is in engine_bench.cc.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time

BATCHES = {"lenet": 64, "cifar10_quick": 100}


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


def serve_torch(name, batch, seconds):
    """A round for each line on standard input, as engine_bench --wait does."""
    import torch
    torch.set_num_threads(1)
    torch.manual_seed(1)
    net, image = torch_net(name)
    rate = 0.01 if name == "lenet" else 0.001
    decay = 0.0005 if name == "lenet" else 0.004
    groups = [{"params": [p for p in net.parameters() if p.dim() > 1]},
              {"params": [p for p in net.parameters() if p.dim() == 1], "lr": 2 * rate}]
    optimizer = torch.optim.SGD(groups, lr=rate, momentum=0.9, weight_decay=decay)
    loss = torch.nn.CrossEntropyLoss()
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


def compare(net, options):
    batch = BATCHES[net]
    shared = ["--net", net, "--batch", str(batch), "--seconds", str(options.seconds)]
    commands = {
        "samovar": [options.bench, *shared, "--threads", "1", "--rounds", str(options.rounds), "--wait"],
        "pytorch": [sys.executable, __file__, "--serve-torch", *shared],
    }
    sides = {name: subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
             for name, command in commands.items()}
    rounds = {name: [] for name in sides}
    for _ in range(options.rounds):
        for name, side in sides.items():
            side.stdin.write("\n")
            side.stdin.flush()
            line = side.stdout.readline()
            if not line:
                sys.exit(f"compare: {' '.join(commands[name])} ended early")
            rounds[name].append(json.loads(line))
    for side in sides.values():
        side.stdin.close()
        side.wait()
    for figure in ("images_per_cpu_second", "images_per_second"):
        values = {name: [entry[figure] for entry in entries] for name, entries in rounds.items()}
        medians = {name: statistics.median(of) for name, of in values.items()}
        ratios = sorted(a / b for a, b in zip(values["samovar"], values["pytorch"]))
        print(f"{net} batch {batch}, {figure}: samovar {medians['samovar']:.0f}, pytorch {medians['pytorch']:.0f}, "
              f"ratio {medians['samovar'] / medians['pytorch']:.2f} (by round {ratios[0]:.2f} to {ratios[-1]:.2f})", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bench", default="build/release/bin/engine_bench")
    parser.add_argument("--net", choices=sorted(BATCHES), help="both if not given")
    parser.add_argument("--batch", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--serve-torch", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve_torch:
        serve_torch(options.net, options.batch, options.seconds)
        return
    print("load before:", " ".join(f"{load:.2f}" for load in os.getloadavg()), flush=True)
    for net in [options.net] if options.net else BATCHES:
        compare(net, options)
    print("load after:", " ".join(f"{load:.2f}" for load in os.getloadavg()))


if __name__ == "__main__":
    main()
