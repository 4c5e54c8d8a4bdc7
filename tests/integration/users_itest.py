#!/usr/bin/env python3
"""What users of Caffe meet: settings, data and files that are odd or wrong, and what they then see and have."""

import json
import pathlib
import shutil
import signal
import struct
import subprocess
import unittest
import zlib
from typing import Dict, List, Sequence, Tuple

import start_itest
import testbed
from testbed import END_SECONDS, Run, Workspace

ONE = ("--servers", "1", "--workers", "1")
TRAIN = ("train", "--solver", "solver.prototxt", *ONE)
ITERATIONS = 6
BATCH = 4
SIDE = 12
# Where the messages about a net's data layers say that they are: once for each phase.
DATA_LAYER = r'net\.prototxt:\d+:1: (TRAIN net|TEST net #0): layer "images": transform_param: '
MODEL = f"out/small_iter_{ITERATIONS}.caffemodel"

IMAGES = """name: "Pictures"
layer {{
  name: "pictures" type: "ImageData" top: "data" top: "label"
  image_data_param {{ source: "list.txt" root_folder: "{root}" batch_size: 4 {more} }}
}}
layer {{ name: "ip" type: "InnerProduct" bottom: "data" top: "ip" inner_product_param {{ num_output: 2 }} }}
layer {{ name: "loss" type: "SoftmaxWithLoss" bottom: "ip" bottom: "label" top: "loss" }}
"""
DEPLOY = """name: "Deployed"
input: "data" input_dim: 1 input_dim: 1 input_dim: 20 input_dim: 20
layer { name: "ip2" type: "InnerProduct" bottom: "data" top: "ip2" inner_product_param { num_output: 4 } }
layer { name: "prob" type: "Softmax" bottom: "ip2" top: "prob" }
"""


def grey_png(value: int) -> bytes:
    """A picture of one brightness, with one channel."""
    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
    header = struct.pack(">IIBBBBB", SIDE, SIDE, 8, 0, 0, 0, 0)
    pixels = zlib.compress((b"\0" + bytes([value]) * SIDE) * SIDE)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def varints(packed: bytes) -> List[int]:
    """The numbers of a packed field of a protobuf message."""
    numbers, value, shift = [], 0, 0
    for byte in packed:
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            numbers.append(value)
            value = shift = 0
    return numbers


def floats(blob: bytes) -> Sequence[float]:
    return struct.unpack(f"<{len(blob) // 4}f", blob)


def shapes_of(model: bytes) -> Dict[str, Tuple[str, List[Tuple[List[int], int]]]]:
    """The layers of a .caffemodel: name -> type, and the dimensions and number of floats of each blob."""
    result = {}
    for layer in (body for number, body in start_itest.fields(model) if number == 100):
        parts = list(start_itest.fields(layer))
        name, kind = (next(value for field, value in parts if field == number).decode() for number in (1, 2))
        blobs = []
        for blob in (dict(start_itest.fields(body)) for field, body in parts if field == 7):
            blobs.append((varints(dict(start_itest.fields(blob[7]))[1]), len(blob[5]) // 4))
        result[name] = (kind, blobs)
    return result


class UsersTest(unittest.TestCase):
    """A small net, and data of few records."""

    @classmethod
    def setUpClass(cls):
        cls.base = Workspace(empty=True)
        cls.addClassCleanup(cls.base.remove)
        for name, records, seed in (("train", 64, 1), ("test", 20, 2)):
            images, labels = testbed.write_idx(cls.base.path, name, records, seed)
            cls.base.check("data", "import", "idx", "--images", images, "--labels", labels, "--output", f"{name}_lmdb")

    def setUp(self):
        self.workspace = Workspace(empty=True)
        self.addCleanup(self.workspace.remove)
        self.path = self.workspace.path
        shutil.copytree(self.base.path, self.path, dirs_exist_ok=True)
        self.write_net()
        self.write_solver()

    def write_net(self, *pairs: Tuple[str, str], most: int = -1) -> pathlib.Path:
        """The usual net, in which the first text of each pair is replaced with the second, so often at most."""
        def change(text: str) -> str:
            for old, new in (("batch_size: 32", f"batch_size: {BATCH}"), ("batch_size: 50", "batch_size: 10"),
                             ("num_output: 64", "num_output: 8"), ("num_output: 16", "num_output: 4")):
                text = text.replace(old, new)
            for old, new in pairs:
                self.assertIn(old, text)
                text = text.replace(old, new, most)
            return text
        return self.workspace.write_net(change)

    def write_solver(self, name: str = "solver.prototxt", **fields) -> None:
        usual = {"max_iter": ITERATIONS, "test_iter": 2, "test_interval": 1000, "display": 1, "lr_policy": '"fixed"', "gamma": None, "power": None}
        self.workspace.write_solver(name, **{**usual, **fields})

    def train(self, *flags: str) -> str:
        """A run that ends well and warns of nothing. Returns its log."""
        done = self.workspace.command(*TRAIN, *flags)
        self.assertEqual((done.returncode, done.stderr), (0, ""), done.stdout)
        self.assertRegex(done.stdout, r"ledger: .* exactly once")
        return done.stdout

    def assert_refused(self, pattern: str, lines: int = 1) -> None:
        """`train` and `check` say that, in each of so many lines and no others, end with 2 and make nothing."""
        before = self.workspace.entries()
        for command in (TRAIN, ("check", "solver.prototxt")):
            done = self.workspace.command(*command)
            self.assertEqual((done.returncode, done.stdout), (2, ""), done.stderr)
            self.assertTrue(done.stderr.startswith("samovar: error: "), done.stderr)
            # A solver's fault may be followed by a word about the rest, which is no mistake.
            said = [line for line in done.stderr.removeprefix("samovar: error: ").splitlines() if line != "nets and data have no fault"]
            self.assertEqual(len(said), lines, done.stderr)
            for line in said:
                self.assertRegex(line, "^" + pattern)
        self.assertEqual(self.workspace.entries(), before)

    def assert_fails(self, pattern: str) -> None:
        """The run begins, says that in its last line and ends with 1; no model is left that could be taken for a result."""
        done = self.workspace.command(*TRAIN)
        self.assertEqual(done.returncode, 1, done.stdout + done.stderr)
        self.assertRegex(done.stderr.splitlines()[-1], "^samovar: error: " + pattern)
        self.assertNotIn("Optimization Done", done.stdout)
        self.assertFalse((self.path / MODEL).exists())

    def model(self, name: str = MODEL) -> bytes:
        return (self.path / name).read_bytes()

    def write_pictures(self, list_text: bytes, more: str = "") -> None:
        (self.path / "pictures").mkdir()
        for number in range(8):
            (self.path / "pictures" / f"my picture {number}.png").write_bytes(grey_png(10 * number + 5))
        (self.path / "list.txt").write_bytes(list_text)
        self.write_net_of_pictures(more)
        self.write_solver(test_iter=None, test_interval=None, base_lr=1e-6)

    def write_net_of_pictures(self, more: str = "", root: str = "pictures/") -> None:
        (self.path / "net.prototxt").write_text(IMAGES.format(more=more, root=root), encoding="utf-8")


class UsersDataTest(UsersTest):
    LISTED = b"".join(b"my picture %d.png %d\r\n" % (number, number % 2) for number in range(8))

    def first_values(self) -> List[Tuple[str, int, float, float]]:
        """The name of each record, how many values it has, and the first and the last of them."""
        self.workspace.check("features", "--model", "net.prototxt", "--weights", MODEL, "--blobs", "data", "--output", "features")
        rows = map(json.loads, (self.path / "features" / "features.jsonl").read_text(encoding="utf-8").splitlines())
        return [(row["SampleID"], len(row["data"]), row["data"][0], row["data"][-1]) for row in rows]

    def test_a_label_that_no_class_has_ends_the_run_with_the_label_and_the_classes(self):
        self.write_net(("num_output: 4 weight_filler", "num_output: 3 weight_filler"))
        self.write_solver(test_iter=None, test_interval=None)
        self.assert_fails(r'.*layer "loss": record \d of iteration \d has label 3 in blob "label", but there are 3 classes, 0 to 2')

    def test_a_label_that_no_class_has_can_be_ignored_by_its_number(self):
        self.write_net(("num_output: 4 weight_filler", "num_output: 3 weight_filler"),
                       ('top: "loss" }', 'top: "loss" loss_param { ignore_label: 3 } }'))
        self.write_solver(test_iter=None, test_interval=None)
        self.train()
        self.assertEqual(shapes_of(self.model())["ip2"][1][1], ([3], 3))

    def test_a_mean_file_of_another_size_is_refused_with_both_sizes(self):
        images = self.path / "narrow-images"
        images.write_bytes(struct.pack(">IIII", 0x803, 20, 16, 16) + bytes(range(256)) * 20)
        self.workspace.check("data", "import", "idx", "--images", images, "--labels", "test-labels-idx1-ubyte", "--output", "narrow_lmdb")
        self.workspace.check("data", "mean", "narrow_lmdb", "--output", "mean.binaryproto")
        self.write_net(("mean_value: 128", 'mean_file: "mean.binaryproto"'))
        self.assert_refused(DATA_LAYER + r'mean_file: .*mean\.binaryproto: the mean is 1x16x16, but the records are 1x20x20', lines=2)

    def test_means_that_the_channels_cannot_take_are_refused(self):
        self.write_net(("mean_value: 128", "mean_value: 104 mean_value: 117 mean_value: 123"))
        self.assert_refused(DATA_LAYER + "mean_value is given 3 times; .* 1 channels", lines=2)
        self.write_net(("mean_value: 128", 'mean_value: 128 mean_file: "mean.binaryproto"'))
        self.assert_refused(DATA_LAYER + "mean_file and mean_value exclude each other", lines=2)

    def test_a_crop_larger_than_the_records_is_refused_and_one_of_their_size_is_taken(self):
        self.write_net(("mean_value: 128", "mean_value: 128 crop_size: 21"))
        self.assert_refused(DATA_LAYER + "crop_size is 21, but the records are 1x20x20", lines=2)
        self.write_net(("mean_value: 128", "mean_value: 128 crop_size: 20"))
        self.train()

    def test_a_backend_that_is_left_out_is_refused_because_caffes_default_is_another(self):
        self.write_net((" backend: LMDB", ""), most=1)
        self.assert_refused(r'net\.prototxt:2:1: TRAIN net: layer "images": data_param\.backend is LEVELDB .*backend: LMDB')

    def test_a_data_file_in_place_of_its_directory_is_refused_and_a_trailing_slash_is_not(self):
        self.write_net(("train_lmdb", "train_lmdb/data.mdb"))
        self.assert_refused(r'net\.prototxt:2:1: TRAIN net: layer "images": \S*train_lmdb/data\.mdb: is a file; an LMDB is named by the directory')
        self.write_net(("train_lmdb", "train_lmdb/"))
        self.train()

    def test_grey_pictures_have_three_channels_in_a_colour_net_and_one_if_it_says_so(self):
        for colour, channels in (("", 3), ("is_color: false", 1)):
            with self.subTest(colour):
                shutil.rmtree(self.path / "pictures", ignore_errors=True)
                self.write_pictures(self.LISTED, colour)
                self.train("--restart")
                self.assertEqual(shapes_of(self.model())["ip"][1][0], ([2, channels * SIDE * SIDE], 2 * channels * SIDE * SIDE))
                shutil.rmtree(self.path / "features", ignore_errors=True)
                self.assertEqual([row[1:] for row in self.first_values()],
                                 [(channels * SIDE * SIDE, 10 * number + 5, 10 * number + 5) for number in range(8)])

    def test_a_list_with_spaces_in_names_and_lines_of_windows_names_the_same_pictures(self):
        self.write_pictures(self.LISTED)
        self.train()
        self.assertEqual([row[0] for row in self.first_values()], [f"my picture {number}.png" for number in range(8)])

    def test_a_list_without_a_label_and_one_without_pictures_are_refused_with_the_line(self):
        self.write_pictures(b"my picture 0.png 0\nmy picture 1.png\n")
        self.assert_refused(r'net\.prototxt:\d+:\d+: .*layer "pictures": \S*list\.txt:2: the line is not "NAME LABEL"')
        (self.path / "list.txt").write_bytes(b"\r\n")
        self.assert_refused(r'net\.prototxt:\d+:\d+: .*layer "pictures": \S*list\.txt: lists no images')

    def test_a_picture_that_is_none_ends_the_run_with_the_lines_place_and_the_file(self):
        self.write_pictures(self.LISTED)
        (self.path / "pictures" / "my picture 2.png").write_text("<html>404</html>", encoding="utf-8")
        self.assert_fails(r".*list\.txt:3: .*pictures/my picture 2\.png: the image is neither JPEG nor PNG")

    def test_a_picture_that_is_missing_is_refused_with_the_lines_place_and_where_it_was_looked_for(self):
        self.write_pictures(self.LISTED)
        for number in (2, 5):
            (self.path / "pictures" / f"my picture {number}.png").unlink()
        self.assert_refused(r'net\.prototxt:2:1: TRAIN net: layer "pictures": \S*list\.txt:3: cannot read /\S*/pictures/my picture 2\.png: No such file'
                            r".*; image_data_param\.root_folder, /\S*/pictures/, is put before the names in the list; 2 of the 8 files")
        for number in (2, 5):
            (self.path / "pictures" / f"my picture {number}.png").write_bytes(grey_png(10 * number + 5))
        self.write_net_of_pictures(root="")
        self.assert_refused(r'net\.prototxt:2:1: TRAIN net: layer "pictures": \S*list\.txt:1: cannot read my picture 0\.png: No such file'
                            r".*; image_data_param\.root_folder is empty; a relative name is looked for in the current directory, /\S*")

    def test_a_picture_that_goes_missing_ends_the_run_at_once_with_the_lines_place_and_the_file(self):
        self.write_pictures(self.LISTED)
        self.write_solver(test_iter=None, test_interval=None, base_lr=1e-6, max_iter=1000000)
        with Run(self.workspace, *ONE) as run:
            run.await_iteration(10)
            (self.path / "pictures" / "my picture 2.png").unlink()
            failed = run.await_event("failed")
            self.assertRegex(failed["message"], r"list\.txt:3: cannot read /\S*/pictures/my picture 2\.png: No such file")
            # Nothing was tried again.
            self.assertNotIn("gave up after", failed["message"])
            self.assertEqual(run.await_exit(END_SECONDS), 1, run.describe())

    def test_a_failure_that_may_pass_is_told_at_once_and_tried_again(self):
        self.write_pictures(self.LISTED)
        self.write_solver(test_iter=None, test_interval=None, base_lr=1e-6, max_iter=1000000)
        with Run(self.workspace, *ONE) as run:
            run.await_iteration(10)
            listed = self.path / "list.txt"
            listed.rename(self.path / "away.txt")
            # The new worker cannot open its data: another machine's might, and this one's may come back.
            for worker in run.workers():
                worker.kill()
            run.await_event("warning", lambda event: "list.txt: No such file" in event["message"] and event["message"].endswith("it is tried again"))
            reached = max(event["iteration"] for event in run.events("progress"))
            (self.path / "away.txt").rename(listed)
            run.await_iteration(reached + 10)
            run.signal(signal.SIGTERM)
            self.assertEqual(run.await_exit(END_SECONDS), 143, run.describe())

    def test_a_file_of_a_list_of_hdf5_that_is_missing_is_refused_with_the_lines_place(self):
        (self.path / "net.prototxt").write_text(IMAGES.format(more="", root="pictures/").replace("ImageData", "HDF5Data").replace(
            'image_data_param { source: "list.txt" root_folder: "pictures/"', 'hdf5_data_param { source: "list.txt"'), encoding="utf-8")
        (self.path / "list.txt").write_text("\nnowhere.h5\n", encoding="utf-8")
        self.write_solver(test_iter=None, test_interval=None)
        self.assert_refused(r'net\.prototxt:2:1: TRAIN net: layer "pictures": \S*list\.txt:2: nowhere\.h5: no such file; '
                            r"a relative name is looked for in the current directory, /")

    def test_data_that_are_imported_anew_leave_a_run_that_reads_the_old_ones_alone(self):
        self.write_solver(max_iter=1000000)
        with Run(self.workspace, *ONE) as run:
            reached = run.await_iteration(10)["iteration"]
            self.workspace.check("data", "import", "idx", "--images", "test-images-idx3-ubyte", "--labels", "test-labels-idx1-ubyte",
                                 "--output", "train_lmdb", "--force")
            run.await_iteration(reached + 500)
            run.signal(signal.SIGTERM)
            self.assertEqual(run.await_exit(END_SECONDS), 143, run.describe())
        self.assertRegex(self.workspace.check("data", "info", "train_lmdb"), r"records +20\b")


class UsersFilesTest(UsersTest):
    def test_a_misspelt_phase_is_named_with_its_place_and_the_right_word(self):
        self.write_net(("phase: TRAIN", "phase: TRIAN"))
        self.assert_refused(r'net\.prototxt:4:20: unknown value "TRIAN" for phase, .*; did you mean "TRAIN"\?')

    def test_quotation_marks_of_a_word_processor_and_a_lost_brace_are_named_with_their_place(self):
        self.write_net(('name: "conv1" type', "name: \u201cconv1\u201d type"))
        done = self.workspace.command(*TRAIN)
        self.assertEqual(done.returncode, 2, done.stdout)
        self.assertRegex(done.stderr, r"^samovar: error: net\.prototxt:15:9: ")
        text = self.write_net().read_text(encoding="utf-8")
        (self.path / "net.prototxt").write_text(text.rstrip()[:-1], encoding="utf-8")
        self.assert_refused(rf'net\.prototxt:{len(text.splitlines())}:\d+: expected a field of layer or its "}}", found the end of the file')

    def test_a_misspelt_filler_and_a_misspelt_layer_type_are_named_with_their_place_and_the_right_word(self):
        self.write_net(('name: "conv1" type: "Convolution"', 'name: "conv1" type: "Convolutoin"'),
                       ('num_output: 4 weight_filler { type: "xavier" }', 'num_output: 4 weight_filler { type: "xavierr" }'))
        self.assert_refused(r'net\.prototxt:\d+:1: TRAIN net: layer "conv1": type "Convolutoin" is not offered; .*; did you mean "Convolution"\?')
        self.write_net(('num_output: 4 weight_filler { type: "xavier" }', 'num_output: 4 weight_filler { type: "xavierr" }'))
        self.assert_refused(r'net\.prototxt:\d+:1: TRAIN net: layer "ip2" .*: parameter 0: unknown filler "xavierr", expected one of .*; '
                            r'did you mean "xavier"\?')

    def test_a_run_is_not_resumed_with_another_net_type_or_an_earlier_end_and_stays_what_it_was(self):
        self.write_solver(max_iter=2 * ITERATIONS, snapshot=ITERATIONS)
        self.train()
        before = self.workspace.entries()
        self.write_solver(max_iter=ITERATIONS - 1, type='"Nesterov"')
        self.write_net(("num_output: 8 weight_filler", "num_output: 9 weight_filler"))
        done = self.workspace.command(*TRAIN, "--resume")
        self.assertEqual((done.returncode, done.stdout), (2, ""), done.stderr)
        for pattern in (rf"solver\.prototxt:\d+:1: max_iter is {ITERATIONS - 1}, but the newest snapshot .* is of iteration {2 * ITERATIONS}",
                        r"solver\.prototxt:\d+:1: the solver's type is Nesterov, but .* it was SGD",
                        r'net\.prototxt:\d+:1: TRAIN net: layer "ip1": its parameter 0 is 9x256, but .* it was 8x256'):
            self.assertRegex(done.stderr, pattern)
        self.assertEqual(self.workspace.entries(), before)
        # It ended well, so that the next one begins without a question.
        self.train()

    def test_a_run_that_ended_well_has_done_so_after_the_cluster_refused_to_resume_it(self):
        self.train()
        shutil.rmtree(self.path / "out/small_state/server-0")
        self.write_solver(max_iter=2 * ITERATIONS)
        done = self.workspace.command(*TRAIN, "--resume")
        self.assertEqual(done.returncode, 1, done.stdout)
        self.assertIn("no snapshot", done.stderr)
        self.train()

    def test_a_file_that_is_given_with_another_files_flag_is_named_by_what_it_is_with_its_flag(self):
        self.train()
        state = MODEL.replace(".caffemodel", ".solverstate")
        for command, pattern in (
                (("test", "--model", MODEL, "--weights", "net.prototxt"), rf"{MODEL} is a \.caffemodel, .*; give it with --weights; --model takes"),
                (("test", "--model", "net.prototxt", "--weights", "net.prototxt"), r"net\.prototxt is a \.prototxt, .*; give it with --model"),
                (("test", "--model", "net.prototxt", "--weights", state),
                 rf"{state} is a \.solverstate, .* iteration {ITERATIONS}; give its model, \S*{MODEL}, with --weights"),
                ((*TRAIN, "--restart", "--weights", state), rf"{state} is a \.solverstate, .*; give it with --snapshot, or its model, "),
                ((*TRAIN, "--restart", "--snapshot", MODEL), rf"{MODEL} is a \.caffemodel, .*; give it with --weights; --snapshot takes"),
                (("train", "--solver", MODEL), rf"{MODEL} is a \.caffemodel, .*; give it with --weights; --solver takes")):
            with self.subTest(command):
                done = self.workspace.command(*command)
                self.assertEqual((done.returncode, done.stdout), (2, ""), done.stderr)
                self.assertEqual(len(done.stderr.splitlines()), 1, done.stderr)
                self.assertRegex(done.stderr, "^samovar: error: " + pattern)

    def test_a_flag_whose_value_is_empty_is_refused_and_not_taken_for_one_that_was_not_given(self):
        self.train()
        for command in ((*TRAIN, "--weights", ""), (*TRAIN, "--weights", ","), (*TRAIN, "--snapshot", ""), (*TRAIN, "--restore", ""),
                        (*TRAIN, "--export-snapshots", ""), ("test", "--model", "net.prototxt", "--weights", "")):
            with self.subTest(command):
                done = self.workspace.command(*command)
                self.assertEqual((done.returncode, done.stdout), (2, ""), done.stderr)
                self.assertIn(f"{command[-2]} is given, but empty", done.stderr)

    def test_a_run_that_cannot_export_is_refused_before_the_earlier_ones_snapshots_are_removed(self):
        self.train()
        (self.path / "taken").write_text("no directory", encoding="utf-8")
        done = self.workspace.command(*TRAIN, "--export-snapshots", "taken")
        self.assertEqual(done.returncode, 2, done.stderr)
        self.assertIn("--export-snapshots", done.stderr)
        self.write_solver(max_iter=2 * ITERATIONS)
        self.train("--resume")

    def test_a_run_whose_export_failed_does_not_end_with_0(self):
        (self.path / "exports").mkdir()
        (self.path / "exports" / f"small_iter_{ITERATIONS}").write_text("not a snapshot's", encoding="utf-8")
        done = self.workspace.command(*TRAIN, "--export-snapshots", "exports")
        self.assertEqual(done.returncode, 1, done.stdout)
        self.assertIn("some files could not be written", done.stderr)
        self.assertTrue((self.path / MODEL).is_file())

    def test_a_run_that_is_resumed_on_other_data_says_so(self):
        self.train()
        shutil.rmtree(self.path / "train_lmdb")
        shutil.copytree(self.path / "test_lmdb", self.path / "train_lmdb")
        self.write_solver(max_iter=2 * ITERATIONS)
        done = self.workspace.command(*TRAIN, "--resume")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("goes on with other data: ", done.stderr)

    def test_output_that_is_lost_is_no_success(self):
        self.train()
        with open("/dev/full", "w", encoding="utf-8") as full:
            for command in (("test", "--model", "net.prototxt", "--weights", MODEL), ("check", "solver.prototxt"), ("data", "info", "train_lmdb")):
                with self.subTest(command):
                    done = subprocess.run([testbed.program("samovar"), *command], cwd=self.path, stdin=subprocess.DEVNULL, stdout=full,
                                          stderr=subprocess.PIPE, text=True, timeout=END_SECONDS, check=False)
                    self.assertEqual(done.returncode, 1, done.stderr)
                    self.assertIn("the output cannot be written", done.stderr)

    def test_a_test_net_that_needs_a_blob_of_the_train_net_is_refused_with_the_blob(self):
        self.write_net(('name: "ip1" type', 'name: "ip1" include { phase: TRAIN } type'))
        self.assert_refused(r'net\.prototxt:\d+:1: TEST net #0: layer "relu1" .*no layer before it has a top "ip1"')

    def test_a_net_for_deployment_is_no_net_to_train(self):
        (self.path / "net.prototxt").write_text(DEPLOY, encoding="utf-8")
        self.write_solver(test_iter=None, test_interval=None)
        self.assert_refused(r"net\.prototxt: TRAIN net: the train net has no loss")

    def test_the_old_word_for_a_solver_is_the_new_one(self):
        for number, words in enumerate(({"solver_type": "ADAM"}, {"type": '"Adam"'})):
            self.write_solver(momentum2=0.999, base_lr=0.001, snapshot_prefix=f'"out/adam{number}"', **words)
            self.train("--seed", "3")
        first, second = (start_itest.blobs_of(self.model(f"out/adam{number}_iter_{ITERATIONS}.caffemodel")) for number in range(2))
        self.assertEqual(first, second)
        self.write_solver(solver_type="ADAM", type='"SGD"')
        self.assert_refused(r"solver\.prototxt:\d+:1: solver_type is the old way to write type; remove one")
        self.write_solver(solver_type="NESTROV")
        self.assert_refused(r'solver\.prototxt:\d+:\d+: unknown value "NESTROV" for solver_type, .*did you mean "NESTEROV"\?')

    def test_a_negative_rate_is_refused_with_its_line(self):
        self.write_solver(base_lr=-0.01)
        self.assert_refused(r"solver\.prototxt:\d+:1: base_lr must be a finite number and at least 0, not -0\.01")

    def test_a_loss_that_is_no_number_ends_the_run_with_the_iteration_and_what_to_look_at(self):
        self.write_net(("mean_value: 128 scale: 0.00390625", ""))
        self.write_solver(base_lr=100, max_iter=50)
        done = self.workspace.command(*TRAIN)
        self.assertEqual(done.returncode, 1, done.stdout)
        self.assertRegex(done.stderr, r'iteration \d+: the loss of layer "loss" .* is -?(nan|inf); .*base_lr.*transform_param\.scale')
        self.assertEqual(list((self.path / "out").glob("*_iter_50.*")), [])

    def test_a_batch_of_one_four_times_over_is_a_batch_of_four(self):
        self.train("--seed", "3")
        self.write_net((f"batch_size: {BATCH}", "batch_size: 1"), most=1)
        self.write_solver(iter_size=BATCH, snapshot_prefix='"out/single"')
        self.assertIn(f" {ITERATIONS * BATCH} samples", self.train("--seed", "3"))
        whole, single = start_itest.blobs_of(self.model()), start_itest.blobs_of(self.model(f"out/single_iter_{ITERATIONS}.caffemodel"))
        self.assertEqual(list(whole), list(single))
        for layer, blobs in whole.items():
            for expected, actual in zip(blobs, single[layer]):
                self.assertLess(max(abs(one - other) for one, other in zip(floats(expected), floats(actual))), 1e-6, layer)

    def test_a_prefix_in_directories_that_are_not_there_makes_them(self):
        self.write_solver(snapshot=3, snapshot_prefix='"not/there/yet/net"')
        self.train()
        for iteration in (3, 6):
            for kind in ("caffemodel", "solverstate"):
                self.assertGreater((self.path / f"not/there/yet/net_iter_{iteration}.{kind}").stat().st_size, 100)

    def test_a_run_from_another_directory_leaves_its_files_where_it_was_started(self):
        (self.path / "elsewhere").mkdir()
        done = subprocess.run([testbed.program("samovar"), *("../solver.prototxt" if word == "solver.prototxt" else word for word in TRAIN)],
                              cwd=self.path / "elsewhere", stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              timeout=testbed.RUN_SECONDS, check=False)
        self.assertEqual((done.returncode, done.stderr), (0, ""), done.stdout)
        self.assertTrue((self.path / "elsewhere" / MODEL).is_file())
        self.assertFalse((self.path / "out").exists())

    def test_a_run_goes_on_with_another_batch_size_and_more_iterations_at_the_rate_of_the_new_schedule(self):
        self.train()
        self.write_net((f"batch_size: {BATCH}", "batch_size: 8"))
        self.write_solver(max_iter=2 * ITERATIONS, lr_policy='"poly"', power=1)
        log = self.train("--snapshot", f"out/small_iter_{ITERATIONS}.solverstate", "--restart")
        self.assertIn(f"trained {ITERATIONS} iterations from {ITERATIONS}, {8 * ITERATIONS} samples", log)
        with Run(self.workspace, *ONE, "--snapshot", f"out/small_iter_{ITERATIONS}.solverstate", "--restart") as run:
            self.assertEqual(run.await_exit(), 0, run.describe())
            self.assertEqual(run.events("succeeded")[0]["samples"], 8 * ITERATIONS)
        # The rates are those of the whole schedule, not of what was left of it.
        shown = testbed.lines_matching(log.splitlines(), r"Iteration (\d+), lr = (\S+)")
        rates = [(int(match.group(1)), float(match.group(2))) for match in shown]
        self.assertEqual(rates[-1][0], 2 * ITERATIONS - 1, log)
        for iteration, rate in rates:
            self.assertAlmostEqual(rate, 0.01 * (1 - iteration / (2 * ITERATIONS)), places=7)
        self.assertEqual(next(start_itest.fields(self.model(f"out/small_iter_{2 * ITERATIONS}.solverstate"))), (1, 2 * ITERATIONS))

    def test_two_runs_at_once_in_one_directory_keep_their_files_apart(self):
        self.write_solver("other.prototxt", max_iter=3, snapshot_prefix='"out/other"')
        with Run(self.workspace, *ONE) as one, Run(self.workspace, *ONE, solver="other.prototxt") as other:
            self.assertEqual((one.await_exit(), other.await_exit()), (0, 0), one.describe() + other.describe())
        models = sorted(path.name for path in (self.path / "out").glob("*.caffemodel"))
        self.assertEqual(models, ["other_iter_3.caffemodel", "small_iter_6.caffemodel"])

    def test_a_second_ctrl_c_ends_everything_at_once(self):
        self.write_solver(max_iter=1000000)
        with Run(self.workspace, *ONE) as run:
            run.await_iteration(10)
            children = run.children()
            # The worker stands still, so that the last snapshot, which the first Ctrl-C asks for, cannot be had: it gets half a minute.
            for worker in run.workers():
                worker.kill(signal.SIGSTOP)
            run.signal(signal.SIGINT)
            run.await_event("warning", lambda event: "a second signal ends the run at once" in event["message"])
            run.signal(signal.SIGINT)
            self.assertEqual(run.await_exit(END_SECONDS / 2), 130, run.describe())
            for child in children:
                self.assertTrue(child.await_end(END_SECONDS), child)
        self.assertIn("interrupted", run.err[-1])

    def test_a_model_is_what_the_wire_format_says_layer_by_layer(self):
        self.train()
        model = self.model()
        self.assertEqual(next(value for number, value in start_itest.fields(model) if number == 1), b"SmallLeNet")
        shapes = shapes_of(model)
        self.assertEqual({name: layer for name, layer in shapes.items() if layer[1]}, {
            "conv1": ("Convolution", [([4, 1, 5, 5], 100), ([4], 4)]),
            "ip1": ("InnerProduct", [([8, 256], 2048), ([8], 8)]),
            "ip2": ("InnerProduct", [([4, 8], 32), ([4], 4)]),
        })
        self.assertEqual(list(shapes), ["images", "conv1", "pool1", "ip1", "relu1", "ip2", "loss"])


if __name__ == "__main__":
    unittest.main()
