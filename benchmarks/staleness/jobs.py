"""The jobs that late gradients are measured with: LeNet as it is shipped, and a small net with BatchNorm."""

import pathlib
import re

LENET = pathlib.Path(__file__).resolve().parents[2] / "config" / "models" / "lenet"

DATA = """layer {{
  name: "fashion" type: "Data" top: "data" top: "label"
  include {{ phase: {phase} }}
  transform_param {{ scale: 0.00390625 }}
  data_param {{ source: "{source}" backend: LMDB batch_size: {batch} }}
}}
"""

CONVOLUTION = """layer {{
  name: "{name}" type: "Convolution" bottom: "{bottom}" top: "{name}"
  convolution_param {{ num_output: {outputs} kernel_size: {kernel} pad: {pad} stride: {stride} bias_term: false weight_filler {{ type: "msra" }} }}
}}
layer {{
  name: "{name}_bn" type: "BatchNorm" bottom: "{name}" top: "{name}"
  param {{ lr_mult: 0 decay_mult: 0 }} param {{ lr_mult: 0 decay_mult: 0 }} param {{ lr_mult: 0 decay_mult: 0 }}
}}
layer {{
  name: "{name}_scale" type: "Scale" bottom: "{name}" top: "{name}"
  param {{ lr_mult: 1 decay_mult: 0 }} param {{ lr_mult: 1 decay_mult: 0 }}
  scale_param {{ bias_term: true }}
}}
"""

RELU = 'layer {{ name: "{0}_relu" type: "ReLU" bottom: "{0}" top: "{0}" }}\n'

# After the blocks, 64 x 7 x 7.
CLASSIFIER = """layer {{
  name: "pool" type: "Pooling" bottom: "{bottom}" top: "pool"
  pooling_param {{ pool: AVE global_pooling: true }}
}}
layer {{
  name: "score" type: "InnerProduct" bottom: "pool" top: "score"
  param {{ lr_mult: 1 decay_mult: 1 }} param {{ lr_mult: 1 decay_mult: 0 }}
  inner_product_param {{ num_output: 10 weight_filler {{ type: "msra" }} }}
}}
layer {{ name: "accuracy" type: "Accuracy" bottom: "score" bottom: "label" top: "accuracy" include {{ phase: TEST }} }}
layer {{ name: "loss" type: "SoftmaxWithLoss" bottom: "score" bottom: "label" top: "loss" }}
"""


def convolution(name, bottom, outputs, kernel=3, stride=1):
    return CONVOLUTION.format(name=name, bottom=bottom, outputs=outputs, kernel=kernel, pad=kernel // 2, stride=stride)


def block(name, bottom, outputs, stride):
    """Two convolutions of 3 x 3, added to what came in, which goes through one of 1 x 1 where sizes change."""
    text = convolution(f"{name}_a", bottom, outputs, stride=stride) + RELU.format(f"{name}_a")
    text += convolution(f"{name}_b", f"{name}_a", outputs)
    if stride > 1:
        text += convolution(f"{name}_in", bottom, outputs, kernel=1, stride=stride)
        bottom = f"{name}_in"
    return text + f'layer {{ name: "{name}" type: "Eltwise" bottom: "{bottom}" bottom: "{name}_b" top: "{name}" }}\n' + RELU.format(name)


def resnet8_net(data):
    """ResNet-20 with one block a stage instead of three, for 1 x 28 x 28."""
    text = 'name: "ResNet-8"\n'
    for phase, batch in (("TRAIN", 64), ("TEST", 100)):
        text += DATA.format(phase=phase, source=data / f"fashion_mnist_{phase.lower()}_lmdb", batch=batch)
    text += convolution("first", "data", 16) + RELU.format("first")
    text += block("one", "first", 16, 1) + block("two", "one", 32, 2) + block("three", "two", 64, 2)
    return text + CLASSIFIER.format(bottom="three")


# The rate falls to a tenth after half of the updates, and again after three quarters, as in ResNet-20's recipe.
RESNET8_SOLVER = """net: "net.prototxt"
test_iter: 100
base_lr: 0.1
lr_policy: "multistep"
gamma: 0.1
momentum: 0.9
weight_decay: 0.0001
display: 100
"""


def lenet_net(data):
    net = (LENET / "lenet_train_test.prototxt").read_text(encoding="utf-8")
    return re.sub(r'source: "[^"]*?([^/"]+)"', lambda match: f'source: "{data / match.group(1)}"', net)


def write(model, directory, data, iterations, fields):
    """The model's solver and net, with these data, for so many iterations, tested at the end only. `fields`: of the solver, to be set."""
    net = lenet_net(data) if model == "lenet" else resnet8_net(data)
    (directory / "net.prototxt").write_text(net, encoding="utf-8")
    solver = (LENET / "lenet_solver.prototxt").read_text(encoding="utf-8") if model == "lenet" else RESNET8_SOLVER
    if model == "resnet8":
        solver += f"stepvalue: {iterations // 2}\nstepvalue: {iterations * 3 // 4}\n"
    usual = {"net": '"net.prototxt"', "max_iter": iterations, "snapshot": 0, "test_interval": iterations,
             "test_initialization": "false", "snapshot_prefix": '"out/model"'}
    for field, value in {**usual, **fields}.items():
        solver = re.sub(rf"^{field}:.*\n", "", solver, flags=re.MULTILINE) + f"{field}: {value}\n"
    (directory / "solver.prototxt").write_text(solver, encoding="utf-8")
