#!/usr/bin/env python3
"""`samovar plan` of a real solver: what it says, for people and for programs, and how it names what is wrong."""

import json
import subprocess
import unittest

import testbed
from testbed import COMMAND_SECONDS, Workspace


class PlanTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls) -> None:
        cls.workspace = Workspace()
        cls.addClassCleanup(cls.workspace.remove)
        cls.solver = cls.workspace.write_solver("plan", max_iter=2000)

    def plan(self, *words: object) -> "subprocess.CompletedProcess[str]":
        return subprocess.run([testbed.program("samovar"), "plan", str(self.solver), *map(str, words)], stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, timeout=COMMAND_SECONDS, check=False)

    def test_a_plan_for_programs_has_what_was_asked_and_what_is_expected(self) -> None:
        done = self.plan("--workers", 4, "--network", "10gbit", "--json", "--images-per-second", 1000)
        self.assertEqual(done.returncode, 0, done.stderr)
        plan = json.loads(done.stdout)
        self.assertEqual((plan["workers"], plan["machine"], plan["network_gbits"]), (4, "D4s_v5", 10))
        self.assertGreaterEqual(plan["servers"], 1)
        self.assertGreater(plan["parameters"], 0)
        # Four hardware threads are worth 2.6 of one alone.
        self.assertAlmostEqual(plan["alone_images_per_second"], 2600, delta=1)
        self.assertLessEqual(plan["images_per_second"], 4 * 2600 * 1.001)
        self.assertAlmostEqual(plan["job_seconds"], 2000 * testbed.BATCH / plan["images_per_second"], delta=0.01 * plan["job_seconds"])
        self.assertEqual(plan["workers_without_loss"], 8)
        self.assertTrue(all(0 <= used <= 1.001 for used in plan["used"].values()), plan["used"])

    def test_the_same_question_has_the_same_answer(self) -> None:
        words = ("--workers", 3, "--servers", 2, "--mode", "sync", "--json", "--shape", f"1x{testbed.SIDE}x{testbed.SIDE}", "--records", 100,
                 "--images-per-second", 500)
        first, second = json.loads(self.plan(*words).stdout), json.loads(self.plan(*words).stdout)
        self.assertEqual(first["parts"], second["parts"])
        # The layers' shares of a pass are measured.
        self.assertAlmostEqual(first["images_per_second"], second["images_per_second"], delta=0.1 * first["images_per_second"])

    def test_a_plan_for_people_names_the_bottleneck_and_what_would_move_it(self) -> None:
        done = self.plan("--workers", 16, "--servers", 1, "--network", "10mbit", "--encoding", "float32", "--mode", "async")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("servers' network", done.stdout)
        self.assertIn("--servers 2", done.stdout)
        self.assertIn("16 workers cost accuracy", done.stdout)

    def test_what_is_wrong_is_named(self) -> None:
        for words, text in ((("--vm", "Z1"), '"Z1" is not a machine that is known: D2s_v5'), (("--network", "fast"), '"fast" is not a network'),
                            (("--mode", "sync", "--parts", "7"), "--parts 7 does not divide the batch of 32"),
                            (("--profile", str(self.solver)), str(self.solver)), (("--shape", "1x"), '--shape: "1x" is not')):
            with self.subTest(words=words):
                done = self.plan("--workers", 2, *words)
                self.assertEqual(done.returncode, 2, done.stdout)
                self.assertIn(text, done.stderr)


if __name__ == "__main__":
    unittest.main()
