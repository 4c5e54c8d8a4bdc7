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
sys.path[:0] = [str(ROOT / "tests" / "remote"), str(ROOT / "tests" / "hadoop")]
import scenario  # noqa: E402
import testbed  # noqa: E402
from hdfs import Hdfs  # noqa: E402
from yarn import Yarn  # noqa: E402

T = TypeVar("T")
# Until containers run; until iterations go on after a fault, which a node manager's expiry is part of.
WAIT_SECONDS = 180 * testbed.TIME_FACTOR
# Memory, in MiB, of each container.
MEMORY = ["--server-memory", 512, "--worker-memory", 512]


class YarnTestCase(scenario.Scenario):
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
        self.addCleanup(self.say_why)

    def say_why(self) -> None:
        if self._outcome is not None and not self._outcome.success:
            print(self.yarn.container_logs()[-6000:], self.yarn.logs()[-3000:], flush=True)

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
                self.fail(f"{what}: {said}")
            time.sleep(0.2)

    def containers(self, name: str) -> Dict[str, str]:
        """The states of a service's instances."""
        service = json.loads(self.samovar("yarn", "status", name, "--json").stdout)
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
        home = self.launch("rows", "--servers", 2, "--workers", 2)
        self.assertTrue(home.endswith("/samovar/rows"), home)
        seconds = self.await_ready("rows", 4)
        self.row(f"launch to 4 containers that run: {seconds:.1f} s")
        self.assertEqual(len(self.processes("worker")), 2)
        self.assertEqual((len(self.processes("coordinator")), len(self.processes("server"))), (1, 1))
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


if __name__ == "__main__":
    unittest.main(verbosity=2)
