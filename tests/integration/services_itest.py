#!/usr/bin/env python3
"""What the services tell those that run them: the log, for people and for programs, and the service manager's line."""

import datetime
import json
import os
import pathlib
import socket
import time
import unittest
import unittest.mock

import testbed
from testbed import RUN_SECONDS, Cluster

TEXT = (r"^(?P<time>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z) (?P<level>[DIWE]) (?P<host>\S+) (?P<process>server|worker)\[(?P<pid>\d+)\]"
        r"(?: (?P<kind>server|worker)=(?P<member>\S+))?(?: job=(?P<job>\S+))?(?: iteration=(?P<iteration>\d+))?: (?P<message>.+)$")


class LogTest(testbed.TestCase):
    def setUp(self):
        super().setUp()
        self.workspace.write_solver(max_iter=200, snapshot=100)

    def run_job(self, *flags: str) -> list:
        """The lines of a cluster's log."""
        with Cluster(self.workspace, servers=1, workers=0, flags=flags) as cluster:
            cluster.start_worker(*flags)
            cluster.submit("--name", "small")
            cluster.await_state("small", "SUCCEEDED")
            return cluster.log().splitlines()

    def test_each_line_for_people_has_time_host_process_and_job(self):
        lines = self.run_job()
        matches = testbed.lines_matching(lines, TEXT)
        self.assertEqual(len(matches), len(lines), lines)
        now = datetime.datetime.now(datetime.timezone.utc)
        for match in matches:
            told = datetime.datetime.strptime(match["time"], "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=datetime.timezone.utc)
            self.assertLess(abs((now - told).total_seconds()), 600)
            self.assertEqual(match["host"], socket.gethostname())
        self.assertTrue(any(match["kind"] == "worker" and match["member"] == "worker-1" and match["job"] == "small"
                            and match["iteration"] for match in matches), lines)
        self.assertTrue(any(match["kind"] == "server" and match["job"] == "small" for match in matches), lines)

    def test_each_line_for_programs_is_an_object(self):
        lines = [json.loads(line) for line in self.run_job("--log-format", "json")]
        for line in lines:
            self.assertTrue({"time", "level", "host", "process", "pid", "message"} <= set(line), line)
            self.assertIn(line["level"], ("debug", "info", "warning", "error"))
            self.assertIsInstance(line["pid"], int)
        self.assertTrue(any(line.get("worker") == "worker-1" and line.get("job") == "small" and line.get("iteration", -1) >= 0
                            for line in lines), lines)
        self.assertTrue(any(line.get("server", "").startswith("127.0.0.1:") and line.get("job") == "small" for line in lines), lines)


class ServiceManagerTest(testbed.TestCase):
    """The services' lines for systemctl status."""

    def setUp(self):
        super().setUp()
        self.workspace.write_solver(max_iter=1000000, snapshot=0)

    def await_lines(self, manager: socket.socket, wanted: dict) -> None:
        deadline = time.monotonic() + RUN_SECONDS
        heard = []
        while wanted:
            self.assertLess(time.monotonic(), deadline, f"{wanted} of {heard}")
            manager.settimeout(max(0.1, deadline - time.monotonic()))
            heard.append(manager.recv(4096).decode("utf-8"))
            for name, pattern in list(wanted.items()):
                if testbed.lines_matching(heard[-1].splitlines(), pattern):
                    del wanted[name]

    def test_the_line_of_each_service_follows_its_work(self):
        path = pathlib.Path(self.workspace.path) / "notify"
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
            manager.bind(str(path))
            with unittest.mock.patch.dict(os.environ, {"NOTIFY_SOCKET": str(path)}), \
                    Cluster(self.workspace, servers=2, workers=1) as cluster:
                self.await_lines(manager, {"ready": "^READY=1$", "idle": r"^STATUS=0 jobs run; 2 servers, 1 worker$"})
                cluster.submit("--name", "small")
                self.await_lines(manager, {
                    "coordinator": r"^STATUS=1 job runs; iteration [1-9]\d* of 1000000 of small; 2 servers, 1 worker$",
                    "server": rf"^STATUS=serves 1 job, \d+ MiB of parameters, for the coordinator {cluster.address}$",
                    "worker": rf"^STATUS=works for {cluster.address}: .*, iterations? \d+.* of job small$"})
                cluster.coordinator.terminate()
                self.await_lines(manager, {"end": "^STOPPING=1$"})


if __name__ == "__main__":
    unittest.main()
