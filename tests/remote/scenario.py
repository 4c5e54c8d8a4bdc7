"""What a user does with data, models and features that are not on this machine, against a place that a script has started.

A place's test derives from Scenario and says what its base URI is and how somebody else reads and lists there.
"""

import hashlib
import json
import os
import pathlib
import subprocess
import sys
import threading
import time
from typing import Dict, List, Optional

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "tests" / "integration"))
import testbed  # noqa: E402

# As Debian's package dataset-fashion-mnist brings it, in the files of MNIST.
MNIST = pathlib.Path("/usr/share/datasets/fashion-mnist")
# Nets of CaffeOnSpark's kind: their data layers name a class of that, and the records by a URI.
MEMORY_LAYER = """layer {{
  name: "data" type: "MemoryData" top: "data" top: "label" include {{ phase: {phase} }}
  source_class: "com.yahoo.ml.caffe.LMDB"
  memory_data_param {{ source: "{source}" batch_size: {batch} channels: 1 height: 28 width: 28 share_in_parallel: false }}
  transform_param {{ scale: 0.00390625 }}
}}
"""
MEMORY_SOLVER = """net: "lenet_memory_train_test.prototxt"
test_iter: 100 test_interval: 1000 base_lr: 0.01 momentum: 0.9 weight_decay: 0.0005 lr_policy: "inv" gamma: 0.0001 power: 0.75
display: 100 max_iter: 2000 snapshot: 1000 snapshot_prefix: "{base}/lenet" solver_mode: GPU
"""

LARGE_BYTES = int(os.environ.get("SAMOVAR_LARGE_MEBIBYTES", "1024")) << 20
MEMORY_MEBIBYTES = 100


# Runs a command, and writes its largest resident memory, in KiB, into the file that is named first.
MEASURED = """import pathlib, resource, subprocess, sys
code = subprocess.run(sys.argv[2:]).returncode
pathlib.Path(sys.argv[1]).write_text(str(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss))
sys.exit(code)"""


class Scenario(testbed.TestCase):
    # "hdfs://host:port/base", set by the place's test.
    base = ""
    # What no output may have in it.
    secrets: List[str] = []

    def read(self, path: str) -> Optional[bytes]:
        """A file below the base, read by somebody else; None: there is none."""
        raise NotImplementedError

    def sizes(self, path: str) -> Dict[str, int]:
        """Files in a directory below the base, with their sizes, as somebody else lists them."""
        raise NotImplementedError

    def setUp(self) -> None:
        super().setUp()
        self.outputs: List[str] = []
        # Of the last command.
        self.memory_mebibytes = 0

    def samovar(self, *arguments, code: int = 0, seconds: float = testbed.RUN_SECONDS) -> "subprocess.CompletedProcess[bytes]":
        words = [sys.executable, "-c", MEASURED, "memory", testbed.program("samovar"), *map(str, arguments)]
        done = subprocess.run(words, cwd=self.workspace.path, stdin=subprocess.DEVNULL, capture_output=True, timeout=seconds, check=False)
        memory_path = self.workspace.path / "memory"
        self.memory_mebibytes = int(memory_path.read_text(encoding="ascii")) >> 10
        memory_path.unlink()
        output = done.stderr.decode(errors="replace") + done.stdout.decode(errors="replace")
        self.outputs.append(output)
        self.assertEqual(done.returncode, code, f"{arguments}\n{output[-3000:]}")
        for secret in self.secrets:
            self.assertNotIn(secret, output)
        return done

    def row(self, text: str) -> None:
        print(f"    {text}", flush=True)

    # --- The rows -----------------------------------------------------------------------------------------------------------

    def test_files_are_copied_listed_shown_and_removed(self) -> None:
        text = os.urandom(9_000_001)
        (self.workspace.path / "a file, with % and ü").write_bytes(text)
        uri = f"{self.base}/files"
        self.samovar("fs", "cp", "a file, with % and ü", f"{uri}/deep/")
        self.assertEqual(self.read("files/deep/a file, with % and ü"), text)
        (self.workspace.path / "empty").write_bytes(b"")
        self.samovar("fs", "cp", "empty", f"{uri}/deep/none")
        listed = [json.loads(line) for line in self.samovar("fs", "ls", f"{uri}/deep", "--json").stdout.splitlines()]
        self.assertEqual({entry["name"]: entry["bytes"] for entry in listed}, {"a file, with % and ü": len(text), "none": 0})
        self.assertEqual(self.sizes("files/deep"), {"a file, with % and ü": len(text), "none": 0})
        self.assertEqual(self.samovar("fs", "cat", f"{uri}/deep/a file, with % and ü").stdout, text)
        self.assertEqual(self.samovar("fs", "cat", f"{uri}/deep/none").stdout, b"")
        # What is there is kept, unless it is told otherwise.
        self.samovar("fs", "cp", "empty", f"{uri}/deep/a file, with % and ü", code=2)
        self.samovar("fs", "cp", "empty", f"{uri}/deep/a file, with % and ü", "--force")
        self.assertEqual(self.read("files/deep/a file, with % and ü"), b"")
        self.samovar("fs", "cp", uri, "back", code=2)
        self.samovar("fs", "cp", uri, "back", "--recursive")
        self.assertEqual(sorted(path.name for path in (self.workspace.path / "back").rglob("*") if path.is_file()),
                         ["a file, with % and ü", "none"])
        self.samovar("fs", "rm", f"{uri}/deep", code=2)
        self.samovar("fs", "rm", uri, "--recursive")
        for command in ("ls", "cat", "rm"):
            self.assertIn(b"there is nothing", self.samovar("fs", command, f"{uri}/deep/none", code=2).stderr)

    def test_a_large_file_goes_there_and_back_in_little_memory(self) -> None:
        path = self.workspace.path / "large"
        digest = hashlib.sha256()
        with path.open("wb") as file:
            for _ in range(LARGE_BYTES >> 22):
                piece = os.urandom(1 << 22)
                digest.update(piece)
                file.write(piece)
        uri = f"{self.base}/large"
        seen: List[Optional[int]] = []
        done = threading.Event()

        def look() -> None:
            while not done.wait(0.3):
                seen.append(self.sizes("").get("large"))

        watcher = threading.Thread(target=look)
        watcher.start()
        begun = time.monotonic()
        try:
            self.samovar("fs", "cp", "large", uri, seconds=900)
        finally:
            done.set()
            watcher.join()
        up, memory = time.monotonic() - begun, self.memory_mebibytes
        # There at once, with all of it.
        self.assertLessEqual(set(seen), {None, LARGE_BYTES})
        begun = time.monotonic()
        self.samovar("fs", "cp", uri, "back", seconds=900)
        down = time.monotonic() - begun
        back = hashlib.sha256()
        with (self.workspace.path / "back").open("rb") as file:
            for piece in iter(lambda: file.read(1 << 22), b""):
                back.update(piece)
        self.assertEqual(back.hexdigest(), digest.hexdigest())
        self.row(f"{LARGE_BYTES >> 20} MiB: up in {up:.1f} s with {memory} MiB of memory, down in {down:.1f} s with {self.memory_mebibytes} MiB")
        self.assertLess(max(memory, self.memory_mebibytes), MEMORY_MEBIBYTES)

    def test_a_set_is_made_there_and_workers_fetch_what_they_lease(self) -> None:
        self.samovar("data", "partition", "train_lmdb", "train_set", "--partitions", 8)
        uri = f"{self.base}/made/set"
        done = self.samovar("data", "partition", "train_lmdb", uri, "--partitions", 8)
        self.assertIn(b"in 8 partitions", done.stdout)
        self.assertEqual(self.read("made/set/part-00007/data.mdb"), (self.workspace.path / "train_set/part-00007/data.mdb").read_bytes())
        self.assertEqual(self.read("made/set/manifest"), (self.workspace.path / "train_set/manifest").read_bytes())
        self.assertIn(b"--force replaces it", self.samovar("data", "partition", "train_lmdb", uri, "--partitions", 8, code=2).stderr)
        self.assertIn(b"all sizes and checksums are right", self.samovar("data", "info", uri, "--verify").stdout)
        self.assert_fetched_as_leased("train_set", uri, 8)
        # Replaced, and nothing of the former one is left.
        self.samovar("data", "partition", "test_lmdb", uri, "--partitions", 2, "--force")
        self.assertIn(str(testbed.TEST_RECORDS).encode(), self.samovar("data", "info", uri).stdout)
        self.assertEqual(len(self.samovar("fs", "ls", uri, "--json").stdout.splitlines()), 3)

    def test_an_import_that_is_killed_leaves_no_set(self) -> None:
        uri = f"{self.base}/killed"
        words = [testbed.program("samovar"), "data", "partition", "train_lmdb", uri, "--partitions", str(testbed.TRAIN_RECORDS)]
        with subprocess.Popen(words, cwd=self.workspace.path, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL) as command:
            deadline = time.monotonic() + testbed.RUN_SECONDS
            while self.read("killed/part-00003/data.mdb") is None:
                self.assertIsNone(command.poll(), "it was too fast")
                self.assertLess(time.monotonic(), deadline)
            command.kill()
        self.assertIsNone(self.read("killed/manifest"))
        self.samovar("data", "info", uri, code=2)
        self.samovar("data", "partition", "train_lmdb", uri, "--partitions", 2)
        self.assertIn(b"in 2 partitions", self.samovar("data", "info", uri).stdout)
        self.assertEqual(len(self.samovar("fs", "ls", uri, "--json").stdout.splitlines()), 3)

    def test_a_job_reads_and_writes_there_alone(self) -> None:
        """Solver, net, weights and data are there, and so are model, snapshots and features afterwards."""
        for name in ("train_lmdb", "test_lmdb"):
            self.samovar("data", "partition", name, f"{name}_set", "--partitions", 2)
            self.samovar("fs", "cp", f"{name}_set", f"{self.base}/data/{name}", "--recursive")
        net = self.workspace.write_net(lambda text: text.replace('"train_lmdb"', f'"{self.base}/data/train_lmdb"')
                                       .replace('"test_lmdb"', f'"{self.base}/data/test_lmdb"'))
        solver = self.workspace.write_solver(net=f'"{self.base}/net.prototxt"', snapshot_prefix=f'"{self.base}/out/small"',
                                             max_iter=300, snapshot=100)
        for path in (net, solver):
            self.samovar("fs", "cp", path, f"{self.base}/{path.name}")
            path.unlink()
        self.samovar("train", "--solver", f"{self.base}/solver.prototxt", "--state", "state", "--workers", 2, "--servers", 2,
                     "--export-snapshots", f"{self.base}/snapshots")
        model = self.read("out/small_iter_300.caffemodel")
        self.assertIsNotNone(model)
        self.assertIsNotNone(self.read("out/small_iter_300.solverstate"))
        snapshots = json.loads(b"[" + b",".join(self.samovar("fs", "ls", f"{self.base}/snapshots", "--json").stdout.splitlines()) + b"]")
        self.assertTrue(any(entry["name"].endswith("_iter_300") for entry in snapshots), snapshots)
        # A run of another number of servers goes on from there.
        longer = self.workspace.write_solver(net=f'"{self.base}/net.prototxt"', snapshot_prefix=f'"{self.base}/out/longer"', max_iter=350)
        self.samovar("fs", "cp", longer, f"{self.base}/longer.prototxt")
        self.samovar("train", "--solver", f"{self.base}/longer.prototxt", "--state", "other", "--workers", 1, "--servers", 1,
                     "--restore", f"{self.base}/snapshots")
        self.assertIsNotNone(self.read("out/longer_iter_350.caffemodel"))
        self.samovar("features", "--model", f"{self.base}/net.prototxt", "--weights", f"{self.base}/out/small_iter_300.caffemodel",
                     "--blobs", "ip2", "--label", "label", "--output", f"{self.base}/features")
        rows = [json.loads(line) for line in (self.read("features/features.jsonl") or b"").splitlines()]
        self.assertEqual(len(rows), testbed.TEST_RECORDS)
        right = sum(max(range(testbed.CLASSES), key=row["ip2"].__getitem__) == row["label"][0] for row in rows)
        self.row(f"{len(rows)} rows of features there, of which {right} have the right class first")
        self.assertGreater(right, 0.9 * testbed.TEST_RECORDS)
        # Nothing of all that is in folders that are named as schemes are.
        self.assertFalse([entry for entry in self.workspace.entries() if ":" in entry.split("/")[0]])

    def test_lenet_goes_from_pictures_to_features_as_users_of_caffe_on_spark_had_it(self) -> None:
        """Files of MNIST into the storage, lenet_memory_* with its URIs, 8 workers, the model and the features of 10,000 pictures there."""
        if not MNIST.is_dir():
            self.skipTest("Debian's package dataset-fashion-mnist is not installed")
        base = f"{self.base}/mnist"
        begun = time.monotonic()
        for name, files, flags in (("train", "train", ["--partitions", 8]), ("test", "t10k", [])):
            output = f"{base}/{name}" if flags else "test_of_mnist"
            self.samovar("data", "import", "idx", "--images", MNIST / f"{files}-images-idx3-ubyte.gz", "--labels",
                         MNIST / f"{files}-labels-idx1-ubyte.gz", "--output", output, *flags)
        self.samovar("fs", "cp", "test_of_mnist", f"{base}/test", "--recursive")
        lenet = (ROOT / "config/models/lenet/lenet_train_test.prototxt").read_text(encoding="utf-8")
        first = lenet.index("layer {")
        layers = lenet[lenet.index('layer {\n  name: "conv1"'):]
        net = lenet[:first] + MEMORY_LAYER.format(phase="TRAIN", source=f"{base}/train", batch=64) \
            + MEMORY_LAYER.format(phase="TEST", source=f"{base}/test", batch=100) + layers
        (self.workspace.path / "lenet_memory_train_test.prototxt").write_text(net, encoding="utf-8")
        (self.workspace.path / "lenet_memory_solver.prototxt").write_text(MEMORY_SOLVER.format(base=base), encoding="utf-8")
        for name in ("lenet_memory_train_test.prototxt", "lenet_memory_solver.prototxt"):
            self.samovar("fs", "cp", name, f"{base}/{name}")
            (self.workspace.path / name).unlink()
        imported = time.monotonic() - begun
        begun = time.monotonic()
        done = self.samovar("train", "--solver", f"{base}/lenet_memory_solver.prototxt", "--state", "state", "--workers", 8, "--servers", 2,
                            seconds=900)
        self.assertIn(b"exactly once", done.stdout)
        trained = time.monotonic() - begun
        begun = time.monotonic()
        self.samovar("features", "--model", f"{base}/lenet_memory_train_test.prototxt", "--weights", f"{base}/lenet_iter_2000.caffemodel",
                     "--blobs", "accuracy,ip2", "--label", "label", "--output", f"{base}/features", seconds=600)
        rows = [json.loads(line) for line in (self.read("mnist/features/features.jsonl") or b"").splitlines()]
        self.row(f"import {imported:.1f} s, 2000 iterations with 8 workers {trained:.1f} s, features {time.monotonic() - begun:.1f} s")
        # The records as somebody else reads them, from the files that are there.
        records = self.workspace.path / "records"
        records.mkdir()
        (records / "data.mdb").write_bytes(self.read("mnist/test/data.mdb") or b"")
        listed = subprocess.run([os.environ["SAMOVAR_LMDB_PYTHON"], "-B", str(ROOT / "tests/remote/read_labels.py"), str(records)],
                                capture_output=True, text=True, timeout=120, check=True).stdout
        stored = [line.split() for line in listed.splitlines()]
        self.assertEqual(len(rows), 10_000)
        self.assertEqual([(row["SampleID"], int(row["label"][0])) for row in rows], [(key, int(label)) for key, label in stored])
        right = sum(max(range(10), key=row["ip2"].__getitem__) == row["label"][0] for row in rows)
        self.row(f"10,000 rows have the keys and labels of the 10,000 records; {right} have the right class first")
        self.assertGreater(right, 7_500)

    def test_a_cluster_has_its_home_and_its_snapshots_there(self) -> None:
        """Coordinator and server are lost with their disks, and other machines go on."""
        self.workspace.write_solver(max_iter=600, snapshot=60)
        home, exported = f"{self.base}/home", f"{self.base}/exported"

        def start(program: str, name: str, *words: str) -> "subprocess.Popen[bytes]":
            with open(self.workspace.path / f"{name}.log", "ab") as log:
                process = subprocess.Popen([testbed.program(program), *words], cwd=self.workspace.path, stdin=subprocess.DEVNULL,
                                           stdout=log, stderr=log)
            self.addCleanup(process.wait)
            self.addCleanup(process.kill)
            return process

        def server(name: str, *words: str) -> "subprocess.Popen[bytes]":
            return start("samovar-server", name, "--state", name, *words)

        def status() -> dict:
            done = self.workspace.command("status", home, "--json")
            return (json.loads(done.stdout).get("jobs") or [{}])[0] if done.returncode == 0 else {}

        def wait_for(such_that) -> dict:
            deadline = time.monotonic() + testbed.RUN_SECONDS
            while time.monotonic() < deadline:
                now = status()
                if now and such_that(now):
                    return now
                self.assertNotEqual(now.get("state"), "JOB_STATE_FAILED", now.get("cause"))
                time.sleep(0.2)
            logs = "\n".join((self.workspace.path / f"{name}.log").read_text(errors="replace")[-2000:] for name in ("first", "other"))
            self.fail(f"not in time: {status()}\n{logs}")

        lost = [server("first", "--coordinator", "--home", home), server("other", "--join", home)]
        start("samovar-worker", "worker", "--coordinator", home)
        # The coordinator that has not said yet where it is is waited for.
        self.samovar("submit", home, "--solver", "solver.prototxt", "--servers", 2, "--name", "job", "--export-snapshots", exported)
        wait_for(lambda job: job.get("exported_snapshot"))
        begin = time.monotonic()
        for process in lost:
            process.kill()
        server("successor", "--coordinator", "--home", home)
        server("another", "--join", home)
        job = wait_for(lambda job: job["state"] == "JOB_STATE_SUCCEEDED")
        self.row(f"a coordinator and a server on other machines ended the job {time.monotonic() - begin:.1f} s after both were lost")
        self.assertEqual(job["ledger"]["complete_chunks"], job["ledger"]["chunks"])
        self.assertEqual(int(job["ledger"]["iterations"]), 600)
        self.assertTrue([notice for notice in job["notices"] if f"restored from {exported}/job_iter_" in notice], job["notices"])
        for path in self.workspace.path.glob("*.log"):
            text = path.read_text(errors="replace")
            for secret in self.secrets:
                self.assertNotIn(secret, text)
