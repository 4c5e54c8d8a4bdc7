#!/usr/bin/env python3
"""Runs that do not begin from fillers: continued from a model and its .solverstate, and finetuned from another net's model."""

import signal
import unittest

import testbed
from model_blobs import blobs_of, fields
from testbed import END_SECONDS, Run


class StartTest(testbed.TestCase):
    def read(self, name: str) -> bytes:
        return (self.workspace.path / name).read_bytes()

    def train(self, *arguments) -> Run:
        with Run(self.workspace, *arguments) as run:
            self.assert_success(run)
        return run

    def test_a_run_of_adam_continues_from_its_model_and_state_as_if_it_had_not_ended(self):
        adam = {"type": '"Adam"', "momentum2": 0.999, "base_lr": 0.001, "lr_policy": '"fixed"'}
        one = ("--servers", 2, "--workers", 1)
        self.workspace.write_solver(max_iter=200, **adam)
        first = self.train(*one)
        self.assertEqual([event["path"] for event in first.events("solver_state")], ["out/small_iter_200.solverstate"])
        state = list(fields(self.read("out/small_iter_200.solverstate")))
        self.assertEqual(state[:2], [(1, 200), (2, b"out/small_iter_200.caffemodel")])
        # Adam's two histories of three layers with two blobs each.
        self.assertEqual(sum(number == 3 for number, _ in state), 12)

        self.workspace.write_solver(max_iter=400, **adam)
        second = self.train(*one, "--snapshot", "out/small_iter_200.solverstate")
        self.assertEqual(second.events("started")[0]["resumed_from"], 200)
        self.assertEqual(second.events("succeeded")[0]["resumed_from"], 200)
        self.assert_exactly_once(second.events("succeeded")[0], 400)
        # 200 more, each pushed to each chunk.
        ledger = second.events("succeeded")[0]["ledger"]
        self.assertEqual(ledger["pushes"]["applied"], 200 * ledger["chunks"])
        self.assertGreater(self.last_accuracy(second), 0.9)

        self.workspace.write_solver(max_iter=400, snapshot_prefix='"out/whole"', **adam)
        self.train(*one)
        # One worker's iterations are in order, so there is only one result.
        self.assertEqual(blobs_of(self.read("out/small_iter_400.caffemodel")), blobs_of(self.read("out/whole_iter_400.caffemodel")))

    def test_a_net_whose_last_layer_is_renamed_begins_from_the_other_layers_weights(self):
        self.workspace.write_solver(max_iter=300)
        self.train()
        # The layers that are kept do not learn, so that their weights can be told.
        self.workspace.write_net(lambda text: text.replace("param { lr_mult: 1 } param { lr_mult: 2 }",
                                                           "param { lr_mult: 0 } param { lr_mult: 0 }", 2)
                                 .replace('"ip2" type', '"ip2_new" type'))
        self.workspace.write_solver(max_iter=300, snapshot_prefix='"out/tuned"')
        run = self.train("--weights", "out/small_iter_300.caffemodel")
        self.assertTrue(run.events("started")[0]["weights"].endswith(
            "out/small_iter_300.caffemodel fills conv1, ip1; ip2_new keeps its fillers"), run.describe())
        before, after = blobs_of(self.read("out/small_iter_300.caffemodel")), blobs_of(self.read("out/tuned_iter_300.caffemodel"))
        for layer in ("conv1", "ip1"):
            self.assertEqual(after[layer], before[layer])
            self.assertEqual(len(before[layer]), 2)
        self.assertNotEqual(after["ip2_new"], before["ip2"])
        self.assertGreater(self.last_accuracy(run), 0.9)

    def test_a_resumed_run_that_fails_at_once_does_not_advise_what_has_just_failed(self):
        self.workspace.write_solver(max_iter=1000000)
        with Run(self.workspace) as run:
            run.await_iteration(20)
            run.signal(signal.SIGTERM)
            self.assertEqual(run.await_exit(END_SECONDS), 143)
            self.assertIn("continue from the snapshot of iteration ", run.describe())
        self.workspace.write_solver(max_iter=1000000, base_lr=1e30, snapshot=0)
        with Run(self.workspace, "--resume") as run:
            self.assertEqual(run.await_exit(), 1)
            failed = run.events("failed")[-1]["message"]
        self.assertRegex(failed, r"training diverged.*; --resume went no further than the snapshot of iteration \d+")
        self.assertNotIn("continue from", failed)

    def test_files_that_do_not_fit_are_refused_before_anything_is_started(self):
        self.workspace.write_solver(max_iter=20)
        self.train()
        there = self.workspace.entries()
        self.workspace.write_net(lambda text: text.replace("num_output: 64", "num_output: 65"))
        self.workspace.write_solver(max_iter=20, snapshot_prefix='"out/other"', weights='"out/small_iter_20.caffemodel"')
        for arguments in (("check", "solver.prototxt"), ("train", "--solver", "solver.prototxt")):
            done = self.workspace.command(*arguments)
            self.assertEqual(done.returncode, 2, done.stderr)
            self.assertRegex(done.stderr, r'small_iter_20\.caffemodel: layer "ip1", blob 0 is 64x\d+ in the file and 65x\d+ in the net')
        self.workspace.write_net()
        for text, solver in (("6 history blobs; this solver and net need 12", {"type": '"Adam"', "max_iter": 40}),
                             ("nothing left to train; raise max_iter", {"max_iter": 20})):
            self.workspace.write_solver(snapshot_prefix='"out/other"', **solver)
            done = self.workspace.command("train", "--solver", "solver.prototxt", "--snapshot", "out/small_iter_20.solverstate")
            self.assertEqual(done.returncode, 2, done.stderr)
            self.assertRegex(done.stderr, text)
        self.assertEqual(self.workspace.entries(), there)


if __name__ == "__main__":
    unittest.main()
