#!/usr/bin/env python3
"""Does one fault after the other to a job on a cluster of hosts, and writes a table: what was done, what a user saw, how long the job
stood still, and what was computed again. Exits with 1 if anything was lost.

    SAMOVAR_BUNDLE=...tar.gz python3 tests/chaos/faults.py [--only WORDS]

The models of all jobs in sync mode must be the same file, whatever was done to them.

SAMOVAR_BUNDLE names the tarball. Needs root, for namespaces; see tests/integration/hosts.py.
"""

import argparse
import json
import os
import pathlib
import shutil
import signal
import sys
import tarfile
import tempfile
import threading
import time
from typing import Callable, Dict, List, Optional

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "integration"))
import hosts  # noqa: E402
import testbed  # noqa: E402
from processes import children_of  # noqa: E402

PORT = 7400
SAMPLE_SECONDS = 0.2
SERVERS = ("coordinator", "server-1", "server-2")
WORKERS = ("worker-1", "worker-2")
# The length of a fault: long enough that a worker, and that a server, is given up.
WORKER_CUT_SECONDS = 9
SERVER_CUT_SECONDS = 14
# Iterations that the others are to do while a worker is cut off.
GONE_ON = 50
ENDED = ("JOB_STATE_SUCCEEDED", "JOB_STATE_FAILED", "JOB_STATE_CANCELLED")


class Cluster:
    """Three servers and two workers, each on a host of its own, and one job. Use it in a `with`."""

    def __init__(self, release: pathlib.Path, shared: pathlib.Path) -> None:
        self.release, self.shared = release, shared
        self._scratch = pathlib.Path(tempfile.mkdtemp(prefix="samovar_faults_"))
        self._scratch.chmod(0o755)
        self.hosts = hosts.Hosts(self._scratch, shared)
        self.ports = dict.fromkeys(SERVERS, PORT)
        self._started: Dict[str, "object"] = {}
        self._cut: List[List[str]] = []

    def __enter__(self) -> "Cluster":
        for name in SERVERS + WORKERS:
            self.start(name)
        return self

    def __exit__(self, *_) -> None:
        self.hosts.__exit__()
        for process in self._started.values():
            process.wait(testbed.END_SECONDS)
        shutil.rmtree(self._scratch, ignore_errors=True)

    def address(self, name: str) -> str:
        return f"{self.hosts[name].address}:{self.ports[name]}"

    def words_before(self, name: str) -> List[str]:
        """Of a command that runs the process's own."""
        return []

    def start(self, name: str) -> None:
        coordinator = f"coordinator:{PORT}"
        if name in WORKERS:
            words = ["samovar-worker", "--coordinator", coordinator, "--name", name, "--threads", "1"]
        else:
            words = ["samovar-server", "--listen", self.address(name), "--allow-plaintext", "--state", "/var/tmp/samovar"]
            words += ["--coordinator"] if name == "coordinator" else ["--join", coordinator]
        # In the directory that all hosts share.
        entered = ["sh", "-c", 'cd "$0" && exec "$@"', self.shared, *self.words_before(name), self.release / "bin" / words[0], *words[1:]]
        self._started[name] = self.hosts[name].popen(entered, self._scratch / f"{name}.log")

    def end(self, name: str, number: int = signal.SIGKILL) -> int:
        """Returns the exit code, as subprocess has it."""
        entered = self._started[name]
        for process in children_of(entered.pid):
            process.kill(number)
        return entered.wait(testbed.END_SECONDS)

    def cut(self, one: str, other: str) -> None:
        """Neither's packets get to the other any more; nobody is told."""
        self.cut_one_way(one, other)
        self.cut_one_way(other, one)

    def cut_one_way(self, sender: str, receiver: str) -> None:
        """The sender's packets do not get to the receiver any more; nobody is told."""
        self.hosts[sender].check("ip", "neigh", "replace", self.hosts[receiver].address, "lladdr", "02:00:00:00:00:99", "dev", "eth0",
                                 "nud", "permanent")
        self._cut.append([sender, self.hosts[receiver].address])

    def mend(self) -> None:
        for name, address in self._cut:
            self.hosts[name].check("ip", "neigh", "del", address, "dev", "eth0")
        self._cut.clear()

    def samovar(self, *words) -> "object":
        return self.hosts["desk"].run(self.release / "bin/samovar", *words, directory=self.shared)

    def submit(self, job: str, words: List[str]) -> None:
        deadline = time.monotonic() + testbed.COMMAND_SECONDS
        while True:
            done = self.samovar("submit", f"coordinator:{PORT}", "--solver", f"{job}.prototxt", "--name", job, "--servers", 3, *words)
            if done.returncode == 0:
                return
            if time.monotonic() > deadline:
                raise AssertionError(f"it cannot be submitted: {done.stderr}")
            time.sleep(0.5)

    def status(self, job: str) -> Optional[dict]:
        """None: the coordinator does not answer."""
        done = self.samovar("status", f"coordinator:{PORT}", "--json")
        if done.returncode != 0:
            return None
        return next((status for status in json.loads(done.stdout)["jobs"] if status["job_id"] == job), None)

    def log_tails(self) -> str:
        return "\n".join(f"--- {log.name}\n" + log.read_text(errors="replace")[-1500:] for log in sorted(self._scratch.glob("*.log")))


class Watch:
    """The job's status by the moment, from a thread of its own."""

    def __init__(self, cluster: Cluster, job: str) -> None:
        self._cluster, self._job = cluster, job
        self._changed = threading.Condition()
        self._last: Optional[dict] = None
        self._fault: Optional[float] = None
        # Since the fault: the longest time without an iteration that was done, and when the last was.
        self.still = 0.0
        self._moved = 0.0
        self.causes: Dict[str, None] = {}
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        done = -1
        while True:
            status = self._cluster.status(self._job)
            now = time.monotonic()
            with self._changed:
                if status is not None:
                    count = int(status["completed_iterations"])
                    if count != done:
                        self._note_move(now, count > done)
                    done = count
                    if status["cause"] and status["state"] not in ENDED and self._fault is not None:
                        self.causes["".join("N" if letter.isdigit() else letter for letter in status["cause"])] = None
                    self._last = status
                    self._changed.notify_all()
                    if status["state"] in ENDED:
                        self._note_move(now, True)
                        return
            time.sleep(SAMPLE_SECONDS)

    def _note_move(self, now: float, forward: bool) -> None:
        if forward and self._fault is not None:
            self.still = max(self.still, now - self._moved)
            self._moved = now

    def fault_begins(self) -> None:
        with self._changed:
            self._fault = self._moved = time.monotonic()

    def wait(self, such_that: Callable[[dict], bool], what: str) -> dict:
        with self._changed:
            if not self._changed.wait_for(lambda: self._last is not None and such_that(self._last), testbed.RUN_SECONDS):
                raise AssertionError(f"{what}: not so; {json.dumps(self._last)}\n{self._cluster.log_tails()}")
            return self._last


# --- Faults: each does its thing to a running job, and returns what else its row is to say ---

def kill_and_start(names: List[str], away: float = 1.0, moved: bool = False) -> Callable[[Cluster, Watch], str]:
    def fault(cluster: Cluster, _: Watch) -> str:
        for name in names:
            cluster.end(name)
        time.sleep(away)
        for name in names:
            if moved:
                cluster.ports[name] += 1
            cluster.start(name)
        return ""
    return fault


def cut_for(one: str, other: str, seconds: float) -> Callable[[Cluster, Watch], str]:
    def fault(cluster: Cluster, _: Watch) -> str:
        cluster.cut(one, other)
        time.sleep(seconds)
        cluster.mend()
        return ""
    return fault


def cut_one_way(sender: str, receiver: str) -> Callable[[Cluster, Watch], str]:
    """Until the status has named who is cut off from whom, and the others have gone on without."""
    def fault(cluster: Cluster, watch: Watch) -> str:
        worker, server = sorted((sender, receiver), reverse=True)
        address = cluster.address(server)
        cluster.cut_one_way(sender, receiver)
        named = watch.wait(lambda status: any(f"worker {worker} is late" in notice and f"no answer from server {address}" in notice
                                              for notice in status["notices"]), "the status names who is cut off")
        goal = int(named["completed_iterations"]) + GONE_ON
        watch.wait(lambda status: int(status["completed_iterations"]) >= goal, "the others have gone on")
        cluster.mend()
        return ""
    return fault


def cut_crosswise(cluster: Cluster, watch: Watch) -> str:
    """Each worker from another server, so that none can finish an iteration, until the status has named both."""
    for worker, server in (("worker-1", "server-1"), ("worker-2", "server-2")):
        cluster.cut_one_way(worker, server)
    watch.wait(lambda status: all(f"worker {worker} has had no answer from server {cluster.hosts[server].address}" in status["cause"]
                                  for worker, server in (("worker-1", "server-1"), ("worker-2", "server-2"))), "the cause names both")
    cluster.mend()
    return ""


def ask_to_end(name: str) -> Callable[[Cluster, Watch], str]:
    def fault(cluster: Cluster, _: Watch) -> str:
        begin = time.monotonic()
        code = cluster.end(name, signal.SIGTERM)
        seconds = time.monotonic() - begin
        if code != 0:
            raise AssertionError(f"{name} ended with {code}")
        cluster.start(name)
        return f"it ended with 0 after {seconds:.1f} s"
    return fault


def damage_and_restart(cluster: Cluster, watch: Watch) -> str:
    """The newest snapshot of a server, and then the server is killed."""
    watch.wait(lambda status: len(status["snapshots"]) >= 2, "two snapshots")
    file = "/var/tmp/samovar/snapshots/data.mdb"
    cluster.end("server-2")
    # Values longer than a page lie in pages of their own; the last such run that is in use belongs to the newest snapshot.
    script = ("import sys; path = sys.argv[1]; data = bytearray(open(path, 'rb').read()); "
              "runs = [at for at in range(2 * 4096, len(data), 4096) if data[at + 10] == 4 and int.from_bytes(data[at:at + 8], 'little') * 4096 == at]; "
              "[data.__setitem__(at + 3000, data[at + 3000] ^ 255) for at in runs[len(runs) // 2:]]; open(path, 'wb').write(data)")
    cluster.hosts["server-2"].check("python3", "-c", script, file)
    cluster.start("server-2")
    return ""


def lose_data(cluster: Cluster, watch: Watch) -> str:
    for name in WORKERS:
        cluster.end(name)
    (cluster.shared / "train_lmdb").rename(cluster.shared / "elsewhere")
    for name in WORKERS:
        cluster.start(name)
    try:
        watch.wait(lambda status: status["state"] in ENDED, "it ends")
    finally:
        (cluster.shared / "elsewhere").rename(cluster.shared / "train_lmdb")
    return ""


def nothing(_: Cluster, __: Watch) -> str:
    return ""


# The fault; the job's flags; its solver's fields; how; the state that it is to end in.
ROWS = [
    ("a worker is killed", "async", {}, kill_and_start(["worker-1"], away=3), "SUCCEEDED"),
    ("a worker is killed", "sync", {}, kill_and_start(["worker-1"], away=3), "SUCCEEDED"),
    ("a server is killed, back after 1 s", "async", {}, kill_and_start(["server-1"]), "SUCCEEDED"),
    ("a server is killed, back after 1 s on another port", "async", {}, kill_and_start(["server-1"], moved=True), "SUCCEEDED"),
    ("a server is killed, back after 1 s", "sync", {}, kill_and_start(["server-1"]), "SUCCEEDED"),
    ("the coordinator is killed, back after 1 s", "async", {}, kill_and_start(["coordinator"]), "SUCCEEDED"),
    ("the coordinator is killed, back after 1 s", "sync", {}, kill_and_start(["coordinator"]), "SUCCEEDED"),
    ("everything is killed, back after 2 s", "async", {}, kill_and_start([*SERVERS, *WORKERS], away=2), "SUCCEEDED"),
    ("everything is killed, back after 2 s", "sync", {}, kill_and_start([*SERVERS, *WORKERS], away=2), "SUCCEEDED"),
    (f"no network between a worker and a server for {WORKER_CUT_SECONDS} s", "async", {},
     cut_for("worker-1", "server-1", WORKER_CUT_SECONDS), "SUCCEEDED"),
    (f"no network between a worker and the coordinator for {WORKER_CUT_SECONDS} s", "async", {},
     cut_for("worker-1", "coordinator", WORKER_CUT_SECONDS), "SUCCEEDED"),
    (f"no network between a server and the coordinator for {SERVER_CUT_SECONDS} s", "async", {},
     cut_for("server-1", "coordinator", SERVER_CUT_SECONDS), "SUCCEEDED"),
    (f"no network between a worker and a server for {WORKER_CUT_SECONDS} s", "sync", {},
     cut_for("worker-1", "server-1", WORKER_CUT_SECONDS), "SUCCEEDED"),
    ("no network from a worker to a server", "sync", {}, cut_one_way("worker-1", "server-1"), "SUCCEEDED"),
    ("no network from a server to a worker", "sync", {}, cut_one_way("server-1", "worker-1"), "SUCCEEDED"),
    ("no network from a worker to a server", "bounded --delay 2", {}, cut_one_way("worker-1", "server-1"), "SUCCEEDED"),
    ("no network from each worker to another server", "sync", {}, cut_crosswise, "SUCCEEDED"),
    (f"no network between two servers for {SERVER_CUT_SECONDS} s", "sync", {},
     cut_for("server-1", "server-2", SERVER_CUT_SECONDS), "SUCCEEDED"),
    ("a worker gets SIGTERM, and is started again", "async", {}, ask_to_end("worker-1"), "SUCCEEDED"),
    ("a server gets SIGTERM, and is started again", "async", {}, ask_to_end("server-1"), "SUCCEEDED"),
    ("a server's newest snapshot is damaged, and the server killed", "async", {}, damage_and_restart, "SUCCEEDED"),
    ("a disk is too small for snapshots", "async", {"full": True}, nothing, "SUCCEEDED"),
    ("the data vanish, and the workers are started again", "async", {}, lose_data, "FAILED"),
    ("the loss becomes infinite", "async", {"base_lr": 1e20}, nothing, "FAILED"),
    ("the same, --on-numeric-failure skip", "async --on-numeric-failure skip", {"base_lr": 1e20}, nothing, "SUCCEEDED"),
]


def check_model(cluster: Cluster, job: str, models: List[bytes]) -> None:
    """`models` has those of the jobs before."""
    exported = cluster.samovar("model", "export", job, f"coordinator:{PORT}", "--output", f"{job}.caffemodel")
    if exported.returncode != 0:
        raise AssertionError(f"the model of {job} cannot be exported: {exported.stderr}")
    models.append((cluster.shared / f"{job}.caffemodel").read_bytes())
    if models[-1] != models[0]:
        raise AssertionError(f"the model of {job} is another one than that of the first job in sync mode")


def do_to(release: pathlib.Path, shared: pathlib.Path, workspace: testbed.Workspace, row, number: int, models: List[bytes]) -> str:
    """A row of the table. `models`: of the rows in sync mode."""
    what, mode, fields, fault, end = row
    job = f"job-{number}"
    # The hosts' network cards set the pace, not the machine.
    iterations = 1000 if mode == "sync" else 2000
    fields = dict(fields)
    full = fields.pop("full", False)
    solver = {"max_iter": iterations, "snapshot": 100, "test_interval": iterations, "test_initialization": "false", **fields}
    shutil.move(str(workspace.write_solver(f"{job}.prototxt", **solver)), str(shared / f"{job}.prototxt"))
    with Cluster(release, shared) as cluster:
        if full:
            cluster.end("server-1")
            cluster.hosts["server-1"].check("sh", "-c", "mkdir -p /var/tmp/samovar && mount -t tmpfs -o size=128k none /var/tmp/samovar")
            cluster.start("server-1")
        cluster.submit(job, ["--mode", *mode.split(), "--seed", "3"])
        watch = Watch(cluster, job)
        if fault is not nothing:
            watch.wait(lambda status: int(status["completed_iterations"]) >= 250 or status["state"] in ENDED, "250 iterations are done")
        watch.fault_begins()
        more = fault(cluster, watch)
        status = watch.wait(lambda status: status["state"] in ENDED, "it ends")
        if status["state"] != f"JOB_STATE_{end}":
            raise AssertionError(f"{what} ({mode}): {status['state']}: {status['cause']}\n{cluster.log_tails()}")
        if end == "SUCCEEDED":
            ledger = status["ledger"]
            if ledger["chunks"] == 0 or ledger["complete_chunks"] != ledger["chunks"] or int(ledger["iterations"]) != iterations:
                raise AssertionError(f"{what} ({mode}): {ledger}")
            if mode == "sync":
                check_model(cluster, job, models)
    said = list(watch.causes) + status["notices"] + [status["snapshot_error"], status["cause"], more]
    lost = "the job" if end == "FAILED" else "nothing"
    still = "" if fault is nothing else f"{watch.still:.1f} s"
    return f"| {what} | {mode} | {'; '.join(filter(None, said))} | {lost} | {status['repeated_iterations']} | {still} |"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="rows whose first column contains this")
    options = parser.parse_args()
    reason = "only root can make namespaces" if os.geteuid() != 0 else hosts.why_not()
    if reason:
        print(f"skipped: {reason}")
        return 0
    shared = pathlib.Path(tempfile.mkdtemp(prefix="samovar_faults_shared_"))
    shared.chmod(0o755)
    workspace = testbed.Workspace()
    try:
        with tarfile.open(os.environ["SAMOVAR_BUNDLE"]) as archive:
            archive.extractall(shared)
            release = shared / archive.getnames()[0]
        for entry in ("train_lmdb", "test_lmdb", "net.prototxt"):
            shutil.move(str(workspace.path / entry), str(shared / entry))
        print("| fault | mode | what the status said | lost | iterations computed again | stood still for |\n|---|---|---|---|---|---|", flush=True)
        models: List[bytes] = []
        for number, row in enumerate(ROWS):
            if options.only in row[0]:
                print(do_to(release, shared, workspace, row, number, models), flush=True)
    finally:
        workspace.remove()
        shutil.rmtree(shared, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
