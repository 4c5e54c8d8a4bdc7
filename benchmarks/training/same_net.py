"""Whether the engine and PyTorch train the same net: the engine writes its weights and its batch, both sides take a few steps from
there, and their losses are compared. Run as a program by compare.py, it is PyTorch's part."""

import json
import math
import subprocess
import sys
import tempfile

import nets
import sides

# The second loss is that of the updated weights. Later ones say less: rounding decides which of two near maxima gets the gradient,
# and BatchNorm of few records makes much of it.
STEPS = 2
# Relative.
FIRST, LATER = 1e-4, 2e-2
BATCH = {"lenet": 16, "cifar10_quick": 16, "cifar10_full": 16, "resnet20": 16}


def check(net, options):
    batch = BATCH.get(net.name, 4)
    shape = "x".join(map(str, net.shape))
    environment = sides.environment_of(options.threads[-1], options)
    with tempfile.NamedTemporaryFile() as start:
        engine = [options.bench, "--solver", net.solver_path, "--shape", shape, "--classes", net.classes, "--batch", batch,
                  "--threads", options.threads[-1], "--losses", STEPS, "--write", start.name, "--nodropout"]
        peer = [options.python[0], __file__, net.name, batch, start.name]
        ours, theirs = (json.loads(subprocess.run([str(word) for word in command], env=environment, check=True, capture_output=True, text=True).stdout)
                        for command in (engine, peer))
    differences = [abs(a - b) / max(abs(b), 1e-6) for a, b in zip(ours["losses"], theirs["losses"])]
    same = (ours["parameters"] == theirs["parameters"] and differences[0] < FIRST and all(value < LATER for value in differences[1:])
            and all(map(math.isfinite, ours["losses"])))
    print(f"{net.name}: {ours['parameters']} parameters, PyTorch's {theirs['parameters']}; losses {ours['losses']}, "
          f"PyTorch's {theirs['losses']}: {'the same' if same else 'NOT the same'}", flush=True)
    return same


class Floats:
    """The engine's file, front to back."""

    def __init__(self, path):
        import torch
        self.values = torch.from_file(path, size=_floats_in(path), dtype=torch.float32)
        self.at = 0

    def take(self, count):
        self.at += count
        return self.values[self.at - count:self.at]

    def skip(self, count):
        self.at += count


def _floats_in(path):
    with open(path, "rb") as file:
        return file.seek(0, 2) // 4


def print_losses(net, batch, path):
    import torch

    import torch_net
    floats = Floats(path)
    model = torch_net.CaffeNet(net.layers(dropout=False), net.shape)
    model.load(floats)
    data = floats.take(batch * math.prod(net.shape)).view(batch, *net.shape)
    labels = floats.take(batch).long()
    optimizer = torch_net.optimizer_of(model, net.solver(rate_scale=1))
    losses = []
    for _ in range(STEPS):
        optimizer.zero_grad()
        loss = model(data, labels)
        loss.backward()
        optimizer.step()
        losses.append(float(f"{loss.item():.6g}"))
    if floats.at != len(floats.values):
        sys.exit("the engine has written more than PyTorch's net has")
    print(json.dumps({"parameters": model.parameter_count(), "losses": losses}))


if __name__ == "__main__":
    print_losses(nets.NETS[sys.argv[1]], int(sys.argv[2]), sys.argv[3])
