#!/usr/bin/env python3
"""`samovar fs`, and files of a web server wherever a path may stand. HDFS and Azure's storage: tests/hadoop, tests/azure."""

import functools
import http.server
import json
import os
import pathlib
import signal
import socket
import subprocess
import threading
import unittest

import testbed
from testbed import END_SECONDS, program


class RangeHandler(http.server.SimpleHTTPRequestHandler):
    """Serves files, and parts of them."""

    def do_GET(self) -> None:  # pylint: disable=invalid-name
        wanted = self.headers.get("Range")
        path = pathlib.Path(self.translate_path(self.path.partition("?")[0]))
        if not wanted or not path.is_file():
            super().do_GET()
            return
        begin, end = map(int, wanted.removeprefix("bytes=").split("-"))
        data = path.read_bytes()[begin:end + 1]
        self.send_response(206)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_) -> None:
        pass


class FsTest(testbed.TestCase):
    def setUp(self) -> None:
        super().setUp()
        os.environ["SAMOVAR_FILE_CACHE"] = str(self.workspace.path / "cache_of_files")
        self.addCleanup(os.environ.pop, "SAMOVAR_FILE_CACHE")

    def refuse(self, *arguments, says: str) -> None:
        done = self.workspace.command("fs", *arguments)
        self.assertEqual(done.returncode, 2, done.stdout + done.stderr)
        self.assertIn(says, done.stderr)

    def test_files_of_this_machine_are_listed_shown_copied_and_removed(self) -> None:
        here = self.workspace.path
        text = os.urandom(5_000_000)
        (here / "a").write_bytes(text)
        (here / "d" / "e").mkdir(parents=True)
        (here / "d" / "e" / "f").write_text("ef", encoding="utf-8")
        self.assertIn(f"{len(text)} bytes", self.workspace.check("fs", "cp", "a", "d"))
        self.assertEqual((here / "d" / "a").read_bytes(), text)
        listed = [json.loads(line) for line in self.workspace.check("fs", "ls", "d", "--json", "--recursive").splitlines()]
        self.assertEqual(listed, [{"name": "a", "type": "file", "bytes": len(text)}, {"name": "e/f", "type": "file", "bytes": 2},
                                  {"name": "e/", "type": "directory"}])
        self.assertIn("2  f\n", self.workspace.check("fs", "ls", f"file://{here}/d/e"))
        self.assertEqual(self.workspace.check("fs", "cat", "d/e/f"), "ef")
        self.workspace.check("fs", "cp", "d", "copy", "--recursive")
        self.assertEqual((here / "copy" / "e" / "f").read_text(encoding="utf-8"), "ef")
        self.refuse("cp", "d", "copy2", says="--recursive copies it")
        self.refuse("cp", "a", "d", says="--force replaces it")
        self.workspace.check("fs", "cp", "a", "d", "--force")
        self.refuse("rm", "d", says="--recursive removes it")
        self.assertIn("2 files removed", self.workspace.check("fs", "rm", "copy/", "--recursive"))
        self.assertFalse((here / "copy").exists())
        # A link goes, and what it leads to stays.
        (here / "links").mkdir()
        (here / "links" / "l").symlink_to(here / "d")
        (here / "l").symlink_to(here / "d")
        self.workspace.check("fs", "rm", "links", "--recursive")
        self.workspace.check("fs", "rm", "l/", "--recursive")
        self.assertFalse((here / "links").exists() or (here / "l").is_symlink())
        self.assertEqual((here / "d" / "e" / "f").read_text(encoding="utf-8"), "ef")
        self.workspace.check("fs", "rm", "a")
        for command in ("ls", "cat", "rm"):
            self.refuse(command, "a", says="a: No such file")
        self.refuse("ls", "s3://b/x", says='the scheme "s3:" is not offered')
        for place in ("/", "file:///", "wasbs://c@acct.blob.core.windows.net/", "hdfs:///"):
            self.refuse("rm", place, "--recursive", says="all that there is")

    def test_a_solver_its_net_and_its_mean_are_read_from_a_web_server(self) -> None:
        handler = functools.partial(RangeHandler, directory=str(self.workspace.path))
        with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
            threading.Thread(target=server.serve_forever, daemon=True).start()
            base = f"http://127.0.0.1:{server.server_port}"
            self.workspace.check("data", "mean", "train_lmdb", "--output", "mean.binaryproto")
            self.workspace.write_net(lambda text: text.replace("mean_value: 128", f'mean_file: "{base}/mean.binaryproto"'))
            self.workspace.write_solver(net=f'"{base}/net.prototxt"')
            self.assertIn("is good to train", self.workspace.check("check", f"{base}/solver.prototxt"))
            big = os.urandom(9_000_000)
            (self.workspace.path / "big").write_bytes(big)
            self.workspace.check("fs", "cp", f"{base}/big?token=x", "back")
            self.assertEqual((self.workspace.path / "back").read_bytes(), big)
            self.refuse("cp", "big", f"{base}/big2", says="are for reading")
            self.refuse("cat", f"{base}/none", says="the server answers 404")
            server.shutdown()
        done = self.workspace.command("check", f"{base}/solver.prototxt")
        self.assertEqual(done.returncode, 2, done.stdout + done.stderr)
        self.assertIn(base, done.stderr)

    def test_directories_in_which_nothing_is_are_copied_too(self) -> None:
        (self.workspace.path / "d" / "e" / "empty").mkdir(parents=True)
        self.workspace.check("fs", "cp", "d", "copy", "--recursive")
        self.assertTrue((self.workspace.path / "copy" / "e" / "empty").is_dir())

    def test_what_cannot_be_written_is_refused_before_anything_starts(self) -> None:
        self.workspace.write_solver(max_iter=20)
        before = self.workspace.entries()
        target = "http://127.0.0.1:1/there"
        for command in (("train", "--solver", "solver.prototxt", "--export-snapshots", target),
                        ("submit", "127.0.0.1:1", "--solver", "solver.prototxt", "--export-snapshots", target),
                        ("data", "mean", "train_lmdb", "--output", f"{target}/mean.binaryproto"),
                        ("features", "--model", "net.prototxt", "--weights", "w", "--blobs", "ip2", "--output", target),
                        ("model", "export", "small", "127.0.0.1:1", "--output", f"{target}.caffemodel"),
                        ("data", "import", "idx", "--images", "x", "--labels", "y", "--output", target),
                        ("data", "partition", "train_lmdb", target, "--partitions", "2")):
            done = self.workspace.command(*command)
            self.assertEqual(done.returncode, 2, f"{command}\n{done.stdout}{done.stderr}")
            self.assertIn("http: and https: are for reading", done.stderr, command)
        solver = self.workspace.write_solver(snapshot_prefix=f'"{target}/small"')
        for command in (("train", "--solver", solver, "--state", "state"), ("check", solver)):
            done = self.workspace.command(*command)
            self.assertEqual(done.returncode, 2, done.stdout + done.stderr)
            self.assertIn("are for reading", done.stderr)
        self.assertEqual(self.workspace.entries(), before)

    def test_a_storage_that_does_not_answer_is_told_and_an_interrupted_command_does_not_wait_for_it(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as silent:
            place = f"http://127.0.0.1:{silent.getsockname()[1]}"
            command = subprocess.Popen([program("samovar"), "data", "partition", f"{place}/set", "made", "--partitions", "2"],
                                       cwd=self.workspace.path, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                                       text=True)
            self.addCleanup(command.kill)
            self.assertRegex(command.stderr.readline(), rf"waits for {place}, .*tries until \d\d:\d\d:\d\d")
            command.send_signal(signal.SIGINT)
            _, err = command.communicate(timeout=END_SECONDS)
            # A storage that it had given up by itself would be another code.
            self.assertEqual(command.returncode, 130, err)
        self.assertFalse((self.workspace.path / "made").exists())


if __name__ == "__main__":
    unittest.main()
