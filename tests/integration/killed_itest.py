#!/usr/bin/env python3
"""Processes are killed in the middle of a run; in the end each update is in the model exactly once all the same."""

import re
import signal
import unittest

import testbed
from testbed import END_SECONDS, Run

# Long enough that there is a middle.
ITERATIONS = 5000
MIDDLE = 300


class KilledWorkerTest(testbed.TestCase):
    def test_a_killed_worker_costs_no_update_and_none_twice(self):
        self.workspace.write_solver(max_iter=ITERATIONS)
        with Run(self.workspace, "--workers", 2) as run:
            run.await_iteration(MIDDLE)
            run.workers()[0].kill()
            warning = run.await_event("warning")
            self.assertIn("worker-", warning["message"])
            succeeded = self.assert_success(run)
        self.assert_exactly_once(succeeded, ITERATIONS)
        self.assertGreater(self.last_accuracy(run), 0.9)

    def test_all_workers_may_be_killed(self):
        self.workspace.write_solver(max_iter=ITERATIONS)
        with Run(self.workspace, "--workers", 2) as run:
            run.await_iteration(MIDDLE)
            killed = run.workers()
            for worker in killed:
                worker.kill()
            self.assert_all_end(killed)
            self.assert_exactly_once(self.assert_success(run), ITERATIONS)


class KilledServerTest(testbed.TestCase):
    """Servers are started again, and go on with their snapshots."""

    def setUp(self):
        super().setUp()
        self.workspace.write_solver(max_iter=ITERATIONS, snapshot=500)

    def model(self) -> bytes:
        return (self.workspace.path / "out" / f"small_iter_{ITERATIONS}.caffemodel").read_bytes()

    def survive(self, such_that, *arguments) -> Run:
        """Kills the processes for which that holds when there is a snapshot; the run is to succeed all the same."""
        with Run(self.workspace, *arguments) as run:
            run.await_event("snapshot")
            killed = [process for process in run.children() if such_that(process)]
            for process in killed:
                process.kill()
            self.assert_all_end(killed)
            succeeded = self.assert_success(run)
        self.assert_exactly_once(succeeded, ITERATIONS)
        return run

    def told(self, run: Run) -> str:
        return "\n".join(event["message"] for event in run.events("warning"))

    def test_a_run_survives_the_death_of_a_server(self):
        run = self.survive(lambda process: process.is_server and not process.is_coordinator)
        self.assertIn("server-1", self.told(run))
        self.assertIn("signal 9", self.told(run))
        self.assertIn("its share of the model was restored from its snapshot", self.told(run))
        self.assertIn("iterations are computed again", self.told(run))
        self.assertGreater(self.last_accuracy(run), 0.9)

    def test_weights_that_were_replaced_meanwhile_are_not_mixed_into_the_model(self):
        self.workspace.write_solver(max_iter=1)
        for seed, name in ((1, "first"), (2, "second")):
            with Run(self.workspace, "--seed", seed, "--state", name, "--restart") as run:
                self.assert_success(run)
            (self.workspace.path / "out" / "small_iter_1.caffemodel").rename(self.workspace.path / f"{name}.caffemodel")
        # Nothing is kept before the end: a server that is started again begins with the file.
        self.workspace.write_solver(max_iter=100 * ITERATIONS, snapshot=0)
        with Run(self.workspace, "--weights", "first.caffemodel") as run:
            run.await_iteration(MIDDLE)
            (self.workspace.path / "second.caffemodel").rename(self.workspace.path / "first.caffemodel")
            next(process for process in run.servers() if not process.is_coordinator).kill()
            self.assertEqual(run.await_exit(), 1, run.describe())
            self.assertIn("first.caffemodel: its content is not what the job was submitted with", run.describe())

    def test_a_run_survives_the_death_of_its_coordinator(self):
        run = self.survive(lambda process: process.is_coordinator)
        self.assertIn("server-0", self.told(run))
        self.assertIn("the coordinator was restarted", self.told(run))
        self.assertGreater(self.last_accuracy(run), 0.9)

    def test_a_run_survives_the_death_of_all_its_processes(self):
        run = self.survive(lambda process: True)
        for name in ("server-0", "server-1", "worker-0", "worker-1"):
            self.assertIn(name, self.told(run))

    def test_a_sync_run_survives_the_death_of_servers_to_the_bit(self):
        with Run(self.workspace, "--mode", "sync") as run:
            self.assert_success(run)
        undisturbed = self.model()
        for such_that in (lambda process: process.is_server and not process.is_coordinator,
                          lambda process: process.is_coordinator):
            self.survive(such_that, "--mode", "sync")
            self.assertEqual(self.model(), undisturbed)

    def test_a_server_that_dies_before_there_is_a_snapshot_begins_again(self):
        self.workspace.write_solver(max_iter=ITERATIONS)
        with Run(self.workspace) as run:
            run.await_iteration(MIDDLE)
            next(process for process in run.servers() if not process.is_coordinator).kill()
            run.await_event("warning", lambda event: "from initial weights" in event["message"])
            succeeded = self.assert_success(run)
        self.assert_exactly_once(succeeded, ITERATIONS)
        self.assertGreaterEqual(succeeded["repeated_iterations"], MIDDLE)


class KilledRunTest(testbed.TestCase):
    def setUp(self):
        super().setUp()
        self.workspace.write_solver(max_iter=ITERATIONS, snapshot=500)

    def assert_resumes(self, *arguments):
        with Run(self.workspace, "--resume", *arguments) as run:
            succeeded = self.assert_success(run)
        started = run.events("started")[0]
        self.assertGreaterEqual(started["resumed_from"], 500)
        self.assertEqual(started["resumed_from"] % 500, 0)
        self.assert_exactly_once(succeeded, ITERATIONS)
        self.assertGreater(self.last_accuracy(run), 0.9)
        self.assertTrue((self.workspace.path / "out" / f"small_iter_{ITERATIONS}.caffemodel").is_file())

    def test_a_run_of_which_everything_was_killed_is_resumed(self):
        with Run(self.workspace) as run:
            run.await_event("snapshot")
            children = run.children()
            # The parent first: it must not see its children die and tidy up.
            run.signal(signal.SIGKILL)
            for child in children:
                child.kill()
            self.assertEqual(run.await_exit(END_SECONDS), -signal.SIGKILL)
            self.assert_all_end(children)
        # It may not have come to note the snapshot that its servers hold.
        record = self.workspace.path / "out" / "small_state" / "run"
        record.write_text(re.sub("snapshot: [0-9]+", "snapshot: 0", record.read_text(encoding="utf-8")), encoding="utf-8")
        # Its snapshots are neither taken up nor thrown away unasked.
        again = self.workspace.command("train", "--solver", "solver.prototxt")
        self.assertEqual(again.returncode, 2, again.stderr)
        self.assertIn("--resume", again.stderr)
        self.assertIn("--restart", again.stderr)
        self.assert_resumes()

    def test_children_do_not_outlive_a_killed_parent(self):
        with Run(self.workspace) as run:
            run.await_iteration(1)
            children = run.children()
            run.signal(signal.SIGKILL)
            self.assert_all_end(children)

    def test_a_run_that_is_resumed_with_another_rate_says_so(self):
        with Run(self.workspace) as run:
            run.await_event("snapshot")
            run.signal(signal.SIGTERM)
            self.assertEqual(run.await_exit(END_SECONDS), 143, run.describe())
        for rate, says_so in ((0.01, False), (0.02, True)):
            self.workspace.write_solver(max_iter=ITERATIONS, base_lr=rate)
            with Run(self.workspace, "--resume") as run:
                run.await_event("resumed")
                run.signal(signal.SIGTERM)
                run.await_exit(END_SECONDS)
            warnings = [line for line in run.err if "base_lr is 0.02, but in the run that is to be resumed it was 0.01" in line]
            self.assertEqual(len(warnings), int(says_so), run.describe())

    def test_an_interrupted_run_can_be_begun_anew(self):
        with Run(self.workspace) as run:
            run.await_event("snapshot")
            run.signal(signal.SIGTERM)
            self.assertEqual(run.await_exit(END_SECONDS), 143, run.describe())
        self.workspace.write_solver(max_iter=100)
        with Run(self.workspace, "--restart") as run:
            succeeded = self.assert_success(run)
        self.assertEqual(run.events("started")[0]["resumed_from"], 0)
        self.assert_exactly_once(succeeded, 100)


class InterruptedTest(testbed.TestCase):
    def setUp(self):
        super().setUp()
        self.workspace.write_solver(max_iter=1000000)

    def assert_ends_in_order(self, number: int, after) -> Run:
        with Run(self.workspace) as run:
            after(run)
            children = run.children()
            run.signal(number)
            self.assertEqual(run.await_exit(END_SECONDS), 128 + number, run.describe())
            self.assert_all_end(children)
            self.assertEqual(run.children(), [])
        return run

    def test_ctrl_c_ends_all_processes_and_gives_130(self):
        run = self.assert_ends_in_order(signal.SIGINT, lambda run: run.await_iteration(10))
        self.assertIn("interrupted", "\n".join(run.err))

    def test_sigterm_ends_all_processes_and_gives_143(self):
        self.assert_ends_in_order(signal.SIGTERM, lambda run: run.await_iteration(10))

    def test_a_run_is_interrupted_while_it_starts_too(self):
        self.assert_ends_in_order(signal.SIGINT, lambda run: run.await_event("ready"))


if __name__ == "__main__":
    unittest.main()
