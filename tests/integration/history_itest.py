#!/usr/bin/env python3
"""The curve of a job: each iteration once, over the end of coordinators, of clusters and of local runs; and its pictures."""

import csv
import io
import json
import math
import pathlib
import unittest
import xml.etree.ElementTree
from typing import Dict, List

import testbed
from testbed import END_SECONDS, Cluster, Run, lines_matching


class HistoryTest(testbed.TestCase):
    def rows(self, text: str) -> List[Dict[str, str]]:
        return list(csv.DictReader(io.StringIO(text)))

    def points(self, rows: List[Dict[str, str]]) -> List[Dict[str, str]]:
        return [row for row in rows if row["loss"]]

    def history(self, cluster: Cluster, job: str, *flags) -> List[Dict[str, str]]:
        return self.rows(self.workspace.check("history", job, cluster.address, "--csv", *flags))

    def assert_whole(self, rows: List[Dict[str, str]], iterations: int) -> None:
        """Each iteration once, in order, with numbers; and seconds do not go back."""
        points = self.points(rows)
        self.assertEqual([int(point["iteration"]) for point in points], list(range(iterations)))
        for point in points:
            self.assertTrue(math.isfinite(float(point["loss"])))
            self.assertEqual(float(point["train loss"]), float(point["loss"]))
            self.assertGreater(float(point["learning_rate"]), 0)
        seconds = [float(point["seconds"]) for point in points]
        self.assertEqual(seconds, sorted(seconds))
        self.assertTrue(any(float(point["images_per_second"] or 0) > 0 for point in points))

    def assert_picture(self, path: pathlib.Path, *words: str) -> None:
        root = xml.etree.ElementTree.parse(path).getroot()
        self.assertTrue(root.tag.endswith("svg"))
        texts = [element.text for element in root.iter() if element.tag.endswith("text")]
        for word in words:
            self.assertIn(word, texts)

    def test_a_job_without_display_has_each_iteration_though_its_coordinator_is_killed(self):
        self.workspace.write_solver(max_iter=1500, snapshot=250, display=0, test_interval=500)
        for mode in ("async", "sync"):
            with self.subTest(mode), Cluster(self.workspace) as cluster:
                cluster.submit("--name", mode, "--mode", mode)
                cluster.await_job(mode, lambda job: int(job["iteration"]) > 300)
                cluster.coordinator.kill()
                cluster.coordinator.wait(END_SECONDS)
                cluster.coordinator = cluster.start_coordinator()
                # It is there as well while the job runs.
                self.assertGreaterEqual(len(self.points(self.history(cluster, mode))), 250)
                cluster.await_state(mode, "SUCCEEDED")
                rows = self.history(cluster, mode)
                self.assert_whole(rows, 1500)
                tests = [row for row in rows if not row["loss"]]
                self.assertEqual([int(test["iteration"]) for test in tests], [0, 500, 1000, 1500])
                for test in tests:
                    self.assertGreater(float(test["test0 accuracy"]), 0)
                # The next coordinator has the curve of a job that has ended, to the bit.
                cluster.coordinator.kill()
                cluster.coordinator.wait(END_SECONDS)
                cluster.coordinator = cluster.start_coordinator()
                self.assertEqual(self.history(cluster, mode), rows)

                few = self.points(self.history(cluster, mode, "--from", 1000, "--points", 20))
                self.assertLessEqual(len(few), 20)
                self.assertGreaterEqual(len(few), 10)
                losses = {int(point["iteration"]): float(point["loss"]) for point in self.points(rows)}
                late = [loss for iteration, loss in losses.items() if iteration >= 1000]
                self.assertEqual({min(late), max(late)} - {float(point["loss"]) for point in few}, set())
                self.assertTrue(all(int(point["iteration"]) >= 1000 for point in few))
                lines = [json.loads(line) for line in self.workspace.check("history", mode, cluster.address, "--json").splitlines()]
                self.assertEqual({line["iteration"]: line["loss"] for line in lines if "loss" in line}, losses)
                table = self.workspace.check("history", mode, cluster.address)
                self.assertLessEqual(len(table.splitlines()), 1 + 50 + len(tests))
                self.assertIn("learning rate", table)

                unknown = self.workspace.command("history", "never", cluster.address)
                self.assertEqual(unknown.returncode, 1)
                self.assertIn('there is no job "never"', unknown.stderr)
                self.workspace.check("plot", mode, cluster.address, "-o", "job.svg")
                self.assert_picture(self.workspace.path / "job.svg", mode, f"{mode} train loss", f"{mode} test0 accuracy",
                                    f"{mode} learning rate", "iteration")
                self.workspace.check("forget", mode, cluster.address)
                self.assertEqual(self.workspace.command("history", mode, cluster.address).returncode, 1)

    def test_a_coordinator_that_takes_over_at_the_home_goes_on_with_the_curve_and_a_gap_is_all_that_is_lost(self):
        self.workspace.write_solver(max_iter=1500, snapshot=250, display=0)
        with Cluster(self.workspace, flags=("--home", str(self.workspace.path / "home"))) as cluster:
            cluster.submit("--name", "job", "--mode", "sync")
            cluster.await_job("job", lambda job: int(job["iteration"]) > 600)
            cluster.coordinator.kill()
            cluster.coordinator.wait(END_SECONDS)
            cluster.coordinator = cluster.start_coordinator()
            cluster.await_state("job", "SUCCEEDED")
            points = self.points(self.history(cluster, "job"))
            iterations = [int(point["iteration"]) for point in points]
            self.assertEqual(iterations, sorted(set(iterations)))
            # It was not stopped before 600, and went on from a snapshot that it had: all from there on is kept.
            self.assertEqual(iterations[-750:], list(range(750, 1500)))
            missing = set(range(1500)) - set(iterations)
            self.assertEqual(missing, set(range(min(missing), max(missing) + 1)) if missing else set())
            cluster.coordinator.kill()
            cluster.coordinator.wait(END_SECONDS)
            cluster.coordinator = cluster.start_coordinator()
            self.assertEqual(self.points(self.history(cluster, "job")), points)
            self.workspace.check("forget", "job", cluster.address)
            self.assertEqual(list((self.workspace.path / "home" / "curves").iterdir()), [])

    def test_a_job_that_goes_on_from_its_snapshot_has_the_curve_of_the_whole(self):
        self.workspace.write_solver(max_iter=300, snapshot=200, display=0)
        with Cluster(self.workspace) as cluster:
            cluster.submit("--name", "job", "--mode", "sync")
            cluster.await_state("job", "SUCCEEDED")
            before = self.points(self.history(cluster, "job"))
            self.workspace.write_solver(max_iter=600, snapshot=200, display=0, base_lr=0.005)
            cluster.submit("--name", "job", "--resume")
            cluster.await_state("job", "SUCCEEDED")
            rows = self.history(cluster, "job")
            self.assert_whole(rows, 600)
            after = self.points(rows)
            self.assertEqual(after[:300], before)
            self.assertLess(float(after[300]["learning_rate"]), 0.6 * float(before[299]["learning_rate"]))

    def test_a_local_run_leaves_its_curve_as_a_file_also_when_it_is_interrupted_and_continued(self):
        self.workspace.write_solver(max_iter=1500, snapshot=100, display=50, test_interval=500)
        path = self.workspace.path / "out" / "small_state" / "history.csv"
        with Run(self.workspace, "--mode", "sync") as run:
            run.await_event("snapshot", lambda event: event["iteration"] >= 100)
            run.signal(2)
            self.assertEqual(run.await_exit(), 130, run.describe())
        first = self.points(self.rows(path.read_text(encoding="utf-8")))
        self.assertGreaterEqual(len(first), 100)
        with Run(self.workspace, "--resume", as_json=False) as run:
            self.assertEqual(run.await_exit(), 0, run.describe())
            (self.workspace.path / "run.log").write_text("\n".join(run.out) + "\n", encoding="utf-8")
        rows = self.rows(path.read_text(encoding="utf-8"))
        self.assert_whole(rows, 1500)
        self.assertEqual(self.points(rows)[:100], first[:100])
        self.assertEqual([int(row["iteration"]) for row in rows if not row["loss"]], [0, 500, 1000, 1500])
        # What the log shows is on the curve.
        shown = lines_matching(run.out, r"Iteration (\d+) \(.*, loss = ([0-9.e-]+)")
        self.assertTrue(shown)
        losses = {int(point["iteration"]): float(point["loss"]) for point in self.points(rows)}
        for match in shown:
            self.assertAlmostEqual(losses[int(match.group(1))], float(match.group(2)), delta=1e-4 * abs(losses[int(match.group(1))]) + 1e-6)

        self.workspace.check("plot", path, "run.log", "--output", "both.svg", "--log")
        self.assert_picture(self.workspace.path / "both.svg", "history.csv train loss", "run.log train loss", "run.log test0 accuracy")
        for words, message in ((["nothing", "-o", "x.svg"], "there is no file nothing"),
                               (["net.prototxt", "-o", "x.svg"], "net.prototxt: it is neither a CSV"),
                               (["run.log", "-o", "x.png"], "plots are written as SVG")):
            refused = self.workspace.command("plot", *words)
            self.assertEqual(refused.returncode, 2, refused.stderr)
            self.assertIn(message, refused.stderr)
        # The next run begins its own.
        self.workspace.write_solver(max_iter=20, snapshot=0)
        with Run(self.workspace) as run:
            self.assert_success(run)
        self.assert_whole(self.rows(path.read_text(encoding="utf-8")), 20)


if __name__ == "__main__":
    unittest.main()
