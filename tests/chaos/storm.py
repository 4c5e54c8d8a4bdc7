#!/usr/bin/env python3
"""Random faults of all kinds, one after the other, on hosts that can be cut off from each other; then every update is read back from the
weights. README.md says what must hold.

The loss is linear in the weights, so that a record's gradient is known: a record has one pixel that is not black, and adds the same
power of two to that pixel's weights whenever it is applied. Rates are powers of two as well, so every float of the model can be told
exactly from the number of rounds, in any order of the updates; one update that is missing or applied twice shows. BatchNorm's
statistics are of the same kind: each batch has the same mean.
"""

import argparse
import collections
import math
import os
import pathlib
import random
import shutil
import struct
import subprocess
import sys
import tarfile
import tempfile
import time
from dataclasses import dataclass, field
from typing import Callable, Dict, List, Optional, Tuple

import faults
import hosts
import testbed
from faults import PORT, SERVERS, WORKERS
from model_blobs import blobs_of
from processes import children_of

SIDE = 16
RECORDS = SIDE * SIDE
BATCH = 16
ROUND = RECORDS // BATCH
OUTPUTS = 4
# Of an iteration in sync mode; each is a pass of BatchNorm.
PARTS = 8
RATE = 0.25
LOSS_WEIGHT = 1 / 1024
# The gradient of a batch is BATCH * OUTPUTS numbers of LOSS_WEIGHT; clipped to one of them, it is an eighth.
CLIP = LOSS_WEIGHT
CLIPPED = 1 / math.sqrt(BATCH * OUTPUTS)

NET = f"""name: "Counts"
layer {{
  name: "images" type: "Data" top: "data" top: "label"
  transform_param {{ scale: 0.0078125 }}
  data_param {{ source: "counts_lmdb" backend: LMDB batch_size: {BATCH} }}
}}
layer {{ name: "no_label" type: "Silence" bottom: "label" }}
layer {{
  name: "count" type: "InnerProduct" bottom: "data" top: "count" loss_weight: {LOSS_WEIGHT}
  inner_product_param {{ num_output: {OUTPUTS} bias_term: false weight_filler {{ type: "constant" value: 0 }} }}
}}
"""
NORM = """layer { name: "norm" type: "BatchNorm" bottom: "data" top: "norm" batch_norm_param { moving_average_fraction: 1 } }
layer { name: "no_norm" type: "Silence" bottom: "norm" }
"""

MODES = {"async": ["--staleness-scaling", "none"], "bounded": ["--mode", "bounded", "--delay", "8", "--staleness-scaling", "none"],
         "sync": ["--mode", "sync", "--parts", str(PARTS)]}
# A fault is followed by the next after so long.
CALM_SECONDS = (0.5, 3.0)
STALL_SECONDS = (1.0, 60.0)
CUT_SECONDS = (1.0, 12.0)
FULL_SECONDS = (1.0, 6.0)
AWAY_SECONDS = (0.0, 1.0)
CLOCK_SECONDS = 3600
DISK_BYTES = 64 << 20
POLL_SECONDS = 0.1
# A job's length at first, and what it is to last: it is made longer until it does.
FIRST_ROUNDS = 1024
JOB_SECONDS = 45


@dataclass
class Kind:
    """What a job's net and solver have beside the plain ones."""
    name: str
    words: List[str] = field(default_factory=list)
    solver: Dict[str, object] = field(default_factory=dict)
    norm: bool = True
    share: float = 1.0


def kinds_of(mode: str) -> List[Kind]:
    kinds = [Kind("BatchNorm"), Kind("clip_gradients", solver={"clip_gradients": CLIP}, share=CLIPPED)]
    if mode != "sync":
        kinds.append(Kind("push_every", words=["--push-every", "4"], norm=False))
    return kinds


# --- The model ---------------------------------------------------------------------------------------------------------------------

def wrong_floats(model: bytes, rounds: int, kind: Kind, parts: int) -> List[str]:
    """Each float that is not what so many rounds make of it."""
    blobs = {layer: [struct.unpack(f"<{len(data) // 4}f", data) for data in found] for layer, found in blobs_of(model).items()}
    expected = {"count": [(-RATE * LOSS_WEIGHT * kind.share * rounds,) * (OUTPUTS * RECORDS)]}
    if kind.norm:
        # Of each part of a batch the mean is one pixel's, and the factor counts them. The variance is no power of two: it is left out.
        merges = rounds * ROUND * parts
        expected["norm"] = [(merges / RECORDS,), None, (float(merges),)]
    wrong = []
    for layer, all_values in expected.items():
        for index, values in enumerate(all_values):
            if values is None:
                continue
            found = blobs[layer][index]
            if len(found) != len(values):
                wrong.append(f"{layer}[{index}] has {len(found)} floats, not {len(values)}")
            wrong += [f"{layer}[{index}][{at}] is {have}, not {want}" for at, (have, want) in enumerate(zip(found, values)) if have != want]
    return wrong


# --- The cluster -------------------------------------------------------------------------------------------------------------------

class Cluster(faults.Cluster):
    """Its servers have small disks, and all processes clocks of their own."""

    def __init__(self, release: pathlib.Path, shared: pathlib.Path) -> None:
        super().__init__(release, shared)
        for name in SERVERS:
            self.hosts[name].check("sh", "-c", f"mkdir -p /var/tmp/samovar && mount -t tmpfs -o size={DISK_BYTES} none /var/tmp/samovar")

    def words_before(self, name: str) -> List[str]:
        clock = self.shared / f"{name}.clock"
        if not clock.exists():
            self.set_clock(name, 0)
        return ["env", f"LD_PRELOAD={self.shared / 'clock.so'}", f"SAMOVAR_TEST_CLOCK={clock}"]

    def set_clock(self, name: str, seconds: int) -> None:
        clock = self.shared / f"{name}.clock"
        # In place: processes have the file mapped.
        with open(clock, "r+b" if clock.exists() else "wb") as file:
            file.write(struct.pack("<q", seconds * 10**9))

    def signal(self, name: str, number: int) -> None:
        entered = self._started[name]
        for process in children_of(entered.pid):
            process.kill(number)
        # A process that has entered the host stops with its children there.
        if number == faults.signal.SIGCONT:
            entered.send_signal(number)


def between(draw: random.Random, limits: Tuple[float, float]) -> float:
    """Short times are as likely as long ones."""
    return math.exp(draw.uniform(math.log(limits[0]), math.log(limits[1])))


def kill(cluster: Cluster, draw: random.Random) -> str:
    name = draw.choice(SERVERS + WORKERS)
    cluster.end(name)
    time.sleep(draw.uniform(*AWAY_SECONDS))
    cluster.start(name)
    return name


def stall(cluster: Cluster, draw: random.Random) -> str:
    name, seconds = draw.choice(SERVERS + WORKERS), between(draw, STALL_SECONDS)
    cluster.signal(name, faults.signal.SIGSTOP)
    time.sleep(seconds)
    cluster.signal(name, faults.signal.SIGCONT)
    return f"{name} for {seconds:.1f} s"


def fill_disk(cluster: Cluster, draw: random.Random) -> str:
    name, seconds = draw.choice(SERVERS), between(draw, FULL_SECONDS)
    cluster.hosts[name].run("sh", "-c", "cat /dev/zero >/var/tmp/samovar/full 2>/dev/null")
    time.sleep(seconds)
    cluster.hosts[name].check("rm", "/var/tmp/samovar/full")
    return f"{name} for {seconds:.1f} s"


def cut_one_way(cluster: Cluster, draw: random.Random) -> str:
    sender, receiver = draw.sample(SERVERS + WORKERS, 2)
    seconds = between(draw, CUT_SECONDS)
    cluster.cut_one_way(sender, receiver)
    time.sleep(seconds)
    cluster.mend()
    return f"{sender} to {receiver} for {seconds:.1f} s"


def set_clock(cluster: Cluster, draw: random.Random) -> str:
    name, seconds = draw.choice(SERVERS + WORKERS), draw.randint(-CLOCK_SECONDS, CLOCK_SECONDS)
    cluster.set_clock(name, seconds)
    return f"{name} to {seconds:+d} s"


FAULTS: Dict[str, Callable[[Cluster, random.Random], str]] = {
    "kill": kill, "stall": stall, "disk": fill_disk, "cut": cut_one_way, "clock": set_clock}


# --- The storm ---------------------------------------------------------------------------------------------------------------------

class Storm:
    def __init__(self, cluster: Cluster, mode: str, names: List[str], draw: random.Random) -> None:
        self.cluster, self.mode, self.names, self.draw = cluster, mode, names, draw
        self.counts: collections.Counter = collections.Counter()
        # Seconds from the end of a fault to the next iteration, by kind.
        self.recoveries: Dict[str, List[float]] = collections.defaultdict(list)
        self.jobs = 0
        self.floats = 0

    def status(self, job: str) -> Optional[dict]:
        return self.cluster.status(job)

    def await_progress(self, job: str) -> Optional[float]:
        """Seconds until an iteration is done; None if the job has ended."""
        begin, done = time.monotonic(), None
        while time.monotonic() - begin < testbed.RUN_SECONDS:
            status = self.status(job)
            if status is not None:
                if status["state"] in faults.ENDED:
                    return None
                count = int(status["completed_iterations"])
                if done is not None and count > done:
                    return time.monotonic() - begin
                done = count
            time.sleep(POLL_SECONDS)
        raise AssertionError(f"no progress: {self.status(job)}\n{self.cluster.log_tails()}")

    def run_job(self, kind: Kind, rounds: int, goal: int) -> float:
        """A job, and faults while it runs, until there have been so many. Returns how long it took."""
        job, begin = f"job-{self.jobs}", time.monotonic()
        self.jobs += 1
        solver = {"net": f'"{job}-net.prototxt"', "base_lr": RATE, "lr_policy": '"fixed"', "momentum": 0, "weight_decay": 0, "display": 0,
                  "max_iter": rounds * ROUND, "snapshot": max(1, rounds // 8) * ROUND, "snapshot_prefix": f'"out/{job}"', "random_seed": 7,
                  **kind.solver}
        (self.cluster.shared / f"{job}-net.prototxt").write_text(NET + (NORM if kind.norm else ""), encoding="utf-8")
        text = "".join(f"{key}: {value}\n" for key, value in solver.items())
        (self.cluster.shared / f"{job}.prototxt").write_text(text, encoding="utf-8")
        self.cluster.submit(job, [*MODES[self.mode], *kind.words])
        while self.await_progress(job) is not None and sum(self.counts.values()) < goal:
            time.sleep(self.draw.uniform(*CALM_SECONDS))
            name = self.draw.choice(self.names)
            what = FAULTS[name](self.cluster, self.draw)
            self.counts[name] += 1
            seconds = self.await_progress(job)
            if seconds is not None:
                self.recoveries[name].append(seconds)
            print(f"{sum(self.counts.values())}: {name} {what}: " + (f"{seconds:.1f} s" if seconds is not None else "the job has ended"), flush=True)
        self.check(job, kind, rounds)
        return time.monotonic() - begin

    def check(self, job: str, kind: Kind, rounds: int) -> None:
        deadline = time.monotonic() + 4 * testbed.RUN_SECONDS
        status = self.status(job)
        while status is None or status["state"] not in faults.ENDED:
            if time.monotonic() > deadline:
                raise AssertionError(f"{job} does not end: {status}\n{self.cluster.log_tails()}")
            time.sleep(POLL_SECONDS)
            status = self.status(job)
        if status["state"] != "JOB_STATE_SUCCEEDED":
            raise AssertionError(f"{job}: {status['state']}: {status['cause']}\n{self.cluster.log_tails()}")
        ledger, iterations = status["ledger"], rounds * ROUND
        if ledger["chunks"] == 0 or ledger["complete_chunks"] != ledger["chunks"] or int(ledger["iterations"]) != iterations:
            raise AssertionError(f"{job}: {ledger}")
        model = self.cluster.shared / f"{job}.caffemodel"
        done = self.cluster.samovar("model", "export", job, f"coordinator:{PORT}", "--output", model)
        if done.returncode != 0:
            raise AssertionError(f"{job} is not exported: {done.stderr}")
        wrong = wrong_floats(model.read_bytes(), rounds, kind, PARTS if self.mode == "sync" else 1)
        if wrong:
            raise AssertionError(f"{job} ({kind.name}): {len(wrong)} wrong floats: {'; '.join(wrong[:3])}\n{self.cluster.log_tails()}")
        self.floats += OUTPUTS * RECORDS + (2 if kind.norm else 0)
        print(f"{job} ({self.mode}, {kind.name}): {iterations} iterations, all floats exact, {status['repeated_iterations']} computed again",
              flush=True)

    def rage(self, goal: int) -> None:
        kinds = kinds_of(self.mode)
        rounds = dict.fromkeys((kind.name for kind in kinds), FIRST_ROUNDS)
        while sum(self.counts.values()) < goal:
            kind = kinds[self.jobs % len(kinds)]
            seconds = self.run_job(kind, rounds[kind.name], goal)
            if seconds < JOB_SECONDS:
                rounds[kind.name] *= 4 if seconds < JOB_SECONDS / 4 else 2


def write_data(directory: pathlib.Path) -> None:
    images = bytearray()
    for record in range(RECORDS):
        images += bytes(128 if pixel == record else 0 for pixel in range(RECORDS))
    (directory / "images").write_bytes(struct.pack(">IIII", 0x00000803, RECORDS, SIDE, SIDE) + images)
    (directory / "labels").write_bytes(struct.pack(">II", 0x00000801, RECORDS) + bytes(RECORDS))
    subprocess.run([testbed.program("samovar"), "data", "import", "idx", "--images", directory / "images", "--labels", directory / "labels",
                    "--output", directory / "counts_lmdb"], check=True, capture_output=True)


def spread(seconds: List[float]) -> str:
    ordered = sorted(seconds)
    return f"{ordered[len(ordered) // 2]:.1f} s in the middle, {ordered[-1]:.1f} s at most" if ordered else "none"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--faults", default="all", help=f"kinds of faults, separated by commas, of {', '.join(FAULTS)}; or all")
    parser.add_argument("--count", type=int, default=10, help="faults in all")
    parser.add_argument("--seed", type=int, default=1, help="chooses which, and when")
    parser.add_argument("--mode", choices=tuple(MODES), default="async", help="the jobs'")
    options = parser.parse_args()
    names = list(FAULTS) if options.faults == "all" else options.faults.split(",")
    unknown = [name for name in names if name not in FAULTS]
    if unknown:
        parser.error(f"there is no fault {unknown[0]}")
    reason = "only root can make namespaces" if os.geteuid() != 0 else hosts.why_not()
    if reason:
        print(f"skipped: {reason}")
        return 0
    begin = time.monotonic()
    shared = pathlib.Path(tempfile.mkdtemp(prefix="samovar_storm_"))
    shared.chmod(0o755)
    try:
        with tarfile.open(os.environ["SAMOVAR_BUNDLE"]) as archive:
            archive.extractall(shared)
            release = shared / archive.getnames()[0]
        shutil.copy(os.environ["SAMOVAR_SETTABLE_CLOCK"], shared / "clock.so")
        write_data(shared)
        with Cluster(release, shared) as cluster:
            storm = Storm(cluster, options.mode, names, random.Random(options.seed))
            storm.rage(options.count)
    except AssertionError as error:
        print(f"FAILED: {error}")
        return 1
    finally:
        shutil.rmtree(shared, ignore_errors=True)
    counts = ", ".join(f"{count} {name}" for name, count in sorted(storm.counts.items()))
    for name, seconds in sorted(storm.recoveries.items()):
        print(f"after {name}: {spread(seconds)}")
    print(f"OK mode {options.mode}, seed {options.seed}: {sum(storm.counts.values())} faults ({counts}), {storm.jobs} jobs, {storm.floats} floats, "
          f"none wrong; iterations were done again after {spread(sum(storm.recoveries.values(), []))}; {time.monotonic() - begin:.0f} s in all")
    return 0


if __name__ == "__main__":
    sys.exit(main())
