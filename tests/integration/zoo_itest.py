#!/usr/bin/env python3
"""Nets of all kinds that Caffe's users have, and all models that come with Samovar, train a few iterations on made-up data."""

import hashlib
import pathlib
import random
import re
import struct
import unittest
import zlib

import testbed
from testbed import Run

MODELS = pathlib.Path(__file__).resolve().parents[2] / "config" / "models"
ITERATIONS = 3
# Large nets see a smaller part of each image, and VGG-16 has smaller layers behind it.
CROPS = {"vgg16": 32, "resnet50": 64, "squeezenet": 99, "mobilenet": 96, "nin": 99}
# Nets of the layers of smaller ones: exact modes are tried with those.
LIKE_SMALLER = {"vgg16", "resnet50", "nin"}


def small(net: pathlib.Path, batch: int) -> str:
    """A shipped net's text; only how much is computed is changed."""
    text = re.sub(r"batch_size: \d+", f"batch_size: {batch}", net.read_text())
    if net.parent.name not in CROPS:
        return text
    text = re.sub(r"crop_size: \d+", f"crop_size: {CROPS[net.parent.name]}", text)
    return text.replace("num_output: 4096", "num_output: 256")


def write_png(path: pathlib.Path, side: int, draw: random.Random) -> None:
    rows = b"".join(b"\0" + draw.randbytes(3 * side) for _ in range(side))

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows, 1)) + chunk(b"IEND", b""))


class ZooCase(testbed.TestCase):
    def train(self, solver: str, batch: int) -> Run:
        with Run(self.workspace, "--servers", 1, "--workers", 1, solver=solver) as run:
            succeeded = self.assert_success(run)
        self.assert_exactly_once(succeeded, ITERATIONS, batch)
        return run

    def train_net(self, net: str, batch: int = 10, **fields) -> Run:
        (self.workspace.path / "net.prototxt").write_text(net, encoding="utf-8")
        self.workspace.write_solver(**{"max_iter": ITERATIONS, "test_iter": 2, "test_interval": 2, "snapshot": 2, **fields})
        return self.train("solver.prototxt", batch)


class ShippedModelsTest(ZooCase):
    def make_data(self) -> None:
        path, draw = self.workspace.path, random.Random(3)
        (path / "data").mkdir()
        batch = path / "batch.bin"
        batch.write_bytes(b"".join(bytes([draw.randrange(10)]) + draw.randbytes(3072) for _ in range(256)))
        idx = testbed.write_idx(path, "tall", 64, 5)
        # The header says how large the images are.
        images = struct.pack(">IIII", 0x803, 64, 28, 28) + draw.randbytes(64 * 28 * 28)
        idx[0].write_bytes(images)
        pngs = []
        for i in range(8):
            write_png(path / f"{i}.png", 256, draw)
            pngs.append(f"{i}.png {i % 4}\n")
        (path / "list.txt").write_text("".join(pngs))
        for part in ("train", "test", "val"):
            self.workspace.check("data", "import", "cifar10", "--input", batch, "--output", f"data/cifar10_{part}_lmdb")
            self.workspace.check("data", "import", "idx", "--images", idx[0], "--labels", idx[1],
                                 "--output", f"data/fashion_mnist_{part}_lmdb")
            self.workspace.check("data", "import", "images", "--list", "list.txt", "--root", ".",
                                 "--output", f"data/ilsvrc12_{part}_lmdb")
        for name in ("cifar10", "ilsvrc12"):
            self.workspace.check("data", "mean", f"data/{name}_train_lmdb", "--output", f"data/{name}_mean.binaryproto")

    def test_every_shipped_solver_trains(self):
        self.make_data()
        for folder in sorted(MODELS.iterdir()):
            if not folder.is_dir():
                continue
            for net in folder.glob("*_train_test.prototxt"):
                (self.workspace.path / net.name).write_text(small(net, 2))
            for solver in sorted(folder.glob("*solver*.prototxt")):
                text = re.sub(r"(?m)^max_iter: \d+", f"max_iter: {ITERATIONS}", solver.read_text())
                text = re.sub(r"(?m)^test_iter: \d+", "test_iter: 4", text)
                text, batches = re.subn(r"(?m)^iter_size: \d+", "iter_size: 2", text)
                text = re.sub(r'snapshot_prefix: "output/[^"]*"', f'snapshot_prefix: "out/{solver.stem}"', text)
                (self.workspace.path / solver.name).write_text(text)
                with self.subTest(solver=solver.name):
                    self.train(solver.name, batch=4 if batches else 2)

    def test_every_shipped_net_becomes_the_same_model_again_in_each_exact_mode(self):
        self.make_data()
        path = self.workspace.path
        nets = sorted(net for net in MODELS.glob("*/*_train_test.prototxt") if net.parent.name not in LIKE_SMALLER)
        self.assertTrue(nets)
        for net in nets:
            (path / "net.prototxt").write_text(small(net, 4))
            for mode in (("--mode", "sync", "--parts", 2), ("--mode", "bounded", "--delay", 0)):
                models = []
                for workers in (1, 1, 2):
                    self.workspace.write_solver(max_iter=ITERATIONS, test_iter=None, test_interval=0, snapshot_prefix='"out/again"')
                    with Run(self.workspace, *mode, "--seed", 5, "--servers", 1, "--workers", workers) as run:
                        self.assert_success(run)
                    model = path / "out" / f"again_iter_{ITERATIONS}.caffemodel"
                    models.append(hashlib.sha256(model.read_bytes()).hexdigest())
                    model.unlink()
                with self.subTest(net=net.name, mode=mode[1]):
                    self.assertEqual(len(set(models)), 1, models)


DATA = """layer { name: "in" type: "Data" top: "data" top: "label" include { phase: %s }
  transform_param { scale: 0.00390625 } data_param { source: "%s_lmdb" backend: LMDB batch_size: 10 } }
"""
BOTH = DATA % ("TRAIN", "train") + DATA % ("TEST", "test")


def ip(name: str, bottom: str, outputs: int, top: str = "", params: str = "") -> str:
    return f"""layer {{ name: "{name}" type: "InnerProduct" bottom: "{bottom}" top: "{top or name}" {params}
  inner_product_param {{ num_output: {outputs} weight_filler {{ type: "gaussian" std: 0.1 sparse: 5 }} }} }}
"""


class CaffeNetsTest(ZooCase):
    def outputs(self, run: Run):
        return {value["name"] for value in run.events("test")[-1]["outputs"]}

    def test_an_autoencoder_with_stages_and_two_losses(self):
        net = 'name: "Autoencoder"\n' + DATA % ("TRAIN", "train")
        for stage in ("train", "test"):
            net += (DATA % ("TEST", stage)).replace("phase: TEST", f'phase: TEST stage: "on-{stage}"')
        net += """layer { name: "flatdata" type: "Flatten" bottom: "data" top: "flatdata" }
""" + ip("encode", "data", 30) + """layer { name: "s1" type: "Sigmoid" bottom: "encode" top: "code" }
""" + ip("decode", "code", 400) + """
layer { name: "cross" type: "SigmoidCrossEntropyLoss" bottom: "decode" bottom: "flatdata" top: "cross_entropy" loss_weight: 1 }
layer { name: "s2" type: "Sigmoid" bottom: "decode" top: "decoded" }
layer { name: "l2" type: "EuclideanLoss" bottom: "decoded" bottom: "flatdata" top: "l2_error" loss_weight: 0 }
layer { name: "unused" type: "Silence" bottom: "label" }
"""
        run = self.train_net(net, test_iter=None, test_interval=2, momentum=0.9, lr_policy='"step"', stepsize=2,
                             **{"test_state": '{ stage: "on-train" } test_state: { stage: "on-test" } test_iter: 2 test_iter: 2'})
        self.assertEqual(self.outputs(run), {"cross_entropy", "l2_error"})
        self.assertEqual({event["net"] for event in run.events("test")}, {0, 1})

    def test_a_siamese_net_that_shares_its_parameters(self):
        sides = ""
        for side, data in (("", "half"), ("_p", "half_p")):
            sides += ip("feat" + side, data, 12, params='param { name: "w" lr_mult: 1 } param { name: "b" lr_mult: 2 }')
            sides += f'layer {{ name: "tanh{side}" type: "TanH" bottom: "feat{side}" top: "feat{side}" }}\n'
        net = 'name: "siamese"\n' + BOTH + """
layer { name: "slice" type: "Slice" bottom: "data" top: "half" top: "half_p" slice_param { slice_dim: 2 slice_point: 10 } }
layer { name: "same" type: "Threshold" bottom: "label" top: "sim" threshold_param { threshold: 1.5 } }
""" + sides + """layer { name: "loss" type: "ContrastiveLoss" bottom: "feat" bottom: "feat_p" bottom: "sim" top: "loss"
  contrastive_loss_param { margin: 1 } }
"""
        self.assertEqual(self.outputs(self.train_net(net)), {"loss"})

    def test_a_net_in_the_first_versions_words(self):
        net = """name: "old"
layers { name: "in" type: DATA top: "data" top: "label" data_param { source: "train_lmdb" backend: LMDB batch_size: 10 scale: 0.00390625 } }
layers { name: "conv" type: CONVOLUTION bottom: "data" top: "conv" blobs_lr: 1 blobs_lr: 2 weight_decay: 1 weight_decay: 0
  convolution_param { num_output: 4 kernel_size: 5 stride: 2 group: 1 weight_filler { type: "xavier" } } }
layers { name: "lrn" type: LRN bottom: "conv" top: "lrn" lrn_param { local_size: 3 alpha: 5e-05 beta: 0.75 norm_region: WITHIN_CHANNEL } }
layers { name: "pool" type: POOLING bottom: "lrn" top: "pool" pooling_param { pool: AVE kernel_size: 3 stride: 2 } }
layers { name: "ip" type: INNER_PRODUCT bottom: "pool" top: "ip" inner_product_param { num_output: 4 weight_filler { type: "xavier" } } }
layers { name: "drop" type: DROPOUT bottom: "ip" top: "ip" dropout_param { dropout_ratio: 0.3 } }
layers { name: "loss" type: SOFTMAX_LOSS bottom: "ip" bottom: "label" top: "loss" }
"""
        self.assertEqual(self.outputs(self.train_net(net, solver_type="ADAGRAD", momentum=None, delta="1e-6")), {"loss"})

    def test_batch_normalisation_with_parts_clipping_and_hdf5_snapshots(self):
        net = 'name: "residual"\n' + BOTH + """
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv" convolution_param { num_output: 4 kernel_size: 3 pad: 1 bias_term: false
  weight_filler { type: "msra" } } }
layer { name: "bn" type: "BatchNorm" bottom: "conv" top: "conv" param { lr_mult: 0 } param { lr_mult: 0 } param { lr_mult: 0 } }
layer { name: "scale" type: "Scale" bottom: "conv" top: "conv" scale_param { bias_term: true } }
layer { name: "prelu" type: "PReLU" bottom: "conv" top: "act" }
layer { name: "up" type: "Deconvolution" bottom: "act" top: "up" convolution_param { num_output: 4 kernel_size: 3 pad: 1 group: 4
  weight_filler { type: "bilinear" } } }
layer { name: "sum" type: "Eltwise" bottom: "act" bottom: "up" top: "sum" }
layer { name: "cat" type: "Concat" bottom: "sum" bottom: "conv" top: "cat" }
layer { name: "pool" type: "Pooling" bottom: "cat" top: "pool" pooling_param { pool: AVE global_pooling: true } }
""" + ip("ip", "pool", 4) + """layer { name: "loss" type: "SoftmaxWithLoss" bottom: "ip" bottom: "label" top: "loss" loss_param { normalization: FULL } }
layer { name: "top2" type: "Accuracy" bottom: "ip" bottom: "label" top: "top2" accuracy_param { top_k: 2 } include { phase: TEST } }
"""
        run = self.train_net(net, batch=30, type='"Adam"', iter_size=3, clip_gradients=1, snapshot_format="HDF5", average_loss=2)
        self.assertEqual(self.outputs(run), {"loss", "top2"})
        path = self.workspace.path / "out"
        self.assertTrue((path / "small_iter_3.caffemodel.h5").is_file())
        # The snapshot is taken up again.
        self.workspace.write_solver(max_iter=ITERATIONS + 1, type='"Adam"', snapshot_prefix='"out/more"', test_interval=0, test_iter=None)
        with Run(self.workspace, "--snapshot", "out/small_iter_3.solverstate.h5") as run:
            self.assert_success(run)

    def test_layers_of_caffe_on_spark(self):
        memory = """layer { name: "data" type: "MemoryData" top: "data" top: "label" include { phase: %s }
  source_class: "com.yahoo.ml.caffe.LMDB" transform_param { scale: 0.00390625 }
  memory_data_param { source: "%s_lmdb" batch_size: 10 channels: 1 height: 20 width: 20 share_in_parallel: false } }
"""
        net = 'name: "spark"\n' + memory % ("TRAIN", "train") + memory % ("TEST", "test") + ip("ip", "data", 4) + """
layer { name: "loss" type: "HingeLoss" bottom: "ip" bottom: "label" top: "loss" hinge_loss_param { norm: L2 } }
"""
        self.assertEqual(self.outputs(self.train_net(net)), {"loss"})

    def test_a_net_that_makes_its_own_data(self):
        net = """name: "dummy"
layer { name: "in" type: "DummyData" top: "data" top: "target"
  dummy_data_param { shape { dim: 6 dim: 5 } shape { dim: 6 dim: 2 } data_filler { type: "gaussian" } data_filler { type: "uniform" } } }
""" + ip("ip", "data", 2) + """layer { name: "loss" type: "EuclideanLoss" bottom: "ip" bottom: "target" top: "loss" }
"""
        self.assertEqual(self.outputs(self.train_net(net, batch=6, type='"AdaDelta"', momentum=0.95, delta="1e-6", lr_policy='"fixed"', base_lr=1)),
                         {"loss"})


if __name__ == "__main__":
    unittest.main()
