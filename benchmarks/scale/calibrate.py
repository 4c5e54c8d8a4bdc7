#!/usr/bin/env python3
"""Measures what Samovar's processes cost on this machine, and writes the profile that `samovar plan --profile` reads.

    python3 benchmarks/scale/calibrate.py --output profile.json

It needs transport_bench (-DSAMOVAR_BENCHMARKS=ON) and a quiet machine, and takes about two minutes. Each number:

    nanoseconds_a_float  processor time of transport_bench's client (worker_*) and server (server_*) a float of a model of 4 MB, pushed or
                         pulled, in each encoding; apply: what the server takes more for a push that it applies
    beyond_caches        how much longer float32 takes with 64 MB
    microseconds         worker_request, server_request: processor time of each for an exchange of 4 KB; wake: half of what the exchange
                         takes beyond that; worker_pass: what is left of a worker's processor time of a real run of LeNet, one worker and
                         one server, beside computing and moving bytes
    peak_gflops          of `samovar time`

jitter, lease and add are not measured: they are kept from the built-in profile.
"""

import argparse
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import threading
import time
from typing import Dict

import jobs

BUILT_IN = jobs.ROOT / "cli/plan/profiles/reference.json"
SMALL, IN_CACHES, BEYOND = 4096, 4 << 20, 64 << 20


def transport(encoding: str, *sizes: int) -> Dict[str, float]:
    words = [jobs.program("transport_bench"), "--json", "--encoding", encoding, "--sizes", ",".join(map(str, sizes)), "--connections", "1",
             "--rounds", "5", "--seconds", "0.3", "--server", jobs.program("samovar-server")]
    return json.loads(subprocess.run(words, stdout=subprocess.PIPE, check=True, timeout=jobs.COMMAND_SECONDS).stdout)


def figure(figures: Dict[str, float], way: str, size: int, what: str) -> float:
    """transport_bench's names: push_apply_4mb_cpu_seconds_per_gigabyte."""
    words = f"{size >> 20}mb" if size >= 1 << 20 else f"{size >> 10}kb"
    return figures[f"{way}_{words}_{what}"]


def float_costs(figures: Dict[str, float], size: int) -> Dict[str, float]:
    # A GB of the model is 0.25e9 floats.
    def both(way: str):
        client = 4 * figure(figures, way, size, "client_cpu_seconds_per_gigabyte")
        return client, 4 * figure(figures, way, size, "cpu_seconds_per_gigabyte") - client

    push, pull, applied = both("push"), both("pull"), both("push_apply")
    return {"worker_push": push[0], "worker_pull": pull[0], "server_push": push[1], "server_pull": pull[1], "apply": max(0.0, applied[1] - push[1])}


def request_costs(figures: Dict[str, float]) -> Dict[str, float]:
    calls = figure(figures, "fused", SMALL, "calls_per_second")
    client = figure(figures, "fused", SMALL, "client_cpu_seconds_per_gigabyte") * SMALL * 1e-9
    server = figure(figures, "fused", SMALL, "cpu_seconds_per_gigabyte") * SMALL * 1e-9 - client
    # While one side works the other may look for its answer, which counts as processor time: at most what an exchange takes.
    return {"worker_request": 1e6 * min(client, 1 / calls) / 2, "server_request": 1e6 * min(server, 1 / calls) / 2, "wake": 1e6 / calls / 4}


class Processor:
    """Processor seconds and iterations of a worker, sampled while it trains."""

    def __init__(self) -> None:
        self.samples = []
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> "Processor":
        self._thread.start()
        return self

    def __exit__(self, *_) -> None:
        self._ended.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._ended.wait(0.2):
            for entry in pathlib.Path("/proc").iterdir():
                try:
                    if entry.name.isdigit() and (entry / "exe").resolve().name == "samovar-worker":
                        fields = (entry / "stat").read_text().rsplit(")", 1)[1].split()
                        self.samples.append((time.monotonic(), (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")))
                except OSError:
                    continue


def pass_cost(profile: Dict, folder: pathlib.Path) -> float:
    """Microseconds."""
    solver = jobs.make_solver("lenet", 64, folder, 2500)
    path = folder / "profile.json"
    path.write_text(json.dumps(profile), encoding="utf-8")
    planned = jobs.plan(solver, "--workers", 1, "--servers", 1, "--one-machine", "--mode", "async", "--encoding", "float32", "--profile", path)
    with Processor() as processor:
        rate = jobs.rate_of(jobs.train(solver, ["--workers", 1, "--servers", 1]))
    samples = processor.samples[len(processor.samples) // 3:]
    busy = (samples[-1][1] - samples[0][1]) / (samples[-1][0] - samples[0][0])
    iteration = busy * 64 / rate
    computing = 64 / planned["alone_images_per_second"]
    wire = planned["parameters"] * 1e-9 * (profile["nanoseconds_a_float"]["float32"]["worker_push"] + profile["nanoseconds_a_float"]["float32"]["worker_pull"])
    print(f"LeNet, one worker: {rate:.0f} images/s, {1e3 * iteration:.2f} ms of a worker's processor, {1e3 * computing:.2f} ms computing, "
          f"{1e3 * wire:.2f} ms moving bytes", file=sys.stderr)
    return max(0.0, 1e6 * (iteration - computing - wire))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=pathlib.Path, required=True)
    parser.add_argument("--name", default="measured here")
    options = parser.parse_args()
    profile = json.loads(BUILT_IN.read_text(encoding="utf-8"))
    profile["name"] = options.name
    profile["measured"] = time.strftime("%d %B %Y")
    profile["threads"] = profile["cores"] = os.cpu_count()
    floats = profile["nanoseconds_a_float"]
    for encoding in ("float32", "bfloat16", "float16", "int8"):
        sizes = (SMALL, IN_CACHES, BEYOND) if encoding == "float32" else (IN_CACHES,)
        figures = transport(encoding, *sizes)
        costs = float_costs(figures, IN_CACHES)
        apply = costs.pop("apply")
        floats[encoding] = {name: round(value, 3) for name, value in costs.items()}
        if encoding == "float32":
            floats["apply"] = round(apply, 3)
            far = float_costs(figures, BEYOND)
            profile["beyond_caches"] = round(max(1.0, sum(far.values()) / (sum(costs.values()) + apply)), 3)
            profile["microseconds"].update({name: round(value, 2) for name, value in request_costs(figures).items()})
        print(encoding, floats[encoding], file=sys.stderr)
    floats["topk"].update(worker_pull=floats["float32"]["worker_pull"], server_pull=floats["float32"]["server_pull"])
    timed = json.loads(jobs.samovar("time", "--model", jobs.ROOT / "config/models/lenet/lenet_train_test.prototxt", "--shape", "1x28x28", "--json"))
    profile["peak_gflops"] = round(timed["peak_gflops"], 1)
    with tempfile.TemporaryDirectory(prefix="samovar_calibrate_") as folder:
        profile["microseconds"]["worker_pass"] = round(pass_cost(profile, pathlib.Path(folder)), 1)
    options.output.write_text(json.dumps(profile, indent=2) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
