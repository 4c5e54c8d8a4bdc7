"""The wall clock of each program is set while it works: nothing waits for the hour that is missing, and nobody is taken for gone.

SAMOVAR_SETTABLE_CLOCK names the library that makes a process's clock settable (tests/support/clock).
"""

import os
import pathlib
import signal
import struct
import subprocess
import time
import unittest

import testbed
from testbed import Cluster, Workspace, program

HOUR = 3600


class Clock:
    """The clock of the processes that are started inside `applied`."""

    def __init__(self, workspace: Workspace, name: str) -> None:
        self._path = workspace.path / f"{name}.clock"
        self.set(0)

    def set(self, seconds: int) -> None:
        # In place: processes have the file mapped.
        with open(self._path, "r+b" if self._path.exists() else "wb") as file:
            file.write(struct.pack("<q", seconds * 10**9))

    def environment(self) -> dict:
        return {"LD_PRELOAD": str(pathlib.Path(os.environ["SAMOVAR_SETTABLE_CLOCK"]).resolve()), "SAMOVAR_TEST_CLOCK": str(self._path)}


class ClockedCluster(Cluster):
    """Each process has a clock of its own: clocks[i] is that of the i-th that was started."""

    def __init__(self, workspace: Workspace, **options) -> None:
        self.clocks = []
        super().__init__(workspace, **options)

    def _start(self, name: str, *arguments: str):
        clock = Clock(self._workspace, f"process-{len(self.clocks)}")
        self.clocks.append(clock)
        before = dict(os.environ)
        os.environ.update(clock.environment())
        try:
            return super()._start(name, *arguments)
        finally:
            os.environ.clear()
            os.environ.update(before)


class ClockTest(testbed.TestCase):
    def test_a_job_goes_on_though_the_clock_of_any_process_is_set_back_or_forth(self):
        self.workspace.write_solver(max_iter=1000000, display=0, test_interval=1000000, base_lr=0.001)
        with ClockedCluster(self.workspace, servers=2, workers=2) as cluster:
            cluster.submit("--name", "steady", "--servers", "2")
            for clock in cluster.clocks:
                clock.set(-HOUR)
                self.assert_goes_on(cluster)
            for clock in cluster.clocks:
                clock.set(HOUR)
            self.assert_goes_on(cluster)
            job = cluster.job("steady")
            self.assertEqual(0, int(job.get("recoveries", 0)), job)
            self.assertEqual([], job.get("notices", []), job)

    def assert_goes_on(self, cluster: Cluster) -> None:
        """For longer than a server's or a worker's silence lasts before it is noticed."""
        until = time.monotonic() + 8
        iteration = -1
        while time.monotonic() < until:
            wanted = iteration + 1
            iteration = int(cluster.await_job("steady", lambda job: int(job.get("iteration", 0)) >= wanted).get("iteration", 0))

    def test_a_deadline_passes_though_the_clock_is_set_back_while_it_is_waited_for(self):
        with Cluster(self.workspace, servers=1, workers=0) as cluster:
            cluster.coordinator.send_signal(signal.SIGSTOP)
            clock = Clock(self.workspace, "command")
            command = subprocess.Popen([program("samovar"), "jobs", cluster.address], env={**os.environ, **clock.environment()},
                                       stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            try:
                with self.assertRaises(subprocess.TimeoutExpired):
                    command.wait(2)
                clock.set(-HOUR)
                _, err = command.communicate(timeout=testbed.COMMAND_SECONDS)
            finally:
                command.kill()
                cluster.coordinator.send_signal(signal.SIGCONT)
            self.assertIn("no coordinator answers", err)


if __name__ == "__main__":
    unittest.main()
