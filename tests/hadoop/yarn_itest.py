#!/usr/bin/env python3
"""A cluster as a service of a real YARN: launched, flexed, hurt and ended by one command each. run.sh starts this.

SAMOVAR_BUNDLE names the tarball of the programs, which the containers run.
"""

import json
import os
import pathlib
import signal
import subprocess
import sys
import time
import unittest
from typing import Any, Callable, Dict, List, Tuple, TypeVar

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path[:0] = [str(ROOT / "tests" / "integration"), str(ROOT / "tests" / "hadoop")]
import testbed  # noqa: E402
from hdfs import Hdfs  # noqa: E402
from yarn import Yarn, kill_all  # noqa: E402

T = TypeVar("T")
# Until containers run; until iterations go on after a fault, which a node manager's expiry is part of.
WAIT_SECONDS = 180 * testbed.TIME_FACTOR
# Iterations of a job that is to last through all faults.
MANY = int(os.environ.get("SAMOVAR_YARN_ITERATIONS", "40000"))
# Memory, in MiB, of each container.
MEMORY = ["--server-memory", 512, "--worker-memory", 512]


class YarnTestCase(testbed.TestCase):
    hdfs: Hdfs
    yarn: Yarn

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls.hdfs = Hdfs().__enter__()
        cls.addClassCleanup(cls.hdfs.__exit__)
        cls.yarn = Yarn(cls.hdfs).__enter__()
        cls.addClassCleanup(cls.yarn.__exit__)

    def setUp(self) -> None:
        super().setUp()
        os.environ["HADOOP_CONF_DIR"] = str(self.yarn.conf)
        os.environ["HADOOP_USER_NAME"] = os.environ.get("USER") or "root"
        os.environ["SAMOVAR_FILE_CACHE"] = str(self.workspace.path / "cache_of_files")

    def samovar(self, *arguments, code: int = 0, seconds: float = testbed.RUN_SECONDS) -> "subprocess.CompletedProcess[bytes]":
        words = [testbed.program("samovar"), *map(str, arguments)]
        done = subprocess.run(words, cwd=self.workspace.path, stdin=subprocess.DEVNULL, capture_output=True, timeout=seconds, check=False)
        output = done.stderr.decode(errors="replace") + done.stdout.decode(errors="replace")
        self.assertEqual(done.returncode, code, f"{arguments}\n{output[-3000:]}")
        return done

    def row(self, text: str) -> None:
        print(f"    {text}", flush=True)

    def give_up(self, why: str) -> None:
        print(self.yarn.container_logs()[-30000:], self.yarn.logs()[-3000:], flush=True)
        self.fail(why)

    def launch(self, name: str, *flags) -> str:
        """The home of the service."""
        self.addCleanup(self.end, name)
        done = self.samovar("yarn", "launch", name, "--bundle", os.environ["SAMOVAR_BUNDLE"], "--allow-plaintext", *MEMORY, *flags, "--json")
        return json.loads(done.stdout)["home"]

    def end(self, name: str) -> None:
        words = [testbed.program("samovar"), "yarn", "stop", name]
        subprocess.run(words, capture_output=True, check=False, timeout=120)

    def await_that(self, what: str, ask: Callable[[], T], holds: Callable[[T], bool]) -> Tuple[T, float]:
        """What `ask` said when it held, and after how many seconds."""
        begun = time.monotonic()
        while True:
            said = ask()
            if holds(said):
                return said, time.monotonic() - begun
            if time.monotonic() - begun > WAIT_SECONDS:
                self.give_up(f"{what}: {said}")
            time.sleep(0.2)

    def containers(self, name: str) -> Dict[str, str]:
        """The states of a service's instances; none while its master has been lost."""
        words = [testbed.program("samovar"), "yarn", "status", name, "--json"]
        done = subprocess.run(words, capture_output=True, check=False, timeout=120)
        if done.returncode == 1 and b"YARN starts another one" in done.stderr:
            return {}
        self.assertEqual(done.returncode, 0, done.stderr)
        service = json.loads(done.stdout)
        return {container["component_instance_name"]: container["state"]
                for component in service["components"] for container in component.get("containers", [])}

    def await_ready(self, name: str, count: int) -> float:
        return self.await_that(f"{count} containers", lambda: self.containers(name),
                               lambda states: len(states) == count and set(states.values()) == {"READY"})[1]

    def processes(self, role: str) -> List[Tuple[int, int]]:
        """Processes of the program, with the numbers of their nodes."""
        found = []
        for index, node in enumerate(self.yarn.nodes):
            for pid in node.containers():
                try:
                    words = pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")
                except OSError:
                    continue
                is_program = any(word.endswith("/libexec/samovar-worker") for word in words) if role == "worker" else \
                    any(word.endswith("/libexec/samovar-server") for word in words) and ("--coordinator" in words) == (role == "coordinator")
                if is_program:
                    found.append((pid, index))
        return found


class YarnServiceTest(YarnTestCase):
    def test_a_service_is_launched_flexed_read_and_ended_by_one_command_each(self) -> None:
        self.samovar("yarn", "status", "rows", code=2)
        home = self.launch("rows", "--servers", 2, "--workers", 2, "--spread")
        self.assertTrue(home.endswith("/samovar/rows"), home)
        seconds = self.await_ready("rows", 4)
        self.row(f"launch to 4 containers that run: {seconds:.1f} s")
        self.assertEqual(len(self.processes("worker")), 2)
        self.assertEqual((len(self.processes("coordinator")), len(self.processes("server"))), (1, 1))
        self.assertNotEqual(self.processes("coordinator")[0][1], self.processes("server")[0][1])
        table = self.samovar("yarn", "status", "rows").stdout.decode()
        self.assertIn("server-0", table)
        self.assertRegex(table, r"worker +2 +2 +1 +512 ")
        # The name is taken, and nothing is begun.
        self.assertIn(b"samovar yarn stop rows", self.samovar("yarn", "launch", "rows", "--allow-plaintext", code=2).stderr)
        self.samovar("yarn", "flex", "rows", "--workers", 3)
        self.await_ready("rows", 5)
        self.samovar("yarn", "flex", "rows", "--workers", 1)
        self.await_ready("rows", 3)
        self.await_that("one worker", lambda: self.processes("worker"), lambda found: len(found) == 1)
        self.assertIn(b"only added", self.samovar("yarn", "flex", "rows", "--servers", 1, code=2).stderr)
        logs = [json.loads(line) for line in self.samovar("yarn", "logs", "rows", "--json").stdout.splitlines()]
        self.assertEqual([log["instance"] for log in logs], ["server-0", "server-1", "worker-0"])
        self.assertIn("as the coordinator", logs[0]["text"])
        alone = self.samovar("yarn", "logs", "rows", "worker-0", "--bytes", 100).stdout.decode()
        self.assertTrue(alone.startswith("==> worker-0 ("), alone)
        self.samovar("yarn", "logs", "rows", "worker-7", code=2)
        self.samovar("yarn", "stop", "rows")
        self.await_that("no process", lambda: self.processes("worker") + self.processes("server") + self.processes("coordinator"),
                        lambda found: not found)
        self.samovar("yarn", "stop", "rows", code=2)



class YarnJobTest(YarnTestCase):
    def put_job(self, name: str, batch: int = testbed.BATCH, **fields) -> Tuple[str, str]:
        """A directory in HDFS with the data set, the net and the solver of a job; and the solver's URI."""
        base = f"hdfs:///jobs/{name}"
        for part in ("train_lmdb", "test_lmdb"):
            self.samovar("data", "partition", part, f"{name}_{part}", "--partitions", 4)
            self.samovar("fs", "cp", f"{name}_{part}", f"{base}/data/{part}", "--recursive")
        net = self.workspace.write_net(lambda text: text.replace('"train_lmdb"', f'"{base}/data/train_lmdb"')
                                       .replace('"test_lmdb"', f'"{base}/data/test_lmdb"')
                                       .replace(f"batch_size: {testbed.BATCH}", f"batch_size: {batch}"))
        solver = self.workspace.write_solver(net=f'"{base}/net.prototxt"', snapshot_prefix=f'"{base}/out/{name}"', **fields)
        for path in (net, solver):
            self.samovar("fs", "cp", path, f"{base}/{path.name}")
        return base, f"{base}/{solver.name}"

    def job(self, home: str, name: str) -> Dict[str, Any]:
        """The job's status; empty while no coordinator answers."""
        done = subprocess.run([testbed.program("samovar"), "jobs", home, "--json"], capture_output=True, check=False, timeout=120)
        jobs = json.loads(done.stdout)["jobs"] if done.returncode == 0 else []
        return next((job for job in jobs if job["job_id"] == name), {})

    def iteration(self, home: str, name: str) -> int:
        return int(self.job(home, name).get("iteration", -1))

    def measure(self, what: str, home: str, name: str, service: str, count: int, act: Callable[[], Any]) -> None:
        """A row: the longest time without a new iteration from the act on, until all containers run and iterations go on."""
        before = self.iteration(home, name)
        begun = last = time.monotonic()
        highest, standstill = before, 0.0
        act()
        while True:
            now = time.monotonic()
            job = self.job(home, name)
            reached = int(job.get("iteration", -1))
            if reached > highest:
                standstill, highest, last = max(standstill, now - last), reached, now
            states = self.containers(service)
            back = len(states) == count and set(states.values()) == {"READY"}
            # A loss is not seen at once.
            if back and now - begun > 5 and highest > before and reached >= highest and now - last < 1:
                break
            if now - begun > WAIT_SECONDS:
                self.give_up(f"{what}: {job}, {states}")
            time.sleep(0.2)
        self.row(f"{what:44} {standstill:8.1f} {time.monotonic() - begun:8.1f} {before:8d} {highest:8d}")

    def begin(self, name: str, iterations: int) -> str:
        """A service with 2 servers and 4 workers whose job of this name has snapshots; its home."""
        base, solver = self.put_job(name, batch=128, max_iter=iterations, snapshot=200, test_interval=iterations, display=1000)
        begun = time.monotonic()
        home = self.launch(name, "--servers", 2, "--workers", 4)
        self.await_that("a coordinator with 2 servers", lambda: self.servers(home), lambda count: count == 2)
        registered = time.monotonic() - begun
        self.samovar("submit", home, "--solver", solver, "--servers", 2)
        self.await_that("an iteration", lambda: self.iteration(home, name), lambda reached: reached > 0)
        self.row(f"launch to 2 registered servers: {registered:.1f} s; to the first iteration: {time.monotonic() - begun:.1f} s")
        self.await_that("an exported snapshot", lambda: self.job(home, name), lambda job: bool(job.get("exported_snapshot")))
        self.await_ready(name, 6)
        self.row(f"{'':44} {'s still':>8} {'s whole':>8} {'from':>8} {'to':>8}")
        return home

    def assert_ends_whole(self, home: str, name: str, iterations: int) -> None:
        """The job succeeds, each chunk has each iteration once, and the model is in HDFS."""
        self.samovar("watch", name, home, seconds=WAIT_SECONDS * 3)
        job = self.job(home, name)
        self.assertEqual(job["state"], "JOB_STATE_SUCCEEDED")
        self.assertEqual(job["ledger"]["complete_chunks"], job["ledger"]["chunks"])
        self.assertEqual(int(job["ledger"]["iterations"]), iterations)
        self.row(f"{job['ledger']['chunks']} ledgers are complete; {job.get('recoveries', 0)} recoveries, "
                 f"{job.get('repeated_iterations', 0)} of {iterations} iterations computed again")
        self.samovar("model", "export", name, home, "--output", f"hdfs:///jobs/{name}/out/model.caffemodel")
        self.assertGreater(len(self.hdfs.read(f"/jobs/{name}/out/model.caffemodel") or b""), 10000)
        self.samovar("yarn", "stop", name)

    def lose_node(self, home: str, name: str, index: int, what: str) -> None:
        try:
            self.measure(what, home, name, name, 6, self.yarn.nodes[index].vanish)
        finally:
            self.yarn.nodes[index] = self.yarn.start_node(index)

    def test_a_job_outlives_its_processes_a_container_a_node_and_other_numbers_of_workers(self) -> None:
        home = self.begin("outlives", MANY)
        for role in ("worker", "server", "coordinator"):
            self.measure(f"a {role}'s process killed", home, "outlives", "outlives", 6, lambda role=role: kill_all([self.processes(role)[0][0]]))
        self.measure("a worker's container killed", home, "outlives", "outlives", 6, lambda: self.kill_container("worker"))
        # With two workers and, as it happens, a server or the service's own master.
        with_workers = [index for _, index in self.processes("worker")]
        self.lose_node(home, "outlives", max(with_workers, key=with_workers.count), "a node of workers lost with its directories")
        self.measure("flexed to 6 workers", home, "outlives", "outlives", 8,
                     lambda: self.samovar("yarn", "flex", "outlives", "--workers", 6))
        self.measure("flexed to 4 workers", home, "outlives", "outlives", 6,
                     lambda: self.samovar("yarn", "flex", "outlives", "--workers", 4))
        self.assert_ends_whole(home, "outlives", MANY)

    def test_a_job_outlives_the_directories_of_its_servers(self) -> None:
        home = self.begin("disks", MANY)
        for role in ("server", "coordinator"):
            self.measure(f"a {role}'s container lost with its directory", home, "disks", "disks", 6,
                         lambda role=role: self.kill_container(role))
        self.lose_node(home, "disks", self.processes("server")[0][1], "a server's node lost with its directories")
        self.assert_ends_whole(home, "disks", MANY)

    def servers(self, home: str) -> int:
        done = subprocess.run([testbed.program("samovar"), "status", home, "--json"], capture_output=True, check=False, timeout=120)
        return len(json.loads(done.stdout)["servers"]) if done.returncode == 0 else -1

    def kill_container(self, role: str) -> None:
        """All of it at once, so that YARN begins another, with a directory of its own."""
        pid, index = self.processes(role)[0]
        directories = self.yarn.nodes[index].containers()
        kill_all([other for other, directory in directories.items() if directory == directories[pid]])

    def test_one_command_trains_a_job_and_leaves_the_model_and_the_features_in_storage(self) -> None:
        base, solver = self.put_job("whole", max_iter=300)
        begun = time.monotonic()
        self.addCleanup(self.end, "whole")
        words = ["yarn", "train", "--solver", solver, "--servers", 2, "--workers", 2, "--output", f"{base}/output", "--features", "ip2",
                 "--label", "label", "--bundle", os.environ["SAMOVAR_BUNDLE"], "--allow-plaintext", *MEMORY]
        done = self.samovar(*words, "--json", seconds=WAIT_SECONDS * 2)
        self.row(f"one command, 300 iterations and {testbed.TEST_RECORDS} rows of features: {time.monotonic() - begun:.1f} s")
        events = [json.loads(line)["event"] for line in done.stdout.splitlines() if line.startswith(b"{")]
        for event in ("launched", "ready", "submitted", "succeeded", "model", "solver_state", "stopped"):
            self.assertIn(event, events)
        self.assertGreater(len(self.hdfs.read("/jobs/whole/output/whole.caffemodel") or b""), 10000)
        self.assertIsNotNone(self.hdfs.read("/jobs/whole/output/whole.solverstate"))
        rows = [json.loads(line) for line in (self.hdfs.read("/jobs/whole/output/features/features.jsonl") or b"").splitlines()]
        self.assertEqual(len(rows), testbed.TEST_RECORDS)
        right = sum(max(range(testbed.CLASSES), key=row["ip2"].__getitem__) == row["label"][0] for row in rows)
        self.row(f"of {len(rows)} rows {right} have the right class first")
        self.assertGreater(right, 0.9 * testbed.TEST_RECORDS)
        self.samovar("yarn", "status", "whole", code=2)
        # What is there already is found before anything is launched.
        self.assertIn(b"--force", self.samovar(*words, code=2).stderr)

    def test_an_interrupt_without_a_terminal_leaves_the_service_to_its_job(self) -> None:
        base, solver = self.put_job("left", max_iter=1000000)
        self.addCleanup(self.end, "left")
        words = ["yarn", "train", "--solver", solver, "--servers", 1, "--workers", 1, "--output", f"{base}/output", "--bundle",
                 os.environ["SAMOVAR_BUNDLE"], "--allow-plaintext", *MEMORY, "--json"]
        training = subprocess.Popen([testbed.program("samovar"), *map(str, words)], cwd=self.workspace.path, stdin=subprocess.DEVNULL,
                                    stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.addCleanup(training.kill)
        assert training.stdout is not None
        while json.loads(training.stdout.readline() or b'{"event": "none"}')["event"] not in ("progress", "none"):
            pass
        training.send_signal(signal.SIGINT)
        _, errors = training.communicate(timeout=testbed.END_SECONDS)
        self.assertEqual(training.returncode, 130, errors)
        self.assertIn(b"samovar yarn stop left", errors)
        home = errors.decode().split("samovar watch left ")[1].split(";")[0]
        reached = self.iteration(home, "left")
        self.await_that("further iterations", lambda: self.iteration(home, "left"), lambda now: now > reached)


if __name__ == "__main__":
    # Hadoop's daemons end with the test.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    unittest.main(verbosity=2)
