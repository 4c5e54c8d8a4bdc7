#!/usr/bin/env python3
"""From DataFrames to a data set, a model and features, in executors that are processes of their own and now and then lost.

run.sh starts this: SAMOVAR_BUNDLE is the tarball, which the executors get from Spark; SAMOVAR_BIN_DIR has the programs that judge. Whoever
reads the LMDBs beside us is py-lmdb, with a reader of Datums of this file.
"""

import gzip
import json
import logging
import os
import pathlib
import re
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import threading
import time
import unittest
from typing import Dict, Iterator, List, Tuple

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path[:0] = [str(ROOT / "deploy" / "spark"), str(ROOT / "tests" / "integration")]
import testbed  # noqa: E402

import lmdb  # noqa: E402
import pyspark  # noqa: E402
from pyspark.ml.linalg import Vectors  # noqa: E402
from pyspark.sql import Row, SparkSession  # noqa: E402
from pyspark.sql.types import ArrayType, BinaryType, FloatType, IntegerType, StringType, StructField, StructType  # noqa: E402

from samovar.errors import CommandFailed, JobFailed, RecordError  # noqa: E402
from samovar.spark import features, train, write_dataset  # noqa: E402

BUNDLE = os.environ["SAMOVAR_BUNDLE"]
SETS = pathlib.Path("/usr/share/datasets/fashion-mnist")
# As many as the test set has.
ROWS = 10_000
# The same rows whenever it is computed; limit() alone would not see to that.
ONE_IN_TEN = "substring(id, -1) = '7'"
PIXELS = StructType([StructField("id", StringType()), StructField("label", IntegerType()), StructField("image", BinaryType())])

NET = """name: "LeNet"
layer {{ name: "images" type: "Data" top: "data" top: "label" include {{ phase: TRAIN }} transform_param {{ scale: 0.00390625 }}
  data_param {{ source: "{train}" backend: LMDB batch_size: 64 }} }}
layer {{ name: "images" type: "Data" top: "data" top: "label" include {{ phase: TEST }} transform_param {{ scale: 0.00390625 }}
  data_param {{ source: "{test}" backend: LMDB batch_size: 100 }} }}
layer {{ name: "conv1" type: "Convolution" bottom: "data" top: "conv1"
  convolution_param {{ num_output: 16 kernel_size: 5 weight_filler {{ type: "xavier" }} }} }}
layer {{ name: "pool1" type: "Pooling" bottom: "conv1" top: "pool1" pooling_param {{ pool: MAX kernel_size: 2 stride: 2 }} }}
layer {{ name: "ip1" type: "InnerProduct" bottom: "pool1" top: "ip1"
  inner_product_param {{ num_output: 64 weight_filler {{ type: "xavier" }} }} }}
layer {{ name: "relu1" type: "ReLU" bottom: "ip1" top: "ip1" }}
layer {{ name: "ip2" type: "InnerProduct" bottom: "ip1" top: "ip2"
  inner_product_param {{ num_output: 10 weight_filler {{ type: "xavier" }} }} }}
layer {{ name: "accuracy" type: "Accuracy" bottom: "ip2" bottom: "label" top: "accuracy" include {{ phase: TEST }} }}
layer {{ name: "loss" type: "SoftmaxWithLoss" bottom: "ip2" bottom: "label" top: "loss" }}
"""


def read_idx(name: str, count: int) -> List[Tuple[str, int, bytes]]:
    """(id, label, pixels) of Fashion-MNIST; where it is not installed, of pictures like those of MNIST: a bright square whose place is the label."""
    if not SETS.is_dir():
        squares = []
        for number in range(count):
            label = (number * 7 + len(name)) % 10
            top, left = 2 + 13 * (label // 5), 1 + 5 * (label % 5)
            pixels = bytearray((number * 31 + position * 17) % 60 for position in range(784))
            for row in range(top, top + 10):
                pixels[row * 28 + left:row * 28 + left + 5] = b"\xff" * 5
            squares.append((f"{name}-{number}", label, bytes(pixels)))
        return squares
    with gzip.open(SETS / f"{name}-images-idx3-ubyte.gz") as images, gzip.open(SETS / f"{name}-labels-idx1-ubyte.gz") as labels:
        images.read(16)
        labels.read(8)
        return [(f"{name}-{number}", labels.read(1)[0], images.read(784)) for number in range(count)]


def fields_of(datum: bytes) -> Dict[int, List]:
    """The fields of a serialised Datum by their numbers: somebody else's reader of protobuf."""
    found: Dict[int, List] = {}
    at = 0

    def varint() -> int:
        nonlocal at
        number = shift = 0
        while True:
            byte = datum[at]
            at += 1
            number |= (byte & 0x7f) << shift
            shift += 7
            if byte < 0x80:
                return number

    while at < len(datum):
        tag = varint()
        if tag & 7 == 0:
            value = varint()
        elif tag & 7 == 2:
            length = varint()
            value, at = datum[at:at + length], at + length
        else:
            value, at = struct.unpack_from("<f", datum, at)[0], at + 4
        found.setdefault(tag >> 3, []).append(value)
    return found


def records_of(set_path: pathlib.Path) -> Iterator[Tuple[str, int, bytes]]:
    """(key, label, data or floats) of a partitioned set, in its order, by the manifest's text and py-lmdb."""
    for line in (set_path / "manifest").read_text().splitlines():
        if line.strip().startswith("directory: "):
            with lmdb.open(str(set_path / line.split('"')[1]), readonly=True, lock=False) as environment, environment.begin() as transaction:
                for key, value in transaction.cursor():
                    fields = fields_of(bytes(value))
                    yield bytes(key).decode(), fields[5][0], fields[4][0] if 4 in fields else fields[6]


def processes(word: str) -> List[testbed.Process]:
    """Those that descend from this one and have the word in their command line, or were forked by one that has."""
    found, below = [], [os.getpid()]
    while below:
        for child in testbed.children_of(below.pop()):
            below.append(child.pid)
            if any(word in part for part in child.words):
                found.append(child)
    return found


def executors() -> List[testbed.Process]:
    return [process for process in processes("CoarseGrainedExecutorBackend") if "java" in process.words[0]]


# In the environment of our executors, and so of all that they start: others may run on this machine.
MARK = f"{os.getpid()}-{time.monotonic_ns()}"


def marked(program: str, mark: str) -> List[int]:
    """The numbers of all processes of this program of ours with the mark, also of those whose parents have ended."""
    found = []
    for entry in pathlib.Path("/proc").iterdir():
        try:
            if (entry.name.isdigit() and program.encode() in (entry / "cmdline").read_bytes()
                    and f"SAMOVAR_MARK={mark}".encode() in (entry / "environ").read_bytes().split(b"\0")):
                found.append(int(entry.name))
        except OSError:
            continue
    return found


def our_workers() -> List[int]:
    return marked("libexec/samovar-worker", MARK)


def parent_of(process: int) -> int:
    text = pathlib.Path(f"/proc/{process}/stat").read_text()
    return int(text[text.rindex(")") + 2:].split()[1])


def await_that(what, seconds: float = testbed.RUN_SECONDS) -> None:
    deadline = time.monotonic() + seconds
    while not what():
        if time.monotonic() > deadline:
            raise AssertionError("not in time")
        time.sleep(0.1)


class SparkTest(unittest.TestCase):
    spark: SparkSession

    @classmethod
    def setUpClass(cls) -> None:
        cls.path = pathlib.Path(tempfile.mkdtemp(prefix="samovar_spark_"))
        cls.addClassCleanup(shutil.rmtree, cls.path, ignore_errors=True)
        os.chdir(cls.path)
        # Spark's workers keep their executors' directories there, with the bundle in each.
        work = pathlib.Path(pyspark.__file__).parent / "work"
        before = set(work.glob("*"))
        cls.addClassCleanup(lambda: [shutil.rmtree(path, ignore_errors=True) for path in set(work.glob("*")) - before])
        cls.spark = (SparkSession.builder.master("local-cluster[2,1,1024]").appName("samovar")
                     .config("spark.driver.host", "127.0.0.1").config("spark.driver.bindAddress", "127.0.0.1")
                     .config("spark.task.maxFailures", "4").config("spark.ui.enabled", "false").config("spark.ui.showConsoleProgress", "false").config("spark.executor.memory", "1g")
                     .config("spark.sql.shuffle.partitions", "4").config("spark.excludeOnFailure.enabled", "false")
                     .config("spark.executorEnv.PYTHONDONTWRITEBYTECODE", "1").config("spark.executorEnv.SAMOVAR_MARK", MARK)
                     .config("spark.worker.cleanup.enabled", "true").getOrCreate())
        cls.addClassCleanup(cls.spark.stop)
        cls.spark.sparkContext.setLogLevel("ERROR")
        cls.pictures = read_idx("t10k", ROWS)
        cls.frame = cls.spark.createDataFrame([Row(id=i, label=l, image=p) for i, l, p in cls.pictures], PIXELS).repartition(3).cache()

    def row(self, text: str) -> None:
        print(f"    {text}", flush=True)

    def path_of(self, name: str) -> pathlib.Path:
        return self.path / name

    def write_net(self, train_set: pathlib.Path, test_set: pathlib.Path, **solver) -> pathlib.Path:
        (self.path / "net.prototxt").write_text(NET.format(train=train_set, test=test_set))
        words = {**testbed.SOLVER, "net": f'"{self.path}/net.prototxt"', "snapshot_prefix": f'"{self.path}/lenet"', "test_iter": 100,
                 "test_interval": 1000, "max_iter": 400, "display": 100, **solver}
        (self.path / "solver.prototxt").write_text("".join(f"{key}: {value}\n" for key, value in words.items()))
        return self.path / "solver.prototxt"

    def data_info(self, path: pathlib.Path) -> str:
        return subprocess.run([testbed.program("samovar"), "data", "info", str(path), "--verify"], check=True, stdout=subprocess.PIPE,
                              text=True).stdout

    # --- The rows ---------------------------------------------------------------------------------------------------------------

    def test_images_become_a_set_a_model_and_features_although_an_executor_is_killed(self) -> None:
        set_path = self.path_of("set")
        begun = time.monotonic()
        made = write_dataset(self.frame, str(set_path), partitions=6, shape=(1, 28, 28), bundle=BUNDLE)
        self.row(f"{made.records} rows became a set of {made.partitions} partitions in {time.monotonic() - begun:.1f} s")
        self.assertEqual((made.records, made.partitions), (ROWS, 6))
        expected = {row_id: (label, pixels) for row_id, label, pixels in self.pictures}
        stored = list(records_of(set_path))
        self.assertEqual(len(stored), ROWS)
        self.assertEqual([key for key, _, _ in stored], sorted(key for key, _, _ in stored))
        self.assertEqual({key[13:]: (label, data) for key, label, data in stored}, expected)
        self.assertIn("all sizes and checksums are right", self.data_info(set_path))

        solver = self.write_net(set_path, set_path, max_iter=1200)
        killed: List[testbed.Process] = []
        times: List[float] = []
        progress: List[Tuple[float, int]] = []

        def kill(event: dict) -> None:
            if event["event"] != "progress":
                return
            progress.append((time.monotonic(), event["iteration"]))
            if event["iteration"] >= 200 and not killed:
                executor = executors()[0]
                executor.kill(signal.SIGKILL)
                killed.append(executor)
                times.append(time.monotonic())

        begun = time.monotonic()
        result = train(self.spark, str(solver), workers=2, servers=2, output=str(self.path_of("out")), on_event=kill, bundle=BUNDLE)
        self.row(f"2 workers trained {result.iterations} iterations in {time.monotonic() - begun:.1f} s, loss {result.loss:.3f}; "
                 f"{len(killed)} executor was killed, and others were told iterations {next(t for t, i in progress if t > times[0]) - times[0]:.1f} s later")
        self.assertEqual(len(killed), 1)
        self.assertFalse(killed[0].runs())
        self.assertEqual(result.iterations, 1200)
        self.assertEqual(result.ledger["iterations"], 1200)
        self.assertEqual(result.ledger["complete_chunks"], result.ledger["chunks"])
        self.assertEqual([iteration for iteration, _ in result.history], list(range(0, 1200, 100)))
        self.assertEqual(result.model, str(self.path_of("out") / "lenet.caffemodel"))
        self.assertTrue(pathlib.Path(result.model).is_file() and pathlib.Path(result.solver_state).is_file())
        self.assertGreater(result.tests[-1]["accuracy"], 0.7)
        await_that(lambda: not our_workers(), 30)

        begun = time.monotonic()
        frame = features(self.spark, str(self.path_of("net.prototxt")), result.model, str(set_path), blobs=["ip2", "accuracy"], bundle=BUNDLE)
        self.assertEqual([(field.name, field.dataType.simpleString()) for field in frame.schema.fields],
                         [("id", "string"), ("ip2", "array<float>"), ("accuracy", "array<float>"), ("label", "int")])
        rows = frame.collect()
        seconds = time.monotonic() - begun
        self.assertEqual(len(rows), ROWS)
        self.assertEqual({row.id: row.label for row in rows}, {key[13:]: label for key, label, _ in stored})
        self.assertTrue(all(len(row.ip2) == 10 for row in rows))
        # One process, of the whole set, says the same.
        alone = subprocess.run([testbed.program("samovar"), "features", "--model", str(self.path_of("net.prototxt")), "--weights", result.model,
                                "--data", str(set_path), "--blobs", "ip2", "--output", "-"], check=True, stdout=subprocess.PIPE, text=True).stdout
        by_key = {row["SampleID"][13:]: row["ip2"] for row in map(json.loads, alone.splitlines())}
        self.assertEqual(len(by_key), ROWS)
        for row in rows:
            for one, other in zip(row.ip2, by_key[row.id]):
                self.assertAlmostEqual(one, other, delta=1e-4 * max(1.0, abs(other)))
        # An action that has had enough ends the programs of its tasks.
        self.assertEqual(len(frame.take(3)), 3)
        await_that(lambda: not marked("libexec/samovar", MARK), 30)
        right = sum(row.accuracy[0] for row in rows) / ROWS
        self.row(f"{len(rows)} rows of features came in {seconds:.1f} s, of which {right:.1%} have the right class first")
        self.assertAlmostEqual(right, result.tests[-1]["accuracy"], delta=0.001)

    def test_an_executor_that_is_killed_while_it_writes_costs_no_record(self) -> None:
        set_path = self.path_of("killed_set")
        # Slow enough that the partitions are not written at once.
        slow = self.frame.rdd.map(lambda row: (time.sleep(0.001), row)[1]).toDF(PIXELS)
        killed: List[testbed.Process] = []

        def kill() -> None:
            await_that(lambda: set_path.is_dir() and any(entry.name.startswith("part-0000") for entry in set_path.iterdir()))
            executor = executors()[0]
            executor.kill(signal.SIGKILL)
            killed.append(executor)

        killer = threading.Thread(target=kill)
        killer.start()
        made = write_dataset(slow, str(set_path), partitions=8, shape=(1, 28, 28), bundle=BUNDLE)
        killer.join()
        self.assertEqual((len(killed), made.records), (1, ROWS))
        self.assertEqual({key[13:]: (label, data) for key, label, data in records_of(set_path)},
                         {row_id: (label, pixels) for row_id, label, pixels in self.pictures})
        named = {line.split('"')[1] for line in (set_path / "manifest").read_text().splitlines() if "directory:" in line}
        self.assertEqual({entry.name for entry in set_path.iterdir()}, named | {"manifest"})
        self.row(f"an executor was killed while it wrote: {made.records} records, each once, and nothing that the manifest does not name")

    def test_the_same_rows_make_the_same_set_however_they_lie(self) -> None:
        few = self.frame.where(ONE_IN_TEN)
        made = []
        for number, frame in enumerate((few, few.repartition(7), few.orderBy("label").coalesce(1))):
            path = self.path_of(f"same-{number}")
            write_dataset(frame, str(path), partitions=4, shape=(1, 28, 28), bundle=BUNDLE)
            made.append(list(records_of(path)))
        self.assertEqual(made[0], made[1])
        self.assertEqual(made[0], made[2])
        by_id = self.path_of("by-id")
        write_dataset(few, str(by_id), partitions=4, shape=(1, 28, 28), order="id", bundle=BUNDLE)
        ids = [key for key, _, _ in records_of(by_id)]
        self.assertEqual(ids, sorted(row.id for row in few.collect()))
        given = self.path_of("given")
        write_dataset(few.orderBy("label", "id").coalesce(1), str(given), partitions=4, shape=(1, 28, 28), order="given", bundle=BUNDLE)
        self.assertEqual([key[13:] for key, _, _ in records_of(given)], [row.id for row in few.orderBy("label", "id").collect()])
        self.row("three cuts of the same rows made the same records in the same order; by id and as given in theirs")

    def test_vectors_and_arrays_become_floats(self) -> None:
        frame = self.spark.createDataFrame([(str(i), i % 2, [i / 4, -1.5, 0.0]) for i in range(9)],
                                           StructType([StructField("id", StringType()), StructField("label", IntegerType()),
                                                       StructField("image", ArrayType(FloatType()))]))
        vectors = self.spark.createDataFrame([(row.id, row.label, Vectors.dense(row.image)) for row in frame.collect()], ["id", "label", "image"])
        for name, images in (("array", frame), ("vector", vectors)):
            write_dataset(images, str(self.path_of(name)), partitions=2, order="id", bundle=BUNDLE)
            self.assertEqual(list(records_of(self.path_of(name))), [(str(i), i % 2, [i / 4, -1.5, 0.0]) for i in range(9)])
        self.row("arrays and vectors became floats")

    def test_what_is_wrong_is_told_and_leaves_no_set(self) -> None:
        path = self.path_of("wrong")
        good = [(str(i), i, b"x" * 784) for i in range(5)]
        for rows, reason in (([("7", None, b"x" * 784)], 'record "7": the label is null'),
                             ([("8", 1, b"x" * 783)], 'record "8": the image has 783 bytes'),
                             ([(None, 1, b"x" * 784)], "a row has no id"), ([("3", 1, b"y" * 784)], 'two rows have the id "3"')):
            with self.subTest(reason), self.assertRaisesRegex(RecordError, reason):
                write_dataset(self.spark.createDataFrame(good + rows, PIXELS), str(path), partitions=2, shape=(1, 28, 28), bundle=BUNDLE)
            self.assertFalse(path.is_dir() and list(path.iterdir()))
        with self.assertRaisesRegex(CommandFailed, 'record "(0|1|2|3|4)": the image is neither JPEG nor PNG|.*neither JPEG nor PNG'):
            write_dataset(self.spark.createDataFrame(good, PIXELS), str(path), partitions=2, order="id", bundle=BUNDLE)
        with self.assertRaisesRegex(RecordError, "has no rows"):
            write_dataset(self.spark.createDataFrame([], PIXELS), str(path), shape=(1, 28, 28), bundle=BUNDLE)
        self.assertFalse(path.is_dir() and list(path.iterdir()))
        write_dataset(self.spark.createDataFrame(good, PIXELS), str(path), partitions=2, shape=(1, 28, 28), bundle=BUNDLE)
        with self.assertRaisesRegex(CommandFailed, "exists already"):
            write_dataset(self.spark.createDataFrame(good, PIXELS), str(path), shape=(1, 28, 28), bundle=BUNDLE)
        write_dataset(self.spark.createDataFrame(good[:3], PIXELS), str(path), partitions=9, shape=(1, 28, 28), overwrite=True, bundle=BUNDLE)
        self.assertEqual((len(list(records_of(path))), len(list(path.iterdir()))), (3, 4))
        self.row("wrong rows were told by their ids, and left no set")

    def test_a_job_that_fails_or_is_interrupted_raises_and_leaves_no_process(self) -> None:
        set_path = self.path_of("for_failures")
        write_dataset(self.frame.where(ONE_IN_TEN), str(set_path), partitions=2, shape=(1, 28, 28), overwrite=True, bundle=BUNDLE)
        with self.assertRaisesRegex(CommandFailed, "none.prototxt") as caught:
            train(self.spark, str(self.path_of("none.prototxt")), workers=2, output=str(self.path_of("failed")), bundle=BUNDLE)
        self.assertEqual(caught.exception.code, 2)
        # A rate at which the loss is no number soon.
        solver = self.write_net(set_path, set_path, max_iter=5000, base_lr=1e20, test_interval=0, test_iter=0)
        solver.write_text("".join(line for line in solver.read_text().splitlines(True) if "test_" not in line) )
        with self.assertRaisesRegex(JobFailed, "is (nan|inf); training diverged"):
            train(self.spark, str(solver), workers=2, output=str(self.path_of("failed")), test_all=True, bundle=BUNDLE)
        await_that(lambda: not our_workers(), 30)
        self.write_net(set_path, set_path, max_iter=1000000)

        def interrupt(event: dict) -> None:
            if event["event"] == "progress" and event["iteration"] > 20:
                raise KeyboardInterrupt

        with self.assertRaises(KeyboardInterrupt):
            train(self.spark, str(solver), workers=2, output=str(self.path_of("failed")), on_event=interrupt, bundle=BUNDLE)
        await_that(lambda: not our_workers(), 30)
        with self.assertRaisesRegex(JobFailed, "the workers have failed: worker spark-.* has ended with exit code 2: .*channels"):
            train(self.spark, str(solver), workers=2, output=str(self.path_of("failed")), worker_flags=["--channels", "99"], bundle=BUNDLE)
        self.assertEqual([process for process in processes("samovar-server")], [])
        self.assertFalse(self.path_of("failed").exists())
        self.row("refused, failed, interrupted and worker-less jobs raised their reasons; no process was left")

    def test_workers_end_with_a_python_that_is_killed(self) -> None:
        set_path = self.path_of("for_orphans")
        write_dataset(self.frame.where(ONE_IN_TEN), f"file://{set_path}", partitions=2, shape=(1, 28, 28), overwrite=True, bundle=BUNDLE)
        solver = self.write_net(set_path, set_path, max_iter=1500)
        first: List[int] = []

        def kill_pythons(event: dict) -> None:
            if event["event"] == "progress" and event["iteration"] > 100 and not first:
                first.extend(our_workers())
                for worker in first:
                    os.kill(parent_of(worker), signal.SIGKILL)

        result = train(self.spark, str(solver), workers=2, output=f"file://{self.path_of('orphans')}", on_event=kill_pythons, bundle=BUNDLE)
        self.assertTrue(first)
        self.assertFalse(set(first) & set(our_workers()))
        self.assertEqual((result.iterations, result.ledger["complete_chunks"]), (1500, result.ledger["chunks"]))
        rows = features(self.spark, str(self.path_of("net.prototxt")), result.model, f"file://{set_path}", blobs="ip2", label=None, keys=True, bundle=BUNDLE)
        self.assertEqual([row.id for row in rows.collect()], [key for key, _, _ in records_of(set_path)])
        self.row(f"{len(first)} workers ended with their killed tasks, others took their place, and the job was whole")

    def test_a_driver_that_is_killed_leaves_no_process(self) -> None:
        set_path = self.path_of("for_driver")
        write_dataset(self.frame.where(ONE_IN_TEN), str(set_path), partitions=2, shape=(1, 28, 28), bundle=BUNDLE)
        solver = self.write_net(set_path, set_path, max_iter=1000000)
        script = """import json, sys
sys.path.insert(0, sys.argv[1])
from pyspark.sql import SparkSession
from samovar.spark import train
spark = SparkSession.builder.master("local-cluster[2,1,1024]").config("spark.driver.host", "127.0.0.1").getOrCreate()
train(spark, sys.argv[2], workers=2, servers=2, output=sys.argv[3], bundle=sys.argv[4], on_event=lambda event: print(json.dumps(event), flush=True))
"""
        mark = f"{MARK}-driver"
        words = [sys.executable, "-c", script, str(ROOT / "deploy/spark"), str(solver), str(self.path_of("killed_out")), BUNDLE]
        with subprocess.Popen(words, env={**os.environ, "SAMOVAR_MARK": mark}, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as driver:
            try:
                trained = any('"progress"' in line and json.loads(line)["iteration"] > 50 for line in driver.stdout)
                workers = len(marked("libexec/samovar-worker", mark))
                servers = len(marked("libexec/samovar-server", mark))
            finally:
                driver.kill()
        self.assertTrue(trained)
        self.assertEqual((workers > 0, servers), (True, 2))
        begun = time.monotonic()
        await_that(lambda: not marked("libexec/samovar", mark), 60)
        self.row(f"a driver was killed, and {servers} servers and {workers} workers had ended {time.monotonic() - begun:.1f} s later")

    def test_workers_that_start_together_by_barrier_on_a_cluster_that_runs(self) -> None:
        set_path = self.path_of("for_barrier")
        write_dataset(self.frame.where(ONE_IN_TEN), str(set_path), partitions=2, shape=(1, 28, 28), overwrite=True, bundle=BUNDLE)
        solver = self.write_net(set_path, set_path, max_iter=300)
        workspace = testbed.Workspace(empty=True)
        self.addCleanup(workspace.remove)
        with testbed.Cluster(workspace, servers=2, workers=0) as cluster:
            result = train(self.spark, str(solver), workers=2, servers=cluster.address, output=str(self.path_of("model.caffemodel")), barrier=True,
                           mode="sync", name="together", bundle=BUNDLE)
            self.assertEqual(cluster.jobs(), {"together": "SUCCEEDED"})
        self.assertEqual((result.job, result.iterations, result.model), ("together", 300, str(self.path_of("model.caffemodel"))))
        self.row("a barrier stage trained on a cluster that ran already")

    def test_the_example_runs(self) -> None:
        raw = self.path_of("raw")
        dirty = self.spark.createDataFrame([("bad-1", None, b"x" * 784), ("bad-2", 1, b"short"), self.pictures[0]], PIXELS)
        self.frame.union(dirty).write.parquet(str(raw))
        set_path = self.path_of("example_set")
        solver = self.write_net(set_path, set_path, max_iter=300)
        begun = time.monotonic()
        words = [str(pathlib.Path(sys.executable).parent / "spark-submit"), "--master", "local-cluster[2,1,1024]", "--conf", "spark.driver.host=127.0.0.1",
                 "--archives", f"{BUNDLE}#samovar", str(ROOT / "deploy/spark/example.py"), str(raw), str(set_path), str(solver),
                 str(self.path_of("net.prototxt")), str(self.path_of("example_out"))]
        done = subprocess.run(words, env={**os.environ, "PYTHONPATH": str(ROOT / "deploy/spark")}, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True, timeout=600, check=False)
        self.assertEqual(done.returncode, 0, done.stderr[-5000:])
        self.assertIn(f"{ROWS} records in 8 partitions", done.stdout)
        self.assertIn("300 iterations", done.stdout)
        right, total = map(int, re.search(r"(\d+) of (\d+) right", done.stdout).groups())
        self.assertEqual(total, ROWS)
        self.assertGreater(right, ROWS // 2)
        self.row(f"the example ran in {time.monotonic() - begun:.1f} s: {right} of {total} right")


if __name__ == "__main__":
    logging.basicConfig(format="%(asctime)s %(threadName)s: %(message)s")
    # Spark leaves sockets to the collector.
    unittest.main(verbosity=2, warnings="ignore")
