"""The nets that are compared: shipped models, each with the size of its records and the batch that both sides train on."""

import pathlib
from dataclasses import dataclass

import prototxt

# Speed is measured with this part of the solver's rate. With all of it, some nets diverge on a batch that is always the same, and in others
# units die, whose work the engine skips.
RATE_SCALE = 0.01
ROOT = pathlib.Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class ComparedNet:
    name: str
    solver_file: str
    shape: tuple
    classes: int
    batch: int

    @property
    def solver_path(self):
        return ROOT / "config" / "models" / self.solver_file

    def solver(self, rate_scale=RATE_SCALE):
        solver = prototxt.read(self.solver_path)
        return {**solver, "base_lr": [repr(rate_scale * prototxt.get(solver, "base_lr", 0.01))]}

    def layers(self, dropout=True):
        """The layers of phase TRAIN, without the data layer; without those of Dropout if that is not wanted."""
        net = prototxt.read(self.solver_path.parent / prototxt.get(self.solver(), "net", ""))
        layers = [layer for layer in net["layer"] if prototxt.in_phase(layer, "TRAIN")]
        left_out = {"Data"} if dropout else {"Data", "Dropout"}
        return [layer for layer in layers if prototxt.get(layer, "type", "") not in left_out]


def _net(name, solver, shape, classes, batch):
    return name, ComparedNet(name, f"{name}/{solver}", shape, classes, batch)


NETS = dict([
    _net("lenet", "lenet_solver.prototxt", (1, 28, 28), 10, 64),
    _net("cifar10_quick", "cifar10_quick_solver.prototxt", (3, 32, 32), 10, 100),
    _net("cifar10_full", "cifar10_full_solver.prototxt", (3, 32, 32), 10, 100),
    _net("resnet20", "resnet20_solver.prototxt", (3, 32, 32), 10, 128),
    _net("caffenet", "caffenet_solver.prototxt", (3, 227, 227), 1000, 32),
    _net("googlenet", "googlenet_quick_solver.prototxt", (3, 224, 224), 1000, 32),
    _net("resnet50", "resnet50_solver.prototxt", (3, 224, 224), 1000, 16),
    _net("squeezenet", "squeezenet_solver.prototxt", (3, 227, 227), 1000, 32),
    _net("mobilenet", "mobilenet_solver.prototxt", (3, 224, 224), 1000, 32),
    _net("vgg16", "vgg16_solver.prototxt", (3, 224, 224), 1000, 8),
])
