"""A PyTorch net made of the layers of a prototxt, and its optimizer: the same layers, the same losses, the same rates.

BatchNorm and the Scale above it are one BatchNorm2d, as PyTorch's users write it."""

import torch
from torch import nn
from torch.nn import functional

from prototxt import get, texts


class Flat(nn.Linear):
    def forward(self, x):
        return super().forward(x.flatten(1))


class Concat(nn.Module):
    def forward(self, *blobs):
        return torch.cat(blobs, 1)


class Sum(nn.Module):
    def forward(self, a, b):
        return a + b


class NormWithinChannel(nn.Module):
    """Caffe's LRN with norm_region WITHIN_CHANNEL: x / (1 + alpha mean(x^2))^beta over a square of size x size."""

    def __init__(self, size, alpha, beta):
        super().__init__()
        self.size, self.alpha, self.beta = size, alpha, beta

    def forward(self, x):
        mean = functional.avg_pool2d(x * x, self.size, 1, (self.size - 1) // 2)
        return x * (1 + self.alpha * mean).pow(-self.beta)


class Loss(nn.Module):
    def __init__(self, weight):
        super().__init__()
        self.weight = weight

    def forward(self, scores, labels):
        return self.weight * functional.cross_entropy(scores.flatten(1), labels)


def convolution(layer, channels):
    def field(name, default):
        return get(layer, "convolution_param." + name, default)
    return nn.Conv2d(channels, field("num_output", 0), field("kernel_size", 0), field("stride", 1), field("pad", 0),
                     groups=field("group", 1), bias=field("bias_term", True))


def pooling(layer):
    def field(name, default):
        return get(layer, "pooling_param." + name, default)
    if field("global_pooling", False):
        return nn.AdaptiveAvgPool2d(1) if field("pool", "MAX") == "AVE" else nn.AdaptiveMaxPool2d(1)
    pool = nn.AvgPool2d if field("pool", "MAX") == "AVE" else nn.MaxPool2d
    return pool(field("kernel_size", 0), field("stride", 1), field("pad", 0), ceil_mode=True)


def norm(layer):
    size, alpha = get(layer, "lrn_param.local_size", 5), get(layer, "lrn_param.alpha", 1.0)
    beta = get(layer, "lrn_param.beta", 0.75)
    if get(layer, "lrn_param.norm_region", "") == "WITHIN_CHANNEL":
        return NormWithinChannel(size, alpha, beta)
    return nn.LocalResponseNorm(size, alpha, beta, get(layer, "lrn_param.k", 1.0))


def batch_norm(layer, channels):
    return nn.BatchNorm2d(channels, get(layer, "batch_norm_param.eps", 1e-5),
                          1 - get(layer, "batch_norm_param.moving_average_fraction", 0.999))


def operation(layer, size, in_place):
    """A layer as a module; `size` is that of its first bottom."""
    kind = get(layer, "type", "")
    if kind == "Convolution":
        return convolution(layer, size[1])
    if kind == "InnerProduct":
        return Flat(size[1:].numel(), get(layer, "inner_product_param.num_output", 0))
    if kind == "Pooling":
        return pooling(layer)
    if kind == "LRN":
        return norm(layer)
    if kind == "BatchNorm":
        return batch_norm(layer, size[1])
    if kind == "ReLU":
        return nn.ReLU(inplace=in_place)
    if kind == "Dropout":
        # Not in place: the ReLU below needs its outputs for its gradient.
        return nn.Dropout(get(layer, "dropout_param.dropout_ratio", 0.5))
    if kind == "Concat":
        return Concat()
    if kind == "Eltwise" and get(layer, "eltwise_param.operation", "SUM") == "SUM":
        return Sum()
    if kind == "SoftmaxWithLoss":
        return Loss(get(layer, "loss_weight", 1.0))
    raise ValueError(f"no layer of type {kind}")


class CaffeNet(nn.Module):
    """forward(data, labels) is the loss. `learned` has an entry a blob that Caffe's solver learns: the parameter, lr_mult and
    decay_mult. `blobs` has all of Caffe's blobs in its order, statistics included: the tensor, or how many values PyTorch has
    no tensor for."""

    def __init__(self, layers, shape):
        super().__init__()
        self.steps = nn.ModuleList()
        self.plan, self.learned, self.blobs = [], [], []
        tried = {"data": torch.rand(1, *shape), "label": torch.zeros(1, dtype=torch.int64)}
        with torch.no_grad():
            for layer in layers:
                self.add(layer, tried)
        self.forget_early()

    def add(self, layer, tried):
        kind, bottoms, top = get(layer, "type", ""), texts(layer, "bottom"), texts(layer, "top")[0]
        if kind == "Scale":
            below = self.steps[-1]
            if not isinstance(below, nn.BatchNorm2d) or bottoms != [top] or self.plan[-1][1] != top:
                raise ValueError("a Scale that is not right above a BatchNorm")
            self.learn(layer, below)
            return
        step = operation(layer, tried[bottoms[0]].shape, bottoms[0] == top)
        self.steps.append(step)
        self.plan.append((bottoms, top, []))
        if kind in ("Convolution", "InnerProduct"):
            self.learn(layer, step)
        if kind == "BatchNorm":
            self.blobs += [step.running_mean, step.running_var, 1]
        tried[top] = step.eval()(*(tried[bottom] for bottom in bottoms))
        step.train()

    def learn(self, layer, step):
        rates = layer.get("param", [])
        for i, values in enumerate(value for value in (step.weight, step.bias) if value is not None):
            rate = rates[i] if i < len(rates) else {}
            self.learned.append((values, get(rate, "lr_mult", 1.0), get(rate, "decay_mult", 1.0)))
            self.blobs.append(values)

    def forget_early(self):
        """As in a net that is written by hand, a blob that nobody reads any more is not kept."""
        read_later = set()
        for bottoms, top, forgotten in reversed(self.plan):
            forgotten.extend(bottom for bottom in dict.fromkeys(bottoms) if bottom not in read_later and bottom != top)
            read_later.discard(top)
            read_later.update(bottoms)

    def forward(self, data, labels):
        blobs, loss = {"data": data, "label": labels}, 0
        for step, (bottoms, top, forgotten) in zip(self.steps, self.plan):
            result = step(*[blobs[bottom] for bottom in bottoms])
            for name in forgotten:
                del blobs[name]
            if isinstance(step, Loss):
                loss = loss + result
            else:
                blobs[top] = result
        return loss

    def parameter_count(self):
        return sum(values.numel() for values, _, _ in self.learned)

    def load(self, floats):
        """The weights of an iterator of float32, in Caffe's order."""
        with torch.no_grad():
            for values in self.blobs:
                if isinstance(values, int):
                    floats.skip(values)
                else:
                    values.copy_(floats.take(values.numel()).view(values.shape))


def optimizer_of(net, solver):
    """SGD as the solver's file has it, at its first rate."""
    rate, decay = get(solver, "base_lr", 0.01), get(solver, "weight_decay", 0.0)
    groups = {}
    for values, lr_mult, decay_mult in net.learned:
        groups.setdefault((lr_mult, decay_mult), []).append(values)
    groups = [{"params": values, "lr": rate * lr_mult, "weight_decay": decay * decay_mult}
              for (lr_mult, decay_mult), values in groups.items()]
    try:
        return torch.optim.SGD(groups, lr=rate, momentum=get(solver, "momentum", 0.0), fused=True)
    except (TypeError, RuntimeError):
        # Older than fused updates on processors.
        return torch.optim.SGD(groups, lr=rate, momentum=get(solver, "momentum", 0.0))
