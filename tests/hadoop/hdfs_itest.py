#!/usr/bin/env python3
"""Files, jobs and features in a real HDFS. Hadoop's own client reads there beside us. run.sh starts this."""

import os
import pathlib
import random
import subprocess
import sys
import time
import unittest
from typing import Dict, Optional

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path[:0] = [str(ROOT / "tests" / "remote"), str(ROOT / "tests" / "hadoop")]
import kerberos  # noqa: E402
import scenario  # noqa: E402
import testbed  # noqa: E402
from hdfs import Hdfs  # noqa: E402


class HdfsTest(scenario.Scenario):
    hdfs: Hdfs

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls.hdfs = Hdfs().__enter__()
        cls.addClassCleanup(cls.hdfs.__exit__)

    def setUp(self) -> None:
        super().setUp()
        os.environ["HADOOP_CONF_DIR"] = str(self.hdfs.conf)
        os.environ["HADOOP_USER_NAME"] = self.hdfs_user()
        os.environ["SAMOVAR_FILE_CACHE"] = str(self.workspace.path / "cache_of_files")
        self.directory = f"/t{random.randrange(1 << 30)}"
        self.base = f"hdfs://{self.directory}"

    @staticmethod
    def hdfs_user() -> str:
        """Whoever started HDFS may do all there."""
        return os.environ.get("USER") or "root"

    def read(self, path: str) -> Optional[bytes]:
        return self.hdfs.read(f"{self.directory}/{path}")

    def sizes(self, path: str) -> Dict[str, int]:
        return self.hdfs.sizes(f"{self.directory}/{path}")

    def test_each_form_of_uri_names_the_same_file(self) -> None:
        (self.workspace.path / "file").write_text("text", encoding="utf-8")
        self.samovar("fs", "cp", "file", f"{self.base}/file")
        for uri in (f"hdfs://localhost{self.directory}/file", f"hdfs://localhost:{self.hdfs.rpc_port}{self.directory}/file",
                    f"webhdfs://localhost:{self.hdfs.web_port}{self.directory}/file", f"hdfs:{self.directory}/file"):
            self.assertEqual(self.samovar("fs", "cat", uri).stdout, b"text", uri)

    def test_who_may_not_write_is_told_so(self) -> None:
        self.samovar("fs", "cp", self.workspace.write_solver(), f"{self.base}/solver.prototxt")
        os.environ["HADOOP_USER_NAME"] = "stranger"
        done = self.samovar("fs", "rm", f"{self.base}/solver.prototxt", code=1)
        self.assertIn(b"AccessControlException", done.stderr)
        self.assertIn(b"stranger", done.stderr)

    def test_directories_in_which_nothing_is_are_kept(self) -> None:
        (self.workspace.path / "d" / "e" / "empty").mkdir(parents=True)
        self.samovar("fs", "cp", "d", f"{self.base}/d", "--recursive")
        self.assertIn(f"{self.directory}/d/e/empty".encode(), self.hdfs.client("-ls", f"{self.directory}/d/e").stdout)
        self.samovar("fs", "cp", f"{self.base}/d", "back", "--recursive")
        self.assertTrue((self.workspace.path / "back" / "e" / "empty").is_dir())

    def test_a_directory_of_somebody_else_is_refused_before_anything_starts(self) -> None:
        self.hdfs.client("-mkdir", "-p", f"{self.directory}/mine")
        os.environ["HADOOP_USER_NAME"] = "stranger"
        before = self.workspace.entries()
        done = self.samovar("train", "--solver", "solver.prototxt", "--export-snapshots", f"{self.base}/mine/snapshots", code=2)
        self.assertIn(b"AccessControlException", done.stderr)
        self.samovar("data", "partition", "train_lmdb", f"{self.base}/mine/set", "--partitions", 2, code=2)
        self.assertEqual([entry for entry in self.workspace.entries() if not entry.startswith("cache_of_files")], before)

    def test_an_upload_goes_on_when_a_datanode_dies_under_it(self) -> None:
        """Its parts of 64 MiB are appended; the one that was under way goes on where it was cut."""
        path = self.workspace.path / "large"
        with path.open("wb") as file:
            for _ in range(10):
                file.write(os.urandom(32 << 20))
        words = [testbed.program("samovar"), "fs", "cp", "large", f"{self.base}/large"]
        with subprocess.Popen(words, cwd=self.workspace.path, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as command:
            deadline = time.monotonic() + testbed.RUN_SECONDS
            while self.hdfs.written(self.directory) < 100 << 20:
                self.assertIsNone(command.poll(), "it was too fast")
                self.assertLess(time.monotonic(), deadline)
            self.hdfs.data[0].kill()
            self.hdfs.data[0].wait(30)
            try:
                output, _ = command.communicate(timeout=600)
                self.assertEqual(command.returncode, 0, output)
                self.assertEqual(self.read("large"), path.read_bytes())
            finally:
                self.hdfs.data[0] = self.hdfs.start_datanode(0)
        self.assertEqual(self.hdfs.written(self.directory), 0)

    def test_a_datanode_that_dies_is_gone_around(self) -> None:
        text = os.urandom(20_000_000)
        (self.workspace.path / "file").write_bytes(text)
        self.samovar("fs", "cp", "file", f"{self.base}/file")
        self.hdfs.data[0].kill()
        self.hdfs.data[0].wait(30)
        try:
            self.assertEqual(self.samovar("fs", "cat", f"{self.base}/file").stdout, text)
            self.samovar("fs", "cp", "file", f"{self.base}/again")
            self.assertEqual(self.read("again"), text)
        finally:
            self.hdfs.data[0] = self.hdfs.start_datanode(0)


class HdfsByTicketTest(scenario.Scenario):
    """An HDFS that asks for Kerberos' tickets."""

    def setUp(self) -> None:
        super().setUp()
        if kerberos.why_not():
            self.skipTest(kerberos.why_not())
        self.hdfs = kerberos.KerberosHdfs()
        self.addCleanup(self.hdfs.__exit__)
        self.hdfs.__enter__()
        os.environ["HADOOP_CONF_DIR"] = str(self.hdfs.conf)
        os.environ["SAMOVAR_FILE_CACHE"] = str(self.workspace.path / "cache_of_files")

    def test_files_go_there_and_back_by_a_ticket_alone(self) -> None:
        text = os.urandom((64 << 20) + 1_000_001)
        (self.workspace.path / "file").write_bytes(text)
        self.samovar("fs", "cp", "file", "hdfs:///d/file")
        self.assertEqual(self.hdfs.read("/d/file"), text)
        self.samovar("fs", "cp", "hdfs:///d/file", "back")
        self.assertEqual((self.workspace.path / "back").read_bytes(), text)
        (self.workspace.path / "empty").write_bytes(b"")
        self.samovar("fs", "cp", "empty", "hdfs:///d/empty")
        self.assertEqual(self.samovar("fs", "ls", "hdfs:///d", "--json").stdout.count(b"bytes"), 2)
        self.hdfs.destroy_tickets()
        self.assertIn(b"401", self.samovar("fs", "ls", "hdfs:///d", code=1).stderr)

    test_files_are_copied_listed_shown_and_removed = None
    test_a_large_file_goes_there_and_back_in_little_memory = None
    test_a_set_is_made_there_and_workers_fetch_what_they_lease = None
    test_an_import_that_is_killed_leaves_no_set = None
    test_a_job_reads_and_writes_there_alone = None
    test_a_cluster_has_its_home_and_its_snapshots_there = None
    test_lenet_goes_from_pictures_to_features_as_users_of_caffe_on_spark_had_it = None


if __name__ == "__main__":
    unittest.main(verbosity=2)
