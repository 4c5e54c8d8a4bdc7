#!/usr/bin/env python3
"""What users see of a job and of a cluster: logs in Caffe's format, a view of the whole terminal, members' own logs."""

import json
import re
import signal
import subprocess
import time
import unittest
from typing import Dict, List, Tuple

import testbed
from testbed import END_SECONDS, RUN_SECONDS, Cluster, Run, program
from terminal import Terminal, pyte

# A layer that costs next to nothing: iterations are as fast as they can be.
TINY = """name: "Tiny"
layer {{ name: "images" type: "Data" top: "data" top: "label" include {{ phase: TRAIN }}
  transform_param {{ scale: 0.00390625 }} data_param {{ source: "{train}" backend: LMDB batch_size: 4 }} }}
layer {{ name: "images" type: "Data" top: "data" top: "label" include {{ phase: TEST }}
  transform_param {{ scale: 0.00390625 }} data_param {{ source: "{test}" backend: LMDB batch_size: 50 }} }}
layer {{ name: "ip" type: "InnerProduct" bottom: "data" top: "ip" inner_product_param {{ num_output: 4 weight_filler {{ type: "xavier" }} }} }}
layer {{ name: "accuracy" type: "Accuracy" bottom: "ip" bottom: "label" top: "accuracy" include {{ phase: TEST }} }}
layer {{ name: "loss" type: "SoftmaxWithLoss" bottom: "ip" bottom: "label" top: "loss" }}
"""


class ParsedLog:
    """What tools/extra/parse_log.py of Caffe finds in a log: its rules, in our words. After the first iteration each line must begin as
    glog's do, or it would stop."""

    def __init__(self, text: str) -> None:
        self.train: List[Tuple[int, float]] = []
        self.rates: Dict[int, float] = {}
        self.tests: List[Tuple[int, float]] = []
        iteration = -1
        outputs = 0
        for line in text.splitlines():
            found = re.search(r"Iteration (\d+)", line)
            if found:
                iteration = int(found.group(1))
            if iteration < 0:
                continue
            if not re.match(r"[IWEF]\d{4} \d\d:\d\d:\d\d\.\d+ ", line):
                raise AssertionError(f"no line of glog: {line}")
            rate = re.search(r"lr = ([-+]?[0-9]*\.?[0-9]+([eE]?[-+]?[0-9]+)?)", line)
            if rate:
                self.rates[iteration] = float(rate.group(1))
            output = re.search(r"Train net output #(\d+): (\S+) = ([\.\deE+-]+)", line)
            if output:
                self.train.append((iteration, float(output.group(3))))
            output = re.search(r"Test net output #(\d+): (\S+) = ([\.\deE+-]+)", line)
            if output and output.group(2) == "accuracy":
                self.tests.append((iteration, float(output.group(3))))


class WatchTestCase(testbed.TestCase):
    def write_tiny(self, **solver) -> None:
        (self.workspace.path / "net.prototxt").write_text(TINY.format(train="train_lmdb", test="test_lmdb"), encoding="utf-8")
        self.workspace.write_solver(**solver)

    def watch(self, cluster: Cluster, *arguments) -> "subprocess.CompletedProcess[str]":
        return subprocess.run([program("samovar"), "watch", *map(str, arguments), cluster.address], cwd=self.workspace.path, text=True,
                              stdin=subprocess.DEVNULL, capture_output=True, timeout=RUN_SECONDS, check=False)


class DisplayTest(WatchTestCase):
    ITERATIONS = 6000

    def assert_every_line(self, text: str, display: int, what: str) -> None:
        parsed = ParsedLog(text)
        wanted = list(range(0, self.ITERATIONS, display))
        self.assertEqual([iteration for iteration, _ in parsed.train], wanted, what)
        self.assertEqual(sorted(parsed.rates), wanted, what)
        self.assertEqual([iteration for iteration, _ in parsed.tests], [0, 2000, 4000, 6000], what)
        self.assertIn("Optimization Done.", text)

    def test_every_line_of_the_display_is_at_its_iteration_in_the_log_of_train(self):
        for display in (1, 7, 100):
            with self.subTest(display):
                self.write_tiny(display=display, max_iter=self.ITERATIONS, test_interval=2000, test_iter=2, snapshot_prefix=f'"out/d{display}"')
                with Run(self.workspace, as_json=False) as run:
                    self.assertEqual(run.await_exit(), 0, run.describe())
                    self.assert_every_line("\n".join(run.out), display, f"train, display {display}")

    def test_a_watch_that_began_late_and_one_after_the_end_have_the_same_lines(self):
        with Cluster(self.workspace) as cluster:
            for display in (1, 7, 100):
                with self.subTest(display):
                    name = f"d{display}"
                    self.write_tiny(display=display, max_iter=self.ITERATIONS, test_interval=2000, test_iter=2, snapshot_prefix=f'"out/{name}"')
                    cluster.submit("--name", name)
                    cluster.await_job(name, lambda job: int(job["iteration"]) >= 2500)
                    late = self.watch(cluster, name)
                    self.assertEqual(late.returncode, 0, late.stderr)
                    self.assert_every_line(late.stdout, display, f"late, display {display}")
                    after = self.watch(cluster, name)
                    self.assertEqual(after.returncode, 0, after.stderr)
                    self.assert_every_line(after.stdout, display, f"after the end, display {display}")
                    # Tests are at their place: before the lines of later iterations.
                    order = re.findall(r"Iteration (\d+)(, Testing net| \()", after.stdout)
                    self.assertEqual([int(iteration) for iteration, _ in order], sorted(int(iteration) for iteration, _ in order))

    def test_lines_that_are_not_kept_are_made_of_the_curve_or_said_to_be_missing(self):
        self.ITERATIONS = 14000
        self.write_tiny(display=1, max_iter=self.ITERATIONS, test_interval=7000, test_iter=2)
        with Cluster(self.workspace) as cluster:
            cluster.submit()
            cluster.await_state("small", "SUCCEEDED")
            text = self.watch(cluster, "small").stdout
        parsed = ParsedLog(text)
        shown = [iteration for iteration, _ in parsed.train]
        self.assertEqual(shown, sorted(set(shown)))
        self.assertEqual(shown[-10000:], list(range(4000, 14000)))
        missing = re.search(r"of the 4000 lines of iterations 0 to 3999 (\d+) are not kept any more", text)
        lost = 4000 - (len(shown) - 10000)
        self.assertEqual(int(missing.group(1)) if missing else 0, lost)
        self.assertGreater(len(shown), 10000)


@unittest.skipUnless(pyte, "python3-pyte is not installed")
class ViewTest(WatchTestCase):
    def begin(self, cluster: Cluster) -> None:
        self.workspace.write_solver(max_iter=10_000_000, test_interval=500, display=100, snapshot=1000)
        cluster.submit("--name", "lenet")
        cluster.await_job("lenet", lambda job: int(job["iteration"]) >= 600)

    def test_a_job_is_shown_on_the_whole_terminal_and_trouble_at_its_top(self):
        with Cluster(self.workspace) as cluster:
            self.begin(cluster)
            with Terminal(["watch", "lenet", cluster.address]) as terminal:
                text = terminal.await_text(lambda text: "worker-2 (" in text and "snapshot" in text and "accuracy" in text and "events" in text)
                for words in ("job lenet", "RUNNING", "images/s", cluster.address, "q quit"):
                    self.assertIn(words, text)
                # The curve.
                self.assertRegex(text, "[\u2801-\u28ff]{3}")
                self.assertTrue(terminal.screen.alternate)
                cluster.workers[0].kill()
                text = terminal.await_text(lambda text: re.search(r"! worker worker-1 .*silent", text) is not None)
                self.assertEqual(terminal.colour_of("! worker worker-1"), "red")
                # Wider, and smaller than anything fits in.
                for rows, columns in ((40, 140), (5, 20), (24, 80)):
                    terminal.resize(rows, columns)
                    terminal.await_text(lambda text: text.splitlines()[0].startswith("job lenet") and "q quit" in text.splitlines()[-1])
                terminal.press("?")
                terminal.await_text(lambda text: "ends this view; the job goes on" in text)
                terminal.press("?")
                terminal.await_text(lambda text: "images/s" in text)
                terminal.press("q")
                self.assertEqual(terminal.await_exit(), 0)
                self.assertTrue(terminal.is_as_it_was(), terminal.bytes[-300:])
                self.assertIn("job lenet goes on", terminal.text())
            self.assertEqual(cluster.jobs(), {"lenet": "RUNNING"})

    def test_the_terminal_is_as_it_was_however_the_view_ends(self):
        with Cluster(self.workspace) as cluster:
            self.begin(cluster)
            ends = [(signal.SIGTERM, 143), (signal.SIGINT, 130), (signal.SIGABRT, -signal.SIGABRT), (signal.SIGQUIT, -signal.SIGQUIT)]
            # Sanitizers report faults in their own way.
            ends += [(signal.SIGSEGV, -signal.SIGSEGV)] if testbed.TIME_FACTOR == 1 else []
            for number, code in ends:
                with self.subTest(number), Terminal(["watch", "lenet", cluster.address]) as terminal:
                    terminal.await_text(lambda text: "worker-2 (" in text)
                    self.assertFalse(terminal.is_as_it_was())
                    terminal.process.send_signal(number)
                    self.assertEqual(terminal.await_exit(), code)
                    self.assertTrue(terminal.is_as_it_was(), terminal.bytes[-300:])
            with Terminal(["watch", "lenet", cluster.address]) as terminal:
                terminal.await_text(lambda text: "worker-2 (" in text)
                self.workspace.check("cancel", "lenet", cluster.address)
                self.assertEqual(terminal.await_exit(), 1)
                self.assertTrue(terminal.is_as_it_was())
                self.assertIn("cancelled by a user", terminal.text())

    def test_a_silent_coordinator_is_told_within_three_seconds_and_a_lost_one_by_the_exit_code(self):
        with Cluster(self.workspace) as cluster:
            self.begin(cluster)
            for words in (["lenet"], []):
                with self.subTest(words), Terminal(["watch", *words, cluster.address]) as terminal:
                    terminal.await_text(lambda text: "worker-2 (" in text)
                    cluster.coordinator.send_signal(signal.SIGSTOP)
                    try:
                        text = terminal.await_text(lambda text: "no news for" in text)
                        self.assertLessEqual(int(re.search(r"no news for (\d+) s", text).group(1)), 3)
                        self.assertNotRegex(text.splitlines()[0], r" [1-9]\d* images/s")
                    finally:
                        cluster.coordinator.send_signal(signal.SIGCONT)
                    terminal.await_text(lambda text: "no news for" not in text)
            with Terminal(["watch", cluster.address]) as terminal:
                terminal.await_text(lambda text: "worker-2 (" in text)
                cluster.coordinator.kill()
                deadline = time.monotonic() + RUN_SECONDS
                while terminal.process.poll() is None and time.monotonic() < deadline:
                    terminal._read(0.2)
                self.assertEqual(terminal.await_exit(), 4)
                self.assertTrue(terminal.is_as_it_was())

    def test_terminals_that_cannot_place_a_cursor_have_one_living_line_and_those_without_utf8_ascii(self):
        with Cluster(self.workspace) as cluster:
            self.begin(cluster)
            for words, environment in ((["--plain"], {}), ([], {"TERM": "dumb"}), ([], {"TERM": "no-such-terminal"})):
                with self.subTest(words=words, environment=environment), Terminal(["watch", "lenet", cluster.address, *words], environment=environment) as terminal:
                    terminal.await_text(lambda text: re.search(r"iteration \d+/10000000  loss", text) is not None)
                    self.assertNotIn(b"\x1b[?1049h", terminal.bytes)
            with Terminal(["watch", "lenet", cluster.address], environment={"LC_ALL": "C"}) as terminal:
                terminal.await_text(lambda text: "worker-2 (" in text and "*" in text)
                self.assertTrue(all(byte < 128 for byte in terminal.bytes))

    def test_a_cluster_is_shown_on_the_whole_terminal_and_in_lines_when_piped(self):
        with Cluster(self.workspace) as cluster:
            lines = subprocess.Popen([program("samovar"), "watch", cluster.address], stdout=subprocess.PIPE, text=True)
            as_json = subprocess.Popen([program("samovar"), "watch", cluster.address, "--json"], stdout=subprocess.PIPE, text=True)
            for process in (lines, as_json):
                self.addCleanup(process.kill)
            self.assertIn("cluster of coordinator", lines.stdout.readline())
            self.begin(cluster)
            with Terminal(["watch", cluster.address], rows=30, columns=120) as terminal:
                text = terminal.await_text(lambda text: "worker-2 (" in text and "lenet" in text)
                self.assertIn(f"cluster {cluster.address}", text)
                cluster.workers[0].kill()
                terminal.await_text(lambda text: re.search(r"! worker worker-1 .*silent", text) is not None)
                terminal.press("q")
                self.assertEqual(terminal.await_exit(), 0)
            for words in ("job lenet is RUNNING", "problem: worker worker-1", "worker worker-1 .* is not there any more"):
                for line in lines.stdout:
                    if re.search(words, line):
                        break
                else:
                    self.fail(f"no line with {words}")
            for line in as_json.stdout:
                status = json.loads(line)
                if status.get("lost"):
                    break
            self.assertIn("worker worker-1", status["lost"][0]["name"])
            for process in (lines, as_json):
                process.send_signal(signal.SIGINT)
                process.stdout.close()
                self.assertEqual(process.wait(END_SECONDS), 130)


class MemberLogsTest(WatchTestCase):
    def logs(self, cluster: Cluster, *arguments) -> "subprocess.CompletedProcess[str]":
        return self.workspace.command("logs", cluster.address, *arguments)

    def await_logs(self, cluster: Cluster, pattern: str, *arguments) -> str:
        deadline = time.monotonic() + RUN_SECONDS
        while True:
            done = self.logs(cluster, *arguments)
            if re.search(pattern, done.stdout):
                return done.stdout
            if time.monotonic() > deadline:
                raise AssertionError(f"no {pattern}\n{done.stdout}\n{done.stderr}")
            time.sleep(0.1)

    def test_the_lines_of_members_are_read_through_the_coordinator_also_when_they_are_lost(self):
        with Cluster(self.workspace) as cluster:
            log = self.await_logs(cluster, "joined coordinator", "--worker", "worker-1")
            # As the process itself has written them.
            for line in log.splitlines():
                stamp, level, text = re.match(r"(\S+ \S+) (\w) (.*)", line).groups()
                self.assertRegex(cluster.log(), rf"(?m) {level} \S+ worker\[\d+\][^:]*: {re.escape(text)}$")
            server = next(entry["address"] for entry in json.loads(self.workspace.check("status", cluster.address, "--json"))["servers"]
                          if entry["address"] != cluster.address)
            self.await_logs(cluster, f"serves at {server}", "--server", server)
            self.await_logs(cluster, "as the coordinator", "--server", cluster.address)
            as_json = json.loads(self.logs(cluster, "--worker", "worker-1", "--lines", "1", "--json").stdout)
            self.assertRegex(as_json["member"], r"worker worker-1 \(\d+\)")
            # Any server has its own, without the coordinator's help.
            own = self.workspace.command("logs", server, "--server", server)
            self.assertIn(f"serves at {server}", own.stdout)
            self.assertIn("is no coordinator", self.workspace.command("logs", server, "--worker", "worker-1").stderr)
            unknown = self.logs(cluster, "--worker", "worker-9")
            self.assertEqual(unknown.returncode, 1)
            self.assertRegex(unknown.stderr, r"no worker worker-9 .*worker-\d \(\d+\); worker-\d \(\d+\)")

            follower = subprocess.Popen([program("samovar"), "logs", cluster.address, "--worker", "worker-1", "-f"], stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, text=True)
            self.addCleanup(follower.kill)
            self.assertTrue(follower.stdout.readline())
            cluster.workers[0].kill()
            cluster.servers[0].kill()
            out, err = follower.communicate(timeout=END_SECONDS)
            self.assertEqual(follower.returncode, 0)
            self.assertRegex(err, r"worker worker-1 \(\d+\) has been silent for \d+ s")
            self.await_logs(cluster, "joined coordinator", "--worker", "worker-1")
            self.assertIn("has been silent", self.logs(cluster, "--worker", "worker-1").stderr)
            self.await_logs(cluster, f"serves at {server}", "--server", server)

    def test_a_coordinator_that_is_started_again_has_the_logs_soon(self):
        with Cluster(self.workspace) as cluster:
            self.await_logs(cluster, "joined coordinator", "--worker", "worker-2")
            follower = subprocess.Popen([program("samovar"), "logs", cluster.address, "--worker", "worker-2", "-f"], stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, text=True)
            self.addCleanup(follower.kill)
            next(line for line in follower.stdout if "joined coordinator" in line)
            cluster.coordinator.kill()
            cluster.coordinator.wait(END_SECONDS)
            cluster.coordinator = cluster.start_coordinator()
            # The process has sent all of its lines again.
            log = self.await_logs(cluster, "(?s)joined coordinator.*joined coordinator", "--worker", "worker-2")
            # Who follows has the new ones, each once, and is told of what was between.
            next(line for line in follower.stdout if "joined coordinator" in line)
            cluster.workers[1].terminate()
            rest, err = follower.communicate(timeout=END_SECONDS)
            self.assertEqual(follower.returncode, 0)
            self.assertRegex(err, r"waits, 1m at most: no coordinator answers at")
            self.assertRegex(err, r"worker worker-2 \(\d+\) has left \(at 2\d{3}-\d\d-\d\d .* UTC\)")
            self.assertEqual([line for line in rest.splitlines() if line in log.splitlines()[:2]], [])


class StandstillTest(WatchTestCase):
    def test_why_nothing_moves_is_told_after_five_seconds(self):
        self.workspace.write_solver(max_iter=10_000_000, test_interval=1_000_000, display=100)
        with Cluster(self.workspace, servers=2, workers=1) as cluster:
            cluster.submit("--name", "lenet")
            cluster.await_job("lenet", lambda job: int(job["iteration"]) >= 100)
            watchers = [subprocess.Popen([program("samovar"), "watch", "lenet", cluster.address, *flags], stdout=subprocess.PIPE, text=True)
                        for flags in ((), ("--json",))]
            for watcher in watchers:
                self.addCleanup(watcher.kill)
            # The first lines are there: they watch.
            for watcher in watchers:
                watcher.stdout.readline()
            cluster.servers[0].send_signal(signal.SIGSTOP)
            try:
                line = next(line for line in watchers[0].stdout if "nothing has moved" in line)
                self.assertRegex(line, r"^W\d{4} .*\] nothing has moved for \d+ s: .*server 127.0.0.1:\d+")
                self.assertIn("newest events: ", line)
                event = next(event for event in map(json.loads, watchers[1].stdout) if event["event"] == "stalled")
                self.assertGreaterEqual(event["seconds"], 5)
                self.assertTrue(any("server 127.0.0.1" in reason for reason in event["reasons"]), event)
                self.assertTrue(event["events"])
            finally:
                cluster.servers[0].send_signal(signal.SIGCONT)
            for watcher in watchers:
                watcher.kill()
                watcher.stdout.close()
                watcher.wait(END_SECONDS)

    def test_train_tells_it_as_well_and_a_coordinator_that_is_silent(self):
        self.workspace.write_solver(max_iter=10_000_000, test_interval=1_000_000, display=100)
        with Run(self.workspace, "--workers", "1", "--servers", "2") as run:
            run.await_iteration(100)
            worker = run.workers()[0]
            worker.kill(signal.SIGSTOP)
            stalled = run.await_event("stalled")
            self.assertTrue(any("worker" in reason for reason in stalled["reasons"]), stalled)
            worker.kill(signal.SIGCONT)


if __name__ == "__main__":
    unittest.main()
