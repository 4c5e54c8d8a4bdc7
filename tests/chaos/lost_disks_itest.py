#!/usr/bin/env python3
"""Machines that are lost with their disks, and coordinators that are replaced while they live.

The cluster has a home, and its jobs export their snapshots: nothing that matters is on one machine alone.
SAMOVAR_SEEDS is how often two coordinators meet; unset: twice in each mode.
"""

import json
import os
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import time
import unittest

import cluster as clusters
import testbed

SNAPSHOT = 60
SEEDS = int(os.environ.get("SAMOVAR_SEEDS", "2"))
# Of a coordinator that another one has replaced.
EXIT_REPLACED = 3


class HomeTestCase(testbed.TestCase):
    def setUp(self):
        super().setUp()
        self.begun = 0

    def cluster(self, name: str, servers: int) -> clusters.Cluster:
        return clusters.Cluster(self.workspace.path / name, servers, 2, home=str(self.workspace.path / f"{name}-home"))

    def submit(self, cluster: clusters.Cluster, mode: str, servers: int, iterations: int) -> None:
        self.workspace.write_solver(max_iter=iterations, snapshot=SNAPSHOT, random_seed=7)
        # The coordinator may not have said yet where it is, which is waited for.
        self.workspace.check("submit", cluster.home, "--solver", "solver.prototxt", "--mode", mode, "--servers", servers,
                             "--name", "job", "--export-snapshots", cluster.path / "exported")

    def status(self, cluster: clusters.Cluster) -> dict:
        """Empty: the coordinator does not answer."""
        done = self.workspace.command("status", cluster.home, "--json")
        if done.returncode != 0:
            return {}
        jobs = json.loads(done.stdout).get("jobs", [])
        return jobs[0] if jobs else {}

    def await_status(self, cluster: clusters.Cluster, such_that) -> dict:
        deadline = time.monotonic() + testbed.RUN_SECONDS
        while True:
            status = self.status(cluster)
            if status and such_that(status):
                return status
            if status.get("state") == "JOB_STATE_FAILED" or time.monotonic() > deadline:
                self.fail(f"not in time: {status}\n{cluster.log_tails()}")
            time.sleep(0.1)

    def await_progress(self, cluster: clusters.Cluster, beyond: int) -> int:
        """The iterations that are done, when that is more, or all."""
        def goes_on(status):
            return status["state"] == "JOB_STATE_SUCCEEDED" or (status["state"] == "JOB_STATE_RUNNING" and not status.get("cause")
                                                                and int(status["iteration"]) > beyond)
        return int(self.await_status(cluster, goes_on)["iteration"])

    def assert_whole(self, cluster: clusters.Cluster, iterations: int) -> dict:
        status = self.await_status(cluster, lambda s: s["state"] == "JOB_STATE_SUCCEEDED")
        self.assertEqual(status["ledger"]["complete_chunks"], status["ledger"]["chunks"])
        self.assertEqual(int(status["ledger"]["iterations"]), iterations)
        return status

    def model(self, cluster: clusters.Cluster, iterations: int) -> list:
        """The weights, states and ledgers of the last snapshot, byte for byte."""
        directory = cluster.path / "exported" / f"job_iter_{iterations}"
        return [(path.name, path.read_bytes()) for path in sorted(directory.glob("*.chunks"))]

    def undisturbed(self, mode: str, servers: int, iterations: int) -> list:
        with self.cluster(f"undisturbed-{mode}", servers) as cluster:
            self.submit(cluster, mode, servers, iterations)
            self.assert_whole(cluster, iterations)
            return self.model(cluster, iterations)


class LostDiskTest(HomeTestCase):
    def lose(self, cluster: clusters.Cluster, name: str, moves: bool) -> None:
        """The machine is gone, with all that it had; another one takes its place, or the same with a new disk."""
        member = cluster.members[name]
        member.end()
        shutil.rmtree(member.state)
        if moves:
            member.port = testbed.free_port()
        member.start()

    def lose_each_twice(self, mode: str, iterations: int) -> None:
        rows = []
        with self.cluster(mode, 3) as cluster:
            self.submit(cluster, mode, 3, iterations)
            exported = cluster.path / "exported"
            for turn in range(2):
                for name in ("server-1", "server-0", "server-2"):
                    done = self.await_progress(cluster, SNAPSHOT)
                    # There is something to come back from.
                    self.await_status(cluster, lambda status: list(exported.glob("job_iter_*/manifest")))
                    told = len(self.status(cluster)["notices"])
                    begin = time.monotonic()
                    self.lose(cluster, name, moves=turn == 1)
                    # Its share was restored; iterations that are done then are counted again from what is there.
                    done = int(self.await_status(cluster, lambda s: len(s["notices"]) >= told + 2)["iteration"])
                    self.await_progress(cluster, done)
                    rows.append((name, "another address" if turn else "the same address", time.monotonic() - begin))
                    self.assertEqual(self.status(cluster)["state"], "JOB_STATE_RUNNING", "it ended too early to be disturbed")
            status = self.assert_whole(cluster, iterations)
            for name, where, seconds in rows:
                print(f"{mode}: {name} lost with its disk, back at {where}: iterations done again after {seconds:.1f} s", file=sys.stderr)
            print(f"{mode}: {status['repeated_iterations']} iterations computed again of {iterations}", file=sys.stderr)
            notices = "\n".join(status["notices"])
            self.assertIn(f"restored from {exported}/job_iter_", notices)
            if mode == "sync":
                self.assertEqual(self.model(cluster, iterations), self.undisturbed(mode, 3, iterations))

    def test_async_each_server_is_lost_with_its_disk_twice(self):
        self.lose_each_twice("async", 8000)

    def test_sync_each_server_is_lost_with_its_disk_twice(self):
        self.lose_each_twice("sync", 3000)


class TwoCoordinatorsTest(HomeTestCase):
    def meet(self, mode: str, iterations: int, seed: int) -> clusters.Cluster:
        """A coordinator is stopped, another one takes the cluster over, and the first goes on."""
        chance = random.Random(seed)
        with self.cluster(f"{mode}-{seed}", 2) as cluster:
            self.submit(cluster, mode, 2, iterations)
            self.await_progress(cluster, chance.randrange(1, 2 * SNAPSHOT))
            former = cluster.coordinator.process
            former.send_signal(signal.SIGSTOP)
            successor = clusters.Member(cluster, "server-0")
            successor.name = "server-0-successor"
            cluster.members[successor.name] = successor
            successor_words = [testbed.program("samovar-server"), "--listen", successor.address, "--state", str(successor.state),
                               "--coordinator", "--home", cluster.home]
            successor.words = lambda: successor_words
            successor.start()
            time.sleep(chance.choice([0, 0.5, 2, 5, 9]))
            former.send_signal(signal.SIGCONT)
            self.assertEqual(former.wait(clusters.END_SECONDS), EXIT_REPLACED, cluster.log_tails())
            self.assertIn("another coordinator", (cluster.path / "server-0.log").read_text(errors="replace"))
            self.assert_whole(cluster, iterations)
            self.assertIsNone(successor.process.poll())
            return self.model(cluster, iterations)

    def test_async_one_of_two_coordinators_has_its_way(self):
        for seed in range(SEEDS):
            with self.subTest(seed=seed):
                self.meet("async", 8000, seed)

    def test_sync_one_of_two_coordinators_has_its_way(self):
        undisturbed = self.undisturbed("sync", 2, 2000)
        for seed in range(SEEDS):
            with self.subTest(seed=seed):
                self.assertEqual(self.meet("sync", 2000, seed), undisturbed)

    def test_a_user_who_watches_sees_the_job_go_on_at_the_successor(self):
        with self.cluster("watched", 2) as cluster:
            self.submit(cluster, "async", 2, 6000)
            self.await_progress(cluster, SNAPSHOT)
            watch = subprocess.Popen([testbed.program("samovar"), "watch", "job", cluster.home], cwd=self.workspace.path,
                                     stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            self.addCleanup(watch.kill)
            # It has found the coordinator.
            first = watch.stdout.readline()
            member = cluster.coordinator
            member.end()
            member.port = testbed.free_port()
            member.start()
            out, err = watch.communicate(timeout=testbed.RUN_SECONDS)
            self.assertEqual(watch.returncode, 0, first + out + err)
            self.assert_whole(cluster, 6000)


if __name__ == "__main__":
    unittest.main()
