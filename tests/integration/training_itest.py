#!/usr/bin/env python3
"""A whole run of `samovar train`: what it reports, what it leaves behind, and that more workers change nothing but the time."""

import json
import re
import unittest

import testbed
from testbed import BATCH, Run

# "I1124 02:31:11.123456  4711 samovar] text", as glog writes.
GLOG = r"^I\d{4} \d\d:\d\d:\d\d\.\d{6} +\d+ samovar\] "


class TrainingTest(testbed.TestCase):
    def test_a_run_trains_tests_and_writes_a_model(self):
        self.workspace.write_solver(max_iter=400, test_interval=200)
        with Run(self.workspace, as_json=False) as run:
            self.assertEqual(run.await_exit(), 0, run.describe())
        out = "\n".join(run.out)
        ledger = re.search(r"ledger: (\d+) chunks?, (?:each holds|it holds) iterations 0\.\.(\d+) exactly once", out)
        self.assertIsNotNone(ledger, run.describe())
        self.assertEqual(int(ledger.group(2)), 399)
        self.assertIn(f"{400 * BATCH} samples", out)
        tested = [int(match.group(1)) for match in testbed.lines_matching(run.out, r"Iteration (\d+), Testing net \(#0\)")]
        self.assertEqual(tested, [0, 200, 400], run.describe())
        accuracies = [float(match.group(1)) for match in testbed.lines_matching(run.out, r"Test net output #\d+: accuracy = ([\d.e-]+)")]
        self.assertEqual(len(accuracies), 3)
        self.assertGreater(accuracies[-1], 0.9)
        self.assertLess(accuracies[0], 0.7)
        model = self.workspace.path / "out" / "small_iter_400.caffemodel"
        self.assertGreater(model.stat().st_size, 16 * 25 * 4)
        self.assertEqual(run.err, [])

    def test_what_is_not_a_terminal_gets_plain_lines_in_the_format_of_caffes_logs(self):
        self.workspace.write_solver(max_iter=100)
        with Run(self.workspace, as_json=False) as run:
            self.assertEqual(run.await_exit(), 0, run.describe())
        for line in run.out:
            self.assertRegex(line, GLOG)
            self.assertTrue(line.isprintable(), repr(line))

    def test_each_line_of_json_is_an_object_with_an_event(self):
        self.workspace.write_solver(max_iter=300, snapshot=100)
        with Run(self.workspace) as run:
            self.assert_success(run)
        events = [json.loads(line)["event"] for line in run.out]
        self.assertEqual(events[:2], ["started", "ready"])
        self.assertEqual(events[-1], "succeeded")
        for event in ("progress", "test", "snapshot", "model"):
            self.assertIn(event, events)
        models = [event["iteration"] for event in run.events("model")]
        self.assertEqual(models[-1], 300)
        for event in run.events("model"):
            self.assertTrue((self.workspace.path / event["path"]).is_file())

    def test_without_a_snapshot_after_training_the_last_model_is_that_of_the_last_multiple(self):
        self.workspace.write_solver(max_iter=50, snapshot=20, snapshot_after_train="false")
        said = self.workspace.check("check", "solver.prototxt")
        self.assertIn("out/small_iter_50.caffemodel is not written (snapshot_after_train: false)", said)
        with Run(self.workspace) as run:
            self.assert_exactly_once(self.assert_success(run), 50)
            self.assertEqual([event["iteration"] for event in run.events("model")], [20, 40], run.describe())
        models = sorted(path.name for path in (self.workspace.path / "out").glob("*.*"))
        self.assertEqual(models, [f"small_iter_{n}.{kind}" for n in (20, 40) for kind in ("caffemodel", "solverstate")])

    def test_a_solver_of_no_iterations_tests_and_writes_the_model_that_it_begins_with(self):
        for mode, policy in (("async", '"poly"'), ("sync", '"fixed"')):
            with self.subTest(mode):
                self.workspace.write_solver(max_iter=0, lr_policy=policy, power=1, snapshot_prefix=f'"out/{mode}"')
                with Run(self.workspace, "--mode", mode, as_json=False) as run:
                    self.assertEqual(run.await_exit(), 0, run.describe())
                self.assertEqual(len(testbed.lines_matching(run.out, r"Iteration 0, Testing net \(#0\)")), 1, run.describe())
                self.assertRegex("\n".join(run.out), r"ledger: \d+ chunks?, (each|it) holds no iteration")
                self.assertTrue((self.workspace.path / "out" / f"{mode}_iter_0.caffemodel").is_file())
                self.assertTrue((self.workspace.path / "out" / f"{mode}_iter_0.solverstate").is_file())

    def test_one_worker_and_three_train_on_the_same_samples_to_the_same_accuracy(self):
        accuracies = {}
        for workers in (1, 3):
            self.workspace.write_solver(max_iter=600, snapshot_prefix=f'"out/by{workers}"')
            with Run(self.workspace, "--workers", workers, "--seed", 3) as run:
                self.assert_exactly_once(self.assert_success(run), 600)
                accuracies[workers] = self.last_accuracy(run)
        self.assertGreater(min(accuracies.values()), 0.9, accuracies)
        # Of 500 test records; updates come in another order, so the models differ a little.
        self.assertLess(abs(accuracies[1] - accuracies[3]), 0.05, accuracies)

    def test_the_model_is_cut_over_as_many_servers_as_are_asked_for(self):
        for servers in (1, 3):
            with self.subTest(servers=servers):
                self.workspace.write_solver(max_iter=100, snapshot_prefix=f'"out/on{servers}"')
                with Run(self.workspace, "--servers", servers) as run:
                    run.await_event("ready")
                    self.assertEqual(len(run.servers()), servers)
                    self.assert_exactly_once(self.assert_success(run), 100)

    def test_a_run_leaves_no_process_behind(self):
        self.workspace.write_solver(max_iter=100)
        with Run(self.workspace, "--servers", 2, "--workers", 2) as run:
            run.await_event("ready")
            children = run.children()
            self.assertEqual(len(children), 4)
            self.assert_success(run)
            self.assert_all_end(children)

    def test_check_describes_a_job_and_makes_nothing(self):
        before = self.workspace.entries()
        out = self.workspace.check("check", "solver.prototxt")
        self.assertIn("conv1", out)
        self.assertEqual(self.workspace.entries(), before)


if __name__ == "__main__":
    unittest.main()
