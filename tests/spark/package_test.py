#!/usr/bin/env python3
"""The plain parts of the Python package: records and their stream, words of commands, messages, children. Needs nothing but Python."""

import os
import pathlib
import pickle
import re
import signal
import struct
import subprocess
import sys
import tempfile
import time
import types
import unittest

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
PACKAGE = ROOT / "deploy" / "spark"
sys.path.insert(0, str(PACKAGE))

import samovar  # noqa: E402
from samovar import bundle, records  # noqa: E402
from samovar.children import Child, messages_of  # noqa: E402
from samovar.errors import BundleNotFound, CommandFailed, JobFailed, RecordError, WorkerFailed, error_of_task  # noqa: E402
from samovar.jobs import JobResult  # noqa: E402
from samovar.spark import features, train, write_dataset  # noqa: E402


class RecordsTest(unittest.TestCase):
    def test_a_datum_of_pixels_is_the_bytes_that_protobuf_writes(self):
        # channels 1, height 2, width 2, four bytes, label 300.
        self.assertEqual(records.datum_of("a", 300, b"\x01\x02\x03\x04", (1, 2, 2)),
                         bytes.fromhex("0801" "1002" "1802" "2204" "01020304" "28ac02"))

    def test_a_datum_of_a_file_is_encoded_and_has_no_shape(self):
        self.assertEqual(records.datum_of("a", 0, bytearray(b"JPEG"), None), b"\x22\x04JPEG" b"\x28\x00" b"\x38\x01")

    def test_numbers_become_floats_with_their_shape_or_as_channels(self):
        expected = b"\x08\x02\x10\x01\x18\x01" + b"\x28\x07" + b"".join(b"\x35" + struct.pack("<f", value) for value in (0.5, -2.0))
        self.assertEqual(records.datum_of("a", 7, [0.5, -2], None), expected)
        vector = types.SimpleNamespace(toArray=lambda: (0.5, -2.0))
        self.assertEqual(records.datum_of("a", 7.0, vector, None), expected)
        self.assertTrue(records.datum_of("a", 7, [0.5, -2], (1, 2, 1)).startswith(b"\x08\x01\x10\x02\x18\x01"))

    def test_a_negative_label_has_the_ten_bytes_of_an_int32(self):
        self.assertIn(b"\x28" + b"\xff" * 9 + b"\x01", records.datum_of("a", -1, b"x", None))

    def test_what_cannot_be_a_record_is_told_with_its_id(self):
        for label, image, shape, reason in (
                (None, b"x", None, "the label is null"), (1.5, b"x", None, "no whole number"), ("cat", b"x", None, "no whole number"),
                (2**31, b"x", None, "of 32 bits"), (1, None, None, "the image is null"), (1, b"", None, "the image is empty"),
                (1, b"xyz", (1, 2, 2), "has 3 bytes, and the shape (1, 2, 2) needs 4"), (1, [], None, "the image is empty"),
                (1, [1.0], (1, 2, 2), "has 1 values"), (1, [None], None, "or one of them is null"), (1, 5, None, "neither bytes nor numbers"),
                (1, [1e300], None, "too large for a float")):
            with self.subTest(reason), self.assertRaises(RecordError) as caught:
                records.datum_of("the cat", label, image, shape)
            self.assertTrue(str(caught.exception).startswith('record "the cat": '), caught.exception)
            self.assertIn(reason, str(caught.exception))

    def test_ids_come_back_from_the_keys_of_each_order(self):
        for order in records.ORDERS:
            for row_id in ("7", "a_b", "ü/ 1", "x" * 490):
                self.assertEqual(records.id_of(records.key_of(row_id, order, 12)), row_id)
        # Those of other programs stay.
        for key in ("00000007", "00000012_cat.jpg"):
            self.assertEqual(records.id_of(key), key)

    def test_ids_that_cannot_be_keys_are_refused(self):
        for row_id in (None, ""):
            with self.assertRaisesRegex(RecordError, "has no id"):
                records.key_of(row_id, "mixed")
        with self.assertRaisesRegex(RecordError, "the key has 513 bytes, and 511 at most"):
            records.key_of("x" * 500, "mixed")
        with self.assertRaisesRegex(RecordError, 'take order="mixed"'):
            records.key_of("0123456789ab_x", "id")

    def test_keys_of_rows_in_their_order_ascend(self):
        keys = [records.key_of("a", "given", position) for position in (0, 9, 10, 99_999_999_999)]
        self.assertEqual(keys, sorted(keys))

    def test_partitions_differ_by_one_record_and_the_larger_ones_come_first(self):
        cut = records.Cut(11, 4)
        self.assertEqual([cut.size(partition) for partition in range(4)], [3, 3, 3, 2])
        self.assertEqual([cut.begin(partition) for partition in range(5)], [0, 3, 6, 9, 11])

    def test_a_key_belongs_to_the_partition_whose_first_key_is_not_beyond_it(self):
        ranges = pickle.loads(pickle.dumps(records.KeyRanges(["d", "m"])))
        self.assertEqual([ranges(key) for key in ("a", "czz", "d", "e", "m", "z")], [0, 0, 1, 1, 2, 2])

    def test_a_record_of_the_stream_has_its_lengths_before(self):
        self.assertEqual(records.frame("ü", b"abc"), b"\0\0\0\x02\xc3\xbc\0\0\0\x03abc")
        self.assertEqual(records.END, b"\0\0\0\0")

    def test_an_id_that_comes_twice_is_told(self):
        pairs = [(records.key_of(row_id, "mixed"), b"") for row_id in ("a", "b", "b")]
        with self.assertRaisesRegex(RecordError, 'two rows have the id "b"'):
            list(records.check_ascending(sorted(pairs)))
        self.assertEqual(len(list(records.check_ascending(sorted(set(pairs))))), 2)


class MessagesTest(unittest.TestCase):
    TRACE = """An error occurred while calling z:org.apache.spark.api.python.PythonRDD.collectAndServe.
: org.apache.spark.SparkException: Job aborted due to stage failure: Task 3 in stage 2.0 failed 4 times, most recent failure: Lost task
Traceback (most recent call last):
  File "worker.py", line 1247, in main
samovar.errors.{error}

\tat org.apache.spark.api.python.BasePythonRunner$ReaderIterator.handlePythonException(PythonRunner.scala:572)
"""

    def test_the_error_of_a_task_is_found_in_what_spark_makes_of_it(self):
        error = error_of_task(RuntimeError(self.TRACE.format(error='RecordError: record "7": the label is null')))
        self.assertIsInstance(error, RecordError)
        self.assertEqual(str(error), 'record "7": the label is null')
        self.assertIsInstance(error_of_task(RuntimeError(self.TRACE.format(error="WorkerFailed: two\nlines"))), WorkerFailed)
        self.assertEqual(str(error_of_task(RuntimeError(self.TRACE.format(error="WorkerFailed: two\nlines")))), "two\nlines")
        self.assertIsNone(error_of_task(RuntimeError("java.lang.OutOfMemoryError")))
        own = JobFailed("x")
        self.assertIs(error_of_task(own), own)

    def test_errors_travel_between_processes(self):
        error = pickle.loads(pickle.dumps(CommandFailed("no such file", 2)))
        self.assertEqual((str(error), error.code), ("no such file", 2))

    def test_a_program_s_error_is_found_among_its_last_lines(self):
        self.assertEqual(messages_of(["samovar: warning: slow", "samovar: error: x.prototxt:3: no", "samovar: warning: bye"]),
                         "x.prototxt:3: no")
        self.assertEqual(messages_of(["2026-01-01T00:00:00.000Z I host worker[7]: version",
                                      "2026-01-01T00:00:00.001Z E host worker[7] worker=w1 job=lenet: the disk is full"]),
                         "worker: the disk is full")
        self.assertEqual(messages_of(["a", "b"]), "a\nb")
        self.assertEqual(messages_of([]), "it has said nothing")

    def test_a_job_s_events_become_its_result(self):
        result = JobResult("lenet")
        for event in ({"event": "display", "iteration": 0, "loss": 2.3}, {"event": "progress", "iteration": 40, "loss": 1.5},
                      {"event": "test", "iteration": 50, "net": 0, "records": 500, "outputs": [{"name": "accuracy", "value": 0.9}]},
                      {"event": "warning", "message": "restored"}, {"event": "display", "iteration": 50, "loss": 0.5},
                      {"event": "succeeded", "iteration": 60, "ledger": {"chunks": 2, "complete_chunks": 2}}):
            result.take(event)
        self.assertEqual((result.iterations, result.loss, result.history), (60, 1.5, [(0, 2.3), (50, 0.5)]))
        self.assertEqual(result.tests, [{"iteration": 50, "net": 0, "records": 500, "accuracy": 0.9}])
        self.assertEqual((result.warnings, result.ledger["chunks"]), (["restored"], 2))


class ArgumentsTest(unittest.TestCase):
    """What is wrong is told before Spark does anything: there is none here."""

    def test_flags_become_words(self):
        self.assertEqual(bundle.flag_words({"test_all": True, "delay": 3, "resume": False, "seed": None, "weights": ["a", "b"]}),
                         ["--test-all", "--delay", "3", "--weights", "a,b"])

    def test_wrong_arguments_of_write_dataset(self):
        frame = types.SimpleNamespace(columns=["id", "label", "image"])
        for words, reason in (({"order": "random"}, "none of mixed, id, given"), ({"partitions": 0}, "take 1 or more"),
                              ({"shape": (28, 28)}, "is not (channels, height, width)"), ({"shape": (0, 2, 2)}, "is not (channels"),
                              ({"image": "pixels"}, 'has no column "pixels" among id, label, image')):
            with self.subTest(reason), self.assertRaisesRegex(ValueError, re.escape(reason)):
                write_dataset(frame, "set", **words)

    def test_wrong_arguments_of_train(self):
        for words, reason in (({"workers": 0}, "workers=0"), ({"servers": 0}, "servers=0"), ({}, "output= is missing")):
            with self.subTest(reason), self.assertRaisesRegex(ValueError, reason):
                train(None, "solver.prototxt", **words)

    def test_wrong_arguments_of_features(self):
        for words, reason in (({"blobs": []}, "names none"), ({"blobs": ["ip2", "ip2"]}, 'the column "ip2" twice'),
                              ({"blobs": ["id"]}, 'the column "id" twice'), ({"blobs": "label"}, 'the column "label" twice')):
            with self.subTest(reason), self.assertRaisesRegex(ValueError, reason):
                features(None, "net", "weights", "set", **words)

    def test_uris_stay_and_paths_become_absolute(self):
        for uri in ("hdfs:///a", "wasbs://c@a.blob.core.windows.net/x", "file:///x"):
            self.assertEqual(bundle.absolute(uri), uri)
        self.assertEqual(bundle.absolute("a/b"), os.path.join(os.getcwd(), "a/b"))

    def test_programs_are_found_in_each_form_of_a_bundle_and_missed_by_name(self):
        with tempfile.TemporaryDirectory() as directory:
            programs = pathlib.Path(directory) / "samovar-9-linux-x86_64" / "bin"
            programs.mkdir(parents=True)
            (programs / "samovar").write_text("#!/bin/sh\necho out; echo 'samovar: error: bad' >&2; exit 2\n")
            (programs / "samovar").chmod(0o755)
            for place in (programs, programs.parent, programs.parent.parent):
                self.assertEqual(bundle.find([str(place)]).programs, str(programs))
            with self.assertRaises(CommandFailed) as caught:
                bundle.find([directory]).run("version")
            self.assertEqual((str(caught.exception), caught.exception.code), ("bad", 2))
            before, os.environ["PATH"] = os.environ["PATH"], ""
            try:
                with self.assertRaisesRegex(BundleNotFound, f"in {directory}/none, .*set SAMOVAR_HOME"):
                    bundle.find([f"{directory}/none"])
            finally:
                os.environ["PATH"] = before


class ChildrenTest(unittest.TestCase):
    def test_a_child_ends_with_the_process_that_has_started_it(self):
        script = ("import sys, time; sys.path.insert(0, sys.argv[1]); from samovar.children import Child; "
                  "child = Child(['sleep', '1000']); print(child.pid, flush=True); time.sleep(1000)")
        with subprocess.Popen([sys.executable, "-c", script, str(PACKAGE)], stdout=subprocess.PIPE) as parent:
            try:
                child = int(parent.stdout.readline())
            finally:
                parent.send_signal(signal.SIGKILL)
        deadline = time.monotonic() + 30
        while pathlib.Path(f"/proc/{child}/cmdline").exists() and b"sleep" in pathlib.Path(f"/proc/{child}/cmdline").read_bytes():
            self.assertLess(time.monotonic(), deadline, "the child lives on")
            time.sleep(0.01)

    def test_the_last_lines_are_kept_and_the_output_is_the_caller_s(self):
        lines = []
        with Child(["sh", "-c", "echo out; for i in $(seq 200); do echo line $i >&2; done; exit 7"], on_line=lines.append) as child:
            self.assertEqual(child.wait(30), 7)
            self.assertEqual(lines, ["out"])
            self.assertEqual((len(child.last_lines()), child.last_lines()[-1]), (100, "line 200"))

    def test_one_that_does_not_end_when_asked_is_killed(self):
        with Child(["sh", "-c", "trap '' TERM; echo ready; while :; do sleep 1000; done"], gives_output=True) as child:
            child.stdout.readline()
            child.end(seconds=0.1)
            self.assertEqual(child.poll(), -signal.SIGKILL)


class PackageTest(unittest.TestCase):
    def test_its_version_is_the_project_s(self):
        project = re.search(r"project\(samovar VERSION ([0-9.]+)", (ROOT / "CMakeLists.txt").read_text(encoding="utf-8"))[1]
        self.assertEqual(samovar.__version__, project)
        self.assertIn(f'\nversion = "{project}"\n', (PACKAGE / "pyproject.toml").read_text(encoding="utf-8"))

    def test_it_needs_no_other_package_to_be_imported(self):
        done = subprocess.run([sys.executable, "-I", "-S", "-c",
                               f"import sys; sys.path.insert(0, {str(PACKAGE)!r}); import samovar, samovar.spark, samovar.client, samovar.contracts; "
                               "print([name for name in ('grpc', 'google', 'pyspark', 'numpy') if name in sys.modules])"],
                              stdout=subprocess.PIPE, check=True)
        self.assertEqual(done.stdout.strip(), b"[]")

    def test_the_example_is_short(self):
        lines = (PACKAGE / "example.py").read_text(encoding="utf-8").split('"""')[2].splitlines()
        self.assertLessEqual(len([line for line in lines if line and not line.startswith("#")]), 22)


if __name__ == "__main__":
    unittest.main()
