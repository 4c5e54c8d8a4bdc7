#!/usr/bin/env python3
"""Real jobs beside the model: images a second that are measured, and those that `samovar plan` says of the same job on this machine.

    python3 benchmarks/scale/validate.py [--profile FILE] [--seconds 12] [--only lenet] [--links without|alone]

Workers and servers share this machine's processors, which the model is told (--one-machine). With root, ip and tc some jobs run in
network namespaces as well, one for each process, behind links of a given rate and delay (links.py). The net is measured anew before each
run, since a machine's speed varies. Prints Markdown. The exit code is 0 whatever the errors are."""

import argparse
import dataclasses
import os
import pathlib
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from typing import List, Optional

import jobs
import links


@dataclasses.dataclass(frozen=True)
class Case:
    net: str
    batch: int
    workers: int
    servers: int
    mode: str = "async"
    encoding: str = "float32"
    # As tc writes it, and milliseconds one way; no rate: loopback.
    rate: Optional[str] = None
    delay_ms: float = 0

    def flags(self) -> List[object]:
        flags: List[object] = ["--mode", self.mode, "--encoding", self.encoding]
        return flags + (["--parts", parts(self.batch)] if self.mode == "sync" else [])

    def link(self) -> str:
        return "loopback" if self.rate is None else f"{self.rate}, {self.delay_ms} ms"


def parts(batch: int) -> int:
    """What `samovar train` chooses: the largest divisor up to 8."""
    return max(number for number in range(1, 9) if batch % number == 0)


CASES = [
    Case("lenet", 64, 1, 1), Case("lenet", 64, 2, 1), Case("lenet", 64, 4, 2), Case("lenet", 64, 2, 2, "sync"), Case("lenet", 64, 1, 1, "sync"),
    Case("lenet", 64, 2, 1, encoding="int8"),
    Case("cifar10_quick", 100, 1, 1), Case("cifar10_quick", 100, 2, 2), Case("cifar10_quick", 96, 2, 1, "sync"),
    Case("caffenet", 8, 1, 1), Case("caffenet", 8, 2, 2), Case("caffenet", 8, 2, 1, "sync"),
    Case("lenet", 64, 1, 1, rate="1gbit"), Case("lenet", 64, 2, 1, rate="1gbit"), Case("lenet", 64, 2, 2, "sync", rate="1gbit"),
    Case("lenet", 64, 2, 1, encoding="int8", rate="1gbit"), Case("lenet", 64, 2, 1, rate="10gbit"), Case("cifar10_quick", 100, 2, 1, rate="1gbit"),
    Case("caffenet", 8, 2, 2, rate="1gbit"),
    # With netem only.
    Case("lenet", 64, 1, 1, encoding="int8", rate="1gbit", delay_ms=2), Case("lenet", 64, 2, 1, rate="1gbit", delay_ms=0.2),
]


def wait_for_port(address: str, port: int) -> None:
    end = time.monotonic() + 30
    while time.monotonic() < end:
        try:
            socket.create_connection((address, port), timeout=1).close()
            return
        except OSError:
            time.sleep(0.1)
    raise RuntimeError(f"nothing listens on {address}:{port}")


def run_behind_links(case: Case, solver: pathlib.Path, folder: pathlib.Path) -> str:
    """Servers on the first hosts, workers on the others; what `samovar submit --watch` reports."""
    processes = []
    with links.Links(case.servers + case.workers, case.rate, case.delay_ms) as network:
        coordinator = f"{network.address(0)}:7100"
        state = pathlib.Path(tempfile.mkdtemp(dir=folder))
        common = ["--allow-plaintext", "--log-level", "warning"]
        try:
            for server in range(case.servers):
                role = ["--coordinator"] if server == 0 else ["--join", coordinator]
                processes.append(subprocess.Popen(network.words(server) + [jobs.program("samovar-server"), "--listen", f"{network.address(server)}:7100",
                                                                           "--state", str(state / str(server)), "--apply-threads", "1", *role, *common]))
                wait_for_port(network.address(server), 7100)
            for worker in range(case.workers):
                processes.append(subprocess.Popen(network.words(case.servers + worker) + [jobs.program("samovar-worker"), "--coordinator", coordinator,
                                                                                          "--threads", "1", "--log-level", "warning"]))
            return jobs.samovar("submit", coordinator, "--solver", solver, "--servers", case.servers, "--seed", 3, "--watch", "--json", *case.flags())
        finally:
            for process in processes:
                process.terminate()
            for process in processes:
                process.wait(timeout=60)
            shutil.rmtree(state, ignore_errors=True)


def compare(case: Case, options: argparse.Namespace, folder: pathlib.Path) -> "tuple[float, float, float]":
    """Planned and measured images a second, and staleness."""
    flags: List[object] = ["--workers", case.workers, "--servers", case.servers, "--one-machine", *case.flags()]
    if options.profile:
        flags += ["--profile", options.profile]
    if case.rate:
        flags += ["--network", case.rate, "--latency", case.delay_ms]
    planned = jobs.plan(jobs.make_solver(case.net, case.batch, folder, 1000), *flags)
    iterations = max(12, int(options.seconds * planned["iterations_per_second"]))
    solver = jobs.make_solver(case.net, case.batch, folder, iterations)
    if case.rate:
        output = run_behind_links(case, solver, folder)
    else:
        output = jobs.train(solver, ["--workers", case.workers, "--servers", case.servers, *case.flags()])
    return planned["images_per_second"], jobs.rate_of(output), planned["staleness"]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--profile", type=pathlib.Path)
    parser.add_argument("--seconds", type=float, default=12)
    parser.add_argument("--only", default="", help="a part of the net's name")
    parser.add_argument("--links", choices=["with", "without", "alone"], default="with")
    options = parser.parse_args()
    errors = []
    print("| net, batch | workers, servers | mode | encoding | network | measured, images/s | model | error |\n|---|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory(prefix="samovar_validate_") as folder:
        for case in CASES:
            if options.only not in case.net or (case.rate and (options.links == "without" or os.geteuid() != 0)):
                continue
            if case.rate is None and options.links == "alone":
                continue
            try:
                planned, measured, _ = compare(case, options, pathlib.Path(folder))
            except (subprocess.SubprocessError, ValueError, RuntimeError) as error:
                print(f"{case}: {error}", file=sys.stderr)
                continue
            errors.append(planned / measured - 1)
            print(f"| {case.net}, {case.batch} | {case.workers}, {case.servers} | {case.mode} | {case.encoding} | {case.link()} | "
                  f"{measured:.4g} | {planned:.4g} | {100 * errors[-1]:+.0f} % |", flush=True)
    if errors:
        sizes = sorted(abs(error) for error in errors)
        print(f"\nerrors: median {100 * statistics.median(sizes):.0f} %, largest {100 * sizes[-1]:.0f} %; "
              f"{sum(error < 0.15 for error in sizes)} of {len(sizes)} below 15 %")
    return 0


if __name__ == "__main__":
    sys.exit(main())
