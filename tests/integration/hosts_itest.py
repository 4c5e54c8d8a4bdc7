#!/usr/bin/env python3
"""A cluster of hosts as an operator makes it: the tarball, install.sh, the units' services; jobs come from one more host. And what
happens to a job when a host's cable is pulled for a while.

SAMOVAR_BUNDLE names the tarball. Needs root, for namespaces; see hosts.py.
"""

import json
import os
import pathlib
import shutil
import tarfile
import tempfile
import time
import unittest
from typing import Callable, Dict

import hosts
from hosts import Hosts, Service
import testbed
from testbed import BATCH, RUN_SECONDS

COORDINATOR = "coordinator:7400"
# So many that a job outlasts what is done to it: a worker's card lets the weights of 47 a second pass.
CUT_ITERATIONS = 1500
ROLES = {"coordinator": "coordinator", "server-1": "server", "server-2": "server", "worker-1": "worker", "worker-2": "worker"}
# Beyond what the role and the coordinator say. One server listens everywhere, and finds out what to announce.
FLAGS = {"coordinator": ["--allow-plaintext"], "server-1": ["--allow-plaintext"],
         "server-2": ["--allow-plaintext", "--listen", "0.0.0.0:7401"], "worker-1": [], "worker-2": []}


class HostsTest(testbed.TestCase):
    """One cluster for all of it."""

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        reason = "only root can make namespaces" if os.geteuid() != 0 else hosts.why_not()
        if reason:
            raise unittest.SkipTest(reason)
        scratch = pathlib.Path(tempfile.mkdtemp(prefix="samovar_hosts_"))
        cls.addClassCleanup(shutil.rmtree, scratch, ignore_errors=True)
        # A directory that all hosts see under the same path, as on a network drive.
        cls.shared = scratch / "shared"
        cls.shared.mkdir()
        for directory in (scratch, cls.shared):
            directory.chmod(0o755)
        with tarfile.open(os.environ["SAMOVAR_BUNDLE"]) as archive:
            archive.extractall(cls.shared)
            cls.release = cls.shared / archive.getnames()[0]
        cls.tarball = shutil.copy(os.environ["SAMOVAR_BUNDLE"], cls.shared)
        cls.hosts = Hosts(scratch, cls.shared)
        cls.addClassCleanup(cls.hosts.__exit__)
        cls.installed = {name: [cls.install(name), cls.install(name)] for name in ROLES}
        cls.services: Dict[str, Service] = {}
        # Workers and servers first: they go on trying until their coordinator is there.
        for name, role in reversed(ROLES.items()):
            cls.services[name] = Service(cls.hosts[name], f"samovar-{role}.service", cls.log_of(name))

    @classmethod
    def install(cls, name: str) -> str:
        return cls.hosts[name].check("bash", cls.release / "deploy/hdinsight/install.sh", "--role", ROLES[name],
                                     "--coordinator", COORDINATOR, "--tarball", cls.tarball, *FLAGS[name])

    @classmethod
    def log_of(cls, name: str) -> pathlib.Path:
        return cls.shared / f"{name}.log"

    def setUp(self) -> None:
        super().setUp()
        # The workers' user reads it from there.
        for entry in ("train_lmdb", "test_lmdb", "net.prototxt"):
            target = self.shared / entry
            if not target.exists():
                shutil.move(str(self.workspace.path / entry), str(target))

    def tearDown(self) -> None:
        for name, service in self.services.items():
            self.assertTrue(service.runs(), f"{name} has ended:\n{self.words_of(name)}")
        super().tearDown()

    def samovar(self, *arguments, code: int = 0) -> str:
        """A user's command on the host that has no role."""
        done = self.hosts["desk"].run(self.release / "bin/samovar", *arguments, directory=self.shared, timeout=RUN_SECONDS)
        self.assertEqual(done.returncode, code, f"{done.stdout}\n{done.stderr}")
        return done.stdout

    def status(self) -> dict:
        return json.loads(self.samovar("status", COORDINATOR, "--json"))

    def submit(self, job: str, max_iter: int) -> None:
        solver = self.workspace.write_solver(f"{job}.prototxt", max_iter=max_iter)
        shutil.move(str(solver), str(self.shared / solver.name))
        self.samovar("submit", COORDINATOR, "--solver", solver.name, "--name", job)

    def await_status(self, such_that: Callable[[dict], bool], what: str) -> dict:
        deadline = time.monotonic() + RUN_SECONDS
        while not such_that(status := self.status()):
            self.assertLess(time.monotonic(), deadline, f"{what}: not so\n{json.dumps(status, indent=1)}\n{self.logs()}")
            time.sleep(0.1)
        return status

    def await_cluster(self) -> dict:
        return self.await_status(lambda status: len(status["servers"]) == 3 and len(status["workers"]) == 2
                                 and all(member["silent_seconds"] < 4 for member in status["servers"] + status["workers"]),
                                 "all servers and workers are there")

    def await_iteration(self, job: str, iteration: int) -> int:
        status = self.await_status(lambda status: int(job_of(status, job)["iteration"]) >= iteration, f"{job} has {iteration} iterations")
        return int(job_of(status, job)["iteration"])

    def words_of(self, name: str) -> str:
        """What the host's service has said."""
        return self.log_of(name).read_text(encoding="utf-8")

    def logs(self) -> str:
        return "\n".join(f"{name}:\n{self.words_of(name)[-3000:]}" for name in self.services)

    def assert_succeeds(self, job: str) -> dict:
        """By what the one who watches it sees, and by its ledgers."""
        watched = self.samovar("watch", job, COORDINATOR)
        status = job_of(self.status(), job)
        self.assertEqual(status["state"], "JOB_STATE_SUCCEEDED")
        last = int(status["max_iter"]) - 1
        self.assertRegex(watched, rf"ledger: \d+ chunks, each holds iterations 0\.\.{last} exactly once")
        self.assertIn("Optimization Done.", watched)
        ledger = status["ledger"]
        self.assertGreater(ledger["chunks"], 0)
        self.assertEqual(ledger["complete_chunks"], ledger["chunks"])
        self.assertEqual(int(status["samples"]), int(status["max_iter"]) * BATCH)
        return status

    def test_a_second_installation_changes_nothing(self):
        for name, (first, second) in self.installed.items():
            self.assertRegex(first.splitlines()[-1], r"done, \d+ changes; " + ROLES[name])
            self.assertIn("nothing had to be changed", second.splitlines()[-1])

    def test_a_job_from_another_host_succeeds_on_all_servers(self):
        status = self.await_cluster()
        announced = {"10.77.0.1:7400", "10.77.0.2:7401", "10.77.0.3:7401"}
        self.assertEqual({server["address"] for server in status["servers"]}, announced)
        self.assertEqual(status["coordinator"], "10.77.0.1:7400")
        self.submit("plain", 400)
        self.assertEqual(set(self.assert_succeeds("plain")["servers"]), announced)
        self.assertIn("plain", self.samovar("jobs", COORDINATOR))
        table = self.samovar("status", COORDINATOR)
        for words in (*announced, "worker-1", "worker-2", "SUCCEEDED"):
            self.assertIn(words, table)
        # The server's own words.
        self.assertIn(f"registered at coordinator {COORDINATOR} as 10.77.0.3:7401", self.words_of("server-2"))

    def test_a_worker_that_is_cut_off_is_replaced_and_comes_back(self):
        self.await_cluster()
        self.submit("worker-cut", CUT_ITERATIONS)
        self.await_iteration("worker-cut", 100)
        self.hosts.pull_cable("worker-1")
        try:
            # Given up after its seconds of silence; the other one does the work meanwhile.
            status = self.await_status(lambda status: len(status["workers"]) == 1, "the worker is given up")
            self.assertEqual(job_of(status, "worker-cut")["state"], "JOB_STATE_RUNNING")
            self.await_iteration("worker-cut", int(job_of(status, "worker-cut")["iteration"]) + 50)
            show("worker cut", self.samovar("status", COORDINATOR), self.samovar("logs", "worker-cut", COORDINATOR))
        finally:
            self.hosts.plug_cable_in("worker-1")
        status = self.await_status(lambda status: len(status["workers"]) == 2, "the worker is back")
        self.assertEqual(job_of(status, "worker-cut")["state"], "JOB_STATE_RUNNING")
        self.assert_succeeds("worker-cut")
        show("worker back", self.samovar("logs", "worker-cut", COORDINATOR), self.words_of("worker-1"), self.words_of("coordinator"))
        self.assertRegex(self.words_of("coordinator"), r"worker worker-1-\d+ \(\d+\) has been silent for \d+ s: its leases go to others")
        self.assertRegex(self.words_of("worker-1"), r"does not know worker \d+ any more; joins again")

    def test_a_server_that_is_cut_off_is_waited_for(self):
        self.await_cluster()
        self.submit("server-cut", CUT_ITERATIONS)
        self.await_iteration("server-cut", 100)
        self.hosts.pull_cable("server-2")
        try:
            status = self.await_status(lambda status: silence_of(status, "10.77.0.3:7401") > 5, "the server is silent")
            self.assertEqual(job_of(status, "server-cut")["state"], "JOB_STATE_RUNNING")
            show("server cut", self.samovar("status", COORDINATOR), self.samovar("logs", "server-cut", COORDINATOR))
        finally:
            self.hosts.plug_cable_in("server-2")
        self.assert_succeeds("server-cut")
        show("server back", self.samovar("logs", "server-cut", COORDINATOR), *map(self.words_of, self.services))
        self.assertIn(f"cannot register at coordinator {COORDINATOR}, keeps trying", self.words_of("server-2"))


def show(what: str, *texts: str) -> None:
    """For those who want to see what a user saw: SAMOVAR_SHOW=1."""
    if os.environ.get("SAMOVAR_SHOW"):
        print(f"\n--- {what} ---", *texts, sep="\n", flush=True)


def job_of(status: dict, name: str) -> dict:
    return next(job for job in status["jobs"] if job["job_id"] == name)


def silence_of(status: dict, address: str) -> float:
    return next(server["silent_seconds"] for server in status["servers"] if server["address"] == address)


if __name__ == "__main__":
    unittest.main()
