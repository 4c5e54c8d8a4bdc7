#!/usr/bin/env python3
"""A run is asked how it goes while it goes, and keeps its state directory to itself."""

import json
import signal
import unittest

import testbed
from testbed import END_SECONDS, Run


class StatusTest(testbed.TestCase):
    def setUp(self):
        super().setUp()
        self.workspace.write_solver(max_iter=1000000, snapshot=200)

    def test_the_status_of_a_run_shows_its_processes_and_its_job(self):
        with Run(self.workspace, "--servers", 2, "--workers", 2) as run:
            address = run.await_event("ready")["coordinator"]
            run.await_iteration(100)
            status = json.loads(self.workspace.check("status", address, "--json"))
            pids = {process.pid for process in run.children()}
            self.assertEqual({int(member["pid"]) for member in status["servers"] + status["workers"]}, pids)
            self.assertEqual(len(status["servers"]), 2)
            job = status["jobs"][0]
            self.assertEqual(job["state"], "JOB_STATE_RUNNING")
            self.assertEqual(int(job["max_iter"]), 1000000)
            self.assertGreaterEqual(int(job["iteration"]), 100)
            self.assertGreaterEqual(int(job["completed_iterations"]), int(job["iteration"]))
            self.assertTrue(job["tests"], job)
            table = self.workspace.check("status", address)
            self.assertIn("worker-0", table)
            self.assertIn("small", table)
            run.signal(signal.SIGTERM)
            run.await_exit(END_SECONDS)

    def test_nobody_at_the_address_is_an_error_that_names_it(self):
        done = self.workspace.command("status", "127.0.0.1:1")
        self.assertEqual(done.returncode, 1)
        self.assertIn("127.0.0.1:1", done.stderr)

    def test_a_second_run_with_the_same_state_is_refused_and_the_first_goes_on(self):
        with Run(self.workspace) as run:
            reached = run.await_iteration(1)["iteration"]
            second = self.workspace.command("train", "--solver", "solver.prototxt", "--restart")
            self.assertEqual(second.returncode, 2, second.stderr)
            self.assertIn("another run", second.stderr)
            self.assertIn(str(run.pid), second.stderr)
            run.await_iteration(reached + 100)
            run.signal(signal.SIGTERM)
            self.assertEqual(run.await_exit(END_SECONDS), 143)


if __name__ == "__main__":
    unittest.main()
