#!/usr/bin/env python3
"""Commands that run a trained model in one process: `samovar test`, `samovar features`, `samovar time`."""

import json
import struct
import unittest

import testbed
from testbed import TEST_RECORDS, Run

MODEL = "out/small_iter_100.caffemodel"


class ModelTest(testbed.TestCase):
    def setUp(self):
        super().setUp()
        self.workspace.write_solver(max_iter=100)
        with Run(self.workspace) as run:
            self.assert_success(run)
        self.tested = {value["name"]: value["value"] for value in run.events("test")[-1]["outputs"]}

    def model_command(self, command, *arguments, **changes):
        files = {"--model": "net.prototxt", "--weights": MODEL, **changes}
        return self.workspace.command(command, *(word for pair in files.items() for word in pair), *arguments)

    def assert_refused(self, done, *parts):
        self.assertEqual(done.returncode, 2, done.stdout + done.stderr)
        for part in parts:
            self.assertIn(part, done.stderr)

    def test_a_model_tests_as_it_did_in_training(self):
        done = self.model_command("test", "--json")
        self.assertEqual(done.returncode, 0, done.stderr)
        report = json.loads(done.stdout)
        self.assertEqual(report["records"], TEST_RECORDS)
        self.assertAlmostEqual(report["outputs"]["accuracy"], self.tested["accuracy"], delta=1e-6)
        self.assertAlmostEqual(report["outputs"]["loss"], self.tested["loss"], delta=1e-5)
        self.assertIn(f"accuracy = {self.tested['accuracy']:.6g}\n", self.model_command("test", "--threads", 2).stdout)

    def test_features_have_a_row_for_each_record_in_order(self):
        done = self.model_command("features", "--blobs", "accuracy,loss,ip2", "--label", "label", "--output", "rows", "--threads", 2)
        self.assertEqual(done.returncode, 0, done.stderr)
        rows = [json.loads(line) for line in (self.workspace.path / "rows" / "features.jsonl").read_text().splitlines()]
        # The labels as they were written, without any of our readers.
        labels = (self.workspace.path / "test-labels-idx1-ubyte").read_bytes()[struct.calcsize(">II"):]
        self.assertEqual([row["SampleID"] for row in rows], [f"{i:08d}" for i in range(TEST_RECORDS)])
        self.assertEqual([row["label"] for row in rows], [[float(label)] for label in labels])
        self.assertEqual(list(rows[0]), ["SampleID", "accuracy", "loss", "ip2", "label"])
        for row in rows:
            scores = row["ip2"]
            self.assertEqual(row["accuracy"], [float(scores[int(row["label"][0])] == max(scores))])
        for blob in ("accuracy", "loss"):
            self.assertAlmostEqual(sum(row[blob][0] for row in rows) / len(rows), self.tested[blob], delta=1e-5)
        again = self.model_command("features", "--blobs", "loss", "--output", "rows")
        self.assert_refused(again, "exists already; --force")
        one_thread = self.model_command("features", "--blobs", "accuracy,loss,ip2", "--label", "label", "--output", "-")
        self.assertEqual([json.loads(line) for line in one_thread.stdout.splitlines()], rows)

    def test_a_stage_chooses_the_layers_of_each_command(self):
        staged = '  include {{ {rule}: "slim" }}\n  inner_product_param {{{{ num_output: {count} '

        def change(text):
            head, tail = text.split('  inner_product_param { num_output: 64 ')
            begin = head.rindex("layer {")
            layer = head[begin:]
            slim, wide = (layer + staged.format(rule=rule, count=count).replace("{{", "{") + tail[:tail.index("\nlayer {") + 1]
                          for rule, count in (("stage", 8), ("not_stage", 64)))
            return head[:begin] + slim + wide + tail[tail.index("\nlayer {") + 1:]

        self.workspace.write_net(change)
        self.workspace.write_solver(max_iter=4, test_iter=None, test_interval=None, snapshot_prefix='"out/slim"')
        self.assertIn("64x1024", self.workspace.check("check", "solver.prototxt"))
        self.assertIn("8x1024", self.workspace.check("check", "solver.prototxt", "--stage", "slim"))
        with Run(self.workspace, "--stage", "slim,other", "--level", 1) as run:
            self.assert_success(run)
        slim = {"--weights": "out/slim_iter_4.caffemodel"}
        self.assert_refused(self.model_command("test", **slim), '"ip1"', "64", "8")
        for command in (("test",), ("features", "--blobs", "ip1", "--output", "-")):
            done = self.model_command(*command, "--stage", "slim", **slim)
            self.assertEqual(done.returncode, 0, done.stderr)
        timed = json.loads(self.workspace.check("time", "--model", "net.prototxt", "--iterations", 1, "--stage", "slim", "--json"))
        other = json.loads(self.workspace.check("time", "--model", "net.prototxt", "--iterations", 1, "--json"))
        flops = [{layer["name"]: layer["forward_flops"] for layer in times["layers"]}["ip1"] for times in (timed, other)]
        self.assertEqual(flops[1], 8 * flops[0])
        needs = [json.loads(self.workspace.check("time", "--model", "net.prototxt", "--iterations", 1, "--memory", "--json", "--phase", phase))
                 for phase in ("TRAIN", "TEST")]
        for need, most in zip(needs, ("backward_bytes", "forward_bytes")):
            self.assertGreaterEqual(need["blob_bytes"], max(layer[most] for layer in need["layers"]))
            self.assertGreater(need["peak_resident_bytes"], need["weight_bytes"])
        self.assertEqual({layer["backward_bytes"] for layer in needs[1]["layers"]}, {0})
        table = self.workspace.check("time", "--model", "net.prototxt", "--iterations", 1, "--memory")
        self.assertRegex(table, r"(?m)^ip1 +InnerProduct +\d+\.\d +\d+\.\d$")
        self.assertRegex(table, r"blobs: \d+\.\d MiB are needed at most")
        # A run goes on as the net that it was begun with.
        again = self.workspace.command("train", "--solver", "solver.prototxt", "--resume")
        self.assert_refused(again, "--stage slim,other --level 1")

    def test_what_does_not_fit_is_named(self):
        self.assert_refused(self.model_command("features", "--blobs", "acuracy", "--output", "rows"), 'did you mean "accuracy"?', "ip1")
        for twice in (("--blobs", "ip1,loss,ip1"), ("--blobs", "ip1,label", "--label", "label")):
            self.assert_refused(self.model_command("features", *twice, "--output", "rows"), "twice, and a row has each key once")
        unwritable = self.model_command("features", "--blobs", "ip1", "--output", "net.prototxt/rows")
        self.assertEqual(unwritable.returncode, 2)
        self.assertIn("cannot write net.prototxt/rows/features.jsonl", unwritable.stderr)
        self.assertIn("Not a directory", unwritable.stderr)
        self.assert_refused(self.model_command("test", **{"--weights": "missing.caffemodel"}), "missing.caffemodel")
        self.assert_refused(self.model_command("test", **{"--weights": "net.prototxt"}), "net.prototxt")
        self.assert_refused(self.model_command("test", "--data", "missing_lmdb"), "missing_lmdb")
        self.workspace.write_net(lambda text: text.replace("num_output: 64", "num_output: 65"), "wider.prototxt")
        self.assert_refused(self.model_command("test", **{"--model": "wider.prototxt"}), '"ip1"', "64", "65")
        self.workspace.write_net(lambda text: text.replace("ip1", "other"), "other.prototxt")
        self.assert_refused(self.model_command("test", **{"--model": "other.prototxt"}), 'no weights for layer "other"')
        self.workspace.write_net(lambda text: text.replace("test_lmdb", "gone_lmdb").replace("train_lmdb", "gone_lmdb"), "gone.prototxt")
        self.assert_refused(self.workspace.command("time", "--model", "gone.prototxt"), "gone_lmdb", "--shape")
        # Without data that net would be as wrong.
        self.workspace.write_net(lambda text: text.replace("kernel_size: 5", "kernel_size: 50"), "large.prototxt")
        wrong = self.workspace.command("time", "--model", "large.prototxt")
        self.assert_refused(wrong, '"conv1"')
        self.assertNotIn("--shape", wrong.stderr)

    def test_time_reports_each_layer(self):
        for arguments in ((), ("--shape", "1x20x20")):
            report = json.loads(self.workspace.check("time", "--model", "net.prototxt", "--iterations", 3, "--json", *arguments))
            self.assertEqual(report["batch_size"], testbed.BATCH)
            self.assertGreater(report["images_per_second"], 0)
            self.assertGreater(report["peak_gflops"], 0)
            layers = {layer["name"]: layer for layer in report["layers"]}
            # 16 filters of 25 values and a bias, at 16x16 places.
            self.assertEqual(layers["conv1"]["forward_flops"], testbed.BATCH * 16 * (2 * 25 + 1) * 16 * 16)
            self.assertGreater(layers["ip1"]["backward_ms"], 0)
        test = json.loads(self.workspace.check("time", "--model", "net.prototxt", "--phase", "TEST", "--iterations", 3, "--json"))
        self.assertEqual(test["backward_ms"], 0)
        self.assertIn("images/s", self.workspace.check("time", "--model", "net.prototxt", "--iterations", 3))


if __name__ == "__main__":
    unittest.main()
