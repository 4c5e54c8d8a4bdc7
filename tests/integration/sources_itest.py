#!/usr/bin/env python3
"""From files to a model: the same images through an LMDB with a mean image, as files, and as rows of HDF5 files."""

import random
import struct
import unittest
import zlib
from typing import Dict, List, Sequence, Tuple

import leveldb_files
import testbed
from model_blobs import blobs_of
from testbed import Run

SIDE = 12
CLASSES = 2
COUNT = 120
BATCH = 10

NET = """name: "Colours"
{data}
layer {{
  name: "conv" type: "Convolution" bottom: "data" top: "conv"
  convolution_param {{ num_output: 4 kernel_size: 3 weight_filler {{ type: "xavier" }} }}
}}
layer {{ name: "relu" type: "ReLU" bottom: "conv" top: "conv" }}
layer {{
  name: "ip" type: "InnerProduct" bottom: "conv" top: "ip"
  inner_product_param {{ num_output: 2 weight_filler {{ type: "xavier" }} }}
}}
layer {{ name: "accuracy" type: "Accuracy" bottom: "ip" bottom: "label" top: "accuracy" include {{ phase: TEST }} }}
layer {{ name: "loss" type: "SoftmaxWithLoss" bottom: "ip" bottom: "label" top: "loss" }}
"""
LMDB = """layer {{
  name: "colours" type: "Data" top: "data" top: "label" include {{ phase: {phase} }}
  transform_param {{ mean_file: "{mean}" crop_size: 8 mirror: true scale: 0.01 }}
  data_param {{ source: "{source}" backend: LMDB batch_size: 10 }}
}}"""
IMAGES = """layer {{
  name: "colours" type: "ImageData" top: "data" top: "label" include {{ phase: {phase} }}
  transform_param {{ mean_value: 128 crop_size: 8 scale: 0.01 }}
  image_data_param {{ source: "{source}" root_folder: "images/" batch_size: 10 new_height: 10 new_width: 10 shuffle: true }}
}}"""
HDF5 = """layer {{
  name: "colours" type: "HDF5Data" top: "data" top: "label" include {{ phase: {phase} }}
  hdf5_data_param {{ source: "{source}" batch_size: 10 }}
}}"""
ITERATIONS = 60
SIZES = """name: "Sizes"
layer { name: "data" SOURCE top: "data" top: "label" transform_param { mean_value: 100 scale: 0.01 mirror: true } }
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv" convolution_param { num_output: 4 kernel_size: 3 weight_filler { type: "xavier" } } }
layer { name: "relu" type: "ReLU" bottom: "conv" top: "conv" }
layer { name: "pool" type: "Pooling" bottom: "conv" top: "pool" pooling_param { pool: AVE global_pooling: true } }
layer { name: "ip" type: "InnerProduct" bottom: "pool" top: "ip" inner_product_param { num_output: 2 weight_filler { type: "xavier" } } }
layer { name: "accuracy" type: "Accuracy" bottom: "ip" bottom: "label" top: "accuracy" include { phase: TEST } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "ip" bottom: "label" top: "loss" }
"""
# As Caffe's examples/siamese has it: the two channels of a record are a pair.
SIAMESE = """name: "Pairs"
layer {{ name: "pair_data" type: "Data" top: "pair_data" top: "sim" transform_param {{ scale: 0.00390625 }}
  data_param {{ {data} batch_size: 20 }} }}
layer {{ name: "slice_pair" type: "Slice" bottom: "pair_data" top: "data" top: "data_p" slice_param {{ slice_dim: 1 slice_point: 1 }} }}
layer {{ name: "feat" type: "InnerProduct" bottom: "data" top: "feat" param {{ name: "feat_w" }} param {{ name: "feat_b" }}
  inner_product_param {{ num_output: 2 weight_filler {{ type: "xavier" }} }} }}
layer {{ name: "feat_p" type: "InnerProduct" bottom: "data_p" top: "feat_p" param {{ name: "feat_w" }} param {{ name: "feat_b" }}
  inner_product_param {{ num_output: 2 weight_filler {{ type: "xavier" }} }} }}
layer {{ name: "loss" type: "ContrastiveLoss" bottom: "feat" bottom: "feat_p" bottom: "sim" top: "loss" contrastive_loss_param {{ margin: 1 }} }}
"""


def png(width: int, height: int, rows: List[bytes]) -> bytes:
    """A PNG of 8-bit RGB."""
    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    pixels = zlib.compress(b"".join(b"\0" + row for row in rows))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def noisy_pixels(draw: random.Random, label: int, count: int) -> bytes:
    """RGB: noise, with more of red (label 0) or of blue (1)."""
    pixels = bytearray()
    for _ in range(count):
        pixel = [draw.randrange(120) for _ in range(3)]
        pixel[0 if label == 0 else 2] += 100
        pixels += bytes(pixel)
    return bytes(pixels)


def hdf5(sets: Dict[str, Tuple[Sequence[int], Sequence[float]]]) -> bytes:
    """An HDF5 file with data sets of floats: name -> (dimensions, values). By the format's specification, its oldest form."""
    undefined = (1 << 64) - 1

    def header(messages: List[Tuple[int, bytes]]) -> bytes:
        padded = [(kind, body + bytes(-len(body) % 8)) for kind, body in messages]
        body = b"".join(struct.pack("<HHBxxx", kind, len(text), 0) + text for kind, text in padded)
        return struct.pack("<BxHIIxxxx", 1, len(messages), 1, len(body)) + body

    def data_set(dimensions: Sequence[int], address: int, size: int) -> bytes:
        float32 = struct.pack("<BBBBIHHBBBBI", 0x11, 0x20, 0x1f, 0, 4, 0, 32, 23, 8, 0, 23, 127)
        return header([(1, struct.pack(f"<BBBx4x{len(dimensions)}Q", 1, len(dimensions), 0, *dimensions)), (3, float32),
                       (5, struct.pack("<BBBB", 2, 1, 0, 0)), (8, struct.pack("<BBQQ", 3, 1, address, size))])

    def root(addresses: Dict[str, int]) -> bytes:
        links = [(6, struct.pack("<BBB", 1, 0, len(name)) + name.encode() + struct.pack("<Q", address))
                 for name, address in addresses.items()]
        return header([(2, struct.pack("<BBQQ", 0, 0, undefined, undefined)), (10, bytes(2)), *links])

    root_at = 96
    end = root_at + len(root({name: 0 for name in sets}))
    body, addresses = b"", {}
    for name, (dimensions, values) in sets.items():
        raw = struct.pack(f"<{len(values)}f", *values)
        addresses[name] = end + len(body)
        described = len(data_set(dimensions, 0, 0))
        body += data_set(dimensions, addresses[name] + described, len(raw)) + raw + bytes(-len(raw) % 8)
    superblock = b"\x89HDF\r\n\x1a\n" + struct.pack("<8BHHI", 0, 0, 0, 0, 0, 8, 8, 0, 4, 16, 0)
    superblock += struct.pack("<4Q", 0, undefined, end + len(body), undefined) + struct.pack("<QQII16x", 0, root_at, 0, 0)
    return superblock + root(addresses) + body


def in_two_layers(net: str) -> str:
    """testbed.NET with labels of data layers of their own."""
    for phase, source, batch in (("TRAIN", "train_labels", testbed.BATCH), ("TEST", "test_labels", 50)):
        net += f"""layer {{ name: "labels" type: "Data" top: "label" include {{ phase: {phase} }}
  data_param {{ source: "{source}" backend: LMDB batch_size: {batch} }} }}
"""
    head, *layers = net.replace('top: "data" top: "label"', 'top: "data"').split("\nlayer {")
    labels = [layer for layer in layers if '"labels"' in layer]
    return "\nlayer {".join([head, *labels, *(layer for layer in layers if layer not in labels)])


class SourcesTest(testbed.TestCase):
    def setUp(self):
        self.workspace = testbed.Workspace(empty=True)
        self.addCleanup(self.workspace.remove)
        self.path = self.workspace.path
        draw = random.Random(5)
        self.images = [noisy_pixels(draw, number % CLASSES, SIDE * SIDE) for number in range(COUNT)]

    def write_images(self) -> None:
        """PNG files in a folder for each class, and list.txt."""
        lines = []
        for number, pixels in enumerate(self.images):
            label = number % CLASSES
            name = f"{('red', 'blue')[label]}/image {number}.png"
            path = self.path / "images" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(png(SIDE, SIDE, [pixels[3 * SIDE * row:3 * SIDE * (row + 1)] for row in range(SIDE)]))
            lines.append(f"{name} {label}\n")
        (self.path / "list.txt").write_text("".join(lines), encoding="utf-8")

    def assert_trains(self, layer: str, **names: str) -> None:
        """Trains to accuracy 1, each iteration once."""
        data = "\n".join(layer.format(phase=phase, **names) for phase in ("TRAIN", "TEST"))
        (self.path / "net.prototxt").write_text(NET.format(data=data), encoding="utf-8")
        self.workspace.write_solver(test_iter=COUNT // BATCH, test_interval=1000, base_lr=0.02, lr_policy='"fixed"', gamma=None,
                                    power=None, momentum=0.5, display=20, max_iter=ITERATIONS)
        with Run(self.workspace, as_json=False) as run:
            self.assertEqual(run.await_exit(), 0, run.describe())
        out = "\n".join(run.out)
        self.assertRegex(out, rf"ledger: .* iterations 0\.\.{ITERATIONS - 1} exactly once")
        self.assertIn(f"{ITERATIONS * BATCH} samples", out)
        accuracies = testbed.lines_matching(run.out, r"Test net output #\d+: accuracy = ([\d.e-]+)")
        self.assertEqual(float(accuracies[-1].group(1)), 1, run.describe())
        self.assertEqual(run.err, [])

    def test_images_become_an_lmdb_with_a_mean_image_and_then_a_model(self):
        self.write_images()
        for name, flags in (("raw", ()), ("encoded", ("--encoded", "--shuffle"))):
            with self.subTest(name):
                lmdb = f"{name}_lmdb"
                made = self.workspace.check("data", "import", "images", "--list", "list.txt", "--root", "images", "--output", lmdb, *flags)
                self.assertIn(f"{lmdb}: {COUNT} records of 3x{SIDE}x{SIDE}, labels 0 to 1", made)
                info = self.workspace.check("data", "info", lmdb)
                self.assertIn(f"3x{SIDE}x{SIDE}", info)
                self.assertEqual("encoded" in info, name == "encoded", info)
                self.assertIn(f"0: {COUNT // 2}, 1: {COUNT // 2}", info)
                said = self.workspace.check("data", "mean", lmdb, "--output", f"{name}.binaryproto")
                pixels = b"".join(self.images)
                means = [sum(pixels[channel::3]) / (len(pixels) / 3) for channel in (2, 1, 0)]
                self.assertIn(", ".join(f"{mean:.4f}" for mean in means), said)
        # The same pixels, so the same mean.
        self.assertEqual((self.path / "raw.binaryproto").read_bytes(), (self.path / "encoded.binaryproto").read_bytes())
        self.assert_trains(LMDB, source="encoded_lmdb", mean="encoded.binaryproto")

    def test_a_net_is_trained_on_image_files(self):
        self.write_images()
        self.assert_trains(IMAGES, source="list.txt")

    def test_a_net_is_trained_on_the_rows_of_hdf5_files(self):
        # Two files, of a third and of two thirds of the records; planes, around 0.
        for name, begin, end in (("a.h5", 0, COUNT // 3), ("b.h5", COUNT // 3, COUNT)):
            planes = [(image[at] - 128) / 100 for image in self.images[begin:end] for channel in range(3)
                      for at in range(channel, len(image), 3)]
            labels = [number % CLASSES for number in range(begin, end)]
            (self.path / name).write_bytes(hdf5({"data": ((end - begin, 3, SIDE, SIDE), planes), "label": ((end - begin,), labels)}))
        (self.path / "files.txt").write_text("a.h5\nb.h5\n", encoding="utf-8")
        self.assert_trains(HDF5, source="files.txt")

    def test_images_of_several_sizes_are_trained_on_one_by_one(self):
        draw = random.Random(8)
        lines, records = [], []
        for number in range(60):
            width, height, label = draw.randrange(6, 14), draw.randrange(6, 14), number % CLASSES
            pixels = noisy_pixels(draw, label, width * height)
            planes = b"".join(pixels[channel::3] for channel in (2, 1, 0))
            head = bytes([0x08, 3, 0x10, height, 0x18, width, 0x28, label, 0x22])
            records.append((b"%08d" % number, head + leveldb_files.sized(planes)))
            name = f"{number}.png"
            (self.path / name).write_bytes(png(width, height, [pixels[3 * width * row:3 * width * (row + 1)] for row in range(height)]))
            lines.append(f"{name} {label}\n")
        (self.path / "list.txt").write_text("".join(lines), encoding="utf-8")
        leveldb_files.write(self.path / "raw_leveldb", records)
        made = self.workspace.command("data", "import", "leveldb", "--input", "raw_leveldb", "--output", "raw_lmdb")
        if "built without LevelDB" in made.stderr:
            self.skipTest("this build has no LevelDB, and other importers make records of one size")
        self.assertIn("60 records of different sizes", made.stdout, made.stderr)
        sources = {"raw": 'type: "Data" data_param { source: "raw_lmdb" backend: LMDB batch_size: 1 }',
                   "files": 'type: "ImageData" image_data_param { source: "list.txt" batch_size: 1 }'}
        models = {}
        for name, source in sources.items():
            (self.path / "net.prototxt").write_text(SIZES.replace("SOURCE", source), encoding="utf-8")
            self.workspace.write_solver(max_iter=120, test_iter=60, test_interval=120, base_lr=0.05, lr_policy='"fixed"', momentum=0.5,
                                        snapshot_prefix=f'"out/{name}"')
            with Run(self.workspace, "--mode", "sync", as_json=False) as run:
                self.assertEqual(run.await_exit(), 0, run.describe())
            accuracies = testbed.lines_matching(run.out, r"Test net output #\d+: accuracy = ([\d.e-]+)")
            self.assertGreater(float(accuracies[-1].group(1)), 0.9, run.describe())
            models[name] = blobs_of((self.path / "out" / f"{name}_iter_120.caffemodel").read_bytes())
            files = ("--model", "net.prototxt", "--weights", f"out/{name}_iter_120.caffemodel")
            self.assertIn(f"accuracy = {float(accuracies[-1].group(1)):.4g}"[:14], self.workspace.check("test", *files))
            rows = self.workspace.check("features", *files, "--blobs", "ip", "--output", "-").splitlines()
            self.assertEqual(len(rows), 60)
        self.assertEqual(models["raw"], models["files"])
        (self.path / "net.prototxt").write_text(SIZES.replace("SOURCE", sources["raw"].replace("size: 1", "size: 2")), encoding="utf-8")
        with Run(self.workspace, "--restart", as_json=False) as run:
            self.assertEqual(run.await_exit(), 1, run.describe())
            self.assertIn("resize them to one size, set crop_size in transform_param, or train with batch_size: 1", run.describe())

    def test_pairs_of_caffes_siamese_script_are_imported_from_their_leveldb_and_trained_on(self):
        draw = random.Random(3)
        pairs = []
        for number in range(200):
            classes = [draw.randrange(2), draw.randrange(2)]
            pixels = b"".join(bytes(draw.randrange(100) + (120 if (at < 32) == (one == 0) else 0) for at in range(64)) for one in classes)
            datum = b"\x08\2\x10\x08\x18\x08" + b"\x22" + leveldb_files.sized(pixels) + b"\x28" + bytes([classes[0] == classes[1]])
            pairs.append((b"%08d" % number, datum))
        leveldb_files.write(self.path / "pairs_leveldb", pairs)
        before = {path.name: path.read_bytes() for path in (self.path / "pairs_leveldb").iterdir()}
        (self.path / "net.prototxt").write_text(SIAMESE.format(data='source: "pairs_leveldb" backend: LEVELDB'), encoding="utf-8")
        self.workspace.write_solver(max_iter=100, test_iter=None, test_interval=None, base_lr=0.01, lr_policy='"fixed"', display=1)
        refused = self.workspace.command("check", "solver.prototxt")
        self.assertEqual(refused.returncode, 2)
        source = self.path / "pairs_leveldb"
        advice = f'make an LMDB of it with `samovar data import leveldb --input {source} --output {source}_lmdb`, and write source: "{source}_lmdb" backend: LMDB'
        self.assertIn(advice, refused.stderr)
        made = self.workspace.command("data", "import", "leveldb", "--input", source, "--output", f"{source}_lmdb")
        if "built without LevelDB" in made.stderr:
            self.skipTest("this build has no LevelDB")
        self.assertEqual(made.returncode, 0, made.stderr)
        self.assertIn("200 records of 2x8x8, labels 0 to 1", made.stdout)
        self.assertEqual({path.name: path.read_bytes() for path in source.iterdir()}, before)
        (self.path / "net.prototxt").write_text(SIAMESE.format(data=f'source: "{source}_lmdb" backend: LMDB'), encoding="utf-8")
        with Run(self.workspace, "--mode", "sync", as_json=False) as run:
            self.assertEqual(run.await_exit(), 0, run.describe())
        losses = [float(match.group(1)) for match in testbed.lines_matching(run.out, r"Train net output #0: loss = ([\d.e-]+)")]
        self.assertLess(sum(losses[-20:]), sum(losses[:20]) * 0.8, (losses, run.describe()))

    def test_labels_from_an_lmdb_of_their_own_train_the_same_model(self):
        # Pictures with their labels; the labels once more, as pictures of one pixel.
        for name, records in (("train", 200), ("test", 100)):
            images, labels = testbed.write_idx(self.path, name, records, seed=len(name))
            label_bytes = labels.read_bytes()[8:]
            pixels = self.path / f"{name}-pixels"
            pixels.write_bytes(struct.pack(">IIII", 0x00000803, records, 1, 1) + label_bytes)
            for lmdb, pictures in ((f"{name}_lmdb", images), (f"{name}_labels", pixels)):
                self.workspace.check("data", "import", "idx", "--images", pictures, "--labels", labels, "--output", lmdb)
        models = []
        for name in ("one", "two"):
            self.workspace.write_net(lambda text: text if name == "one" else in_two_layers(text))
            self.workspace.write_solver(max_iter=30, test_interval=15, test_iter=1, snapshot_prefix=f'"out/{name}"')
            with Run(self.workspace, "--mode", "sync", as_json=False) as run:
                self.assertEqual(run.await_exit(), 0, run.describe())
            tests = [match.group(1) for match in testbed.lines_matching(run.out, r"(Test net output #\d+: .*)")]
            self.assertEqual(len(tests), 6, run.describe())
            models.append((tests, blobs_of((self.path / "out" / f"{name}_iter_30.caffemodel").read_bytes())))
        for layer in ("conv1", "ip1", "ip2"):
            self.assertEqual(models[0][1][layer], models[1][1][layer], layer)
        self.assertEqual(models[0][0], models[1][0])

    def test_a_missing_image_is_named_with_its_line_before_anything_starts(self):
        self.write_images()
        (self.path / "images" / "blue" / "image 1.png").unlink()
        before = self.workspace.entries()
        done = self.workspace.command("data", "import", "images", "--list", "list.txt", "--root", "images", "--output", "lmdb")
        self.assertEqual(done.returncode, 2)
        self.assertIn("samovar: error: list.txt:2: cannot read images/blue/image 1.png: ", done.stderr)
        self.assertEqual(len(done.stderr.splitlines()), 1, done.stderr)
        self.assertEqual(self.workspace.entries(), before)


if __name__ == "__main__":
    unittest.main()
