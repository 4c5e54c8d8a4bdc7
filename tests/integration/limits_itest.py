#!/usr/bin/env python3
"""Where the machine sets bounds: open files, mapped files that are cut, inputs that never end, results that are no numbers."""

import os
import re
import socket
import struct
import subprocess
import time
import unittest

import start_itest
import testbed
from testbed import COMMAND_SECONDS, END_SECONDS, Cluster, Run


class OpenFilesTest(testbed.TestCase):
    def test_a_program_that_may_open_too_few_files_says_so_at_once(self):
        for name, *arguments in (("samovar", "train", "--solver", "solver.prototxt"),
                                 ("samovar-server", "--coordinator", "--listen", "127.0.0.1:0", "--state", "state"),
                                 ("samovar-worker", "--coordinator", "127.0.0.1:1")):
            with self.subTest(program=name):
                done = subprocess.run(["bash", "-c", 'ulimit -n 24 && exec "$0" "$@"', testbed.program(name), *arguments],
                                      cwd=self.workspace.path, capture_output=True, text=True, check=False, timeout=COMMAND_SECONDS)
                self.assertEqual(done.returncode, 2, done.stderr)
                self.assertIn("no more than 24 files can be open at a time, and this program needs 64", done.stderr)
        self.assertFalse((self.workspace.path / "state").exists())

    def test_a_server_that_idle_connections_have_filled_says_so_and_serves_again_when_they_are_closed(self):
        with Cluster(self.workspace, servers=1, workers=0, open_files=256) as cluster:
            host, port = cluster.address.split(":")
            idle = []
            deadline = time.monotonic() + END_SECONDS
            while "connections are closed as they come: 256 files" not in cluster.log():
                self.assertLess(time.monotonic(), deadline, cluster.log())
                if len(idle) < 300:
                    idle.append(socket.create_connection((host, int(port)), timeout=END_SECONDS))
            while len(idle) < 300:
                idle.append(socket.create_connection((host, int(port)), timeout=END_SECONDS))
            for connection in idle:
                connection.close()
            done = self.workspace.command("status", cluster.address)
            while done.returncode != 0 and time.monotonic() < deadline:
                done = self.workspace.command("status", cluster.address)
            self.assertEqual(done.returncode, 0, done.stderr + cluster.log())
            self.assertIsNone(cluster.coordinator.poll())

    def test_a_run_with_few_files_is_a_run(self):
        with Run(self.workspace, "--workers", 2, open_files=256) as run:
            self.assert_success(run)


class DamagedInputTest(testbed.TestCase):
    def test_a_worker_whose_lmdb_is_cut_under_it_names_the_file_and_ends_with_a_code(self):
        self.workspace.write_solver(max_iter=1000000)
        with Cluster(self.workspace, servers=1, workers=1) as cluster:
            cluster.submit()
            cluster.await_job("small", lambda job: int(job.get("iteration", 0)) > 20)
            os.truncate(self.workspace.path / "train_lmdb" / "data.mdb", 8192)
            self.assertEqual(cluster.workers[0].wait(END_SECONDS), 1, cluster.log())
            self.assertRegex(cluster.log(), re.escape("samovar-worker: error: ") + r"\S*/train_lmdb/data\.mdb: cannot be read where it is mapped")

    def test_a_pipe_is_no_input(self):
        data = self.workspace.path / "train_lmdb" / "data.mdb"
        data.rename(self.workspace.path / "kept")
        os.mkfifo(data)
        for command in (("check", "solver.prototxt"), ("train", "--solver", "solver.prototxt")):
            done = self.workspace.command(*command)
            self.assertEqual(done.returncode, 2)
            self.assertIn("train_lmdb/data.mdb: not an LMDB: not a regular file", done.stderr)
        (self.workspace.path / "net.prototxt").unlink()
        os.mkfifo(self.workspace.path / "net.prototxt")
        done = self.workspace.command("check", "solver.prototxt")
        self.assertEqual(done.returncode, 2)
        self.assertIn("net.prototxt is not a regular file", done.stderr)

    def test_a_test_whose_result_is_no_number_fails_and_names_the_output(self):
        self.workspace.write_solver(max_iter=20)
        with Run(self.workspace) as run:
            self.assert_success(run)
        path = self.workspace.path / "out" / "small_iter_20.caffemodel"
        model = path.read_bytes()
        # Weights whose products no float can hold.
        for blob in start_itest.blobs_of(model)["ip2"]:
            model = model.replace(blob, struct.pack("<f", 3e38) * (len(blob) // 4))
        path.write_bytes(model)
        arguments = ("test", "--model", "net.prototxt", "--weights", "out/small_iter_20.caffemodel")
        for flags in ((), ("--json",)):
            done = self.workspace.command(*arguments, *flags)
            self.assertEqual(done.returncode, 1, done.stdout)
            self.assertRegex(done.stderr, r'error: output "loss" is -?(nan|inf) over 500 records; look at the weights of out/small_iter_20')


if __name__ == "__main__":
    unittest.main()
