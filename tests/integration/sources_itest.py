#!/usr/bin/env python3
"""From files to a model: the same images through an LMDB with a mean image, through an ImageData layer, and CIFAR-10's format."""

import pathlib
import random
import struct
import tempfile
import shutil
import unittest
import zlib
from typing import List

import testbed
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
# {phase} stands for itself in the first formatting.
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
SOLVER = {
    "net": '"net.prototxt"', "test_iter": COUNT // BATCH, "test_interval": 1000, "base_lr": 0.02, "lr_policy": '"fixed"', "momentum": 0.5,
    "display": 20, "max_iter": 60, "snapshot_prefix": '"out/colours"', "solver_mode": "CPU", "random_seed": 3,
}


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


class SourcesTest(testbed.TestCase):
    def setUp(self):
        # A workspace without the usual data, which takes longer to make than to train on these.
        self.workspace = testbed.Workspace.__new__(testbed.Workspace)
        self.workspace.path = pathlib.Path(tempfile.mkdtemp(prefix="samovar_itest_"))
        self.addCleanup(shutil.rmtree, self.workspace.path, ignore_errors=True)
        draw = random.Random(5)
        lines = []
        for number in range(COUNT):
            label = number % CLASSES
            name = f"{('red', 'blue')[label]}/image {number}.png"
            path = self.workspace.path / "images" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            rows = [noisy_pixels(draw, label, SIDE) for _ in range(SIDE)]
            path.write_bytes(png(SIDE, SIDE, rows))
            lines.append(f"{name} {label}\n")
        (self.workspace.path / "list.txt").write_text("".join(lines), encoding="utf-8")

    def assert_trains(self, layer: str, **names) -> None:
        """Trains to accuracy 1, each iteration once."""
        data = "\n".join(layer.format(phase=phase, **names) for phase in ("TRAIN", "TEST"))
        (self.workspace.path / "net.prototxt").write_text(NET.format(data=data), encoding="utf-8")
        self.workspace.write_solver_fields(SOLVER)
        with Run(self.workspace, "--workers", 2, as_json=False) as run:
            self.assertEqual(run.await_exit(), 0, run.describe())
        out = "\n".join(run.out)
        self.assertRegex(out, r"ledger: .* iterations 0\.\.59 exactly once")
        self.assertIn(f"{60 * BATCH} samples", out)
        accuracies = testbed.lines_matching(run.out, r"Test net output #\d+: accuracy = ([\d.e-]+)")
        self.assertEqual(float(accuracies[-1].group(1)), 1, run.describe())
        self.assertEqual(run.err, [])
