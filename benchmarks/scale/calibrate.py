#!/usr/bin/env python3
"""Measures what Samovar's processes cost on this machine, and writes the profile that `samovar plan --profile` reads.

    python3 benchmarks/scale/calibrate.py --output profile.json

It needs a quiet machine, and takes about two minutes. Each number:

    nanoseconds_a_float  float32: of a real run of CaffeNet (61 M floats) with one worker and one server, the processor time of the worker
                         an iteration, less what its net computes (measured by `samovar plan` right before), and of the server, less
                         `apply` and its requests; by the floats, and by two, for the way there and the way back. The others: of runs of
                         LeNet, less worker_pass. What processes take while they look for messages is in all of these.
    worker_pass          of a run of LeNet in float32: what is left of the worker's processor time, once its floats are counted
    peak_gflops          of `samovar time`

apply (benchmarks/apply), add, jitter, beyond_caches, topk, float16 and the other microseconds are not measured: they are kept from the
built-in profile.
"""

import argparse
import json
import os
import pathlib
import sys
import tempfile
import threading
import time
from typing import Dict, List

import jobs

BUILT_IN = jobs.ROOT / "cli/plan/profiles/reference.json"
TICKS = os.sysconf("SC_CLK_TCK")


def processes_of(parent: int) -> Dict[int, "tuple[str, int, float]"]:
    """Name, parent and processor seconds of all processes below one."""
    found: Dict[int, "tuple[str, int, float]"] = {}
    for entry in pathlib.Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            name, rest = (entry / "stat").read_text(encoding="utf-8").split("(", 1)[1].rsplit(")", 1)
        except OSError:
            continue
        fields = rest.split()
        found[int(entry.name)] = (name, int(fields[1]), (int(fields[11]) + int(fields[12])) / TICKS)
    below = {parent}
    while True:
        more = {pid for pid, (_, above, _) in found.items() if above in below} - below
        if not more:
            return {pid: found[pid] for pid in below if pid in found and pid != parent}
        below |= more


class Sampler:
    """Processor seconds of this program's workers and servers, while it runs."""

    def __init__(self) -> None:
        self.samples: List[Dict[str, float]] = []
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> "Sampler":
        self._thread.start()
        return self

    def __exit__(self, *_) -> None:
        self._ended.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._ended.wait(0.25):
            sample = {"time": time.monotonic(), "samovar-worker": 0.0, "samovar-server": 0.0}
            for name, _, seconds in processes_of(os.getpid()).values():
                if name in sample:
                    sample[name] += seconds
            if sample["samovar-worker"] > 0 and sample["samovar-server"] > 0:
                self.samples.append(sample)

    def share(self, name: str) -> float:
        """Of a processor, in the middle of the run."""
        first, last = self.samples[len(self.samples) // 3], self.samples[-2]
        return (last[name] - first[name]) / (last["time"] - first["time"])


def run_costs(net: str, batch: int, encoding: str, seconds: float, folder: pathlib.Path) -> Dict[str, float]:
    """Nanoseconds of worker and server an iteration beside computing, of a run of about so many seconds."""
    flags = ["--workers", 1, "--servers", 1, "--mode", "async", "--encoding", encoding]
    solver = jobs.make_solver(net, batch, folder, 1000)
    planned = jobs.plan(solver, "--one-machine", *flags)
    solver = jobs.make_solver(net, batch, folder, max(12, int(seconds * planned["iterations_per_second"])))
    with Sampler() as sampler:
        rate = jobs.rate_of(jobs.train(solver, flags))
    iteration = batch / rate
    computing = batch / planned["alone_images_per_second"]
    worker, server = (sampler.share(name) * iteration for name in ("samovar-worker", "samovar-server"))
    print(f"{net}, {encoding}: {rate:.0f} images/s; an iteration takes {1e3 * iteration:.2f} ms, computing {1e3 * computing:.2f} ms; processor "
          f"time of the worker {1e3 * worker:.2f} ms, of the server {1e3 * server:.2f} ms", file=sys.stderr)
    return {"worker": 1e9 * max(0.0, worker - computing), "server": 1e9 * server, "floats": planned["parameters"]}


def both_ways(costs: Dict[str, float], worker_fixed: float, server_fixed: float, apply: float) -> Dict[str, float]:
    """Nanoseconds a float of each way: what is left of an iteration's, in halves."""
    worker = max(0.0, costs["worker"] - worker_fixed) / costs["floats"] / 2
    server = max(0.0, (costs["server"] - server_fixed) / costs["floats"] - apply) / 2
    if worker == 0 or server == 0:
        sys.exit("calibrate: a run took less than its net computed right before: the machine is not quiet; try again")
    return {"worker_push": round(worker, 3), "worker_pull": round(worker, 3), "server_push": round(server, 3), "server_pull": round(server, 3)}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=pathlib.Path, required=True)
    parser.add_argument("--name", default="measured here")
    parser.add_argument("--seconds", type=float, default=8, help="of a run")
    options = parser.parse_args()
    profile = json.loads(BUILT_IN.read_text(encoding="utf-8"))
    profile["name"] = options.name
    profile["measured"] = time.strftime("%d %B %Y")
    profile["threads"] = profile["cores"] = os.cpu_count()
    floats = profile["nanoseconds_a_float"]
    with tempfile.TemporaryDirectory(prefix="samovar_calibrate_") as name:
        folder = pathlib.Path(name)
        micro = profile["microseconds"]
        request = 1e3 * micro["server_request"]
        far = run_costs("caffenet", 8, "float32", 2 * options.seconds, folder)
        floats["float32"] = both_ways(far, 0, far["floats"] / (64 << 10) * request, floats["apply"] * profile["beyond_caches"])
        near = {encoding: run_costs("lenet", 64, encoding, options.seconds, folder) for encoding in ("float32", "bfloat16", "int8")}
        wire = 2 * floats["float32"]["worker_push"] * near["float32"]["floats"]
        micro["worker_pass"] = round(1e-3 * max(0.0, near["float32"]["worker"] - wire), 1)
        # A request has one, two or four of LeNet's 16 chunks in it.
        for encoding, requests in (("bfloat16", 8), ("int8", 4)):
            floats[encoding] = both_ways(near[encoding], 1e3 * micro["worker_pass"], requests * request, floats["apply"])
    floats["float16"] = floats["bfloat16"]
    floats["topk"].update(worker_pull=floats["float32"]["worker_pull"], server_pull=floats["float32"]["server_pull"])
    timed = json.loads(jobs.samovar("time", "--model", jobs.ROOT / "config/models/lenet/lenet_train_test.prototxt", "--shape", "1x28x28", "--json"))
    profile["peak_gflops"] = round(timed["peak_gflops"], 1)
    options.output.write_text(json.dumps(profile, indent=2) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
