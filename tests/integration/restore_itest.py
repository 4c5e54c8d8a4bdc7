#!/usr/bin/env python3
"""Snapshots are exported while a job trains, and others go on from them with other numbers of servers."""

import pathlib
import re
import signal
import time
import unittest

import testbed
from testbed import END_SECONDS, RUN_SECONDS, Cluster, Run

SNAPSHOT = 200
# Iterations that are trained beyond the snapshot.
REST = 300
# A run that is killed in its middle.
ENDLESS = 10000000


class RestoreTest(testbed.TestCase):
    def setUp(self):
        super().setUp()
        self.exported = self.workspace.path / "exported"

    def export_and_kill(self, *arguments) -> int:
        """A run on four servers is killed, as a whole, when it has exported a snapshot. Returns the newest one's iteration."""
        self.workspace.write_solver(max_iter=ENDLESS, snapshot=SNAPSHOT)
        with Run(self.workspace, "--servers", 4, "--export-snapshots", "exported", "--state", "four", *arguments) as run:
            deadline = time.monotonic() + RUN_SECONDS
            while not self.whole():
                self.assertLess(time.monotonic(), deadline, run.describe())
                run.await_event("progress")
                time.sleep(0.05)
            children = run.children()
            run.signal(signal.SIGKILL)
            for child in children:
                child.kill()
            self.assert_all_end(children)
            run.await_exit(END_SECONDS)
        # Those that the kill found in the making have no manifest.
        return max(int(path.name.rsplit("_", 1)[1]) for path in self.whole())

    def whole(self):
        return [path.parent for path in self.exported.glob("small_iter_*/manifest")]

    def model(self, iteration: int) -> bytes:
        return (self.workspace.path / "out" / f"small_iter_{iteration}.caffemodel").read_bytes()

    def restore(self, servers: int, iteration: int) -> None:
        with Run(self.workspace, "--restore", "exported", "--servers", servers, "--state", f"state-{servers}") as run:
            succeeded = self.assert_success(run)
        started = run.events("started")[0]
        self.assertEqual(started["resumed_from"], iteration)
        self.assertEqual(started["servers"], servers)
        self.assertIn("a snapshot of 4 servers", started["weights"])
        self.assert_exactly_once(succeeded, iteration + REST)

    def test_a_sync_run_goes_on_with_other_numbers_of_servers_to_the_bit(self):
        iteration = self.export_and_kill("--mode", "sync")
        self.workspace.write_solver(max_iter=iteration + REST)
        with Run(self.workspace, "--mode", "sync", "--state", "undisturbed") as run:
            self.assert_success(run)
        undisturbed = self.model(iteration + REST)
        for servers in (2, 3):
            # Its mode and its seed the snapshot says.
            self.restore(servers, iteration)
            self.assertEqual(self.model(iteration + REST), undisturbed)

    def test_an_async_run_goes_on_with_other_numbers_of_servers(self):
        iteration = self.export_and_kill()
        self.workspace.write_solver(max_iter=iteration + REST, test_interval=100)
        for servers in (2, 5):
            self.restore(servers, iteration)

    def test_what_is_no_whole_snapshot_is_refused_by_name(self):
        iteration = self.export_and_kill()
        directory = self.exported / f"small_iter_{iteration}"
        chunks = directory / "server-2-of-4.chunks"
        whole = chunks.read_bytes()

        def refused(*arguments) -> str:
            done = self.workspace.command("train", "--solver", "solver.prototxt", "--state", "refused", "--restore", directory,
                                          *arguments)
            self.assertEqual(done.returncode, 2, done.stderr)
            return done.stderr

        chunks.write_bytes(whole[:-1])
        self.assertIn(str(chunks), refused())
        chunks.write_bytes(whole[:100] + bytes([whole[100] ^ 1]) + whole[101:])
        self.assertIn(str(chunks), refused())
        chunks.unlink()
        self.assertIn(str(chunks), refused())
        chunks.write_bytes(whole)
        self.assertIn("--restore excludes", refused("--resume"))
        self.workspace.write_solver(max_iter=iteration)
        self.assertIn("nothing left to train", refused())
        self.workspace.write_solver(max_iter=ENDLESS, type='"AdaGrad"', momentum=None)
        self.assertIn("solver of type SGD, this one is AdaGrad", refused())
        self.workspace.write_solver(max_iter=ENDLESS)
        self.workspace.write_net(lambda text: text.replace("num_output: 64", "num_output: 63"))
        self.assertIn("of another net", refused())
        self.workspace.write_net()
        (directory / "manifest").unlink()
        self.assertIn("no manifest", refused())

    def test_a_job_of_a_cluster_is_moved_to_fewer_servers(self):
        self.workspace.write_solver(max_iter=ENDLESS)
        with Cluster(self.workspace, servers=3) as cluster:
            cluster.submit()
            cluster.await_job("small", lambda job: int(job["completed_iterations"]) > 0)
            told = self.workspace.check("snapshot", "export", "small", cluster.address, "--output", "exported")
            iteration, path = re.search(r"snapshot of iteration (\d+): (.*)", told).groups()
            self.assertEqual([str(directory) for directory in self.whole()], [path])
            self.assertEqual(pathlib.Path(path).parent, self.exported.resolve())
            self.workspace.check("cancel", "small", cluster.address)
            self.workspace.write_solver(max_iter=int(iteration) + REST)
            # Its own snapshots are of three servers.
            refused = self.workspace.command("submit", cluster.address, "--solver", "solver.prototxt", "--resume", "--servers", 2,
                                             "--watch")
            self.assertEqual(refused.returncode, 1, refused.stderr)
            self.assertIn("--restore", refused.stderr)
            cluster.submit("--restore", "exported", "--servers", 2)
            job = cluster.await_state("small", "SUCCEEDED")
        # Chunks may have held a few iterations more.
        self.assertGreaterEqual(int(job["resumed_from"]), int(iteration))
        self.assertEqual(len(job["servers"]), 2)
        self.assertEqual(job["ledger"]["complete_chunks"], job["ledger"]["chunks"])


if __name__ == "__main__":
    unittest.main()
