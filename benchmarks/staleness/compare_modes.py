#!/usr/bin/env python3
"""What late gradients cost, and what the modes and options against it give: accuracy on Fashion-MNIST, a row each.

    python3 benchmarks/staleness/compare_modes.py [--iterations 2000] [--seeds 1 2 3] [--workers 8] [--servers 2] [--only NAME ...]
                                                    [--model resnet8] [--set type='"Adam"' base_lr=0.001] [--slower 5]
                                                    [--bin build/release/bin] [--data data]

Runs `samovar train` for each row and seed, one after the other, and prints a Markdown table of means with the lowest and highest
value; what a run gave goes to stderr as it ends. The data are the LMDBs that deploy/quickstart.sh imports. README.md says how the figures
are to be read.
"""

import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile

import jobs
import slow_worker

ROOT = pathlib.Path(__file__).resolve().parents[2]

PLAIN = ("--staleness-scaling", "none")
LAMBDA = ("--delay-compensation", "0.04")
ROWS = {
    "one worker": None,
    "async, as others": PLAIN,
    "async": (),
    "async, as others, DC-ASGD": PLAIN + LAMBDA,
    "async, DC-ASGD": LAMBDA,
    "async, topk": ("--encoding", "topk"),
    "bounded 1": ("--mode", "bounded", "--delay", "1"),
    "bounded 4": ("--mode", "bounded", "--delay", "4"),
    "bounded 8": ("--mode", "bounded", "--delay", "8"),
    "sync": ("--mode", "sync"),
}


def train(options, flags, seed):
    """A run: its accuracy (None if it failed), its counters, and images a second."""
    workers = 1 if flags is None else options.workers
    with tempfile.TemporaryDirectory(prefix="samovar_staleness_", dir=options.scratch) as name:
        directory = pathlib.Path(name)
        jobs.write(options.model, directory, options.data, options.iterations, dict(field.split("=", 1) for field in options.set))
        command = [options.bin / "samovar", "train", "--solver", "solver.prototxt", "--json", "--servers", options.servers,
                   "--workers", workers, "--seed", seed, *(flags or ())]
        with subprocess.Popen([str(word) for word in command], cwd=directory, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as run:
            if options.slower == 1 or workers == 1:
                output, errors = run.communicate()
            else:
                with slow_worker.SlowWorker(run.pid, options.slower) as slow:
                    output, errors = run.communicate()
                if not slow.slowed:
                    sys.exit("no worker was there to be slowed down")
    events = [json.loads(line) for line in output.splitlines()]
    ended = {event["event"]: event for event in events}
    if "succeeded" not in ended:
        return {"failed": ended.get("failed", {}).get("message", errors.strip()[-500:])}
    if ended["succeeded"]["ledger"]["complete_chunks"] != ended["succeeded"]["ledger"]["chunks"]:
        return {"failed": "a chunk's ledger is not complete"}
    outputs = {output["name"]: output["value"] for output in ended["test"]["outputs"]}
    end = ended["succeeded"]
    return {"accuracy": outputs["accuracy"], "loss": outputs["loss"], "rate": end["samples"] / end["seconds"], **end["ledger"]["pushes"]}


def spread(values, text):
    low, middle, high = min(values), statistics.fmean(values), max(values)
    return text.format(middle) + (f" ({text.format(low)} to {text.format(high)})" if len(values) > 1 else "")


def row(name, results):
    good = [result for result in results if "failed" not in result]
    if not good:
        return f"| {name} | diverged or failed, all {len(results)} | | | | | |"
    failed = f", {len(results) - len(good)} of {len(results)} failed" if len(good) < len(results) else ""
    column = lambda key, text: spread([result[key] for result in good], text)
    return (f"| {name} | {column('accuracy', '{:.4f}')}{failed} | {column('loss', '{:.3f}')} | {column('staleness_mean', '{:.2f}')} | "
            f"{column('staleness_median', '{:.0f}')} | {column('staleness_99', '{:.0f}')} | {column('rate', '{:.0f}')} |")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--iterations", type=int, default=2000)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--workers", type=int, default=8)
    parser.add_argument("--servers", type=int, default=2)
    parser.add_argument("--only", nargs="+", choices=list(ROWS), metavar="NAME", help="these rows: " + "; ".join(ROWS))
    parser.add_argument("--model", choices=["lenet", "resnet8"], default="lenet", help="resnet8: a small one with BatchNorm")
    parser.add_argument("--set", nargs="+", default=[], metavar="FIELD=VALUE", help="fields of the solver")
    parser.add_argument("--slower", type=float, default=1, metavar="TIMES", help="one of the workers is so many times slower than the others")
    parser.add_argument("--bin", type=pathlib.Path, default=ROOT / "build" / "release" / "bin")
    parser.add_argument("--data", type=pathlib.Path, default=ROOT / "data")
    parser.add_argument("--scratch", type=pathlib.Path, help="where runs keep their snapshots and logs while they run")
    options = parser.parse_args()
    options.bin, options.data = options.bin.resolve(), options.data.resolve()
    for path in (options.bin / "samovar", options.data / "fashion_mnist_train_lmdb"):
        if not path.exists():
            sys.exit(f"{path} is not there; deploy/quickstart.sh makes it, --bin and --data say where else it is")

    print(f"{options.iterations} iterations, {options.workers} workers, {options.servers} servers, "
          f"{len(options.seeds)} seed(s), {os.cpu_count()} processors\n")
    print("| | accuracy | test loss | staleness, mean | median | 99th percentile | images/s |")
    print("|---|---|---|---|---|---|---|", flush=True)
    for name, flags in ROWS.items():
        if options.only and name not in options.only:
            continue
        results = []
        for seed in options.seeds:
            results.append(train(options, flags, seed))
            print(f"{name}, seed {seed}: {results[-1]}", file=sys.stderr, flush=True)
        print(row(name, results), flush=True)


if __name__ == "__main__":
    main()
