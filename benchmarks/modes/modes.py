#!/usr/bin/env python3
"""What synchronous mode costs: `samovar train` of one solver in async and in sync mode, alternately, images and processor time.

    python3 benchmarks/modes/modes.py --solver SOLVER [--iterations 1000] [--parts P] [--rounds 3] [--workers 2] [--servers 2] [--slower 5]

SAMOVAR_BIN_DIR names the folder of the programs, build/release/bin unless said. The solver's tests and snapshots are left out. Prints
Markdown; README.md says what is measured.
"""

import argparse
import json
import os
import pathlib
import re
import resource
import statistics
import subprocess
import sys
import tempfile
from typing import Dict, List

sys.path.append(str(pathlib.Path(__file__).resolve().parents[1] / "staleness"))
import slow_worker  # noqa: E402

# Left out of a run: the first images, while processes start and leases grow.
WARM_UP = 0.25


def solver_of(path: pathlib.Path, iterations: int, prefix: pathlib.Path) -> str:
    text = re.sub(r"(?m)^\s*(max_iter|test_\w+|snapshot\w*|display|net)\s*:.*$", "", path.read_text(encoding="utf-8"))
    net = re.search(r'(?m)^\s*net\s*:\s*"(.*)"', path.read_text(encoding="utf-8")).group(1)
    net_path = pathlib.Path(net) if pathlib.Path(net).is_absolute() else path.parent / net
    return f'net: "{net_path.resolve()}"\nmax_iter: {iterations}\nsnapshot_prefix: "{prefix}"\n{text}'


def run(words: List[str], times_slower: float) -> Dict[str, float]:
    """Images a second after the warm-up, and the processes' seconds an iteration."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    with subprocess.Popen(words, stdout=subprocess.PIPE, encoding="utf-8") as process:
        if times_slower > 1:
            with slow_worker.SlowWorker(process.pid, times_slower):
                output, _ = process.communicate()
        else:
            output, _ = process.communicate()
    if process.returncode != 0:
        sys.exit(f"modes: samovar train ended with {process.returncode}; see above")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    events = [json.loads(line) for line in output.splitlines()]
    progress = [event for event in events if event["event"] == "progress"]
    last = progress[-1]
    first = next(event for event in progress if event["samples"] > WARM_UP * last["samples"])
    iterations = next(event["iteration"] for event in events if event["event"] == "succeeded")
    seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"rate": (last["samples"] - first["samples"]) / (last["seconds"] - first["seconds"]), "cpu_ms": 1000 * seconds / iterations}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--solver", type=pathlib.Path, required=True)
    parser.add_argument("--iterations", type=int, default=1000)
    parser.add_argument("--parts", type=int, default=0, help="0: what the command chooses")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--servers", type=int, default=2)
    parser.add_argument("--slower", type=float, default=1, metavar="TIMES", help="one worker runs such a part of the time: 5, a fifth")
    options = parser.parse_args()
    binary = pathlib.Path(os.environ.get("SAMOVAR_BIN_DIR", "build/release/bin")) / "samovar"
    modes = {"async": ["--mode", "async"], "sync": ["--mode", "sync"]}
    if options.parts:
        modes["sync"] += ["--parts", str(options.parts)]
    results: Dict[str, List[Dict[str, float]]] = {mode: [] for mode in modes}
    with tempfile.TemporaryDirectory(prefix="samovar_modes_") as directory:
        solver = pathlib.Path(directory) / "solver.prototxt"
        solver.write_text(solver_of(options.solver, options.iterations, pathlib.Path(directory) / "out"), encoding="utf-8")
        for _ in range(options.rounds):
            for mode, flags in modes.items():
                results[mode].append(run([str(binary), "train", "--solver", str(solver), "--workers", str(options.workers), "--servers",
                                          str(options.servers), "--seed", "3", "--json", "--restart", *flags], options.slower))
    print("| mode | images/s, median (each run) | processor ms an iteration, median |\n|---|---|---|")
    for mode, runs in results.items():
        rates = [one["rate"] for one in runs]
        each = " ".join(f"{rate:.0f}" for rate in rates)
        print(f"| {mode} | {statistics.median(rates):.0f} ({each}) | {statistics.median(one['cpu_ms'] for one in runs):.1f} |")
    ratios = [sync["rate"] / other["rate"] for other, sync in zip(results["async"], results["sync"])]
    print(f"\nsync / async, round by round: {statistics.median(ratios):.2f} ({' '.join(f'{ratio:.2f}' for ratio in ratios)})")
    return 0


if __name__ == "__main__":
    sys.exit(main())
