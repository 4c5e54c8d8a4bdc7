#!/usr/bin/env python3
"""A run is asked how it goes while it goes, and keeps its state directory to itself."""

import json
import os
import signal
import unittest
import unittest.mock

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
            self.assertTrue(all("figures" in server for server in status["servers"]), status)
            run.signal(signal.SIGTERM)
            run.await_exit(END_SECONDS)
        for name, counted in (("server-0", r'samovar_server_pushes_total\{outcome="applied"\} [1-9]'),
                              ("server-1", r'samovar_server_pushes_total\{outcome="applied"\} [1-9]'),
                              ("worker-0", "samovar_worker_records_total [1-9]")):
            log = self.workspace.path / "out" / "small_state" / "logs" / f"{name}.log"
            self.assertRegex(log.read_text(encoding="utf-8"), f"metrics: .*{counted}")

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


class InstructionSetTest(testbed.TestCase):
    """The engine is built for several levels: the loader takes the highest, SAMOVAR_ISA lowers it."""

    LEVELS = ["v2", "v3", "v4"]

    def at_level(self, level):
        return unittest.mock.patch.dict(os.environ, {"SAMOVAR_ISA": level})

    def level_in_use(self) -> str:
        return self.workspace.check("version").split()[-1].rstrip(")")

    def test_each_level_up_to_the_highest_can_be_asked_for(self):
        highest = self.level_in_use()
        self.assertIn(highest, [f"x86-64-{level}" for level in self.LEVELS])
        for level in self.LEVELS[:self.LEVELS.index(highest[-2:]) + 1]:
            with self.at_level(level):
                done = self.workspace.command("version")
                if done.returncode == 2 and "this build of the engine begins at" in done.stderr:
                    continue
                self.assertEqual(self.level_in_use(), f"x86-64-{level}")

    def test_a_level_that_there_is_not_is_refused(self):
        with self.at_level("avx2"):
            done = self.workspace.command("version")
        self.assertEqual(done.returncode, 2)
        self.assertIn('SAMOVAR_ISA is "avx2"; the levels are v2', done.stderr)

    def test_a_run_keeps_to_the_level_and_its_status_says_so(self):
        lowest = next((level for level in self.LEVELS if self.is_built(level)), None)
        self.workspace.write_solver(max_iter=1000000)
        with self.at_level(lowest), Run(self.workspace, "--workers", 2) as run:
            address = run.await_event("ready")["coordinator"]
            run.await_iteration(20)
            status = json.loads(self.workspace.check("status", address, "--json"))
            self.assertEqual({worker["isa"] for worker in status["workers"]}, {f"x86-64-{lowest}"})
            self.assertEqual(len(run.workers()), 2)
            self.assertIn(f"x86-64-{lowest}", self.workspace.check("status", address))
            run.signal(signal.SIGTERM)
            self.assertEqual(run.await_exit(END_SECONDS), 143)

    def is_built(self, level: str) -> bool:
        with self.at_level(level):
            return self.workspace.command("version").returncode == 0


if __name__ == "__main__":
    unittest.main()
