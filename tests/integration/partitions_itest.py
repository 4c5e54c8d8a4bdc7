#!/usr/bin/env python3
"""Partitioned data sets: made, verified, trained on, and copied by workers into a cache that is smaller than the set."""

import functools
import http.server
import json
import os
import pathlib
import re
import signal
import struct
import subprocess
import threading
import time
import unittest
import unittest.mock

import fs_itest
import testbed
from testbed import END_SECONDS, RUN_SECONDS, TRAIN_RECORDS, Cluster, program

PARTITIONS = 8


class PartitionsTestCase(testbed.TestCase):
    def setUp(self) -> None:
        super().setUp()
        self.set = self.workspace.path / "train_set"
        self.made = self.workspace.check("data", "partition", "train_lmdb", self.set, "--partitions", PARTITIONS)
        self.workspace.write_net(lambda text: text.replace('"train_lmdb"', '"train_set"'))

    def partition_file(self, number: int) -> pathlib.Path:
        return self.set / f"part-{number:05}" / "data.mdb"

    @property
    def partition_bytes(self) -> int:
        return max(self.partition_file(number).stat().st_size for number in range(PARTITIONS))

    def damage(self, number: int) -> pathlib.Path:
        """Flips a bit in the partition's last byte."""
        file = self.partition_file(number)
        content = bytearray(file.read_bytes())
        content[-1] ^= 1
        file.write_bytes(content)
        return file

    def cached(self, cache: str = "cache") -> "list[str]":
        path = self.workspace.path / cache
        return sorted(entry.name for entry in path.iterdir() if entry.name != "lock") if path.is_dir() else []


class PartitionedSetTest(PartitionsTestCase):
    def test_a_set_is_described_and_verified_and_damage_is_named(self):
        self.assertRegex(self.made, rf"train_set: {TRAIN_RECORDS} records of 1x20x20 in {PARTITIONS} partitions, labels 0 to 3, ")
        described = self.workspace.check("data", "info", self.set, "--verify")
        self.assertIn(f"stored   in {PARTITIONS} partitions of {TRAIN_RECORDS // PARTITIONS} records, ", described)
        self.assertIn("all sizes and checksums are right", described)
        damaged = self.damage(3)
        refused = self.workspace.command("data", "info", self.set, "--verify")
        self.assertEqual(refused.returncode, 2)
        self.assertIn(f"{damaged}: its checksum is ", refused.stderr)
        damaged.write_bytes(damaged.read_bytes()[:-1])
        for words in (("check", "solver.prototxt"), ("train", "--solver", "solver.prototxt")):
            refused = self.workspace.command(*words)
            self.assertEqual(refused.returncode, 2)
            self.assertIn("part-00003/data.mdb: has ", refused.stderr)

    def test_commands_read_a_set_as_they_read_its_source(self):
        self.workspace.write_solver(max_iter=20)
        self.workspace.check("train", "--solver", "solver.prototxt", "--mode", "sync")
        model = ("--model", "net.prototxt", "--weights", "out/small_iter_20.caffemodel")
        outputs = {}
        for data in ("train_lmdb", "train_set"):
            self.workspace.check("data", "mean", data, "--output", f"{data}.mean")
            self.workspace.check("features", *model, "--data", data, "--blobs", "ip2", "--label", "label", "--output", f"{data}.features")
            tested = self.workspace.check("test", *model, "--data", data, "--json")
            outputs[data] = ((self.workspace.path / f"{data}.mean").read_bytes(),
                             (self.workspace.path / f"{data}.features" / "features.jsonl").read_bytes(), json.loads(tested)["outputs"])
        self.assertEqual(outputs["train_lmdb"], outputs["train_set"])

    def test_a_sync_run_does_not_depend_on_its_workers(self):
        self.workspace.write_solver(max_iter=100)
        models = []
        for workers in (1, 3):
            self.workspace.check("train", "--solver", "solver.prototxt", "--mode", "sync", "--workers", workers, "--restart")
            models.append((self.workspace.path / "out" / "small_iter_100.caffemodel").read_bytes())
        self.assertEqual(models[0], models[1])

    def test_an_interrupted_partitioning_leaves_nothing(self):
        # Many partitions, each of which is synchronised, so that it takes a while.
        before = self.workspace.entries()
        for number, code in ((signal.SIGTERM, 143), (signal.SIGINT, 130)):
            command = subprocess.Popen([program("samovar"), "data", "partition", "train_lmdb", "many", "--partitions", str(TRAIN_RECORDS)],
                                       cwd=self.workspace.path, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
            self.addCleanup(command.kill)
            deadline = time.monotonic() + RUN_SECONDS
            while not list(self.workspace.path.glob("many.importing-*/part-00010")):
                self.assertIsNone(command.poll(), "it was too fast")
                self.assertLess(time.monotonic(), deadline)
            command.send_signal(number)
            _, err = command.communicate(timeout=END_SECONDS)
            self.assertEqual(command.returncode, code)
            self.assertIn("interrupted; nothing was made", err)
            self.assertEqual(self.workspace.entries(), before)


class PartitionCacheTest(PartitionsTestCase):
    def start_worker(self, cluster: Cluster, cache: str = "cache", partitions: int = 3) -> "subprocess.Popen[bytes]":
        return cluster.start_worker("--cache", cache, "--cache-bytes", str(partitions * self.partition_bytes))

    def test_two_workers_train_to_the_end_through_a_cache_that_is_smaller_than_the_set(self):
        self.workspace.write_solver(max_iter=1500)
        with Cluster(self.workspace, servers=2, workers=0) as cluster:
            for _ in range(2):
                self.start_worker(cluster)
            cluster.submit()
            most = 0
            while cluster.job("small")["state"] in ("JOB_STATE_QUEUED", "JOB_STATE_RUNNING"):
                most = max(most, len([name for name in self.cached() if not name.endswith(".copying")]))
            job = cluster.await_state("small", "SUCCEEDED")
            ledger = job["ledger"]
            self.assertEqual(ledger["complete_chunks"], ledger["chunks"])
            self.assertEqual(int(ledger["iterations"]), 1500)
            self.assertLessEqual(most, 3)
            self.assertLessEqual(len(self.cached()), 3)
            copied = re.findall(r"copied \S*/(part-\d+)/data\.mdb", cluster.log())
            self.assertEqual(len(set(copied)), PARTITIONS)
            # 47 blocks in all. Without any preference nearly each would be another partition than those before.
            self.assertLess(len(copied), 40)

    def test_a_damaged_partition_fails_the_job_with_its_name(self):
        self.workspace.write_solver(max_iter=300)
        damaged = self.damage(5)
        with Cluster(self.workspace, servers=1, workers=0) as cluster:
            for number in range(4):
                self.start_worker(cluster, cache=f"cache-{number}")
            cluster.submit()
            job = cluster.await_state("small", "FAILED")
            self.assertIn(f"{damaged.relative_to(self.workspace.path)}: its checksum is ", job["cause"])
            for number in range(4):
                self.assertFalse([name for name in self.cached(f"cache-{number}") if name.startswith("part-00005")])

    def test_a_worker_that_is_killed_while_it_copies_leaves_a_cache_that_is_good(self):
        self.make_large_set()
        self.workspace.write_solver(max_iter=300)
        with Cluster(self.workspace, servers=1, workers=0) as cluster:
            victim = self.start_worker(cluster)
            cluster.submit()
            deadline = time.monotonic() + RUN_SECONDS
            while not any(name.endswith(".copying") for name in self.cached()):
                self.assertLess(time.monotonic(), deadline)
            victim.kill()
            victim.wait(END_SECONDS)
            left = [name for name in self.cached() if name.endswith(".copying")]
            self.assertTrue(left, "it had copied all of it")
            self.start_worker(cluster)
            self.assertFalse([name for name in self.cached() if name in left])
            cluster.await_state("small", "SUCCEEDED")
            self.assertLessEqual(len(self.cached()), 3)

    def make_large_set(self) -> None:
        """Partitions that take a while to copy: 25 MB each."""
        records, side = 400_000, testbed.SIDE
        images, labels = self.workspace.path / "large-images", self.workspace.path / "large-labels"
        with open(images, "wb") as file:
            file.write(struct.pack(">IIII", 0x00000803, records, side, side))
            file.truncate(16 + records * side * side)
        labels.write_bytes(struct.pack(">II", 0x00000801, records) + bytes(records))
        self.workspace.check("data", "import", "idx", "--images", images, "--labels", labels, "--output", self.set, "--partitions", PARTITIONS,
                             "--force")


class RemoteSetTest(PartitionsTestCase):
    """The set is on a web server, for which any storage may stand: tests/azure and tests/hadoop have theirs."""

    def setUp(self) -> None:
        super().setUp()
        handler = functools.partial(fs_itest.RangeHandler, directory=str(self.workspace.path))
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.addCleanup(self.server.server_close)
        self.addCleanup(self.server.shutdown)
        os.environ["SAMOVAR_FILE_CACHE"] = str(self.workspace.path / "files")
        self.addCleanup(os.environ.pop, "SAMOVAR_FILE_CACHE")

    @property
    def uri(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}/train_set"

    def test_each_worker_fetches_the_partitions_that_it_leases_and_the_model_is_that_of_a_set_here(self):
        self.assert_fetched_as_leased("train_set", self.uri, PARTITIONS)
        # The command has read the manifest alone.
        self.assertFalse(list((self.workspace.path / "files").rglob("data.mdb")))

    def test_a_worker_that_is_told_to_end_does_not_wait_for_a_storage(self):
        asked, end = threading.Event(), threading.Event()
        self.addCleanup(end.set)
        real = fs_itest.RangeHandler.do_GET

        def trickle(handler: fs_itest.RangeHandler) -> None:
            """A partition comes as slowly as it may without being given up, and never ends."""
            if "part-" not in handler.path:
                real(handler)
                return
            handler.send_response(200)
            handler.send_header("Content-Length", str(1 << 40))
            handler.end_headers()
            while not end.wait(0.1):
                asked.set()
                handler.wfile.write(b"xx")

        patch = unittest.mock.patch.object(fs_itest.RangeHandler, "do_GET", trickle)
        patch.start()
        self.addCleanup(patch.stop)
        self.workspace.write_net(lambda text: text.replace('"train_lmdb"', f'"{self.uri}"'))
        self.workspace.write_solver(max_iter=40)
        with Cluster(self.workspace, servers=1, workers=0) as cluster:
            worker = cluster.start_worker()
            cluster.submit()
            self.assertTrue(asked.wait(RUN_SECONDS), cluster.log())
            worker.terminate()
            self.assertEqual(worker.wait(END_SECONDS), 0)


if __name__ == "__main__":
    unittest.main()
