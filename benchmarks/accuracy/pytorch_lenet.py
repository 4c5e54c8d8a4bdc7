#!/usr/bin/env python3
"""LeNet on Fashion-MNIST by the recipe of config/models/lenet, in PyTorch and in one process: what the accuracy should be.

    python3 benchmarks/accuracy/pytorch_lenet.py [--seeds 1 2 3] [--iterations 10000] [--threads 1]

Prints a line at each test, and at the end one JSON object a seed. Needs torch (1.13 and 2.x are fine) and the IDX files of the
package dataset-fashion-mnist.

Taken over from Caffe, since PyTorch's own defaults differ:
  xavier   weights uniform in +-sqrt(3 / fan_in), biases 0
  update   V = momentum V + lr lr_mult (gradient + weight_decay w);  w = w - V      (torch.optim.SGD multiplies V by lr instead)
  lr_mult  2 for biases; decay_mult 1 for both
  inv      lr = base_lr (1 + gamma t)^-power
"""

import argparse
import gzip
import json
import math
import pathlib
import struct
import time

import torch
import torch.nn.functional as F

BASE_LR, GAMMA, POWER, MOMENTUM, WEIGHT_DECAY = 0.01, 0.0001, 0.75, 0.9, 0.0005
BATCH, TEST_BATCH, TEST_INTERVAL = 64, 1000, 1000
SCALE = 1 / 256
# Layer: [outputs, inputs, ...]; a blob of weights and one of biases each.
SHAPES = {"conv1": (20, 1, 5, 5), "conv2": (50, 20, 5, 5), "ip1": (500, 800), "ip2": (10, 500)}


def read_idx(path):
    """An IDX file of bytes, as a tensor of the shape that stands in it."""
    with gzip.open(path) as file:
        _, dimensions = struct.unpack(">HxB", file.read(4))
        shape = struct.unpack(f">{dimensions}I", file.read(4 * dimensions))
        values = torch.frombuffer(bytearray(file.read()), dtype=torch.uint8)
    return values.reshape(shape)


def read_set(directory, name):
    images = read_idx(directory / f"{name}-images-idx3-ubyte.gz").unsqueeze(1)
    return images, read_idx(directory / f"{name}-labels-idx1-ubyte.gz").long()


def make_blobs(generator):
    """(blob, lr_mult) pairs in net order."""
    blobs = []
    for shape in SHAPES.values():
        fan_in = math.prod(shape[1:])
        limit = math.sqrt(3 / fan_in)
        weights = torch.empty(shape).uniform_(-limit, limit, generator=generator)
        blobs += [(weights.requires_grad_(), 1.0), (torch.zeros(shape[0], requires_grad=True), 2.0)]
    return blobs


def scores(blobs, images):
    c1, c1b, c2, c2b, i1, i1b, i2, i2b = (blob for blob, _ in blobs)
    x = images.float() * SCALE
    x = F.max_pool2d(F.conv2d(x, c1, c1b), 2)
    x = F.max_pool2d(F.conv2d(x, c2, c2b), 2)
    x = F.relu(F.linear(x.flatten(1), i1, i1b))
    return F.linear(x, i2, i2b)


def batches(records, generator):
    """Batches for ever, without one that is cut short: epochs follow each other, each shuffled anew."""
    rest = torch.empty(0, dtype=torch.long)
    while True:
        while len(rest) < BATCH:
            rest = torch.cat([rest, torch.randperm(records, generator=generator)])
        yield rest[:BATCH]
        rest = rest[BATCH:]


def test(blobs, images, labels):
    """Accuracy and mean loss over the whole set."""
    hits, loss = 0, 0.0
    with torch.no_grad():
        for begin in range(0, len(labels), TEST_BATCH):
            out = scores(blobs, images[begin:begin + TEST_BATCH])
            expected = labels[begin:begin + TEST_BATCH]
            hits += int((out.argmax(1) == expected).sum())
            loss += float(F.cross_entropy(out, expected, reduction="sum"))
    return hits / len(labels), loss / len(labels)


def step(blobs, history, iteration):
    lr = BASE_LR * (1 + GAMMA * iteration) ** -POWER
    with torch.no_grad():
        for (blob, lr_mult), velocity in zip(blobs, history):
            velocity.mul_(MOMENTUM).add_(blob.grad + WEIGHT_DECAY * blob, alpha=lr * lr_mult)
            blob -= velocity
            blob.grad = None


def train(seed, iterations, train_set, test_set):
    generator = torch.Generator().manual_seed(seed)
    blobs = make_blobs(generator)
    history = [torch.zeros_like(blob) for blob, _ in blobs]
    images, labels = train_set
    order = batches(len(labels), generator)
    tests, seconds = {}, 0.0
    for iteration in range(iterations + 1):
        if iteration % TEST_INTERVAL == 0 or iteration == iterations:
            accuracy, loss = test(blobs, *test_set)
            tests[iteration] = round(accuracy, 4)
            print(f"seed {seed}, iteration {iteration}: accuracy = {accuracy:.4f}, loss = {loss:.4f}", flush=True)
        if iteration == iterations:
            break
        begin = time.perf_counter()
        records = next(order)
        F.cross_entropy(scores(blobs, images[records]), labels[records]).backward()
        step(blobs, history, iteration)
        seconds += time.perf_counter() - begin
    return {"seed": seed, "accuracy": tests[iterations], "tests": tests, "images_per_second": round(iterations * BATCH / seconds),
            "torch": torch.__version__, "threads": torch.get_num_threads()}


def main():
    parser = argparse.ArgumentParser(description="LeNet on Fashion-MNIST in PyTorch, by Caffe's recipe.")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--iterations", type=int, default=10000)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--data", type=pathlib.Path, default=pathlib.Path("/usr/share/datasets/fashion-mnist"))
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    train_set, test_set = read_set(arguments.data, "train"), read_set(arguments.data, "t10k")
    results = [train(seed, arguments.iterations, train_set, test_set) for seed in arguments.seeds]
    for result in results:
        print(json.dumps(result))


if __name__ == "__main__":
    main()
