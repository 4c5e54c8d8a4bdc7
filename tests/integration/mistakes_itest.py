#!/usr/bin/env python3
"""Mistakes that users make: each gets one clear message and exit code 2, and nothing is begun."""

import os
import random
import shutil
import socket
import subprocess
import unittest

import testbed


class MistakeTest(testbed.TestCase):
    def assert_refused(self, *parts, arguments=("train", "--solver", "solver.prototxt"), most_lines=1) -> str:
        """The command ends with 2, says all parts on stderr in few lines, and makes no file, directory or process."""
        before = self.workspace.entries()
        done = self.workspace.command(*arguments)
        self.assertEqual(done.returncode, 2, done.stdout + done.stderr)
        self.assertEqual(done.stdout, "")
        self.assertTrue(done.stderr.startswith("samovar: error: "), done.stderr)
        for part in parts:
            self.assertIn(part, done.stderr)
        self.assertLessEqual(len(done.stderr.splitlines()), most_lines, done.stderr)
        self.assertEqual(self.workspace.entries(), before)
        return done.stderr

    def assert_train_and_check_refuse(self, *parts, **options) -> None:
        for arguments in (("train", "--solver", "solver.prototxt"), ("check", "solver.prototxt")):
            with self.subTest(command=arguments[0]):
                self.assert_refused(*parts, arguments=arguments, **options)


class WrongFileTest(MistakeTest):
    def test_a_solver_that_is_not_there(self):
        self.assert_refused("no_such_solver.prototxt", arguments=("train", "--solver", "no_such_solver.prototxt"))

    def test_a_solver_that_is_a_directory(self):
        self.assert_refused("train_lmdb", arguments=("train", "--solver", "train_lmdb"))

    def test_a_net_that_is_not_there(self):
        self.workspace.write_solver(net='"no_such_net.prototxt"')
        self.assert_train_and_check_refuse("no_such_net.prototxt", "solver.prototxt")

    def test_data_that_is_not_there(self):
        self.workspace.write_net(lambda text: text.replace("train_lmdb", "no_such_lmdb"))
        self.assert_train_and_check_refuse("no_such_lmdb", '"images"')

    def test_data_that_is_no_lmdb(self):
        garbage = self.workspace.path / "garbage_lmdb"
        garbage.mkdir()
        (garbage / "data.mdb").write_bytes(random.Random(3).randbytes(1 << 16))
        self.workspace.write_net(lambda text: text.replace("train_lmdb", "garbage_lmdb"))
        self.assert_train_and_check_refuse("garbage_lmdb")

    def test_an_empty_directory_as_data(self):
        (self.workspace.path / "empty_lmdb").mkdir()
        self.workspace.write_net(lambda text: text.replace("test_lmdb", "empty_lmdb"))
        self.assert_train_and_check_refuse("empty_lmdb")

    def test_data_that_was_cut_short(self):
        data = self.workspace.path / "train_lmdb" / "data.mdb"
        os.truncate(data, data.stat().st_size // 2)
        self.assert_train_and_check_refuse("train_lmdb")

    def test_a_solver_of_random_bytes(self):
        (self.workspace.path / "solver.prototxt").write_bytes(random.Random(4).randbytes(4096))
        self.assert_train_and_check_refuse("solver.prototxt", most_lines=12)


class WrongTextTest(MistakeTest):
    def position_of(self, path, word: str) -> str:
        """"line:column" of the word, from 1."""
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
            if word in line:
                return f"{number}:{line.index(word) + 1}"
        raise AssertionError(f"no {word} in {path}")

    def test_a_misspelt_field_of_the_net(self):
        net = self.workspace.write_net(lambda text: text.replace("num_output: 16", "num_ouput: 16"))
        self.assert_train_and_check_refuse(
            f"net.prototxt:{self.position_of(net, 'num_ouput')}: ", "num_ouput", "convolution_param", 'did you mean "num_output"')

    def test_a_misspelt_field_of_the_solver(self):
        solver = self.workspace.write_solver(momentum=None, momentun=0.9)
        self.assert_train_and_check_refuse(
            f"solver.prototxt:{self.position_of(solver, 'momentun')}: ", "momentun", 'did you mean "momentum"')

    def test_two_mistakes_are_reported_at_once(self):
        self.workspace.write_net(lambda text: text.replace("num_output: 16", "num_ouput: 16").replace("bottom: \"ip2\"", "botom: \"ip2\"", 1))
        self.assert_train_and_check_refuse("num_ouput", "botom", most_lines=2)

    def test_mistakes_in_several_layers_are_reported_at_once_with_their_places(self):
        net = self.workspace.write_net(lambda text: text.replace('type: "ReLU"', 'type: "RelU"').replace('bottom: "pool1"', 'bottom: "pool2"'))
        text = net.read_text(encoding="utf-8").splitlines()
        places = [max(line for line in range(1, number + 1) if text[line - 1].startswith("layer"))
                  for number, line in enumerate(text, start=1) if "RelU" in line or "pool2" in line]
        self.assertEqual(len(places), 2)
        self.assert_train_and_check_refuse(*(f"net.prototxt:{line}:1: TRAIN net: " for line in places), '"RelU"', '"pool2"', most_lines=2)

    def test_an_unknown_type_of_layer(self):
        self.workspace.write_net(lambda text: text.replace('type: "ReLU"', 'type: "RelU"'))
        self.assert_train_and_check_refuse('"relu1"', '"RelU"', "ReLU")

    def test_a_bottom_that_no_layer_makes(self):
        self.workspace.write_net(lambda text: text.replace('bottom: "pool1"', 'bottom: "pool2"'))
        self.assert_train_and_check_refuse('"ip1"', '"pool2"')

    def test_a_kernel_larger_than_its_input(self):
        self.workspace.write_net(lambda text: text.replace("kernel_size: 5", "kernel_size: 50"))
        self.assert_train_and_check_refuse('"conv1"', "50")

    def test_a_gpu_is_no_mistake_and_the_cpu_computes(self):
        self.workspace.write_solver(solver_mode="GPU")
        for arguments in (("check", "solver.prototxt"), ("train", "--solver", "solver.prototxt")):
            with self.subTest(command=arguments[0]):
                done = self.workspace.command(*arguments)
                self.assertEqual(done.returncode, 0, done.stderr)
                self.assertIn("solver_mode: GPU: the CPU computes", done.stderr)

    def test_a_solver_that_does_not_exist(self):
        self.workspace.write_solver(type='"Adma"')
        self.assert_train_and_check_refuse("solver.prototxt:", '"Adma"', '"Adam"')

    def test_a_policy_that_does_not_exist(self):
        self.workspace.write_solver(lr_policy='"inf"')
        self.assert_train_and_check_refuse("solver.prototxt:", '"inf"', '"inv"')

    def test_a_prefix_at_a_place_that_cannot_be_written(self):
        self.workspace.write_solver(snapshot_prefix='"s3:///models/m"')
        self.assert_train_and_check_refuse("solver.prototxt:", '"s3:"', "not offered")
        self.assertFalse((self.workspace.path / "s3:").exists())

    def test_a_prefix_whose_files_would_have_too_long_names(self):
        self.workspace.write_solver(snapshot_prefix=f'"out/{"n" * 230}"')
        self.assert_train_and_check_refuse("solver.prototxt: cannot write models to out/nnn", "File name too long")

    def test_a_prefix_below_a_file(self):
        self.workspace.write_solver(snapshot_prefix='"net.prototxt/deep/m"')
        self.assert_train_and_check_refuse("cannot write models to net.prototxt/deep/m", "Not a directory")

    def test_no_end(self):
        self.workspace.write_solver(max_iter=None)
        self.assert_train_and_check_refuse("max_iter")


class WrongNameTest(MistakeTest):
    LATIN = os.fsdecode(b"latin-\xe4")

    def assert_not_utf8(self, *arguments):
        for part in (rb"latin-\xe4", b"is not UTF-8"):
            before = self.workspace.entries()
            done = subprocess.run([testbed.program("samovar"), *arguments], cwd=self.workspace.path, capture_output=True, check=False,
                                  timeout=testbed.COMMAND_SECONDS)
            self.assertEqual(done.returncode, 2, done.stderr)
            self.assertIn(part, done.stderr)
            self.assertEqual(self.workspace.entries(), before)

    def test_a_path_in_another_encoding_is_refused_before_anything_is_started(self):
        shutil.copytree(self.workspace.path / "train_lmdb", self.workspace.path / self.LATIN)
        solver = (self.workspace.path / "solver.prototxt").read_bytes()
        (self.workspace.path / "latin.prototxt").write_bytes(solver.replace(b'"out/', b'"latin-\xe4/'))
        for command in (("train", "--solver"), ("check",)):
            self.assert_not_utf8(*command, self.LATIN + "/solver.prototxt")
            self.assert_not_utf8(*command, "latin.prototxt")
        net = (self.workspace.path / "net.prototxt").read_bytes()
        (self.workspace.path / "net.prototxt").write_bytes(net.replace(b'"train_lmdb"', b'"latin-\xe4"'))
        self.assert_not_utf8("check", "solver.prototxt")

    def test_a_current_directory_in_another_encoding_is_refused(self):
        workspace = self.workspace.path / self.LATIN
        workspace.mkdir()
        for name in ("solver.prototxt", "net.prototxt", "train_lmdb", "test_lmdb"):
            (self.workspace.path / name).rename(workspace / name)
        done = subprocess.run([testbed.program("samovar"), "train", "--solver", "solver.prototxt"], cwd=workspace, capture_output=True,
                              check=False, timeout=testbed.COMMAND_SECONDS)
        self.assertEqual(done.returncode, 2, done.stderr)
        self.assertIn(rb"latin-\xe4/train_lmdb", done.stderr)
        self.assertIn(b"is not UTF-8", done.stderr)

    def test_a_net_beside_the_solver_does_not_lose_silently_to_one_in_the_current_directory(self):
        (self.workspace.path / "sub").mkdir()
        for name in ("solver.prototxt", "net.prototxt"):
            shutil.copy(self.workspace.path / name, self.workspace.path / "sub" / name)
        same = self.workspace.command("check", "sub/solver.prototxt")
        self.assertEqual((same.returncode, same.stderr), (0, ""))
        with open(self.workspace.path / "sub" / "net.prototxt", "a", encoding="utf-8") as net:
            net.write("# another one\n")
        other = self.workspace.command("check", "sub/solver.prototxt")
        self.assertEqual(other.returncode, 0)
        for part in ("warning: sub/solver.prototxt:", "net.prototxt", "in the current directory is taken", "sub/net.prototxt, beside"):
            self.assertIn(part, other.stderr)


class WrongFlagTest(MistakeTest):
    SOLVER = ("--solver", "solver.prototxt")

    def test_an_unknown_flag(self):
        self.assert_refused('"--wrokers"', '"--workers"', arguments=("train", *self.SOLVER, "--wrokers", "2"), most_lines=2)

    def test_an_unknown_command(self):
        self.assert_refused('"trian"', '"train"', arguments=("trian",), most_lines=2)

    def test_no_solver(self):
        self.assert_refused("--solver", arguments=("train",), most_lines=2)

    def test_numbers_that_are_none(self):
        for flag, value in (("--workers", "0"), ("--workers", "two"), ("--servers", "-1"), ("--threads", "1e9"), ("--seed", "-5")):
            with self.subTest(flag=flag, value=value):
                self.assert_refused(flag, arguments=("train", *self.SOLVER, flag, value), most_lines=2)

    def test_resume_and_restart_at_once(self):
        self.assert_refused("--resume", "--restart", arguments=("train", *self.SOLVER, "--resume", "--restart"), most_lines=2)

    def test_nothing_to_resume(self):
        done = self.workspace.command("train", *self.SOLVER, "--resume")
        self.assertEqual(done.returncode, 2)
        self.assertIn("without --resume", done.stderr)

    def test_a_dashboard_where_nobody_can_listen(self):
        with socket.create_server(("127.0.0.1", 0)) as other:
            taken = "127.0.0.1:%d" % other.getsockname()[1]
            self.assert_refused("--dashboard", taken, "in use", arguments=("train", *self.SOLVER, "--dashboard", taken), most_lines=2)
        self.assert_refused("--dashboard", "192.0.2.1:80", arguments=("train", *self.SOLVER, "--dashboard", "192.0.2.1:80"), most_lines=2)

    def test_a_directory_of_event_files_that_cannot_be_made(self):
        self.assert_refused("--tensorboard", "/proc/events", arguments=("train", *self.SOLVER, "--tensorboard", "/proc/events"), most_lines=2)

    def test_a_state_directory_that_holds_something_else(self):
        (self.workspace.path / "documents").mkdir()
        (self.workspace.path / "documents" / "thesis.txt").write_text("years of work", encoding="utf-8")
        done = self.workspace.command("train", *self.SOLVER, "--state", "documents", "--restart")
        self.assertEqual(done.returncode, 2)
        self.assertIn("thesis.txt", done.stderr)
        self.assertTrue((self.workspace.path / "documents" / "thesis.txt").is_file())


class WrongImportTest(MistakeTest):
    def assert_import_refused(self, *parts, images="train-images-idx3-ubyte", labels="train-labels-idx1-ubyte", output="new_lmdb"):
        self.assert_refused(*parts, arguments=("data", "import", "idx", "--images", images, "--labels", labels, "--output", output))

    def test_images_that_are_not_there(self):
        self.assert_import_refused("no-images", images="no-images")

    def test_labels_in_place_of_images(self):
        self.assert_import_refused("train-labels-idx1-ubyte", images="train-labels-idx1-ubyte")

    def test_labels_of_another_set(self):
        self.assert_import_refused("2000", "500", labels="test-labels-idx1-ubyte")

    def test_images_that_were_cut_short(self):
        path = self.workspace.path / "train-images-idx3-ubyte"
        path.write_bytes(path.read_bytes()[:-1])
        self.assert_import_refused("train-images-idx3-ubyte")

    def test_an_lmdb_that_is_there_already(self):
        self.assert_import_refused("train_lmdb", "--force", output="train_lmdb")

    def test_a_set_that_cannot_be_written_to_the_end_is_named_as_its_user_did(self):
        before = self.workspace.entries()
        # A file may have 400 blocks of 512 bytes.
        done = subprocess.run(["sh", "-c", 'trap "" XFSZ; ulimit -f 400; exec "$@"', "sh", testbed.program("samovar"), "data", "partition",
                               "train_lmdb", "new_set", "--partitions", "1"],
                              cwd=self.workspace.path, capture_output=True, text=True, timeout=testbed.COMMAND_SECONDS, check=False)
        self.assertEqual((done.returncode, done.stdout), (1, ""), done.stderr)
        self.assertIn("new_set/part-00000", done.stderr)
        self.assertNotIn(".importing", done.stderr)
        self.assertEqual(self.workspace.entries(), before)


if __name__ == "__main__":
    unittest.main()
