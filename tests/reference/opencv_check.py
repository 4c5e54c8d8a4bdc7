#!/usr/bin/env python3
"""Whether OpenCV's dnn module, which reads Caffe's files with code of its own, computes from a model of ours what we compute.

    /usr/bin/python3 tests/reference/opencv_check.py --model output/lenet_iter_10000.caffemodel

Runs LeNet on all 10,000 test images of Fashion-MNIST in OpenCV (config/models/lenet/lenet_deploy.prototxt, images straight from
the IDX files) and with `samovar features` (the LMDB). Ends with 0 if all scores are within 1e-4, the accuracies are the same, and the
keys and labels are those of the IDX files in order. Needs python3-opencv, python3-numpy, and data/ as deploy/quickstart.sh makes it.
"""

import argparse
import gzip
import json
import pathlib
import subprocess
import sys
import tempfile

import cv2
import numpy

ROOT = pathlib.Path(__file__).resolve().parents[2]
LENET = ROOT / "config" / "models" / "lenet"
TOLERANCE = 1e-4


def read_idx(path: pathlib.Path, header: int) -> numpy.ndarray:
    return numpy.frombuffer(gzip.decompress(path.read_bytes())[header:], dtype=numpy.uint8)


def opencv_scores(model: pathlib.Path, images: numpy.ndarray) -> numpy.ndarray:
    net = cv2.dnn.readNetFromCaffe(str(LENET / "lenet_deploy.prototxt"), str(model))
    scores = []
    for begin in range(0, len(images), 100):
        batch = images[begin:begin + 100].reshape(-1, 1, 28, 28).astype(numpy.float32) * 0.00390625
        net.setInput(batch, "data")
        scores.append(net.forward("ip2").copy().reshape(len(batch), -1))
    return numpy.concatenate(scores)


def our_rows(binary: pathlib.Path, model: pathlib.Path) -> list:
    with tempfile.TemporaryDirectory() as directory:
        subprocess.run([binary, "features", "--model", LENET / "lenet_train_test.prototxt", "--weights", model, "--blobs", "ip2,accuracy",
                        "--label", "label", "--output", directory], check=True, cwd=ROOT, stdout=subprocess.DEVNULL)
        lines = (pathlib.Path(directory) / "features.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--model", type=pathlib.Path, required=True, help="a .caffemodel of LeNet")
    parser.add_argument("--samovar", type=pathlib.Path, default=ROOT / "build/release/bin/samovar", help="the command (default: %(default)s)")
    parser.add_argument("--idx", type=pathlib.Path, default=pathlib.Path("/usr/share/datasets/fashion-mnist"), help="default: %(default)s")
    flags = parser.parse_args()

    model = flags.model.resolve()
    images = read_idx(flags.idx / "t10k-images-idx3-ubyte.gz", 16).reshape(-1, 784)
    labels = read_idx(flags.idx / "t10k-labels-idx1-ubyte.gz", 8)
    theirs = opencv_scores(model, images)
    rows = our_rows(flags.samovar.resolve(), model)
    ours = numpy.array([row["ip2"] for row in rows], dtype=numpy.float32)

    checks = {
        "a row for each image": len(rows) == len(images),
        "keys in order": [row["SampleID"] for row in rows] == [f"{i:08d}" for i in range(len(images))],
        "labels": [row["label"][0] for row in rows] == [float(label) for label in labels],
    }
    difference = float(numpy.abs(ours - theirs).max())
    accuracy = {"OpenCV": float((theirs.argmax(1) == labels).mean()), "samovar": sum(row["accuracy"][0] for row in rows) / len(rows)}
    checks[f"scores within {TOLERANCE}"] = difference <= TOLERANCE
    checks["same accuracy"] = round(accuracy["OpenCV"], 6) == round(accuracy["samovar"], 6)
    print(f"OpenCV {cv2.__version__}: {len(images)} images, largest difference of scores {difference:.2e}, "
          f"accuracy {accuracy['OpenCV']:.4f} and {accuracy['samovar']:.4f}")
    for name, held in checks.items():
        print(f"{'ok  ' if held else 'FAIL'} {name}")
    return 0 if all(checks.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
