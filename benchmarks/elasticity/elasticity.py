#!/usr/bin/env python3
"""Whether a job's speed follows the number of workers: one job, 1 worker, then 8, then 1 again, and images a second by the second.

    python3 benchmarks/elasticity/elasticity.py [--bin build/release/bin] [--workers 8] [--share 10] [--server-share 50]
                                                [--seconds 20] [--iterations 15000]

Each worker may use `share` percent of one processor, the server, which is the coordinator as well, `server-share`; so a machine with few
processors has room for all. Needs to write to the cpu controller of cgroups, version 1: root. Prints Markdown; exits with 1 if the
speed did not follow within 10 s, or a ledger is not complete. README.md says what is measured.
"""

import argparse
import json
import os
import pathlib
import signal
import statistics
import subprocess
import sys
import time
from typing import Callable, List, Optional

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/integration"))

CONTROLLER = pathlib.Path("/sys/fs/cgroup/cpu")
PERIOD_US = 20_000
# The way from one level to the other counts as gone when this part of it is.
ARRIVED = 0.8
LIMIT_SECONDS = 10
# Of the proportion that the numbers of workers are in, the least that their speeds must be in.
LEAST_GAIN = 0.6


class Share:
    """A part of a processor, for the processes that are started in it."""

    def __init__(self, name: str, percent: int) -> None:
        self.path = CONTROLLER / f"samovar-{os.getpid()}-{name}"
        self.path.mkdir()
        (self.path / "cpu.cfs_period_us").write_text(str(PERIOD_US), encoding="ascii")
        (self.path / "cpu.cfs_quota_us").write_text(str(PERIOD_US * percent // 100), encoding="ascii")

    def start(self, words: List[str], **options) -> "subprocess.Popen[bytes]":
        shell = f'echo $$ >"{self.path}/tasks" && exec "$@"'
        return subprocess.Popen(["sh", "-c", shell, "sh", *words], stdin=subprocess.DEVNULL, **options)

    def lift(self) -> None:
        (self.path / "cpu.cfs_quota_us").write_text("-1", encoding="ascii")

    def remove(self) -> None:
        self.path.rmdir()


class Cluster:
    """A server and its workers, each in a share of its own."""

    def __init__(self, options: argparse.Namespace, directory: pathlib.Path) -> None:
        self._options, self._directory = options, directory
        self._log = open(directory / "cluster.log", "ab")
        self._shares: List[Share] = []
        self._processes: List["subprocess.Popen[bytes]"] = []
        self.workers: List["subprocess.Popen[bytes]"] = []
        reader, writer = os.pipe()
        self._start("server", options.server_share, ["samovar-server", "--coordinator", "--state", "state", "--ready-fd", str(writer)], [writer])
        os.close(writer)
        with os.fdopen(reader) as ready:
            self.address = ready.readline().strip()
        if not self.address:
            raise RuntimeError(f"the server did not start:\n{self.log()}")

    def log(self) -> str:
        return (self._directory / "cluster.log").read_text(encoding="utf-8")

    def _start(self, name: str, percent: int, words: List[str], files=()) -> "subprocess.Popen[bytes]":
        share = Share(name, percent)
        self._shares.append(share)
        process = share.start([str(self._options.bin / words[0]), *words[1:]], cwd=self._directory, stdout=self._log, stderr=self._log,
                              pass_fds=files)
        self._processes.append(process)
        return process

    def scale(self, workers: int) -> None:
        """Starts what is missing; asks those that are too many to leave, and does not wait."""
        while len(self.workers) < workers:
            name = f"worker-{len(self._processes)}"
            self.workers.append(self._start(name, self._options.share, ["samovar-worker", "--coordinator", self.address, "--name", name]))
        for process in self.workers[workers:]:
            process.send_signal(signal.SIGTERM)
        del self.workers[workers:]

    def lift_limits(self) -> None:
        for share in self._shares:
            share.lift()

    def end(self) -> None:
        for process in self._processes:
            process.kill()
            process.wait()
        for share in self._shares:
            share.remove()
        self._log.close()

    def command(self, *words) -> str:
        return subprocess.run([str(self._options.bin / "samovar"), *map(str, words)], cwd=self._directory, check=True,
                              capture_output=True, text=True).stdout

    def job(self) -> dict:
        return json.loads(self.command("jobs", self.address, "--json"))["jobs"][0]


class Phase:
    """Images a second with so many workers, a value a second from the moment on at which their number was changed."""

    def __init__(self, cluster: Cluster, workers: int, seconds: int, enough: Callable[[dict], bool] = lambda job: True) -> None:
        self.workers = workers
        self.rates: List[float] = []
        cluster.scale(workers)
        begin = time.monotonic()
        while len(self.rates) < seconds:
            time.sleep(max(0.0, begin + len(self.rates) + 1 - time.monotonic()))
            job = cluster.job()
            if job["state"] != "JOB_STATE_RUNNING" and self.rates:
                raise RuntimeError(f"the job is {job['state']} already; more --iterations or less --seconds are needed: {job['cause']}")
            if not enough(job):
                begin = time.monotonic()
                continue
            self.rates.append(job["images_per_second"])

    @property
    def level(self) -> float:
        """What it came to."""
        return statistics.median(self.rates[len(self.rates) // 2:])

    def seconds_from(self, before: float) -> Optional[int]:
        """Until most of the way from that level to this one was gone; None: never."""
        for second, rate in enumerate(self.rates, start=1):
            if abs(rate - before) >= ARRIVED * abs(self.level - before):
                return second
        return None


def report(phases: List[Phase]) -> List[str]:
    """Prints the table; returns what is wrong."""
    wrong = []
    print("| workers | images/s | followed after | images/s, second by second |\n|---|---|---|---|")
    before = None
    for phase in phases:
        followed = None if before is None else phase.seconds_from(before.level)
        series = " ".join(f"{rate:.0f}" for rate in phase.rates)
        print(f"| {phase.workers} | {phase.level:.0f} | {'' if followed is None else f'{followed} s'} | {series} |")
        if before is not None:
            if followed is None or followed > LIMIT_SECONDS:
                wrong.append(f"from {before.workers} to {phase.workers} workers: the speed did not follow within {LIMIT_SECONDS} s")
            most, least = (phase, before) if phase.workers > before.workers else (before, phase)
            if most.level / least.level < LEAST_GAIN * most.workers / least.workers:
                wrong.append(f"{most.workers} workers are only {most.level / least.level:.1f} times as fast as {least.workers}")
        before = phase
    return wrong


def run(options: argparse.Namespace, workspace) -> List[str]:
    workspace.write_net(lambda text: text.replace("batch_size: 32", f"batch_size: {options.batch}"))
    workspace.write_solver(max_iter=options.iterations, display=0, test_interval=options.iterations, test_initialization="false")
    cluster = Cluster(options, workspace.path)
    try:
        cluster.command("submit", cluster.address, "--solver", "solver.prototxt", "--name", "elastic")
        # The first one counts from the moment on at which the rate is known.
        phases = [Phase(cluster, 1, options.seconds, lambda job: job["images_per_second"] > 0 and job["seconds"] > 5)]
        for workers in (options.workers, 1):
            phases.append(Phase(cluster, workers, options.seconds))
        cluster.lift_limits()
        watched = cluster.command("watch", "elastic", cluster.address)
        job = cluster.job()
        wrong = report(phases)
        print("\n" + "\n".join(line for line in watched.splitlines() if "ledger:" in line or "pushes:" in line))
        ledger = job["ledger"]
        if job["state"] != "JOB_STATE_SUCCEEDED" or ledger["chunks"] == 0 or ledger["complete_chunks"] != ledger["chunks"]:
            wrong.append(f"the ledgers are not complete: {job['state']}, {ledger}")
        if int(job["samples"]) != options.iterations * options.batch:
            wrong.append(f"{job['samples']} samples instead of {options.iterations * options.batch}")
        return wrong
    except BaseException:
        print(cluster.log()[-4000:], file=sys.stderr)
        raise
    finally:
        cluster.end()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bin", type=lambda text: pathlib.Path(text).resolve(), default=ROOT / "build/release/bin")
    parser.add_argument("--workers", type=int, default=8, help="how many there are in the middle")
    parser.add_argument("--share", type=int, default=10, help="percent of a processor that each worker may use")
    parser.add_argument("--server-share", type=int, default=50, help="the same of the server")
    parser.add_argument("--seconds", type=int, default=20, help="length of each of the three phases")
    parser.add_argument("--iterations", type=int, default=15000)
    parser.add_argument("--batch", type=int, default=256)
    options = parser.parse_args()
    if not (os.access(CONTROLLER, os.W_OK) and (CONTROLLER / "cpu.cfs_quota_us").is_file()):
        print(f"elasticity: the cpu controller of cgroups (version 1) is not at {CONTROLLER}, or not for this user", file=sys.stderr)
        return 2
    os.environ["SAMOVAR_BIN_DIR"] = str(options.bin)
    from testbed import Workspace  # It reads the environment.
    workspace = Workspace()
    try:
        wrong = run(options, workspace)
    finally:
        workspace.remove()
    for line in wrong:
        print(f"elasticity: {line}", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
