"""What the integration tests stand on: a workspace with data, nets and solvers, and runs of the real programs.

SAMOVAR_BIN_DIR names the directory of samovar, samovar-server and samovar-worker. Every wait has a deadline; SAMOVAR_TIME_FACTOR
stretches all of them (sanitizers are slow). Only processes that a test started are ever ended, by their id.
"""

import json
import os
import pathlib
import random
import re
import select
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import threading
import time
import unittest
from typing import Callable, Dict, List, Optional, Tuple

import model_blobs
from processes import Process, children_of

TIME_FACTOR = float(os.environ.get("SAMOVAR_TIME_FACTOR", "1"))
# Seconds for a command that trains nothing, for a whole run, and for an end that was asked for.
COMMAND_SECONDS = 60 * TIME_FACTOR
RUN_SECONDS = 150 * TIME_FACTOR
END_SECONDS = 40 * TIME_FACTOR

SIDE = 20
CLASSES = 4
TRAIN_RECORDS = 2000
TEST_RECORDS = 500
BATCH = 32


def program(name: str) -> str:
    directory = os.environ.get("SAMOVAR_BIN_DIR")
    if not directory:
        raise unittest.SkipTest("SAMOVAR_BIN_DIR does not say where the programs are")
    return str(pathlib.Path(directory).resolve() / name)


def free_port() -> int:
    """A port below those that the system gives to connections, one of which may take it before its daemon does."""
    while True:
        try:
            with socket.create_server(("127.0.0.1", random.randrange(12000, 32000))) as listener:
                return listener.getsockname()[1]
        except OSError:
            continue


def with_open_files(words: List[str], most: Optional[int]) -> List[str]:
    """The command, in a shell that lets it open no more files than that; None: as many as the test may."""
    return words if most is None else ["bash", "-c", f'ulimit -n {most} && exec "$0" "$@"', *words]


# --- Data ------------------------------------------------------------------------------------------------------------------------

def write_idx(directory: pathlib.Path, name: str, records: int, seed: int) -> Tuple[pathlib.Path, pathlib.Path]:
    """Images of noise with one bright quadrant, which is the label: separable, and not at first sight of one pixel."""
    draw = random.Random(seed)
    images, labels = bytearray(), bytearray()
    half = SIDE // 2
    for _ in range(records):
        label = draw.randrange(CLASSES)
        pixels = bytearray(draw.randbytes(SIDE * SIDE))
        top, left = half * (label // 2), half * (label % 2)
        for row in range(top, top + half):
            begin = row * SIDE + left
            pixels[begin:begin + half] = bytes(128 + value // 2 for value in pixels[begin:begin + half])
        images += pixels
        labels.append(label)
    images_path, labels_path = directory / f"{name}-images-idx3-ubyte", directory / f"{name}-labels-idx1-ubyte"
    images_path.write_bytes(struct.pack(">IIII", 0x00000803, records, SIDE, SIDE) + images)
    labels_path.write_bytes(struct.pack(">II", 0x00000801, records) + labels)
    return images_path, labels_path


# Centred, as data should be: uncentred, this problem is so badly conditioned that asynchronous SGD with momentum 0.9 is at the edge of
# what it stands, and now and then beyond.
NET = """name: "SmallLeNet"
layer {{
  name: "images" type: "Data" top: "data" top: "label"
  include {{ phase: TRAIN }}
  transform_param {{ mean_value: 128 scale: 0.00390625 }}
  data_param {{ source: "{train}" backend: LMDB batch_size: {batch} }}
}}
layer {{
  name: "images" type: "Data" top: "data" top: "label"
  include {{ phase: TEST }}
  transform_param {{ mean_value: 128 scale: 0.00390625 }}
  data_param {{ source: "{test}" backend: LMDB batch_size: 50 }}
}}
layer {{
  name: "conv1" type: "Convolution" bottom: "data" top: "conv1"
  param {{ lr_mult: 1 }} param {{ lr_mult: 2 }}
  convolution_param {{
    num_output: 16
    kernel_size: 5
    weight_filler {{ type: "xavier" }}
  }}
}}
layer {{ name: "pool1" type: "Pooling" bottom: "conv1" top: "pool1" pooling_param {{ pool: MAX kernel_size: 2 stride: 2 }} }}
layer {{
  name: "ip1" type: "InnerProduct" bottom: "pool1" top: "ip1"
  param {{ lr_mult: 1 }} param {{ lr_mult: 2 }}
  inner_product_param {{ num_output: 64 weight_filler {{ type: "xavier" }} }}
}}
layer {{ name: "relu1" type: "ReLU" bottom: "ip1" top: "ip1" }}
layer {{
  name: "ip2" type: "InnerProduct" bottom: "ip1" top: "ip2"
  param {{ lr_mult: 1 }} param {{ lr_mult: 2 }}
  inner_product_param {{ num_output: {classes} weight_filler {{ type: "xavier" }} }}
}}
layer {{ name: "accuracy" type: "Accuracy" bottom: "ip2" bottom: "label" top: "accuracy" include {{ phase: TEST }} }}
layer {{ name: "loss" type: "SoftmaxWithLoss" bottom: "ip2" bottom: "label" top: "loss" }}
"""

SOLVER = {
    "net": '"net.prototxt"', "test_iter": 10, "test_interval": 500, "base_lr": 0.01, "lr_policy": '"inv"', "gamma": 0.0001,
    "power": 0.75, "momentum": 0.9, "weight_decay": 0.0005, "display": 50, "max_iter": 400, "snapshot": 0,
    "snapshot_prefix": '"out/small"', "solver_mode": "CPU", "random_seed": 7,
}


class Workspace:
    """A directory of its own with two LMDBs, net.prototxt and solver.prototxt; runs have it as their current directory."""

    def __init__(self, empty: bool = False) -> None:
        """`empty`: there is nothing in it."""
        self.path = pathlib.Path(tempfile.mkdtemp(prefix="samovar_itest_"))
        if empty:
            return
        for name, records, seed in (("train", TRAIN_RECORDS, 1), ("test", TEST_RECORDS, 2)):
            images, labels = write_idx(self.path, name, records, seed)
            self.check("data", "import", "idx", "--images", images, "--labels", labels, "--output", self.path / f"{name}_lmdb")
        self.write_net()
        self.write_solver()

    def remove(self) -> None:
        shutil.rmtree(self.path, ignore_errors=True)

    def write_net(self, change: Callable[[str], str] = lambda text: text, name: str = "net.prototxt") -> pathlib.Path:
        text = NET.format(train="train_lmdb", test="test_lmdb", batch=BATCH, classes=CLASSES)
        (self.path / name).write_text(change(text), encoding="utf-8")
        return self.path / name

    def write_solver(self, name: str = "solver.prototxt", **fields) -> pathlib.Path:
        """Fields replace or add to the usual ones; None leaves one out."""
        lines = [f"{key}: {value}" for key, value in {**SOLVER, **fields}.items() if value is not None]
        (self.path / name).write_text("\n".join(lines) + "\n", encoding="utf-8")
        return self.path / name

    def entries(self) -> List[str]:
        """All files and directories, but for the locks that LMDB's readers share: a process that opens an LMDB makes its lock."""
        return sorted(str(path.relative_to(self.path)) for path in self.path.rglob("*") if path.name != "lock.mdb")

    def command(self, *arguments) -> "subprocess.CompletedProcess[str]":
        """A command that ends by itself."""
        return subprocess.run([program("samovar"), *map(str, arguments)], cwd=self.path, stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, timeout=COMMAND_SECONDS, check=False)

    def check(self, *arguments) -> str:
        done = self.command(*arguments)
        if done.returncode != 0:
            raise AssertionError(f"{done.args} exited with {done.returncode}:\n{done.stdout}\n{done.stderr}")
        return done.stdout


# --- Processes -------------------------------------------------------------------------------------------------------------------

class Run:
    """A `samovar train` in the background. Use it in a `with`: processes that are left at its end are killed."""

    def __init__(self, workspace: Workspace, *arguments, solver="solver.prototxt", as_json: bool = True,
                 open_files: Optional[int] = None) -> None:
        words = [program("samovar"), "train", "--solver", str(solver), *map(str, arguments)]
        if as_json:
            words.append("--json")
        self._popen = subprocess.Popen(with_open_files(words, open_files), cwd=workspace.path, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                       stderr=subprocess.PIPE, text=True)
        self.pid = self._popen.pid
        self.out: List[str] = []
        self.err: List[str] = []
        self._started: Dict[int, Process] = {}
        self._changed = threading.Condition()
        self._readers = [threading.Thread(target=self._read, args=pair, daemon=True)
                         for pair in ((self._popen.stdout, self.out), (self._popen.stderr, self.err))]
        for reader in self._readers:
            reader.start()

    def __enter__(self) -> "Run":
        return self

    def __exit__(self, *_) -> None:
        self.children()
        if self._popen.poll() is None:
            self._popen.kill()
        self._popen.wait(END_SECONDS)
        for process in self._started.values():
            process.kill()
            process.await_end(END_SECONDS)
        for reader in self._readers:
            reader.join(END_SECONDS)
        self._popen.stdout.close()
        self._popen.stderr.close()

    def _read(self, pipe, lines: List[str]) -> None:
        for line in pipe:
            with self._changed:
                lines.append(line.rstrip("\n"))
                self._changed.notify_all()
        with self._changed:
            self._changed.notify_all()

    def _ended(self) -> bool:
        return not any(reader.is_alive() for reader in self._readers)

    def describe(self) -> str:
        return "stdout:\n" + "\n".join(self.out[-30:]) + "\nstderr:\n" + "\n".join(self.err[-30:])

    def events(self, name: str) -> List[dict]:
        """Of a run with --json: what it has reported so far under that name."""
        with self._changed:
            lines = list(self.out)
        return [event for event in map(json.loads, lines) if event["event"] == name]

    def await_event(self, name: str, such_that: Callable[[dict], bool] = lambda event: True) -> dict:
        deadline = time.monotonic() + RUN_SECONDS
        seen = 0
        with self._changed:
            while True:
                for line in self.out[seen:]:
                    seen += 1
                    event = json.loads(line)
                    if event["event"] == name and such_that(event):
                        return event
                left = deadline - time.monotonic()
                # The last line may come together with the end.
                if left <= 0 or (self._ended() and seen == len(self.out)):
                    raise AssertionError(f'no such event "{name}"\n{self.describe()}')
                self._changed.wait(min(left, 1))

    def await_iteration(self, iteration: int) -> dict:
        return self.await_event("progress", lambda event: event["iteration"] >= iteration)

    def children(self) -> List[Process]:
        """Those that run now. All that were ever seen are ended at the end of the `with`."""
        found = children_of(self.pid)
        self._started.update({process.pid: process for process in found})
        return found

    def workers(self) -> List[Process]:
        return [process for process in self.children() if process.is_worker]

    def servers(self) -> List[Process]:
        return [process for process in self.children() if process.is_server]

    def signal(self, number: int) -> None:
        self._popen.send_signal(number)

    def await_exit(self, seconds: float = RUN_SECONDS) -> int:
        """The exit code, when all output has been read. 128 + n means that signal n was dealt with, -n that it killed."""
        try:
            code = self._popen.wait(seconds)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"still running after {seconds:.0f} s\n{self.describe()}") from None
        for reader in self._readers:
            reader.join(END_SECONDS)
        return code


class Cluster:
    """Servers and workers that run on their own, as services do. Use it in a `with`: processes that are left at its end are killed.

    Server 0 is the coordinator. It keeps its address and its state when it is killed and started again.
    """

    def __init__(self, workspace: Workspace, servers: int = 2, workers: int = 2, flags: Tuple[str, ...] = (),
                 open_files: Optional[int] = None) -> None:
        self._workspace = workspace
        self._open_files = open_files
        self._flags = flags
        self._processes: List["subprocess.Popen[bytes]"] = []
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.address = f"127.0.0.1:{free.getsockname()[1]}"
        self._started_workers = 0
        try:
            self.coordinator = self.start_coordinator()
            self.servers = [self._start("samovar-server", "--join", self.address, "--state", f"server-{i}") for i in range(1, servers)]
            self.workers = [self.start_worker() for _ in range(workers)]
        except BaseException:
            self.__exit__()
            raise

    def __enter__(self) -> "Cluster":
        return self

    def __exit__(self, *_) -> None:
        for process in self._processes:
            if process.poll() is None:
                process.kill()
        for process in self._processes:
            process.wait(END_SECONDS)

    def _start(self, name: str, *arguments: str) -> "subprocess.Popen[bytes]":
        """Returns when the process is ready."""
        reader, writer = os.pipe()
        try:
            with open(self._workspace.path / "cluster.log", "ab") as log:
                words = with_open_files([program(name), *arguments, "--ready-fd", str(writer)], self._open_files)
                process = subprocess.Popen(words, cwd=self._workspace.path,
                                           stdin=subprocess.DEVNULL, stdout=log, stderr=log, pass_fds=[writer])
            self._processes.append(process)
            os.close(writer)
            writer = -1
            ready, _, _ = select.select([reader], [], [], COMMAND_SECONDS)
            if not ready or not os.read(reader, 1):
                raise AssertionError(f"{name} did not get ready\n{self.log()}")
            return process
        finally:
            os.close(reader)
            if writer >= 0:
                os.close(writer)

    def log(self) -> str:
        return (self._workspace.path / "cluster.log").read_text(encoding="utf-8", errors="replace")

    def start_coordinator(self) -> "subprocess.Popen[bytes]":
        return self._start("samovar-server", "--coordinator", "--listen", self.address, "--state", "server-0", *self._flags)

    def start_worker(self, *flags: str) -> "subprocess.Popen[bytes]":
        self._started_workers += 1
        return self._start("samovar-worker", "--coordinator", self.address, "--name", f"worker-{self._started_workers}", *flags)

    def submit(self, *arguments, solver: str = "solver.prototxt") -> str:
        return self._workspace.check("submit", self.address, "--solver", solver, *arguments)

    def job(self, name: str) -> dict:
        jobs = json.loads(self._workspace.check("jobs", self.address, "--json"))["jobs"]
        return next(job for job in jobs if job["job_id"] == name)

    def jobs(self) -> Dict[str, str]:
        """State of each job, in the order of their submission."""
        jobs = json.loads(self._workspace.check("jobs", self.address, "--json"))["jobs"]
        return {job["job_id"]: job["state"].replace("JOB_STATE_", "") for job in jobs}

    def await_job(self, name: str, such_that: Callable[[dict], bool]) -> dict:
        """The job's status as soon as that holds."""
        deadline = time.monotonic() + RUN_SECONDS
        while True:
            job = self.job(name)
            if such_that(job):
                return job
            if time.monotonic() > deadline:
                raise AssertionError(f"the job did not get there: {job}\n{self.log()[-4000:]}")
            time.sleep(0.05)

    def await_state(self, name: str, state: str) -> dict:
        return self.await_job(name, lambda job: job["state"] == f"JOB_STATE_{state}")


class TestCase(unittest.TestCase):
    """A workspace for each test, and checks that several tests make."""

    def setUp(self) -> None:
        self.workspace = Workspace()
        self.addCleanup(self.workspace.remove)

    def assert_success(self, run: Run) -> dict:
        """The run ends well. Returns its last report."""
        code = run.await_exit()
        self.assertEqual(code, 0, run.describe())
        return run.events("succeeded")[-1]

    def assert_exactly_once(self, succeeded: dict, iterations: int, batch: int = BATCH) -> None:
        """Each chunk had each iteration once, and the samples are those of the schedule."""
        ledger = succeeded["ledger"]
        self.assertGreater(ledger["chunks"], 0)
        self.assertEqual(ledger["complete_chunks"], ledger["chunks"])
        self.assertEqual(ledger["iterations"], iterations)
        self.assertEqual(succeeded["iteration"], iterations)
        self.assertEqual(succeeded["samples"], (iterations - succeeded["resumed_from"]) * batch)
        self.assertEqual(ledger["pushes"]["rejected"], 0)

    def assert_all_end(self, processes: List[Process]) -> None:
        self.assertTrue(processes)
        for process in processes:
            self.assertTrue(process.await_end(END_SECONDS), f"{process} still runs")

    def sync_model(self, name: str, caches: List[str]) -> Dict[str, List[bytes]]:
        """The weights that a cluster trains with a worker for each cache of files, in a mode in which their number changes nothing."""
        own = os.environ["SAMOVAR_FILE_CACHE"]
        with Cluster(self.workspace, servers=2, workers=0) as cluster:
            try:
                for cache in caches:
                    os.environ["SAMOVAR_FILE_CACHE"] = str(self.workspace.path / cache)
                    cluster.start_worker()
            finally:
                os.environ["SAMOVAR_FILE_CACHE"] = own
            cluster.submit("--mode", "sync", "--name", name)
            cluster.await_state(name, "SUCCEEDED")
            self.workspace.check("model", "export", name, cluster.address, "--output", f"{name}.caffemodel")
            # Its net names the source, too.
            return model_blobs.blobs_of((self.workspace.path / f"{name}.caffemodel").read_bytes())

    def assert_fetched_as_leased(self, here: str, elsewhere: str, partitions: int) -> None:
        """Of the set `elsewhere` workers fetch what they lease, and their model is that of the set `here`, to the bit."""
        every = {f"part-{number:05}" for number in range(partitions)}
        # A partition has blocks of 32 iterations: first those of two partitions, then of all.
        for iterations, leased in ((40, {"part-00000", "part-00001"}), (32 * partitions, every)):
            self.workspace.write_solver(max_iter=iterations)
            models = []
            for number, source in enumerate((here, elsewhere)):
                self.workspace.write_net(lambda text, source=source: text.replace('"train_lmdb"', f'"{source}"'))
                models.append(self.sync_model(f"job-{iterations}-{number}", ["a", "b"]))
            self.assertTrue(any(models[0].values()))
            self.assertEqual(*models)
            for worker in ("a", "b"):
                copies = (self.workspace.path / worker / "partitions").glob("part-*")
                fetched = {copy.name[:len("part-00000")] for copy in copies}
                self.assertTrue(fetched)
                self.assertLessEqual(fetched, leased)

    def last_accuracy(self, run: Run) -> float:
        outputs = run.events("test")[-1]["outputs"]
        return {output["name"]: output["value"] for output in outputs}["accuracy"]


def lines_matching(lines: List[str], pattern: str) -> List["re.Match[str]"]:
    return [match for match in (re.search(pattern, line) for line in lines) if match]
