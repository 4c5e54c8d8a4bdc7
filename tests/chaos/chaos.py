#!/usr/bin/env python3
"""Trains while processes are killed, and compares what comes of it with an undisturbed run. README.md says what must hold."""

import argparse
import collections
import pathlib
import random
import sys
import threading
import time
from dataclasses import dataclass, field
from typing import Dict, List, Optional

import cluster as clusters
import testbed

SERVERS = 3
WORKERS = 4
# Of the accuracy on the test set, between a disturbed and an undisturbed asynchronous run.
ACCURACY_TOLERANCE = 0.005
POLL_SECONDS = 0.02
# A kill comes this long after the one before, or after the cluster has recovered from it.
CALM_SECONDS = (0.3, 2.0)
# How long a killed process is away.
AWAY_SECONDS = (0.0, 1.0)
# One kill in so many comes before the cluster has recovered from the one before.
HURRIED = 4
# One server in so many comes back on another port.
MOVED = 2


@dataclass
class Outcome:
    status: dict
    model: bytes
    kills: collections.Counter = field(default_factory=collections.Counter)
    # Seconds from a process's end until iterations were done again, by its kind.
    outages: Dict[str, List[float]] = field(default_factory=lambda: collections.defaultdict(list))

    @property
    def accuracy(self) -> float:
        return {output["name"]: output["value"] for output in self.status["tests"][-1]["outputs"]}["accuracy"]


def done_of(status: Optional[dict]) -> int:
    return int(status["completed_iterations"]) if status is not None else -1


def ended(status: Optional[dict]) -> bool:
    return status is not None and status["state"] in ("JOB_STATE_SUCCEEDED", "JOB_STATE_FAILED", "JOB_STATE_CANCELLED")


class Training:
    """One job on a cluster of its own."""

    def __init__(self, cluster: clusters.Cluster, workspace: pathlib.Path, mode: str) -> None:
        self.cluster = cluster
        self.mode = mode
        self.workspace = workspace
        self.job = cluster.submit(workspace, mode, SERVERS)
        self.causes = set()
        # How long a killed process is away; None: it differs.
        self.away: Optional[float] = None

    def status(self) -> Optional[dict]:
        status = self.cluster.status(self.job)
        if status is not None and status["state"] == "JOB_STATE_RUNNING" and status["cause"]:
            self.causes.add("".join(letter for letter in status["cause"] if not letter.isdigit()))
        return status

    def await_progress(self, recoveries: int = 0) -> Optional[float]:
        """Until the job has got over so many losses, and iterations are done after that. Returns the seconds that it took; None if the
        job has ended."""
        begin = time.monotonic()
        done = None
        while time.monotonic() - begin < testbed.RUN_SECONDS:
            status = self.status()
            if ended(status):
                return None
            if status is not None and not status["cause"] and status["recoveries"] >= recoveries:
                done = done_of(status) if done is None else done
                if done_of(status) > done:
                    return time.monotonic() - begin
            else:
                done = None
            time.sleep(POLL_SECONDS)
        raise AssertionError(f"no progress: {self.status()}\n{self.cluster.log_tails()}")

    def await_time_or_progress(self, seconds: float, iterations: int) -> None:
        """Until the time has passed, or so many iterations are done."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and done_of(self.status()) < iterations:
            time.sleep(POLL_SECONDS)

    def kill_one(self, draw: random.Random, victims: List[str], outcome: Outcome) -> None:
        member = self.cluster.members[draw.choice(victims)]
        before = self.status()
        if member.kind == "server" and draw.randrange(MOVED) == 0:
            member.port = testbed.free_port()
        member.end()
        killed_at = time.monotonic()
        outcome.kills[member.kind] += 1
        print(f"killed {member.name} at about {done_of(before)} iterations", flush=True)
        back = threading.Timer(draw.uniform(*AWAY_SECONDS) if self.away is None else self.away, member.start)
        back.start()
        try:
            if draw.randrange(HURRIED) == 0:
                return
            lost = member.kind == "server" and before is not None
            if self.await_progress(before["recoveries"] + 1 if lost else 0):
                outcome.outages[member.kind].append(time.monotonic() - killed_at)
        finally:
            back.join()

    def finish(self, outcome: Outcome) -> None:
        deadline = time.monotonic() + 4 * testbed.RUN_SECONDS
        status = self.status()
        while not ended(status):
            if time.monotonic() > deadline:
                raise AssertionError(f"the job does not end: {status}\n{self.cluster.log_tails()}")
            time.sleep(POLL_SECONDS)
            status = self.status()
        if status["state"] != "JOB_STATE_SUCCEEDED":
            raise AssertionError(f"the job failed: {status['cause']}\n{self.cluster.log_tails()}")
        outcome.status = status
        outcome.model = self.cluster.model(self.workspace, self.mode, self.job)


def train(workspace: pathlib.Path, name: str, mode: str, iterations: int, kills: int, draw: random.Random, victims: List[str],
          away: Optional[float] = None) -> Outcome:
    outcome = Outcome({}, b"")
    with clusters.Cluster(workspace / name, SERVERS, WORKERS) as cluster:
        training = Training(cluster, workspace, mode)
        training.away = away
        training.await_progress()
        for kill in range(kills):
            # However fast the machine is, the job is not to end before its last kill.
            training.await_time_or_progress(draw.uniform(*CALM_SECONDS), iterations * (kill + 1) // (kills + 2))
            if ended(training.status()):
                raise AssertionError(f"the job ended after {sum(outcome.kills.values())} kills: give it more --iterations")
            training.kill_one(draw, victims, outcome)
        training.finish(outcome)
        for cause in sorted(training.causes):
            print(f"seen in the status: {cause}")
    return outcome


def spread(seconds: List[float]) -> str:
    ordered = sorted(seconds)
    return f"{ordered[len(ordered) // 2]:.1f} s in the middle, {ordered[-1]:.1f} s at most" if ordered else "none"


def check(disturbed: Outcome, undisturbed: Outcome, mode: str, iterations: int) -> None:
    """Everything that must hold."""
    ledger = disturbed.status["ledger"]
    assert ledger["chunks"] > 0 and ledger["complete_chunks"] == ledger["chunks"], ledger
    assert int(ledger["iterations"]) == iterations, ledger
    assert int(disturbed.status["samples"]) == iterations * testbed.BATCH, disturbed.status
    assert int(ledger["counters"]["rejected"]) == 0, ledger
    if mode == "sync":
        assert disturbed.model == undisturbed.model, "the model differs from that of the undisturbed run"
    else:
        assert disturbed.accuracy >= undisturbed.accuracy - ACCURACY_TOLERANCE, (
            f"the accuracy is {disturbed.accuracy}, without kills it is {undisturbed.accuracy}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=6, help="processes to be killed")
    parser.add_argument("--seed", type=int, default=1, help="chooses which, and when")
    parser.add_argument("--mode", choices=("async", "bounded", "sync"), default="async", help="the job's")
    parser.add_argument("--iterations", type=int, help="the job's length; by default it fits the kills")
    parser.add_argument("--victims", default="coordinator,server,worker", help="kinds that are killed: coordinator, server, worker")
    parser.add_argument("--away", type=float, help="seconds that a killed process is away; by default up to one")
    parser.add_argument("--keep", action="store_true", help="leaves the logs and states behind, and says where")
    options = parser.parse_args()
    iterations = options.iterations or (600 if options.mode == "sync" else 2000) * (options.kills + 1)

    workspace = testbed.Workspace()
    workspace.write_solver(max_iter=iterations, snapshot=max(1, iterations // 20), test_interval=iterations, test_initialization="false")
    names = [f"server-{i}" for i in range(SERVERS)] + [f"worker-{i}" for i in range(WORKERS)]
    kinds = options.victims.split(",")
    victims = [name for name in names if ("coordinator" if name == "server-0" else name.split("-")[0]) in kinds]
    begin = time.monotonic()
    try:
        undisturbed = train(workspace.path, "undisturbed", options.mode, iterations, 0, random.Random(0), victims)
        disturbed = train(workspace.path, "disturbed", options.mode, iterations, options.kills, random.Random(options.seed), victims, options.away)
        check(disturbed, undisturbed, options.mode, iterations)
    except AssertionError as error:
        print(f"FAILED: {error}")
        return 1
    finally:
        if options.keep:
            print(f"left in {workspace.path}")
        else:
            workspace.remove()
    for notice in disturbed.status["notices"]:
        print(f"notice: {notice}")
    kills = ", ".join(f"{count} {kind}" for kind, count in sorted(disturbed.kills.items()))
    for kind, seconds in sorted(disturbed.outages.items()):
        print(f"from the end of a {kind} until iterations were done again: {spread(seconds)}")
    print(f"OK mode {options.mode}, seed {options.seed}: {sum(disturbed.kills.values())} kills ({kills}), iterations were done again after "
          f"{spread(sum(disturbed.outages.values(), []))}; {disturbed.status['repeated_iterations']} of {iterations} iterations computed again, "
          f"{time.monotonic() - begin:.0f} s in all")
    return 0


if __name__ == "__main__":
    sys.exit(main())
