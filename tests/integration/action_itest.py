#!/usr/bin/env python3
"""The life of a cluster that HDInsight's script action makes, on hosts of namespaces that are called as its nodes are: installation, more
workers and fewer, an upgrade under a running job, a wiped temporary disk, a lost head node, and its removal.

SAMOVAR_BUNDLE names the tarball. Needs root; see hosts.py, and systemctl.py, which stands in for systemd. Prints the last line of each
run of the action, and how long what followed took.
"""

import gzip
import json
import os
import pathlib
import shutil
import sys
import tarfile
import tempfile
import time
import unittest
from typing import Callable, Dict

import hosts
import hosts_itest
import testbed
from hosts import Hosts
from testbed import RUN_SECONDS

NODES = ("hn0-samovar", "hn1-samovar", "wn0-samovar", "wn1-samovar", "zk0-samovar", "desk")
# A worker's card lets the weights of 47 a second pass.
ITERATIONS = 1500
HDFS_SITE = "<configuration>" + "".join(
    f"<property><name>dfs.namenode.http-address.mycluster.nn{number}</name><value>{host}:30070</value></property>"
    for number, host in ((1, "hn1-samovar"), (2, "hn0-samovar"))) + "</configuration>"
# Each place to which an installation writes.
PLACES = ("/opt/samovar", "/etc/samovar", "/var/lib/samovar", "/var/log/samovar", "/mnt/resource/samovar")


class ActionTest(testbed.TestCase):
    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        reason = "only root can make namespaces" if os.geteuid() != 0 else hosts.why_not()
        if reason:
            raise unittest.SkipTest(reason)
        scratch = pathlib.Path(tempfile.mkdtemp(prefix="samovar_action_"))
        cls.addClassCleanup(shutil.rmtree, scratch, ignore_errors=True)
        # A directory that all hosts see under the same path, as the cluster's storage.
        cls.shared = scratch / "shared"
        cls.shared.mkdir()
        cls.home = cls.shared / "home"
        cls.home.mkdir()
        for directory, mode in ((scratch, 0o755), (cls.shared, 0o755), (cls.home, 0o777)):
            directory.chmod(mode)
        cls.tarball = pathlib.Path(shutil.copy(os.environ["SAMOVAR_BUNDLE"], cls.shared))
        with tarfile.open(cls.tarball) as archive:
            archive.extractall(cls.shared)
            cls.release = cls.shared / archive.getnames()[0]
        # The same programs, of another sum.
        cls.newer = cls.shared / "newer" / cls.tarball.name
        cls.newer.parent.mkdir()
        with gzip.open(cls.tarball) as content, gzip.open(cls.newer, "wb", compresslevel=1) as file:
            shutil.copyfileobj(content, file)
        cls.hosts = Hosts(scratch, cls.shared, NODES)
        cls.addClassCleanup(cls.hosts.__exit__)
        for host in cls.hosts.by_name.values():
            host.add_systemd()
            host.check("sh", "-c", 'mkdir -p /mnt/resource /etc/hadoop/conf && echo "$1" >/etc/hadoop/conf/hdfs-site.xml', "sh", HDFS_SITE)
        cls.table: Dict[str, str] = {}
        cls.addClassCleanup(cls.print_table)

    @classmethod
    def print_table(cls) -> None:
        print("\nThe action's last lines:", *(f"  {case}\n    {line}" for case, line in cls.table.items()), sep="\n", file=sys.stderr)

    def act(self, row: str, node: str, *flags, script: str = "install.sh", tarball=None) -> str:
        """The action on the node; its last line."""
        if script == "install.sh":
            flags = ("--tarball", tarball or self.tarball, "--home", self.home, "--allow-plaintext", "--threads", "1", *flags)
        began = time.monotonic()
        done = self.hosts[node].run("bash", self.release / "deploy/hdinsight" / script, *flags, timeout=RUN_SECONDS)
        self.assertEqual(done.returncode, 0, f"{done.stdout}\n{done.stderr}")
        last = done.stdout.splitlines()[-1]
        self.table[f"{row}, on {node}, {time.monotonic() - began:.0f} s"] = last.replace(str(self.shared), "/shared")
        return last

    def refuse_a_configuration(self) -> None:
        """One that was edited by hand, and stays."""
        row = "configuration that the service refuses"
        self.hosts["desk"].check("sh", "-c", "mkdir -p /etc/samovar && echo 'thraeds = 4' >/etc/samovar/worker.toml")
        done = self.hosts["desk"].run("bash", self.release / "deploy/hdinsight/install.sh", "--role", "worker", "--coordinator",
                                      "hn0-samovar:7400", "--tarball", self.tarball, timeout=RUN_SECONDS)
        self.assertEqual(done.returncode, 1, done.stdout)
        self.table[f"{row}, on desk"] = done.stdout.splitlines()[-1]
        self.assertEqual(done.stdout.splitlines()[-1], "samovar install: failed: samovar-worker.service does not get ready (it is failed); the "
                         "end of its log is above, and samovar doctor says what is wrong")
        self.assertIn('unknown key "thraeds"; did you mean "threads"?', done.stderr)

    def after(self, what: str, began: float) -> None:
        self.table[what] = f"after {time.monotonic() - began:.1f} s"

    def samovar(self, *arguments, node: str = "desk") -> str:
        done = self.hosts[node].run(self.release / "bin/samovar", *arguments, directory=self.shared, timeout=RUN_SECONDS)
        self.assertEqual(done.returncode, 0, f"{done.stdout}\n{done.stderr}\n{self.logs()}")
        return done.stdout

    def logs(self) -> str:
        return "\n".join(host.run("sh", "-c", "tail -n 25 /run/stand-in/*.log").stdout for host in self.hosts.by_name.values())

    def status(self) -> dict:
        return json.loads(self.samovar("status", self.home, "--json"))

    def await_status(self, such_that: Callable[[dict], bool], what: str) -> dict:
        deadline = time.monotonic() + RUN_SECONDS
        while not such_that(status := self.status()):
            self.assertLess(time.monotonic(), deadline, f"{what}: not so\n{json.dumps(status, indent=1)}\n{self.logs()}")
            time.sleep(0.1)
        return status

    def submit(self, job: str) -> None:
        solver = self.workspace.write_solver(f"{job}.prototxt", max_iter=ITERATIONS, snapshot=200)
        shutil.move(str(solver), str(self.shared / solver.name))
        self.samovar("submit", self.home, "--solver", solver.name, "--name", job)

    def await_iteration(self, job: str, iteration: int) -> dict:
        return self.await_status(lambda status: int(hosts_itest.job_of(status, job)["iteration"]) >= iteration, f"{job} has {iteration} iterations")

    def assert_succeeds(self, job: str) -> None:
        watched = self.samovar("watch", job, self.home)
        self.assertRegex(watched, rf"ledger: \d+ chunks, each holds iterations 0\.\.{ITERATIONS - 1} exactly once")
        status = hosts_itest.job_of(self.status(), job)
        self.assertEqual(status["state"], "JOB_STATE_SUCCEEDED")
        self.assertEqual(status["ledger"]["complete_chunks"], status["ledger"]["chunks"])

    def await_state(self, node: str, unit: str, state: str) -> None:
        deadline = time.monotonic() + RUN_SECONDS
        while (found := self.hosts[node].check("systemctl", "show", "--property", "ActiveState", "--value", unit).strip()) != state:
            self.assertLess(time.monotonic(), deadline, f"{unit} on {node} is {found}, not {state}\n{self.logs()}")
            time.sleep(0.1)

    def word_of(self, node: str, unit: str) -> str:
        return self.hosts[node].read(f"/run/stand-in/{unit}.log")

    def test_the_life_of_a_cluster(self):
        for entry in ("train_lmdb", "test_lmdb", "net.prototxt"):
            shutil.move(str(self.workspace.path / entry), str(self.shared / entry))
        self.install()
        self.refuse_a_configuration()
        self.grow_and_shrink()
        self.upgrade()
        self.wipe_the_temporary_disk()
        self.lose_the_head_node()
        self.consult_the_doctor()
        self.remove()

    def install(self) -> None:
        self.assertRegex(self.act("first run", "hn0-samovar"), r"done, \d+ changes; coordinator of the cluster at hn0-samovar:7400")
        self.assertRegex(self.act("first run", "wn0-samovar"), r"done, \d+ changes; server and worker of the cluster at hn0-samovar:7400")
        for node in ("hn1-samovar", "zk0-samovar"):
            self.assertIn("nothing to do: ", self.act("first run", node))
        for node in ("hn0-samovar", "wn0-samovar"):
            self.assertIn("nothing had to be changed; ", self.act("second run", node))
        self.await_status(lambda status: len(status["servers"]) == 2 and len(status["workers"]) == 1, "all are there")
        self.assertEqual(self.hosts["wn0-samovar"].check("stat", "--format", "%U %a", "/mnt/resource/samovar/cache").strip(), "samovar 750")

    def grow_and_shrink(self) -> None:
        self.submit("scale")
        self.await_iteration("scale", 50)
        began = time.monotonic()
        self.act("a node is added", "wn1-samovar", "--worker-roles", "worker")
        self.await_status(lambda status: len(status["workers"]) == 2, "the new worker has joined")
        self.after("its worker had joined", began)
        status = self.await_iteration("scale", 200)
        self.assertEqual(hosts_itest.job_of(status, "scale")["state"], "JOB_STATE_RUNNING")
        began = time.monotonic()
        # As systemd ends its services when a machine is shut down.
        self.hosts["wn1-samovar"].check("systemctl", "stop", "samovar-worker.service")
        self.after("a node is taken away: its worker had ended", began)
        self.assertEqual(len(self.status()["workers"]), 1)
        self.assert_succeeds("scale")
        # It has given back what it held; nobody had to wait for it.
        self.assertNotIn("silent for", self.word_of("hn0-samovar", "samovar-coordinator.service"))

    def upgrade(self) -> None:
        self.submit("upgrade")
        self.await_iteration("upgrade", 100)
        for node in ("hn0-samovar", "wn0-samovar"):
            before = self.hosts[node].check("readlink", "/opt/samovar/current")
            self.assertRegex(self.act("another tarball while a job runs", node, tarball=self.newer), r"done, \d+ changes")
            self.assertNotEqual(self.hosts[node].check("readlink", "/opt/samovar/current"), before)
        for node, units in (("hn0-samovar", ["coordinator"]), ("wn0-samovar", ["server", "worker"])):
            release = self.hosts[node].check("readlink", "-f", "/opt/samovar/current").strip()
            for unit in units:
                pid = self.hosts[node].check("systemctl", "show", "--property", "MainPID", "--value", f"samovar-{unit}.service").strip()
                self.assertTrue(self.hosts[node].check("readlink", f"/proc/{pid}/exe").startswith(release + "/"))
        self.assert_succeeds("upgrade")

    def wipe_the_temporary_disk(self) -> None:
        wn0 = self.hosts["wn0-samovar"]
        wn0.check("systemctl", "stop", "samovar-worker.service")
        wn0.check("rm", "-rf", "/mnt/resource/samovar")
        wn0.check("systemctl", "start", "samovar-worker.service")
        self.await_state("wn0-samovar", "samovar-worker.service", "active")
        self.assertEqual(wn0.check("stat", "--format", "%U %a", "/mnt/resource/samovar/cache").strip(), "samovar 750")
        self.assertIn("nothing had to be changed; ", self.act("after the temporary disk was wiped", "wn0-samovar", tarball=self.newer))

    def lose_the_head_node(self) -> None:
        self.submit("head")
        self.await_status(lambda status: hosts_itest.job_of(status, "head").get("exported_snapshot"), "a snapshot is exported")
        self.hosts.by_name.pop("hn0-samovar").end()
        began = time.monotonic()
        last = self.act("the head node is gone", "wn1-samovar", tarball=self.newer)
        self.assertRegex(last, r"done, \d+ changes; server and worker of the cluster at hn0-samovar:7400")
        last = self.act("another head node takes its part", "hn1-samovar", "--coordinator", "hn1-samovar", tarball=self.newer)
        self.assertRegex(last, r"done, \d+ changes; coordinator of the cluster at hn1-samovar:7400")
        self.assert_succeeds("head")
        self.after("the job had ended, since its head node was gone", began)

    def consult_the_doctor(self) -> None:
        done = self.hosts["wn0-samovar"].run("setpriv", "--reuid", "samovar", "--regid", "samovar", "--clear-groups",
                                             "/opt/samovar/current/bin/samovar", "doctor")
        self.assertEqual(done.returncode, 0, f"{done.stdout}\n{done.stderr}")
        for text in ("ok       configuration: /etc/samovar/server.toml is accepted", "ok       service worker: it runs as process ",
                     "ok       port of the server: 10.77.0.3:7401 is held by process ", "ok       coordinator: 10.77.0.2:7400 answers, epoch ",
                     f"ok       storage: {self.home} can be listed", "ok       cache of the worker: /mnt/resource/samovar/cache has room for "):
            self.assertIn(text, done.stdout)
        self.table["samovar doctor, on wn0-samovar"] = "\n    ".join(done.stdout.replace(str(self.shared), "/shared").splitlines())
        # What an operator finds who has the wrong disk mounted.
        self.hosts["wn0-samovar"].check("chown", "root", "/var/lib/samovar/server")
        done = self.hosts["wn0-samovar"].run("/opt/samovar/current/bin/samovar", "doctor", "--json")
        self.assertEqual(done.returncode, 1, done.stdout)
        wrong = [finding for finding in map(json.loads, done.stdout.splitlines()) if finding["level"] == "wrong"]
        self.assertEqual([finding["what"] for finding in wrong], ["state of the server"])
        self.hosts["wn0-samovar"].check("chown", "samovar", "/var/lib/samovar/server")

    def remove(self) -> None:
        for node in ("wn0-samovar", "wn1-samovar", "hn1-samovar"):
            self.assertRegex(self.act("uninstall.sh", node, script="uninstall.sh"), r"done, \d+ changes")
            left = self.hosts[node].run("sh", "-c", "ls -d \"$@\" /etc/systemd/system/samovar-* /etc/systemd/system/*.wants/samovar-* 2>/dev/null;"
                                        " getent passwd samovar; pgrep -u samovar", "sh", *PLACES)
            self.assertEqual(left.stdout, "")
            self.assertIn("nothing was installed", self.act("uninstall.sh again", node, script="uninstall.sh"))


if __name__ == "__main__":
    unittest.main()
