#!/usr/bin/env python3
"""Layers and solvers against PyTorch as an independent reference: the same weights and records go through net_probe and through
torch.nn.functional, and losses, gradients and the weights after 20 steps of each solver must agree.

    python3 tests/reference/pytorch_reference.py [--probe build/release/bin/net_probe]

Nothing is stored: every number is computed by both sides there and then. Needs torch and numpy (Debian: python3-torch).

Tolerances. Losses and gradients: both sides sum some hundred to some thousand float32 terms in other orders, which leaves a
relative error of some 1e-6 of the largest value of a blob; 2e-5 of that is asked for. Weights after 20 steps: 1e-5 of the blob's
largest weight. Where Winograd's tiles are computed (kernels of 3x3 and 5x5) roundings are different, and what a ReLU or a maximum
decides by a rounding changes a gradient at once: twenty steps of nets with these are compared by direct sums, those in tiles on nets
that are smooth.
"""

import argparse
import math
import os
import pathlib
import subprocess
import tempfile
import unittest
import unittest.mock

import numpy
import torch
import torch.nn.functional as F

PROBE = pathlib.Path("build/release/bin/net_probe")
GRADIENT_TOLERANCE = 2e-5
WEIGHT_TOLERANCE = 1e-5


def input_layer(shape, labels):
    dims = " ".join(f"dim: {size}" for size in shape)
    return (f'layer {{ name: "in" type: "Input" top: "data" top: "label" input_param {{ shape {{ {dims} }} '
            f'shape {{ {" ".join(f"dim: {size}" for size in labels)} }} }} }}\n')


def layer(name, kind, bottoms, top, fields=""):
    joined = " ".join(f'bottom: "{bottom}"' for bottom in bottoms)
    return f'layer {{ name: "{name}" type: "{kind}" {joined} top: "{top}" {fields} }}\n'


class Case:
    """A net in both languages. `forward(weights, data, label)` gives the loss; weights come in net order."""

    def __init__(self, shape, net, shapes, forward, labels=None, label_shape=None, scale=0.3):
        self.shape, self.net, self.shapes, self.forward, self.scale = shape, net, shapes, forward, scale
        self.label_shape = label_shape or (shape[0],)
        self.make_labels = labels or (lambda draw: draw.integers(0, 3, self.label_shape))

    def text(self):
        return input_layer(self.shape, self.label_shape) + self.net


def run_probe(case, solver, steps, weights, records):
    with tempfile.TemporaryDirectory() as directory:
        path = pathlib.Path(directory)
        (path / "net.prototxt").write_text(case.text(), encoding="utf-8")
        (path / "solver.prototxt").write_text(solver, encoding="utf-8")
        flat = [weight.ravel() for weight in weights] + [part.ravel() for record in records for part in record]
        numpy.concatenate(flat).astype("<f4").tofile(path / "input")
        subprocess.run([str(PROBE), str(path / "net.prototxt"), str(path / "solver.prototxt"), str(steps), str(path / "input"),
                        str(path / "output")], check=True, stdout=subprocess.DEVNULL)
        return numpy.fromfile(path / "output", dtype="<f4")


def draw_case(case, steps, seed):
    draw = numpy.random.default_rng(seed)
    weights = [draw.uniform(-case.scale, case.scale, shape).astype("f4") for shape in case.shapes]
    records = [(draw.uniform(-1, 1, case.shape).astype("f4"), case.make_labels(draw).astype("f4")) for _ in range(steps)]
    return weights, records


def torch_gradients(case, weights, record):
    blobs = [torch.tensor(weight, requires_grad=True) for weight in weights]
    loss = case.forward(blobs, torch.tensor(record[0]), torch.tensor(record[1]))
    loss.backward()
    return float(loss), [blob.grad.numpy() for blob in blobs]


def conv_net(fields, after=""):
    return (layer("conv", "Convolution", ["data"], "conv", f"convolution_param {{ {fields} }}") + after)


HEAD = (layer("head", "InnerProduct", ["x"], "head", "inner_product_param { num_output: 3 }")
        + layer("loss", "SoftmaxWithLoss", ["head", "label"], "loss"))


def head(x, weight, bias, label):
    return F.cross_entropy(F.linear(x.flatten(1), weight, bias), label.long())


def conv_cases():
    def make(shape, outputs, kernel, stride=(1, 1), pad=(0, 0), dilation=(1, 1), groups=1):
        channels = shape[1]
        out = [(shape[2 + i] + 2 * pad[i] - dilation[i] * (kernel[i] - 1) - 1) // stride[i] + 1 for i in (0, 1)]
        fields = (f"num_output: {outputs} kernel_h: {kernel[0]} kernel_w: {kernel[1]} stride_h: {stride[0]} stride_w: {stride[1]} "
                  f"pad_h: {pad[0]} pad_w: {pad[1]} dilation: {dilation[0]} dilation: {dilation[1]} group: {groups}")
        net = (layer("first", "Convolution", ["data"], "first", "convolution_param { num_output: %d kernel_size: 1 }" % channels)
               + layer("conv", "Convolution", ["first"], "x", f"convolution_param {{ {fields} }}") + HEAD)
        shapes = [(channels, channels, 1, 1), (channels,), (outputs, channels // groups, *kernel), (outputs,),
                  (3, outputs * out[0] * out[1]), (3,)]

        def forward(w, data, label):
            x = F.conv2d(F.conv2d(data, w[0], w[1]), w[2], w[3], stride=stride, padding=pad, dilation=dilation, groups=groups)
            return head(x, w[4], w[5], label)
        return Case(shape, net, shapes, forward)
    return {
        "plain": make((5, 3, 9, 8), 4, (3, 3)),
        "one by one": make((5, 3, 5, 7), 6, (1, 1)),
        "stride and pad": make((4, 2, 11, 10), 5, (5, 3), (2, 3), (2, 1)),
        "groups": make((3, 6, 7, 7), 4, (3, 3), (1, 1), (1, 1), groups=2),
        "dilation": make((3, 4, 12, 11), 4, (3, 2), (1, 2), (2, 1), (2, 3)),
        "one by one, whole packets": make((5, 17, 8, 8), 40, (1, 1)),
        "one by one, stride": make((5, 17, 16, 15), 6, (1, 1), (2, 2)),
        "depthwise": make((9, 17, 14, 14), 17, (3, 3), (1, 1), (1, 1), groups=17),
        "depthwise, stride": make((9, 17, 13, 14), 34, (3, 3), (2, 2), (1, 1), groups=17),
        "groups of few channels": make((3, 12, 9, 7), 24, (3, 2), (2, 1), (4, 3), (2, 1), groups=3),
        "tiles": make((5, 32, 9, 10), 48, (3, 3), pad=(1, 1)),
        "tiles, no pad, groups": make((9, 32, 14, 7), 64, (3, 3), groups=2),
        "larger tiles": make((5, 16, 9, 10), 32, (5, 5), pad=(2, 2)),
        "many records": make((37, 1, 12, 12), 20, (5, 5)),
    }


def pool_cases():
    def make(method, kernel, stride, pad, torch_pool, shape=(4, 3, 9, 10)):
        out = torch_pool(torch.zeros(shape)).shape
        net = (layer("conv", "Convolution", ["data"], "conv", "convolution_param { num_output: 3 kernel_size: 1 }")
               + layer("pool", "Pooling", ["conv"], "x",
                       f"pooling_param {{ pool: {method} kernel_size: {kernel} stride: {stride} pad: {pad} }}") + HEAD)
        shapes = [(3, 3, 1, 1), (3,), (3, math.prod(out[1:])), (3,)]
        return Case(shape, net, shapes, lambda w, data, label: head(torch_pool(F.conv2d(data, w[0], w[1])), w[2], w[3], label))
    return {
        "max 2x2": make("MAX", 2, 2, 0, lambda x: F.max_pool2d(x, 2, 2, ceil_mode=True), (4, 3, 8, 10)),
        "max 2x2, odd": make("MAX", 2, 2, 0, lambda x: F.max_pool2d(x, 2, 2, ceil_mode=True)),
        "max 3x3": make("MAX", 3, 2, 1, lambda x: F.max_pool2d(x, 3, 2, padding=1, ceil_mode=True)),
        "average 3x3": make("AVE", 3, 2, 0, lambda x: F.avg_pool2d(x, 3, 2, ceil_mode=True), (4, 3, 9, 11)),
        "average, padded": make("AVE", 3, 1, 1, lambda x: F.avg_pool2d(x, 3, 1, padding=1, count_include_pad=True)),
    }


def relu(name, blob):
    return layer(name, "ReLU", [blob], blob)


def conv(name, bottom, top, outputs, pad=0, kernel=5):
    return layer(name, "Convolution", [bottom], top, f"convolution_param {{ num_output: {outputs} kernel_size: {kernel} pad: {pad} }}")


def pool(name, bottom, top, fields):
    return layer(name, "Pooling", [bottom], top, f"pooling_param {{ {fields} }}")


def smooth_net_cases():
    """Nets in which no rounding decides anything: TanH and means where others have ReLU and maxima."""
    def make(kernel):
        def forward(w, data, label):
            x = data
            for number in range(3):
                x = F.avg_pool2d(torch.tanh(F.conv2d(x, w[2 * number], w[2 * number + 1], padding=kernel // 2)), 3, 2, ceil_mode=True)
            return head(x, w[6], w[7], label)

        text, below = "", "data"
        for number, outputs in enumerate((32, 32, 48), 1):
            top = "x" if number == 3 else f"pool{number}"
            text += (conv(f"conv{number}", below, f"conv{number}", outputs, kernel // 2, kernel)
                     + layer(f"tanh{number}", "TanH", [f"conv{number}"], f"conv{number}")
                     + pool(f"pool{number}", f"conv{number}", top, "pool: AVE kernel_size: 3 stride: 2"))
            below = top
        shapes = [(32, 3, kernel, kernel), (32,), (32, 32, kernel, kernel), (32,), (48, 32, kernel, kernel), (48,), (3, 768), (3,)]
        return Case((10, 3, 32, 32), text + HEAD, shapes, forward, scale=0.05)

    return {"kernels of 3": make(3), "kernels of 5": make(5)}


def whole_net_cases():
    """LeNet and CIFAR-10 quick, on fewer records: convolutions below pools and ReLUs in each of their orders."""
    def lenet(w, data, label):
        x = F.max_pool2d(F.conv2d(data, w[0], w[1]), 2, 2)
        x = F.max_pool2d(F.conv2d(x, w[2], w[3]), 2, 2)
        return head(F.relu(F.linear(x.flatten(1), w[4], w[5])), w[6], w[7], label)

    def quick(w, data, label):
        x = F.relu(F.max_pool2d(F.conv2d(data, w[0], w[1], padding=2), 3, 2, ceil_mode=True))
        x = F.avg_pool2d(F.relu(F.conv2d(x, w[2], w[3], padding=2)), 3, 2, ceil_mode=True)
        x = F.avg_pool2d(F.relu(F.conv2d(x, w[4], w[5], padding=2)), 3, 2, ceil_mode=True)
        return head(F.linear(x.flatten(1), w[6], w[7]), w[8], w[9], label)

    max_2, max_3, mean_3 = "kernel_size: 2 stride: 2", "kernel_size: 3 stride: 2", "pool: AVE kernel_size: 3 stride: 2"
    lenet_text = (conv("conv1", "data", "conv1", 20) + pool("pool1", "conv1", "pool1", max_2) + conv("conv2", "pool1", "conv2", 50)
                  + pool("pool2", "conv2", "pool2", max_2)
                  + layer("ip1", "InnerProduct", ["pool2"], "x", "inner_product_param { num_output: 500 }") + relu("relu1", "x") + HEAD)
    quick_text = (conv("conv1", "data", "conv1", 32, 2) + pool("pool1", "conv1", "pool1", max_3) + relu("relu1", "pool1")
                  + conv("conv2", "pool1", "conv2", 32, 2) + relu("relu2", "conv2") + pool("pool2", "conv2", "pool2", mean_3)
                  + conv("conv3", "pool2", "conv3", 64, 2) + relu("relu3", "conv3") + pool("pool3", "conv3", "pool3", mean_3)
                  + layer("ip1", "InnerProduct", ["pool3"], "x", "inner_product_param { num_output: 64 }") + HEAD)
    lenet_shapes = [(20, 1, 5, 5), (20,), (50, 20, 5, 5), (50,), (500, 800), (500,), (3, 500), (3,)]
    quick_shapes = [(32, 3, 5, 5), (32,), (32, 32, 5, 5), (32,), (64, 32, 5, 5), (64,), (64, 1024), (64,), (3, 64), (3,)]
    return {"LeNet": Case((16, 1, 28, 28), lenet_text, lenet_shapes, lenet, scale=0.05),
            "CIFAR-10 quick": Case((10, 3, 32, 32), quick_text, quick_shapes, quick, scale=0.05)}


def norm_cases():
    shape = (6, 7, 5, 4)
    conv = layer("conv", "Convolution", ["data"], "conv", "convolution_param { num_output: 7 kernel_size: 1 }")
    # BatchNorm takes the mean away and with it a bias, whose gradient would be nothing but rounding.
    unbiased = layer("conv", "Convolution", ["data"], "conv", "convolution_param { num_output: 7 kernel_size: 1 bias_term: false }")
    shapes = [(7, 7, 1, 1), (7,)]
    lrn = Case(shape, conv + layer("lrn", "LRN", ["conv"], "x", "lrn_param { local_size: 5 alpha: 0.9 beta: 0.75 k: 1.5 }") + HEAD,
               shapes + [(3, 140), (3,)],
               lambda w, data, label: head(F.local_response_norm(F.conv2d(data, w[0], w[1]), 5, 0.9, 0.75, 1.5), w[2], w[3], label))

    def batch_norm(w, data, label):
        x = F.batch_norm(F.conv2d(data, w[0]), None, None, training=True, eps=1e-5)
        # The statistics are no parameters of the loss.
        unused = 0 * (w[1].sum() + w[2].sum() + w[3].sum())
        return head(x * w[4].view(1, -1, 1, 1) + w[5].view(1, -1, 1, 1), w[6], w[7], label) + unused
    norm = Case(shape, unbiased + layer("bn", "BatchNorm", ["conv"], "bn")
                + layer("sc", "Scale", ["bn"], "x", "scale_param { bias_term: true }") + HEAD,
                shapes[:1] + [(7,), (7,), (1,), (7,), (7,), (3, 140), (3,)], batch_norm)
    return {"LRN": lrn, "BatchNorm and Scale": norm}


def loss_cases():
    shape, dense = (8, 5), layer("x", "InnerProduct", ["data"], "x", "inner_product_param { num_output: 4 }")
    shapes = [(4, 5), (4,)]

    def make(kind, loss, fields="", **labels):
        net = dense + layer("loss", kind, ["x", "label"], "loss", fields)
        return Case(shape, net, shapes, lambda w, data, label: loss(F.linear(data, w[0], w[1]), label), **labels)

    def targets(draw):
        return draw.uniform(0, 1, (8, 4))

    def hinge(x, label, power):
        signs = torch.ones_like(x)
        signs[torch.arange(8), label.long()] = -1
        return F.relu(1 + signs * x).pow(power).sum() / 8
    return {
        "SoftmaxWithLoss": make("SoftmaxWithLoss", lambda x, label: F.cross_entropy(x, label.long())),
        "SoftmaxWithLoss, ignored": make("SoftmaxWithLoss", lambda x, label: F.cross_entropy(x, label.long(), ignore_index=1),
                                         "loss_param { ignore_label: 1 }"),
        "SigmoidCrossEntropyLoss": make(
            "SigmoidCrossEntropyLoss", lambda x, label: F.binary_cross_entropy_with_logits(x, label, reduction="sum") / 8,
            labels=targets, label_shape=(8, 4)),
        "EuclideanLoss": make("EuclideanLoss", lambda x, label: F.mse_loss(x, label, reduction="sum") / 16, labels=targets,
                              label_shape=(8, 4)),
        "HingeLoss": make("HingeLoss", lambda x, label: hinge(x, label, 1)),
        "HingeLoss L2": make("HingeLoss", lambda x, label: hinge(x, label, 2), "hinge_loss_param { norm: L2 }"),
    }


STATISTICS = {"BatchNorm and Scale": (1, 2, 3)}

SOLVERS = {
    "SGD": ("momentum: 0.9 weight_decay: 0.01", lambda p: torch.optim.SGD(p, 0.05, momentum=0.9, weight_decay=0.01)),
    "Nesterov": ("momentum: 0.8 weight_decay: 0.01", lambda p: torch.optim.SGD(p, 0.05, momentum=0.8, weight_decay=0.01, nesterov=True)),
    "AdaGrad": ("delta: 1e-6 weight_decay: 0.01", lambda p: torch.optim.Adagrad(p, 0.05, eps=1e-6, weight_decay=0.01)),
    # Small steps: with ten times the rate rounding grows from step to step, and PyTorch's own float32 ends 1e-5 and more away from
    # its float64, which is the tolerance.
    "RMSProp": ("base_lr: 0.005 rms_decay: 0.9 delta: 1e-6 weight_decay: 0.01",
                lambda p: torch.optim.RMSprop(p, 0.005, alpha=0.9, eps=1e-6, weight_decay=0.01)),
    "AdaDelta": ("momentum: 0.9 delta: 1e-5 weight_decay: 0.01",
                 lambda p: torch.optim.Adadelta(p, 0.05, rho=0.9, eps=1e-5, weight_decay=0.01)),
    # PyTorch adds its epsilon before the bias correction, Caffe after it: a small one keeps that below the tolerance.
    "Adam": ("momentum: 0.9 momentum2: 0.99 delta: 1e-12 weight_decay: 0.01",
             lambda p: torch.optim.Adam(p, 0.05, betas=(0.9, 0.99), eps=1e-12, weight_decay=0.01)),
}


def solver_text(kind, fields):
    rate = "" if "base_lr" in fields else "base_lr: 0.05"
    return f'type: "{kind}" {rate} lr_policy: "fixed" max_iter: 1000 solver_mode: CPU {fields}'


class PyTorchReference(unittest.TestCase):
    def assert_close(self, ours, theirs, tolerance, what):
        largest = max(float(numpy.abs(theirs).max()), 1e-3)
        self.assertEqual(ours.shape, theirs.shape, what)
        self.assertLess(float(numpy.abs(ours - theirs).max()) / largest, tolerance, what)

    def check_gradients(self, cases):
        for seed, (name, case) in enumerate(cases.items()):
            with self.subTest(name):
                weights, records = draw_case(case, 1, seed)
                out = run_probe(case, solver_text("SGD", ""), 1, weights, records)
                loss, gradients = torch_gradients(case, weights, records[0])
                self.assertAlmostEqual(float(out[0]), loss, delta=1e-5 * max(1, abs(loss)), msg=name)
                at = 2
                for blob, gradient in enumerate(gradients):
                    ours = out[at:at + gradient.size].reshape(gradient.shape)
                    at += gradient.size
                    if blob not in STATISTICS.get(name, ()):
                        self.assert_close(ours, gradient, GRADIENT_TOLERANCE, f"{name}, blob {blob}")

    def test_convolutions(self):
        self.check_gradients(conv_cases())

    def test_poolings(self):
        self.check_gradients(pool_cases())

    def test_whole_nets(self):
        self.check_gradients(whole_net_cases())
        self.check_gradients(smooth_net_cases())

    def test_normalisations(self):
        self.check_gradients(norm_cases())

    def test_losses(self):
        self.check_gradients(loss_cases())

    def test_batch_norm_measures_what_pytorch_keeps(self):
        case = norm_cases()["BatchNorm and Scale"]
        weights, records = draw_case(case, 1, 5)
        out = run_probe(case, solver_text("SGD", ""), 1, weights, records)
        norm = torch.nn.BatchNorm2d(7, momentum=1.0)
        norm(F.conv2d(torch.tensor(records[0][0]), torch.tensor(weights[0])))
        at = 2 + weights[0].size
        self.assert_close(out[at:at + 7], norm.running_mean.numpy(), GRADIENT_TOLERANCE, "mean")
        self.assert_close(out[at + 7:at + 14], norm.running_var.numpy(), GRADIENT_TOLERANCE, "variance")
        self.assertEqual(float(out[at + 14]), 1.0)

    def test_twenty_steps_of_each_solver(self):
        case = conv_cases()["stride and pad"]
        for seed, (kind, (fields, make)) in enumerate(SOLVERS.items()):
            self.check_steps(case, 100 + seed, kind, fields, make)

    # By direct sums: after a rounding that is different, a value beside 0 passes a ReLU or does not, once in some nets.
    def test_twenty_steps_of_whole_nets(self):
        with unittest.mock.patch.dict(os.environ, {"SAMOVAR_WINOGRAD": "0"}):
            self.check_sgd(whole_net_cases())

    def test_twenty_steps_in_tiles(self):
        self.check_sgd(smooth_net_cases())

    def check_sgd(self, cases):
        fields = "base_lr: 0.01 momentum: 0.9 weight_decay: 0.004"
        for name, case in cases.items():
            with self.subTest(name):
                self.check_steps(case, 200, "SGD", fields, lambda p: torch.optim.SGD(p, 0.01, momentum=0.9, weight_decay=0.004))

    def check_steps(self, case, seed, kind, fields, make):
        with self.subTest(kind):
            weights, records = draw_case(case, 20, seed)
            out = run_probe(case, solver_text(kind, fields), 20, weights, records)
            blobs = [torch.nn.Parameter(torch.tensor(weight)) for weight in weights]
            optimizer = make(blobs)
            for data, label in records:
                optimizer.zero_grad()
                case.forward(blobs, torch.tensor(data), torch.tensor(label)).backward()
                optimizer.step()
            at = out.size - sum(weight.size for weight in weights)
            for number, blob in enumerate(blobs):
                theirs = blob.detach().numpy()
                self.assertGreater(float(numpy.abs(theirs - weights[number]).max()), 1e-4)
                self.assert_close(out[at:at + theirs.size].reshape(theirs.shape), theirs, WEIGHT_TOLERANCE, f"{kind}, blob {number}")
                at += theirs.size


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0], add_help=False)
    parser.add_argument("--probe", type=pathlib.Path, default=PROBE)
    arguments, rest = parser.parse_known_args()
    PROBE = arguments.probe.resolve()
    unittest.main(argv=[__file__, *rest])
