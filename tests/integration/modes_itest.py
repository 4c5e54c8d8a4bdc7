#!/usr/bin/env python3
"""Modes of consistency, by what they promise: the same model to the bit, or weights that are not too old."""

import json
import signal
import time
import unittest

import testbed
from testbed import BATCH, END_SECONDS, Run

ITERATIONS = 300
CHECKPOINTS = {"snapshot": 100, "test_interval": 150}
PARTS = 8


class ModesTest(testbed.TestCase):
    def train(self, name: str, *arguments, kill_at: int = 0, iterations: int = ITERATIONS, batch: int = BATCH, **fields) -> bytes:
        """A run to its end, with two servers unless told otherwise. Returns the model."""
        self.workspace.write_solver(max_iter=iterations, snapshot_prefix=f'"out/{name}"', **{**CHECKPOINTS, **fields})
        with Run(self.workspace, *arguments, "--seed", 3) as run:
            if kill_at:
                run.await_iteration(kill_at)
                # Whether it holds a lease at that moment is chance.
                victim = run.workers()[0]
                victim.kill()
                self.assertTrue(victim.await_end(END_SECONDS))
            self.succeeded = self.assert_success(run)
        self.assert_exactly_once(self.succeeded, iterations, batch * fields.get("iter_size", 1))
        self.started = run.events("started")[0]
        self.tests = [(event["iteration"], event["outputs"]) for event in run.events("test")]
        return self.model(name, iterations)

    def model(self, name: str, iteration: int) -> bytes:
        return (self.workspace.path / "out" / f"{name}_iter_{iteration}.caffemodel").read_bytes()

    def accuracy_at(self, iteration: int) -> float:
        return {output["name"]: output["value"] for output in dict(self.tests)[iteration]}["accuracy"]

    def pushes(self) -> dict:
        return self.succeeded["ledger"]["pushes"]

    def test_sync_the_model_does_not_depend_on_workers_and_servers(self):
        # It has all kinds of layers that look at a whole batch or draw random numbers.
        self.workspace.write_net(lambda text: text.replace(
            'layer { name: "relu1"',
            'layer { name: "bn" type: "BatchNorm" bottom: "ip1" top: "ip1" }\n'
            'layer { name: "drop" type: "Dropout" bottom: "ip1" top: "ip1" }\nlayer { name: "relu1"'))
        expected = self.train("by1", "--mode", "sync", "--workers", 1, iter_size=2)
        self.assertEqual(self.started["mode"], f"sync in {PARTS} parts")
        tests, snapshot = self.tests, self.model("by1", 100)
        # Subtrees of four parts, of two, of two and one, of one; also where shares are no whole subtrees.
        for workers, servers, threads in ((2, 2, 2), (3, 1, 1), (4, 3, 1), (5, 2, 1), (8, 3, 1)):
            with self.subTest(workers=workers):
                name = f"by{workers}"
                self.assertEqual(self.train(name, "--mode", "sync", "--workers", workers, "--servers", servers, "--threads", threads, iter_size=2),
                                 expected)
                self.assertEqual(self.model(name, 100), snapshot)
                self.assertEqual([outputs for _, outputs in self.tests], [outputs for _, outputs in tests])
                self.assertEqual(self.pushes()["staleness_max"], 0)

    def test_sync_in_numbers_of_parts_that_are_no_power_of_two(self):
        self.workspace.write_net(lambda text: text.replace(f"batch_size: {BATCH}", "batch_size: 30"))
        for parts in (3, 5, 6):
            with self.subTest(parts=parts):
                models = [self.train(f"{parts}by{workers}", "--mode", "sync", "--parts", parts, "--workers", workers, batch=30, iterations=100)
                          for workers in (1, 2, 3)]
                self.assertEqual(models[1:], models[:1] * 2)

    def test_sync_a_worker_that_is_stopped_for_a_while_does_not_change_the_model(self):
        expected = self.train("awake", "--mode", "sync", "--workers", 1, iterations=1200)
        self.workspace.write_solver(max_iter=1200, snapshot_prefix='"out/stopped"', **CHECKPOINTS)
        with Run(self.workspace, "--mode", "sync", "--workers", 3, "--seed", 3) as run:
            for iteration, seconds in ((100, 0.3), (300, 4), (600, 1)):
                run.await_iteration(iteration)
                victim = run.workers()[0]
                victim.kill(signal.SIGSTOP)
                time.sleep(seconds)
                victim.kill(signal.SIGCONT)
            self.assert_exactly_once(self.assert_success(run), 1200)
        self.assertEqual(self.model("stopped", 1200), expected)

    def test_sync_clipped_by_the_servers_the_model_does_not_depend_on_workers_and_servers(self):
        # Below the norms of the first iterations.
        clipped = {"clip_gradients": 0.5, "iter_size": 3}
        expected = self.train("by1", "--mode", "sync", "--workers", 1, "--servers", 1, **clipped)
        self.assertEqual(self.started["mode"], f"sync in {PARTS} parts")
        snapshot = self.model("by1", 100)
        for workers, servers in ((2, 2), (3, 3), (4, 1)):
            with self.subTest(workers=workers):
                name = f"by{workers}"
                model = self.train(name, "--mode", "sync", "--workers", workers, "--servers", servers, **clipped)
                self.assertEqual(model, expected)
                self.assertEqual(self.model(name, 100), snapshot)
        self.assertNotEqual(self.train("free", "--mode", "sync", iter_size=3), expected)

    def test_sync_clipped_a_killed_worker_does_not_change_the_model(self):
        expected = self.train("alive", "--mode", "sync", "--workers", 1, iterations=1200, clip_gradients=0.5)
        killed = self.train("killed", "--mode", "sync", "--workers", 2, iterations=1200, kill_at=200, clip_gradients=0.5)
        self.assertEqual(killed, expected)

    def test_sync_an_encoding_changes_the_model_and_workers_still_do_not(self):
        exact = self.train("exact", "--mode", "sync", "--workers", 1)
        for encoding in ("bfloat16", "int8"):
            with self.subTest(encoding=encoding):
                one = self.train(f"{encoding}-1", "--mode", "sync", "--workers", 1, "--encoding", encoding)
                self.assertEqual(self.started["mode"], f"sync in {PARTS} parts, {encoding}")
                self.assertNotEqual(one, exact)
                self.assertEqual(self.train(f"{encoding}-3", "--mode", "sync", "--workers", 3, "--encoding", encoding), one)

    def test_sync_a_killed_worker_does_not_change_the_model(self):
        expected = self.train("alive", "--mode", "sync", "--workers", 1, iterations=1200)
        self.assertEqual(self.train("killed", "--mode", "sync", "--workers", 2, iterations=1200, kill_at=200), expected)

    def test_sync_a_run_that_is_resumed_ends_with_the_same_model(self):
        expected = self.train("whole", "--mode", "sync", "--parts", 4, iterations=1500)
        self.workspace.write_solver(max_iter=1500, snapshot_prefix='"out/halved"', **CHECKPOINTS)
        with Run(self.workspace, "--seed", 3, "--mode", "sync", "--parts", 4, "--workers", 3) as run:
            run.await_event("snapshot", lambda event: event["iteration"] >= 300)
            run.signal(signal.SIGTERM)
            self.assertEqual(run.await_exit(END_SECONDS), 143, run.describe())
        # Its state directory knows its mode.
        with Run(self.workspace, "--resume", "--workers", 2) as run:
            self.assert_exactly_once(self.assert_success(run), 1500)
        started = run.events("started")[0]
        self.assertGreaterEqual(started["resumed_from"], 300)
        self.assertEqual(started["mode"], "sync in 4 parts")
        self.assertEqual(self.model("halved", 1500), expected)

    def test_a_snapshot_of_an_iteration_is_the_model_of_a_run_that_ends_there(self):
        for mode in (("--mode", "async", "--workers", 1), ("--mode", "bounded", "--delay", 0), ("--mode", "sync")):
            name = mode[1]
            self.train(name, *mode)
            for iteration in (100, 200):
                whole = self.train(f"{name}-{iteration}", *mode, "--restart", iterations=iteration)
                self.assertEqual(self.model(name, iteration), whole, f"{mode} at {iteration}")

    def test_bounded_with_a_delay_of_0_is_what_one_worker_computes(self):
        expected = self.train("alone", "--workers", 1)
        for workers in (1, 2, 4):
            with self.subTest(workers=workers):
                self.assertEqual(self.train(f"by{workers}", "--mode", "bounded", "--delay", 0, "--workers", workers), expected)
                self.assertEqual(self.pushes()["staleness_max"], 0)

    def test_bounded_no_update_is_later_than_the_delay_allows(self):
        for workers, delay in ((1, 1), (2, 1), (4, 3)):
            with self.subTest(workers=workers):
                self.train(f"by{workers}", "--mode", "bounded", "--delay", delay, "--workers", workers)
                # An iteration misses up to `delay` before it, and as many after it may come first.
                self.assertLessEqual(self.pushes()["staleness_max"], 2 * delay)

    def test_bounded_a_killed_worker_holds_the_others_up_only_until_its_lease_runs_out(self):
        self.train("killed", "--mode", "bounded", "--delay", 2, "--workers", 3, iterations=3000, kill_at=200)

    def test_topk_trains_as_far_and_says_what_it_keeps(self):
        self.train("whole", "--workers", 2, iterations=600)
        whole = self.accuracy_at(600)
        for mode in (("--mode", "async"), ("--mode", "bounded", "--delay", 2)):
            with self.subTest(mode=mode):
                self.train("largest", *mode, "--workers", 2, "--encoding", "topk", "--topk-ratio", 0.05, iterations=600)
                self.assertTrue(self.started["mode"].endswith(", topk 0.05"), self.started)
                self.assertGreater(self.accuracy_at(600), whole - 0.1)
        self.workspace.write_solver(max_iter=1000000)
        with Run(self.workspace, "--encoding", "topk") as run:
            address = run.await_event("ready")["coordinator"]
            run.await_iteration(50)
            self.assertRegex(self.workspace.check("status", address), "async, topk 0.01, residual [0-9]")
            run.signal(signal.SIGTERM)
            run.await_exit(END_SECONDS)

    def test_topk_killed_workers_lose_what_they_kept_and_no_iteration(self):
        self.train("killed", "--workers", 3, "--encoding", "topk", iterations=3000, kill_at=200)

    def test_what_is_done_about_late_gradients_is_chosen_and_shown_and_kept(self):
        late = ("--staleness-scaling", "none", "--delay-compensation", 0.04)
        self.workspace.write_solver(max_iter=6000, snapshot=200)
        with Run(self.workspace, "--workers", 3, *late) as run:
            run.await_event("snapshot")
            run.signal(signal.SIGTERM)
            self.assertEqual(run.await_exit(END_SECONDS), 143, run.describe())
        with Run(self.workspace, "--workers", 3, "--resume") as run:
            succeeded = self.assert_success(run)
        self.assert_exactly_once(succeeded, 6000)
        self.assertEqual(run.events("started")[0]["mode"], "async, staleness none, compensation 0.04")
        pushes = succeeded["ledger"]["pushes"]
        self.assertLessEqual(pushes["staleness_median"], pushes["staleness_90"])
        self.assertLessEqual(pushes["staleness_90"], pushes["staleness_99"])
        self.assertLessEqual(pushes["staleness_99"], pushes["staleness_max"])

    def test_push_every_8_trains_as_far_with_an_eighth_of_the_pushes(self):
        # The last unit is of four.
        iterations, checkpoints = 604, {"snapshot": 200, "test_interval": 200}
        self.train("each", "--workers", 2, iterations=iterations, **checkpoints)
        accuracy, chunks = self.accuracy_at(iterations), self.succeeded["ledger"]["chunks"]
        self.assertEqual(self.pushes()["applied"], chunks * iterations)
        for mode in (("--mode", "async"), ("--mode", "bounded")):
            with self.subTest(mode=mode):
                self.train("eighth", *mode, "--workers", 2, "--push-every", 8, iterations=iterations, **checkpoints)
                self.assertTrue(self.started["mode"].endswith(", a push every 8 iterations"), self.started)
                self.assertEqual(self.pushes()["applied"], chunks * 76)
                self.assertGreater(self.accuracy_at(iterations), accuracy - 0.1)

    def test_push_every_a_killed_worker_loses_its_unit_and_others_compute_it(self):
        self.train("killed", "--workers", 3, "--push-every", 8, iterations=3000, kill_at=200, snapshot=400, test_interval=1000)

    def test_push_every_is_kept_by_a_resumed_run(self):
        self.workspace.write_solver(max_iter=6000, snapshot=200, test_interval=2000)
        with Run(self.workspace, "--workers", 2, "--push-every", 8) as run:
            run.await_event("snapshot")
            run.signal(signal.SIGTERM)
            self.assertEqual(run.await_exit(END_SECONDS), 143, run.describe())
        with Run(self.workspace, "--workers", 2, "--resume") as run:
            self.assert_exactly_once(self.assert_success(run), 6000)
        self.assertEqual(run.events("started")[0]["mode"], "async, a push every 8 iterations")

    def test_the_mode_is_shown(self):
        self.workspace.write_solver(max_iter=20, snapshot_prefix='"out/short"')
        with Run(self.workspace, "--mode", "bounded", as_json=False) as run:
            self.assertEqual(run.await_exit(), 0, run.describe())
        self.assertTrue(testbed.lines_matching(run.out[:3], "2 workers of 1 thread; bounded, delay 4$"), run.describe())
        self.workspace.write_solver(max_iter=1000000)
        with Run(self.workspace, "--mode", "sync", "--parts", 2) as run:
            address = run.await_event("ready")["coordinator"]
            run.await_iteration(1)
            job = json.loads(self.workspace.check("status", address, "--json"))["jobs"][0]
            self.assertEqual((job["consistency"]["mode"], job["consistency"]["parts"]), ("CONSISTENCY_SYNC", 2))
            self.assertIn("sync in 2 parts", self.workspace.check("status", address))
            run.signal(signal.SIGTERM)
            run.await_exit(END_SECONDS)

    def test_a_mode_that_the_job_cannot_have_is_refused_before_anything_is_made(self):
        before = self.workspace.entries()
        for arguments, text in ((("--delay-compensation", 0.04), "for gradients that come late"),
                                (("--push-every", 8), "take the mode async"),
                                (("--parts", 5), "choose one of 1, 2, 4, 8, 16, 32"),
                                (("--encoding", "topk"), "take the mode async")):
            done = self.workspace.command("train", "--solver", "solver.prototxt", "--mode", "sync", *arguments)
            self.assertEqual(done.returncode, 2)
            self.assertIn(text, done.stderr)
        self.assertEqual(self.workspace.entries(), before)


if __name__ == "__main__":
    unittest.main()
