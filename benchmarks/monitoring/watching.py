#!/usr/bin/env python3
"""What watching costs a job, and whether what is told of it is true.

    python3 benchmarks/monitoring/watching.py cost [--rounds 15] [--seconds 4]
    python3 benchmarks/monitoring/watching.py remaining [--minutes 10]

`cost`: LeNet with 2 servers and 2 workers; images a second while nobody looks and while everybody does, in turns, in one job. `remaining`: one
run of so many minutes, and how far the remaining time that it told, second by second, was from what remained. Needs Fashion-MNIST, as
deploy/quickstart.sh imports it. Prints Markdown.
"""

import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import threading
import time
import urllib.request
from typing import List, Tuple

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/integration"))
import testbed  # noqa: E402

ANSWER_SECONDS = 30
# The recipe's.
BATCH = 64


class Run:
    """2 servers and 2 workers with the job "lenet", in a directory of its own. Use it in a `with`."""

    def __init__(self, data: pathlib.Path, max_iter: int) -> None:
        self.workspace = testbed.Workspace(empty=True)
        (self.workspace.path / "data").symlink_to(data.resolve())
        model = ROOT / "config/models/lenet"
        (self.workspace.path / "net.prototxt").write_text((model / "lenet_train_test.prototxt").read_text(encoding="utf-8"), encoding="utf-8")
        changed = {"net": '"net.prototxt"', "max_iter": max_iter, "test_interval": max_iter, "test_initialization": "false", "snapshot": 0,
                   "snapshot_prefix": '"lenet"'}
        kept = [line for line in (model / "lenet_solver.prototxt").read_text(encoding="utf-8").splitlines()
                if line.split(":")[0] not in changed]
        lines = kept + [f"{name}: {value}" for name, value in changed.items()]
        (self.workspace.path / "solver.prototxt").write_text("\n".join(lines) + "\n", encoding="utf-8")

    def __enter__(self) -> "Run":
        self.cluster = testbed.Cluster(self.workspace)
        self.cluster.submit("--name", "lenet")
        self.cluster.await_job("lenet", lambda job: int(job["iteration"]) >= 100)
        return self

    def __exit__(self, *_) -> None:
        self.cluster.__exit__()
        self.workspace.remove()

    def status(self) -> dict:
        return json.loads(self.workspace.check("status", self.cluster.address, "--json"))

    def iterations(self) -> int:
        return int(self.cluster.job("lenet")["completed_iterations"])


class Everybody:
    """A watch that follows the job, and one browser and one Prometheus that look each second. Use it in a `with`."""

    def __init__(self, run: Run, pages: List[str]) -> None:
        self._run, self._pages = run, pages
        self._ended = threading.Event()
        self.looked = 0

    def __enter__(self) -> "Everybody":
        self._watch = subprocess.Popen([testbed.program("samovar"), "watch", "lenet", self._run.cluster.address],
                                       cwd=self._run.workspace.path, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        self._reader = threading.Thread(target=self._read)
        self._reader.start()
        return self

    def __exit__(self, *_) -> None:
        self._ended.set()
        self._reader.join()
        self._watch.kill()
        self._watch.wait()

    def _read(self) -> None:
        while not self._ended.wait(1):
            for page in self._pages:
                with urllib.request.urlopen(page, timeout=ANSWER_SECONDS) as answer:
                    answer.read()
                self.looked += 1


def cost(options: argparse.Namespace) -> None:
    with Run(options.data, 100_000_000) as run:
        status = run.status()
        members = status["servers"] + status["workers"]
        coordinator = next(server["http"] for server in status["servers"] if server["address"] == run.cluster.address)
        pages = [f"http://{member['http']}/metrics" for member in members] + [f"http://{coordinator}/api/v1/status"]

        def rate() -> float:
            begun, before = time.monotonic(), run.iterations()
            time.sleep(options.seconds)
            return BATCH * (run.iterations() - before) / (time.monotonic() - begun)

        alone, watched, looked = [], [], 0
        for turn in range(options.rounds):
            # Who is first takes turns, too.
            for with_watchers in ((False, True), (True, False))[turn % 2]:
                if not with_watchers:
                    alone.append(rate())
                    continue
                with Everybody(run, pages) as everybody:
                    watched.append(rate())
                looked += everybody.looked
        ratios = sorted(b / a for a, b in zip(alone, watched))
        print(f"{options.rounds} turns of {options.seconds:g} s each way; {looked} pages were read.\n")
        print("| | images/s, median | lowest | highest |\n|---|---|---|---|")
        for name, rates in (("nobody looks", alone), ("everybody looks", watched)):
            print(f"| {name} | {statistics.median(rates):.0f} | {min(rates):.0f} | {max(rates):.0f} |")
        print(f"\nRatio: {statistics.median(ratios):.3f} (median of the turns), {ratios[len(ratios) // 4]:.3f} to "
              f"{ratios[3 * len(ratios) // 4]:.3f} (quartiles), {ratios[0]:.3f} to {ratios[-1]:.3f}.")


def remaining(options: argparse.Namespace) -> None:
    # How fast is it here?
    with Run(options.data, 100_000_000) as run:
        before = run.iterations()
        time.sleep(10)
        per_second = (run.iterations() - before) / 10
    told: List[Tuple[float, float]] = []
    with Run(options.data, int(per_second * 60 * options.minutes)) as run:
        begun = time.monotonic()
        while True:
            job = run.cluster.job("lenet")
            now = time.monotonic() - begun
            if job["state"] != "JOB_STATE_RUNNING":
                break
            told.append((now, float(job["eta_seconds"])))
            time.sleep(1)
    errors = [(moment, eta, (moment + eta - now) / now) for moment, eta in told if moment >= 60]
    worst = max(errors, key=lambda entry: abs(entry[2]))
    print(f"A run of {now:.0f} s, {job['state']}; after the first minute the end that was told was off by "
          f"{100 * statistics.median(abs(error) for _, _, error in errors):.1f} % of the run (median), {100 * abs(worst[2]):.1f} % at most, "
          f"at {worst[0]:.0f} s.\n")
    print("| after | told to remain | remained |\n|---|---|---|")
    for moment, eta, _ in errors[::max(1, len(errors) // 12)]:
        print(f"| {moment:.0f} s | {eta:.0f} s | {now - moment:.0f} s |")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("cost", "remaining"))
    parser.add_argument("--bin", default=str(ROOT / "build/release/bin"), help="where the programs are")
    parser.add_argument("--data", type=pathlib.Path, default=pathlib.Path("data"), help="the directory of the two LMDBs of Fashion-MNIST")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--seconds", type=float, default=4)
    parser.add_argument("--minutes", type=float, default=10)
    options = parser.parse_args()
    os.environ["SAMOVAR_BIN_DIR"] = options.bin
    (cost if options.what == "cost" else remaining)(options)
    return 0


if __name__ == "__main__":
    sys.exit(main())
