#!/usr/bin/env python3
"""The Python package with the real programs, without Spark: sets from streams of records, servers of a driver, and the client of a cluster
over gRPC. Needs Debian's packages python3-grpcio and python3-protobuf, or grpcio and protobuf of any version."""

import json
import os
import pathlib
import signal
import sys
import threading
import unittest
from typing import List, Tuple

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path[:0] = [str(ROOT / "deploy" / "spark"), str(ROOT / "tests" / "integration")]
import testbed  # noqa: E402

from samovar import bundle, records  # noqa: E402
from samovar.children import Child, messages_of  # noqa: E402
from samovar.errors import CallFailed, CommandFailed, JobFailed, SamovarError  # noqa: E402
from samovar.jobs import follow  # noqa: E402
from samovar.servers import Servers  # noqa: E402

try:
    import grpc  # noqa: F401
    from samovar.client import Client, state_of
    HAS_GRPC = True
except ImportError:
    HAS_GRPC = False


def programs() -> bundle.Bundle:
    return bundle.find([str(pathlib.Path(testbed.program("samovar")).parent)])


class StreamTest(testbed.TestCase):
    """What the executors do, without Spark."""

    def write(self, name: str, rows: List[Tuple[str, bytes]]) -> str:
        """Writes a partition, and returns what the program has printed."""
        lines: List[str] = []
        words = [testbed.program("samovar"), "data", "write-partition", str(self.workspace.path / "set"), "--name", name]
        with Child(words, takes_input=True, on_line=lines.append) as child:
            for key, datum in rows:
                child.stdin.write(records.frame(key, datum))
            child.stdin.write(records.END)
            child.stdin.close()
            if child.wait(testbed.COMMAND_SECONDS) != 0:
                raise CommandFailed(messages_of(child.last_lines()))
        return lines[0] + "\n"

    def join(self, text: str, *flags: str) -> str:
        return programs().run("data", "write-manifest", str(self.workspace.path / "set"), *flags, text=text)

    def test_records_of_each_kind_become_a_set_that_the_program_reads(self):
        kinds = ((lambda i: bytes([i]) * 12, (3, 2, 2), "3x2x2"), (lambda i: [i / 7] * 12, (1, 3, 4), "1x3x4"), (lambda i: [i / 7] * 5, None, "5x1x1"))
        for value, shape, text in kinds:
            rows = sorted((records.key_of(str(i), "mixed"), records.datum_of(str(i), i % 3, value(i), shape)) for i in range(11))
            cut = records.Cut(11, 4)
            parts = [self.write(f"part-0000{p}", rows[cut.begin(p):cut.begin(p + 1)]) for p in range(4)]
            self.assertIn("11 records", self.join("".join(parts), "--force"))
            info = programs().run("data", "info", str(self.workspace.path / "set"), "--verify")
            self.assertIn(text, info)
            self.assertIn("0: 4, 1: 4, 2: 3", info)
            self.assertIn("all sizes and checksums are right", info)
            programs().run("fs", "rm", str(self.workspace.path / "set"), "--recursive")

    def test_a_set_that_is_there_is_refused_unless_it_is_to_be_replaced(self):
        rows = [(str(i), records.datum_of(str(i), 1, b"abcd", (1, 2, 2))) for i in range(3)]
        part = self.write("part-00000-a", rows)
        self.join("", "--check")
        self.join(part)
        with self.assertRaisesRegex(CommandFailed, "exists already") as caught:
            self.join("", "--check")
        self.assertEqual(caught.exception.code, 2)
        self.join("", "--check", "--force")
        with self.assertRaisesRegex(CommandFailed, "line 1 of the input"):
            self.join("nonsense\n", "--force")

    def test_a_wrong_record_is_told_by_its_key(self):
        good = records.datum_of("a", 1, b"abcd", (1, 2, 2))
        with self.assertRaisesRegex(CommandFailed, 'record "b": the image is neither JPEG nor PNG|record "b": is encoded'):
            self.write("part-00000", [("a", good), ("b", records.datum_of("b", 1, b"no image", None))])
        self.assertFalse(list((self.workspace.path / "set").iterdir()))


class ServersTest(testbed.TestCase):
    def test_servers_start_serve_and_end_with_their_directory(self):
        with Servers(programs(), 2, "127.0.0.1") as servers:
            status = json.loads(programs().run("status", servers.coordinator, "--json"))
            self.assertEqual(len(status["servers"]), 2)
            servers.check()
            state = pathlib.Path(servers._state)
            self.assertTrue(state.is_dir())
            first = testbed.children_of(os.getpid())
            server = next(process for process in first if process.is_coordinator)
            server.kill(signal.SIGKILL)
            # Its last thread ends after its first.
            servers._servers[0].wait(testbed.END_SECONDS)
            with self.assertRaisesRegex(SamovarError, "server 0 has ended with exit code -9"):
                servers.check()
        self.assertFalse(state.exists())
        self.assertEqual([process for process in testbed.children_of(os.getpid()) if process.is_server], [])

    def test_a_server_that_cannot_start_says_why(self):
        with self.assertRaisesRegex(SamovarError, "server 0 does not start: .*--allow-plaintext"):
            Servers(programs(), 1, "0.0.0.0")

    def test_a_job_is_followed_to_its_end_and_a_cancelled_one_raises_its_reason(self):
        with testbed.Cluster(self.workspace, servers=1, workers=1) as cluster:
            self.workspace.write_solver(max_iter=100, test_interval=50)
            cluster.submit("--name", "good")
            result = follow(programs(), cluster.address, "good")
            self.assertEqual((result.iterations, [iteration for iteration, _ in result.history]), (100, [0, 50]))
            self.assertEqual([test["iteration"] for test in result.tests], [0, 50, 100])
            self.assertEqual(result.ledger["complete_chunks"], result.ledger["chunks"])
            self.workspace.write_solver(max_iter=100000)
            cluster.submit("--name", "long")

            def cancel(event: dict) -> None:
                if event["event"] == "progress":
                    self.workspace.check("cancel", "long", cluster.address)

            with self.assertRaisesRegex(JobFailed, "job long: the job was cancelled"):
                follow(programs(), cluster.address, "long", cancel)


@unittest.skipUnless(HAS_GRPC, "there are no grpcio and protobuf")
class ClientTest(testbed.TestCase):
    def test_a_job_is_submitted_watched_and_brought(self):
        self.workspace.write_solver(max_iter=200, snapshot=100)
        with testbed.Cluster(self.workspace, servers=2, workers=2) as cluster, \
                Client(cluster.address, bundle=programs().programs) as client:
            status = client.status()
            self.assertEqual(([server.address for server in status.servers][:1], len(status.servers)), ([cluster.address], 2))
            name = client.submit(str(self.workspace.path / "solver.prototxt"), name="job", servers=2, mode="sync")
            self.assertEqual(name, "job")
            seen = list(client.watch("job", interval=0.05, displays=True))
            self.assertEqual(state_of(seen[-1]), "SUCCEEDED")
            self.assertEqual(seen[-1].iteration, 200)
            self.assertEqual(seen[-1].ledger.complete_chunks, seen[-1].ledger.chunks)
            self.assertEqual([line.iteration for job in seen for line in job.displays], [0, 50, 100, 150])
            self.assertEqual([job.job_id for job in client.jobs()], ["job"])
            self.assertEqual(client.job("job").max_iter, 200)
            self.assertEqual(client.spec("job").solver.max_iter, 200)
            events = list(client.logs("job"))
            self.assertEqual([event.number for event in events], list(range(1, len(events) + 1)))
            self.assertEqual([event.number for event in client.logs("job", after=len(events) - 1)], [len(events)])
            model = client.export("job", str(self.workspace.path / "model.caffemodel"))
            self.assertGreater(pathlib.Path(model).stat().st_size, 1000)
            with self.assertRaisesRegex(CommandFailed, "is there already"):
                client.export("job", model)
            self.assertEqual(client.export("job", model, iteration=100, overwrite=True), model)

    def test_a_job_is_cancelled_with_the_reason_that_was_given(self):
        self.workspace.write_solver(max_iter=1000000)
        with testbed.Cluster(self.workspace, servers=1, workers=1) as cluster, \
                Client(cluster.address, bundle=programs().programs) as client:
            client.submit(str(self.workspace.path / "solver.prototxt"), name="long")
            followed: List[str] = []
            follower = threading.Thread(target=lambda: followed.extend(event.text for event in client.logs("long", follow=True)))
            follower.start()
            watch = client.watch("long", interval=0.05)
            while next(watch).iteration < 10:
                pass
            client.cancel("long", "enough of it")
            last = list(watch)[-1]
            self.assertEqual((state_of(last), "enough of it" in last.cause), ("CANCELLED", True))
            follower.join(testbed.END_SECONDS)
            self.assertFalse(follower.is_alive())
            self.assertTrue(any("enough of it" in text for text in followed), followed)

    def test_a_cluster_is_found_by_its_home(self):
        home = str(self.workspace.path / "home")
        with testbed.Cluster(self.workspace, servers=1, workers=0, flags=("--home", home)) as cluster, \
                Client(home, bundle=programs().programs) as client:
            self.assertEqual(client.address, cluster.address)
            self.assertEqual(client.status().coordinator, cluster.address)

    def test_mistakes_are_told(self):
        with testbed.Cluster(self.workspace, servers=1, workers=0) as cluster, \
                Client(cluster.address, bundle=programs().programs) as client:
            with self.assertRaises(CallFailed) as caught:
                client.job("none")
            self.assertEqual(caught.exception.code, "NOT_FOUND")
            with self.assertRaises(CallFailed) as caught:
                list(client.watch("none"))
            self.assertEqual(caught.exception.code, "NOT_FOUND")
            with self.assertRaises(CommandFailed) as refused:
                client.submit(str(self.workspace.path / "none.prototxt"))
            self.assertEqual(refused.exception.code, 2)
            self.assertIn("none.prototxt", str(refused.exception))
        with Client(cluster.address, timeout=2) as client, self.assertRaisesRegex(CallFailed, "is a coordinator running there"):
            client.status()


if __name__ == "__main__":
    unittest.main()
