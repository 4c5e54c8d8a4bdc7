#!/usr/bin/env python3
"""Troubles that are no kill: an orderly end, a full disk, data that vanish. The job's status says what was the matter."""

import pathlib
import shutil
import signal
import subprocess
import time
import unittest

import cluster as clusters
import testbed

ORDERLY_SECONDS = 10 * testbed.TIME_FACTOR


class TroublesTest(testbed.TestCase):
    def await_status(self, cluster, job, such_that):
        deadline = time.monotonic() + testbed.RUN_SECONDS
        while True:
            status = cluster.status(job)
            if status is not None and such_that(status):
                return status
            if time.monotonic() > deadline:
                self.fail(f"not in time: {status}\n{cluster.log_tails()}")
            time.sleep(0.1)

    def assert_succeeds(self, cluster, job, iterations):
        status = self.await_status(cluster, job, lambda s: s["state"] in ("JOB_STATE_SUCCEEDED", "JOB_STATE_FAILED"))
        self.assertEqual(status["state"], "JOB_STATE_SUCCEEDED", status)
        self.assertEqual(status["ledger"]["complete_chunks"], status["ledger"]["chunks"])
        self.assertEqual(int(status["ledger"]["iterations"]), iterations)
        return status

    def test_sigterm_is_an_orderly_end_that_saves_what_there_is(self):
        iterations = 6000
        self.workspace.write_solver(max_iter=iterations, snapshot=0)
        with clusters.Cluster(self.workspace.path / "cluster", servers=2, workers=2) as cluster:
            job = cluster.submit(self.workspace.path, "async", 2)
            self.await_status(cluster, job, lambda s: int(s["iteration"]) >= 500)
            for name in ("worker-0", "server-1"):
                begin = time.monotonic()
                self.assertEqual(cluster.members[name].end(signal.SIGTERM), 0, name)
                self.assertLess(time.monotonic() - begin, ORDERLY_SECONDS, name)
                cluster.members[name].start()
            status = self.assert_succeeds(cluster, job, iterations)
        notices = "\n".join(status["notices"])
        self.assertIn("its share of the model was restored from its snapshot", notices)
        # Without the snapshot all of the 500 would have been.
        self.assertLess(int(status["repeated_iterations"]), 500)

    def test_a_full_disk_fails_the_snapshots_and_not_the_training_and_holds_success_back(self):
        cluster_path = self.workspace.path / "cluster"
        # A file system of a server's own, too small for the model, that goes with its process.
        small = ["unshare", "--mount", "sh", "-c", 'mount -t tmpfs -o size=128k none "$0" && exec "$@"']
        probe = self.workspace.path / "probe"
        probe.mkdir()
        if subprocess.run([*small, str(probe), "true"], capture_output=True, check=False).returncode != 0:
            self.skipTest("file systems cannot be mounted here")
        iterations = 600
        self.workspace.write_solver(max_iter=iterations, snapshot=200)
        cluster = clusters.Cluster(cluster_path, servers=2, workers=1)
        state = cluster_path / "server-1"
        state.mkdir()
        cluster.members["server-1"].prefix = [*small, str(state)]
        with cluster:
            job = cluster.submit(self.workspace.path, "async", 2)
            # All is computed, and success would promise a snapshot that is not there: the job says what it waits for.
            status = self.await_status(cluster, job, lambda s: s["cause"].startswith("waits for disk: server "))
        self.assertEqual(status["state"], "JOB_STATE_RUNNING")
        self.assertEqual(int(status["completed_iterations"]), iterations)
        self.assertIn("No space left on device", status["cause"])
        self.assertIn("No space left on device", status["snapshot_error"])
        self.assertEqual(status["snapshots"], [])

    def test_a_job_whose_data_vanish_fails_and_names_them(self):
        self.workspace.write_solver(max_iter=1000000)
        with clusters.Cluster(self.workspace.path / "cluster", servers=1, workers=4) as cluster:
            job = cluster.submit(self.workspace.path, "async", 1)
            self.await_status(cluster, job, lambda s: int(s["iteration"]) >= 50)
            workers = [member for member in cluster.members.values() if member.kind == "worker"]
            for worker in workers:
                worker.end()
            shutil.rmtree(self.workspace.path / "train_lmdb")
            for worker in workers:
                worker.start()
            status = self.await_status(cluster, job, lambda s: s["state"] == "JOB_STATE_FAILED")
        self.assertIn(str(pathlib.Path(self.workspace.path.name) / "train_lmdb"), status["cause"])
        self.assertRegex(status["cause"], r"gave up after \d+ failures")


if __name__ == "__main__":
    unittest.main()
