#!/usr/bin/env python3
"""A path means the data that were there when the job was submitted: what else lies there later, or on another machine, is refused."""

import pathlib
import re
import shutil
import signal
import unittest

import lmdb_files
import testbed
from testbed import END_SECONDS, Cluster, Run

# So many that no job ends by itself.
ENDLESS = 10_000_000
MODES = {"async": ("--mode", "async"), "sync": ("--mode", "sync", "--parts", 2)}


def relabelled(record: bytes) -> bytes:
    """A Datum of write_idx with another label, which is its last field."""
    return record[:-1] + bytes([(record[-1] + 1) % testbed.CLASSES])


class OtherDataTest(testbed.TestCase):
    def setUp(self) -> None:
        super().setUp()
        if lmdb_files.library() is None:
            self.skipTest("there is no liblmdb that could be loaded")
        self.workspace.write_solver(max_iter=ENDLESS, test_iter=None, test_interval=None)

    def let_lie(self, name: str, copy: pathlib.Path) -> None:
        """From now on, a process that opens the data set of that name sees the copy. Open ones stay."""
        path = self.workspace.path / name
        if not path.is_symlink():
            path.rename(path.with_name(f"{name}_first"))
        else:
            path.unlink()
        path.symlink_to(copy)

    def copy_of(self, name: str, change=relabelled) -> pathlib.Path:
        """Another LMDB of the records, each of them changed."""
        copy = self.workspace.path / f"{name}_copy"
        lmdb_files.write(copy, {key: change(value) for key, value in lmdb_files.read(self.workspace.path / name).items()})
        return copy

    def assert_refused(self, cluster: Cluster, job: str, worker: str, source: pathlib.Path, words: str) -> None:
        """The job fails for that worker, at once, and its status says so."""
        failed = cluster.await_state(job, "FAILED")
        said = rf"worker {worker}: .*{re.escape(str(source))}: .*{words}.*put the same data there on each machine, or submit the job anew"
        self.assertRegex(failed["cause"], said)
        logs = self.workspace.check("logs", job, cluster.address)
        self.assertRegex(logs, said)
        self.assertEqual(len(re.findall(rf"worker {worker}: .*{words}", logs.replace("FAILED: ", "\nFAILED: "))), 2, logs)
        self.assertRegex(self.workspace.check("status", cluster.address), words)

    def test_one_of_two_workers_that_sees_other_labels_at_the_same_path_ends_the_job(self):
        source = self.workspace.path / "train_lmdb"
        copy = self.copy_of("train_lmdb")
        first = source.with_name("train_lmdb_first")
        with Cluster(self.workspace, servers=2, workers=1) as cluster:
            for number, (job, flags) in enumerate(MODES.items(), start=2):
                with self.subTest(mode=job):
                    self.let_lie("train_lmdb", first)
                    cluster.submit("--name", job, *flags)
                    cluster.await_job(job, lambda status: int(status.get("iteration", 0)) >= 10)
                    self.let_lie("train_lmdb", copy)
                    second = cluster.start_worker()
                    self.assert_refused(cluster, job, f"worker-{number}", source, "has other records of the same number and shape")
                    second.send_signal(signal.SIGTERM)
                    self.assertEqual(second.wait(END_SECONDS), 0, cluster.log())

    def test_a_copy_that_was_compacted_and_one_that_was_appended_are_the_same_data(self):
        source = self.workspace.path / "train_lmdb"
        first = source.with_name("train_lmdb_first")
        compacted, appended = self.workspace.path / "compacted", self.workspace.path / "appended"
        # Pages that are free now: the copy is smaller.
        record = next(iter(lmdb_files.read(source).values()))
        lmdb_files.compact(source, compacted)
        lmdb_files.write(appended, {**lmdb_files.read(source), b"99999999": record})
        self.workspace.write_solver(max_iter=60, test_iter=None, test_interval=None)
        models = []
        with Cluster(self.workspace, servers=1, workers=0) as cluster:
            for name, copy in (("first", first), ("compacted", compacted), ("appended", appended)):
                self.let_lie("train_lmdb", first)
                cluster.submit("--name", name, "--mode", "sync")
                self.let_lie("train_lmdb", copy)
                # Each with a worker that has nothing open.
                worker = cluster.start_worker()
                cluster.await_state(name, "SUCCEEDED")
                worker.send_signal(signal.SIGTERM)
                self.assertEqual(worker.wait(END_SECONDS), 0, cluster.log())
                self.workspace.check("model", "export", name, cluster.address, "--output", f"{name}.caffemodel")
                models.append((self.workspace.path / f"{name}.caffemodel").read_bytes())
        self.assertEqual(models[0], models[1])
        self.assertEqual(models[0], models[2])

    def test_a_coordinator_that_is_started_again_still_knows_what_the_data_were(self):
        source = self.workspace.path / "train_lmdb"
        copy = self.copy_of("train_lmdb")
        with Cluster(self.workspace, servers=1, workers=0) as cluster:
            cluster.submit()
            cluster.coordinator.kill()
            cluster.coordinator.wait(END_SECONDS)
            cluster.start_coordinator()
            self.let_lie("train_lmdb", copy)
            cluster.start_worker()
            self.assert_refused(cluster, "small", "worker-1", source, "has other records of the same number and shape")

    def test_records_of_a_test_set_and_of_a_second_data_layer_are_compared_as_well(self):
        labels = 'layer { name: "more" type: "Data" top: "more" include { phase: TRAIN }' \
                 ' data_param { source: "more_lmdb" backend: LMDB batch_size: 32 } }' \
                 ' layer { name: "silence" type: "Silence" bottom: "more" include { phase: TRAIN } }'
        shutil.copytree(self.workspace.path / "train_lmdb", self.workspace.path / "more_lmdb")
        self.workspace.write_net(lambda text: text + labels)
        self.workspace.write_solver(max_iter=ENDLESS, test_iter=10, test_interval=50)
        for name, words in (("test_lmdb", ".*test net 0: .*"), ("more_lmdb", 'data layer "more": ')):
            with self.subTest(name), Cluster(self.workspace, servers=1, workers=0, flags=("--forget-jobs",)) as cluster:
                source = self.workspace.path / name
                copy = self.copy_of(name)
                cluster.submit()
                self.let_lie(name, copy)
                cluster.start_worker()
                failed = cluster.await_state("small", "FAILED")
                self.assertRegex(failed["cause"], rf"worker worker-1: {words}.*{re.escape(str(source))}: has other records")
                self.let_lie(name, source.with_name(f"{name}_first"))

    def test_a_job_that_is_resumed_on_other_data_goes_on_and_says_so(self):
        self.workspace.write_solver(max_iter=ENDLESS, test_iter=None, test_interval=None, snapshot=50)
        with Cluster(self.workspace, servers=1, workers=1) as cluster:
            cluster.submit()
            cluster.await_job("small", lambda job: bool(job.get("snapshots")))
            self.workspace.check("cancel", "small", cluster.address)
            cluster.submit("--resume")
            same = cluster.await_state("small", "RUNNING")
            self.assertNotIn("other data", str(same.get("notices")))
            cluster.await_job("small", lambda job: bool(job.get("snapshots")))
            self.workspace.check("cancel", "small", cluster.address)
            self.let_lie("train_lmdb", self.copy_of("train_lmdb"))
            cluster.submit("--resume")
            other = cluster.await_job("small", lambda job: int(job.get("iteration", 0)) >= 60)
            self.assertEqual(other["state"], "JOB_STATE_RUNNING")
            self.assertIn(f'goes on with other data: data layer "images" reads other records than before '
                          f"({self.workspace.path / 'train_lmdb'})", other["notices"])


    def test_a_partition_that_has_other_records_of_the_same_size_ends_the_job_when_it_is_opened(self):
        for source, name in ((self.workspace.path / "train_lmdb", "train_set"), (self.copy_of("train_lmdb"), "other_set")):
            self.workspace.check("data", "partition", source, name, "--partitions", 4)
        train_set = self.workspace.path / "train_set"
        partition = train_set / "part-00002" / "data.mdb"
        bytes_before = partition.stat().st_size
        shutil.copy(self.workspace.path / "other_set" / "part-00002" / "data.mdb", partition)
        self.assertEqual(partition.stat().st_size, bytes_before)
        self.workspace.write_net(lambda text: text.replace('"train_lmdb"', '"train_set"'))
        with Cluster(self.workspace, servers=1, workers=1) as cluster:
            cluster.submit()
            failed = cluster.await_state("small", "FAILED")
            self.assertRegex(failed["cause"], rf"worker worker-1: .*{re.escape(str(partition.parent))}: has other records than the manifest of "
                             rf"{re.escape(str(train_set))} was made for")

    def test_a_run_that_is_restored_on_other_data_says_so(self):
        self.workspace.write_solver(max_iter=20, test_iter=None, test_interval=None, snapshot=20)
        self.workspace.check("train", "--solver", "solver.prototxt", "--export-snapshots", "exported")
        self.workspace.write_solver(max_iter=40, test_iter=None, test_interval=None)
        words = f'data layer "images" reads other records than before ({self.workspace.path / "train_lmdb"})'
        for other in (False, True):
            with self.subTest(other=other):
                if other:
                    self.let_lie("train_lmdb", self.copy_of("train_lmdb"))
                done = self.workspace.command("train", "--solver", "solver.prototxt", "--restore", "exported", "--state", f"state-{other}")
                self.assertEqual(done.returncode, 0, done.stderr)
                self.assertEqual(words in done.stderr, other, done.stderr)


class OtherFilesTest(testbed.TestCase):
    def test_a_mean_file_that_is_overwritten_before_a_recovery_ends_the_run_by_its_name(self):
        for name in ("train", "test"):
            self.workspace.check("data", "mean", f"{name}_lmdb", "--output", f"{name}.binaryproto")
        self.workspace.write_net(lambda text: text.replace("mean_value: 128", 'mean_file: "mean.binaryproto"'))
        self.workspace.write_solver(max_iter=ENDLESS, test_iter=None, test_interval=None)
        mean = self.workspace.path / "mean.binaryproto"
        for mode, flags in MODES.items():
            with self.subTest(mode=mode):
                shutil.copy(self.workspace.path / "train.binaryproto", mean)
                with Run(self.workspace, *flags, "--restart") as run:
                    run.await_iteration(10)
                    shutil.copy(self.workspace.path / "test.binaryproto", mean)
                    run.workers()[0].kill()
                    self.assertEqual(run.await_exit(), 1, run.describe())
                    self.assertRegex(run.describe(), rf"worker \S+: {re.escape(str(mean))}: its content is not what the job was "
                                     r"submitted with \(SHA-256 \w+\.\.\., then \w+\.\.\.\); put the file back, or submit the job anew")


if __name__ == "__main__":
    unittest.main()
