#!/usr/bin/env python3
"""Jobs are submitted to services that run on their own, share them, and outlive their coordinator."""

import json
import signal
import subprocess
import unittest

import testbed
from testbed import BATCH, END_SECONDS, Cluster, program


class ClusterTestCase(testbed.TestCase):
    def command(self, cluster: Cluster, name: str, *arguments) -> "subprocess.CompletedProcess[str]":
        """A command about a job, which is the first argument."""
        return self.workspace.command(*name.split(), *arguments[:1], cluster.address, *arguments[1:])

    def assert_ended_well(self, job: dict) -> None:
        ledger = job["ledger"]
        self.assertGreater(ledger["chunks"], 0)
        self.assertEqual(ledger["complete_chunks"], ledger["chunks"])
        self.assertEqual(ledger["iterations"], job["max_iter"])
        self.assertEqual(int(job["samples"]), (int(job["max_iter"]) - int(job["resumed_from"])) * BATCH)
        self.assertEqual(int(ledger["counters"]["rejected"]), 0)


class SharedClusterTest(ClusterTestCase):
    def test_two_jobs_run_side_by_side_and_share_the_workers_by_weight(self):
        self.workspace.write_solver("heavy.prototxt", max_iter=3000)
        self.workspace.write_solver("light.prototxt", max_iter=1000)
        with Cluster(self.workspace, servers=2, workers=0) as cluster:
            cluster.submit("--name", "heavy", "--weight", 3, solver="heavy.prototxt")
            cluster.submit("--name", "light", solver="light.prototxt")
            # Before a worker is there: both begin together.
            for name in ("heavy", "light"):
                cluster.await_state(name, "RUNNING")
            for _ in range(2):
                cluster.start_worker()
            cluster.await_job("heavy", lambda job: int(job["completed_iterations"]) >= 1500)
            heavy, light = (int(cluster.job(name)["completed_iterations"]) for name in ("heavy", "light"))
            self.assertGreater(heavy, 1.5 * light)
            self.assertLess(heavy, 6 * light)
            for name in ("heavy", "light"):
                self.assert_ended_well(cluster.await_state(name, "SUCCEEDED"))

    def test_a_worker_that_joins_is_used_and_one_that_leaves_hands_its_work_back(self):
        self.workspace.write_solver(max_iter=1000000)
        with Cluster(self.workspace, workers=1) as cluster:
            cluster.submit()
            cluster.await_job("small", lambda job: int(job["iteration"]) >= 50)
            cluster.start_worker()
            cluster.await_job("small", lambda job: job["workers"] == 2)
            first = cluster.workers[0]
            first.send_signal(signal.SIGTERM)
            self.assertEqual(first.wait(END_SECONDS), 0)
            reached = int(cluster.await_job("small", lambda job: job["workers"] <= 1)["iteration"])
            cluster.await_job("small", lambda job: int(job["iteration"]) > reached + 200)

    def test_a_job_of_more_servers_than_there_are_lets_others_pass(self):
        with Cluster(self.workspace, servers=1, workers=1) as cluster:
            cluster.submit("--name", "large", "--servers", 2)
            cluster.submit("--name", "small", "--servers", 1)
            self.assert_ended_well(cluster.await_state("small", "SUCCEEDED"))
            self.assertEqual(cluster.job("large")["cause"], "waits for servers: 1 of 2 have registered")

    def test_no_more_jobs_run_than_the_coordinator_is_told(self):
        self.workspace.write_solver(max_iter=1000000)
        with Cluster(self.workspace, servers=1, workers=0, flags=("--max-running-jobs", "1")) as cluster:
            cluster.submit("--name", "first")
            cluster.await_state("first", "RUNNING")
            cluster.submit("--name", "second")
            waiting = cluster.await_job("second", lambda job: job["cause"] != "")
            self.assertIn("one of the 1 jobs that run", waiting["cause"])
            self.workspace.check("cancel", "first", cluster.address)
            cluster.await_state("second", "RUNNING")


class JobCommandsTest(ClusterTestCase):
    def test_a_job_is_watched_to_its_end(self):
        with Cluster(self.workspace) as cluster:
            cluster.submit("--name", "good")
            watched = self.command(cluster, "watch", "good")
            self.assertEqual(watched.returncode, 0, watched.stderr)
            self.assertRegex(watched.stdout, r"samovar\] Iteration 400, Testing net \(#0\)")
            self.assertRegex(watched.stdout, r"each holds iterations 0\.\.399 exactly once")
            self.assertIn("Optimization Done.", watched.stdout)
            self.workspace.write_solver("endless.prototxt", max_iter=1000000)
            cluster.submit("--name", "endless", solver="endless.prototxt")
            watcher = subprocess.Popen([program("samovar"), "watch", "endless", cluster.address], stdout=subprocess.PIPE,
                                       stderr=subprocess.PIPE, text=True)
            self.addCleanup(watcher.kill)
            self.workspace.check("cancel", "endless", cluster.address)
            _, err = watcher.communicate(timeout=END_SECONDS)
            self.assertEqual(watcher.returncode, 1)
            self.assertIn("cancelled by a user", err)

    def test_an_interrupt_ends_the_watching_and_not_the_job(self):
        self.workspace.write_solver(max_iter=1000000)
        with Cluster(self.workspace) as cluster:
            watcher = subprocess.Popen([program("samovar"), "submit", cluster.address, "--solver", "solver.prototxt", "--watch", "--json"],
                                       cwd=self.workspace.path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            self.addCleanup(watcher.kill)
            for line in watcher.stdout:
                if json.loads(line)["event"] == "progress":
                    break
            watcher.send_signal(signal.SIGINT)
            _, err = watcher.communicate(timeout=END_SECONDS)
            self.assertEqual(watcher.returncode, 130)
            self.assertIn("job small goes on", err)
            self.assertEqual(cluster.jobs(), {"small": "RUNNING"})

    def test_the_model_of_a_running_job_is_exported_and_good(self):
        for mode in ("async", "sync"):
            with self.subTest(mode), Cluster(self.workspace) as cluster:
                self.workspace.write_solver(max_iter=1000000)
                cluster.submit("--name", mode, "--mode", mode)
                cluster.await_job(mode, lambda job: int(job["iteration"]) >= 300)
                exported = self.workspace.check("model", "export", mode, cluster.address, "--output", f"{mode}.caffemodel", "--json")
                events = [json.loads(line) for line in exported.splitlines()]
                self.assertEqual([event["event"] for event in events], ["model", "solver_state"])
                self.assertGreaterEqual(events[0]["iteration"], 300)
                tested = json.loads(self.workspace.check("test", "--model", "net.prototxt", "--weights", f"{mode}.caffemodel", "--json"))
                accuracy = tested["outputs"]["accuracy"]
                self.assertGreater(accuracy, 0.5)
                self.assertEqual(cluster.jobs()[mode], "RUNNING")
                # Both files are good to go on from.
                self.workspace.write_solver("more.prototxt", max_iter=events[0]["iteration"] + 20)
                cluster.submit("--name", "more", "--snapshot", f"{mode}.solverstate", solver="more.prototxt")
                self.assert_ended_well(cluster.await_state("more", "SUCCEEDED"))
                again = self.command(cluster, "model export", mode, "--output", f"{mode}.caffemodel")
                self.assertEqual(again.returncode, 2)
                self.assertIn("--force", again.stderr)

    def test_a_job_that_was_cancelled_has_a_log_and_is_resumed(self):
        self.workspace.write_solver(max_iter=2000, snapshot=100)
        with Cluster(self.workspace) as cluster:
            cluster.submit("--mode", "bounded", "--seed", 5)
            cluster.await_job("small", lambda job: len(job["snapshots"]) >= 1)
            cancelled = self.command(cluster, "cancel", "small")
            self.assertIn("small is CANCELLED", cancelled.stdout)
            self.assertIn("had ended before: CANCELLED", self.command(cluster, "cancel", "small").stdout)
            log = self.command(cluster, "logs", "small").stdout
            for words in ("submitted", "runs on 127.0.0.1:", "test of net 0 at iteration 0", "snapshot at iteration 100",
                          "CANCELLED: cancelled by a user"):
                self.assertIn(words, log)
            missing = self.command(cluster, "model export", "small", "--output", "m.caffemodel", "--iteration", "7")
            self.assertEqual(missing.returncode, 1)
            self.assertRegex(missing.stderr, r"job small has no snapshot of iteration 7; its snapshots are: (\d+ )*\d+00\n")
            self.workspace.write_solver(max_iter=2000, snapshot=100, base_lr=0.02)
            again = self.workspace.command("submit", cluster.address, "--solver", "solver.prototxt", "--resume")
            self.assertEqual(again.returncode, 0, again.stderr)
            self.assertRegex(again.stderr, r"warning: base_lr is 0\.02, but in the run .* it was 0\.01")
            job = cluster.await_state("small", "SUCCEEDED")
            self.assert_ended_well(job)
            self.assertGreaterEqual(int(job["resumed_from"]), 100)
            # The coordinator knows its mode.
            self.assertEqual(job["consistency"]["mode"], "CONSISTENCY_BOUNDED")
            followed = self.command(cluster, "logs", "small", "--follow", "--json")
            events = [json.loads(line) for line in followed.stdout.splitlines()]
            self.assertEqual(events[-1]["text"], "SUCCEEDED")
            self.assertEqual([event["number"] for event in events], list(range(1, len(events) + 1)))
            never = self.workspace.command("submit", cluster.address, "--solver", "solver.prototxt", "--resume", "--name", "never")
            self.assertIn("the coordinator has never had a job \"never\", or has lost it", never.stderr)
            self.assertIn("there is no snapshot of job \"never\"", cluster.await_state("never", "FAILED")["cause"])


class RestartedCoordinatorTest(ClusterTestCase):
    def test_a_killed_coordinator_knows_its_jobs_when_it_is_back(self):
        self.workspace.write_solver("long.prototxt", max_iter=1500, snapshot=100)
        with Cluster(self.workspace) as cluster:
            cluster.submit("--name", "ended")
            self.assert_ended_well(cluster.await_state("ended", "SUCCEEDED"))
            before = self.command(cluster, "logs", "ended").stdout
            cluster.submit("--name", "waiting", "--servers", 3)
            cluster.submit("--name", "running", solver="long.prototxt")
            cluster.await_job("running", lambda job: len(job["snapshots"]) >= 1)
            cluster.coordinator.kill()
            cluster.coordinator.wait(END_SECONDS)
            cluster.start_coordinator()
            states = cluster.jobs()
            self.assertEqual(list(states), ["ended", "waiting", "running"])
            self.assertEqual(states["ended"], "SUCCEEDED")
            self.assertEqual(states["waiting"], "QUEUED")
            ended = cluster.job("ended")
            self.assert_ended_well(ended)
            self.assertEqual(ended["tests"][-1]["iteration"], "400")
            self.assertEqual(self.command(cluster, "logs", "ended").stdout, before)
            running = cluster.await_job("running", lambda job: job["state"] not in ("JOB_STATE_QUEUED", "JOB_STATE_RUNNING"))
            self.assertEqual(running["state"], "JOB_STATE_SUCCEEDED", running["cause"])
            self.assertTrue(running["recovered"])
            # It is the same run.
            self.assertEqual(int(running["resumed_from"]), 0)
            self.assert_ended_well(running)
            # Its model is on its servers' disks.
            self.workspace.check("model", "export", "ended", cluster.address, "--output", "ended.caffemodel")
            self.assertIn("takes the job up again", self.command(cluster, "logs", "running").stdout)


    def test_each_multiple_of_display_is_shown_once_in_order_to_who_watched_and_to_who_comes_later(self):
        self.workspace.write_solver(max_iter=1500, snapshot=250, display=10, test_interval=1500)
        for mode in ("async", "sync"):
            with self.subTest(mode), Cluster(self.workspace) as cluster:
                cluster.submit("--name", mode, "--mode", mode)
                watcher = subprocess.Popen([program("samovar"), "watch", mode, cluster.address, "--json"], cwd=self.workspace.path,
                                           stdout=subprocess.PIPE, text=True)
                # Twice: a coordinator that was started again is lost as well.
                for snapshot in (250, 750):
                    cluster.await_job(mode, lambda job, due=snapshot: int(job["iteration"]) > due)
                    cluster.coordinator.kill()
                    cluster.coordinator.wait(END_SECONDS)
                    cluster.coordinator = cluster.start_coordinator()
                out, _ = watcher.communicate(timeout=END_SECONDS)
                later = self.command(cluster, "watch", mode, "--json").stdout
                for seen in (out, later):
                    lines = [event for event in map(json.loads, seen.splitlines()) if event["event"] == "display"]
                    self.assertEqual([line["iteration"] for line in lines], list(range(0, 1500, 10)))
                    # Without average_loss a line's loss is that of its iteration's own outputs.
                    for line in lines:
                        outputs = {output["name"]: output["value"] for output in line["outputs"]}
                        self.assertAlmostEqual(line["loss"], outputs["loss"], places=5)
            for server in ("server-0", "server-1"):
                testbed.shutil.rmtree(self.workspace.path / server)


class JobMistakesTest(ClusterTestCase):
    def test_nobody_at_the_address_is_an_error_that_says_what_to_do(self):
        self.workspace.write_solver()
        for command in (["jobs"], ["watch", "small"], ["cancel", "small"], ["logs", "small"], ["submit", "--solver", "solver.prototxt"],
                        ["model", "export", "small", "--output", "small.caffemodel"], ["status"]):
            with self.subTest(command):
                done = self.workspace.command(*command, "--coordinator", "127.0.0.1:1")
                self.assertEqual(done.returncode, 1, done.stderr)
                self.assertIn("no coordinator answers at 127.0.0.1:1", done.stderr)
                self.assertIn("samovar-server --coordinator", done.stderr)

    def test_a_wrong_solver_is_named_whether_a_coordinator_answers_or_not(self):
        done = self.workspace.command("submit", "127.0.0.1:1", "--solver", "missing.prototxt")
        self.assertEqual(done.returncode, 2, done.stderr)
        self.assertIn("missing.prototxt", done.stderr)
        self.assertNotIn("127.0.0.1:1", done.stderr)

    def test_wrong_names_and_wrong_files_change_nothing(self):
        self.workspace.write_solver(max_iter=1000000)
        with Cluster(self.workspace, servers=1, workers=0) as cluster:
            cluster.submit("--name", "lenet")
            for command in ("watch", "cancel", "logs"):
                done = self.command(cluster, command, "lenett")
                self.assertEqual(done.returncode, 1, command)
                self.assertIn('there is no job "lenett"; did you mean "lenet"?', done.stderr)
            twice = self.workspace.command("submit", cluster.address, "--solver", "solver.prototxt", "--name", "lenet")
            self.assertEqual(twice.returncode, 1)
            self.assertIn('a job "lenet" has not ended', twice.stderr)
            self.workspace.write_solver("bad.prototxt", lr_policy='"stepp"')
            for solver in ("bad.prototxt", "missing.prototxt"):
                bad = self.workspace.command("submit", cluster.address, "--solver", solver, "--name", "bad")
                self.assertEqual(bad.returncode, 2)
                self.assertIn(solver, bad.stderr)
            for name, rule in (("a b", "use 1 to 64 letters"), ("-v", "begin with a letter"), ("..", "begin with a letter")):
                unnameable = self.workspace.command("submit", cluster.address, "--solver", "solver.prototxt", f"--name={name}")
                self.assertEqual(unnameable.returncode, 2)
                self.assertIn(f'"{name}": {rule}', unnameable.stderr)
            self.assertEqual(list(cluster.jobs()), ["lenet"])

    def test_a_server_that_is_no_coordinator_says_so(self):
        with Cluster(self.workspace, servers=2, workers=0) as cluster:
            status = json.loads(self.workspace.check("status", cluster.address, "--json"))
            other = next(server["address"] for server in status["servers"] if server["address"] != cluster.address)
            done = self.workspace.command("jobs", other)
            self.assertEqual(done.returncode, 1)
            self.assertIn("is no coordinator", done.stderr)


if __name__ == "__main__":
    unittest.main()
