#!/usr/bin/env python3
"""`samovar doctor` on a machine whose services run, and on one where something is wrong; and the bound of memory that a server tells."""

import getpass
import json
import os
import resource
import socket
import subprocess
import time
import unittest
from typing import Dict

import testbed
from testbed import END_SECONDS, RUN_SECONDS, Workspace

CORE_SITE = "<configuration><property><name>fs.defaultFS</name><value>file:///</value></property></configuration>"
YARN_SITE = ("<configuration><property><name>yarn.nodemanager.resource.memory-mb</name><value>{mebibytes}</value></property>"
             "</configuration>")


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


class DoctorTest(unittest.TestCase):
    def setUp(self) -> None:
        self.workspace = Workspace(empty=True)
        self.addCleanup(self.workspace.remove)
        self.etc = self.workspace.path / "etc"
        self.conf = self.workspace.path / "conf"
        self.etc.mkdir()
        self.conf.mkdir()
        (self.conf / "core-site.xml").write_text(CORE_SITE, encoding="ascii")
        self.coordinator = f"127.0.0.1:{free_port()}"
        self.server = f"127.0.0.1:{free_port()}"
        path = self.workspace.path
        (path / "cache").mkdir(mode=0o700)
        self.write("coordinator", f'coordinator = true\nlisten = "{self.coordinator}"\nstate = "{path}/c"\nhome = "{path}/home"\n'
                                  f'parameter-memory = 64\nsnapshots = "{path}/home/snapshots"')
        self.write("server", f'join = "{path}/home"\nlisten = "{self.server}"\nstate = "{path}/s"\nparameter-memory = 64')
        self.write("worker", f'coordinator = "{path}/home"\ncache = "{path}/cache"\ncache-bytes = 1000000')
        self.services: Dict[str, "subprocess.Popen[bytes]"] = {}
        self.addCleanup(self.end_all)

    def write(self, role: str, text: str) -> None:
        (self.etc / f"{role}.toml").write_text(text + "\n", encoding="utf-8")

    def start(self, *roles: str) -> None:
        for role in roles:
            program = "samovar-worker" if role == "worker" else "samovar-server"
            with open(self.workspace.path / f"{role}.log", "ab") as log:
                self.services[role] = subprocess.Popen([testbed.program(program), "--config", str(self.etc / f"{role}.toml")],
                                                       stdin=subprocess.DEVNULL, stdout=log, stderr=log)
            self.await_words(role, "joined" if role == "worker" else "serves at ")

    def end_all(self) -> None:
        for process in self.services.values():
            process.kill()
            process.wait(END_SECONDS)

    def await_words(self, role: str, words: str) -> str:
        deadline = time.monotonic() + RUN_SECONDS
        log = self.workspace.path / f"{role}.log"
        while words not in (text := log.read_text(encoding="utf-8", errors="replace")):
            self.assertLess(time.monotonic(), deadline, text)
            self.assertIsNone(self.services[role].poll(), text)
            time.sleep(0.05)
        return text

    def consult(self, *flags, code: int = 0) -> Dict[str, list]:
        """What was looked at -> its findings."""
        done = subprocess.run([testbed.program("samovar"), "doctor", "--json", "--config", str(self.etc), "--user", getpass.getuser(), *map(str, flags)],
                              env={**os.environ, "HADOOP_CONF_DIR": str(self.conf)}, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              timeout=RUN_SECONDS, check=False)
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        found: Dict[str, list] = {}
        for line in done.stdout.splitlines():
            finding = json.loads(line)
            found.setdefault(finding["what"], []).append(finding)
        return found

    def assert_level(self, found: Dict[str, list], what: str, level: str, words: str) -> None:
        self.assertIn(what, found)
        self.assertIn(level, [finding["level"] for finding in found[what]], found[what])
        self.assertTrue(any(words in finding["fact"] and finding["level"] == level for finding in found[what]), found[what])

    def test_where_all_services_run_nothing_is_wrong(self):
        self.start("coordinator", "server", "worker")
        found = self.consult("--storage", self.workspace.path)
        for role in ("coordinator", "server", "worker"):
            self.assert_level(found, f"service {role}", "ok", f"process {self.services[role].pid}")
        for role, address in (("coordinator", self.coordinator), ("server", self.server)):
            self.assert_level(found, f"port of the {role}", "ok", f"{address} is held by process {self.services[role].pid}, which is the service")
        self.assert_level(found, "coordinator", "ok", f"{self.coordinator} answers, epoch ")
        self.assert_level(found, "version", "ok", "at the coordinator")
        self.assert_level(found, "cache of the worker", "ok", "has room for")
        self.assert_level(found, "storage", "ok", f"{self.workspace.path} can be listed")
        self.assert_level(found, "clock", "ok", "that of the coordinator")
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        self.assertTrue(any(f"may open {hard}" in finding["fact"] for finding in found["open files"]), found["open files"])

    def test_what_does_not_run_is_a_warning_and_what_cannot_run_is_wrong(self):
        with socket.socket() as other:
            host, port = self.server.split(":")
            other.bind((host, int(port)))
            other.listen()
            (self.workspace.path / "s").write_text("a file", encoding="ascii")
            self.write("worker", 'coordinator = "127.0.0.1:1"\nthraeds = 4')
            found = self.consult("--coordinator", self.coordinator, code=1)
        self.assert_level(found, "service server", "warning", "it does not run")
        self.assert_level(found, "port of the coordinator", "ok", "is free")
        self.assert_level(found, "port of the server", "wrong", f"{self.server} is held by process {os.getpid()} (")
        self.assert_level(found, "state of the server", "wrong", "is no directory")
        self.assert_level(found, "configuration", "wrong", 'worker.toml:2: unknown key "thraeds"; did you mean "threads"?')
        self.assert_level(found, "coordinator", "wrong", f"{self.coordinator} does not answer")

    def test_a_storage_that_refuses_is_wrong(self):
        found = self.consult("--storage", self.workspace.path / "nothing", code=1)
        self.assert_level(found, "storage", "wrong", "nothing cannot be listed")

    def test_memory_that_yarn_has_already_is_wrong_for_a_server(self):
        mebibytes = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") >> 20
        (self.conf / "yarn-site.xml").write_text(YARN_SITE.format(mebibytes=mebibytes), encoding="ascii")
        self.start("coordinator")
        found = self.consult("--coordinator", self.coordinator, code=1)
        self.assert_level(found, "memory", "wrong", f"server up to 64 MiB, worker some 1024 MiB, YARN's containers {mebibytes} MiB")

    def test_people_get_a_line_a_check_and_a_wrong_flag_is_told(self):
        (self.etc / "worker.toml").unlink()
        done = self.workspace.command("doctor", "--config", self.etc, "--coordinator", self.coordinator)
        self.assertEqual(done.returncode, 1, done.stderr)
        for line in done.stdout.splitlines():
            self.assertRegex(line, r"^(ok     |warning|wrong  )  [^:]+: .+")
        self.assertEqual(self.workspace.command("doctor", "--config", self.conf).returncode, 2)

    def test_a_server_tells_how_much_memory_it_takes_and_why(self):
        self.start("coordinator")
        self.assertIn("holds up to 64 MiB of parameters, as --parameter-memory says", self.await_words("coordinator", "holds up to"))
        self.write("server", (self.etc / "server.toml").read_text(encoding="utf-8").replace("parameter-memory = 64\n", ""))
        with open(self.workspace.path / "server.log", "ab") as log:
            self.services["server"] = subprocess.Popen(
                ["bash", "-c", 'ulimit -d 1048576 && exec "$0" "$@"', testbed.program("samovar-server"), "--config", str(self.etc / "server.toml")],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self.assertIn("holds up to 768 MiB of parameters, three quarters of what this process may have: the limit of the data segment sets "
                      "1024 MiB", self.await_words("server", "holds up to"))


if __name__ == "__main__":
    unittest.main()
