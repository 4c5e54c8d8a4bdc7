#!/usr/bin/env python3
"""PyTorch's side of compare.py: trains one net on a synthetic batch, a round for each line on standard input."""

import time

import torch
from torch._inductor import config as inductor

import nets
import serving
import torch_net


def gemm_gflops():
    """How fast one thread is in matrix products; the best of three."""
    torch.set_num_threads(1)
    size = 768
    a = torch.rand(size, size)
    times = []
    for _ in range(3):
        start = time.process_time()
        torch.mm(a, a)
        times.append(time.process_time() - start)
    return 2 * size ** 3 / min(times) / 1e9


def main():
    options = serving.arguments(__doc__)
    compared = nets.NETS[options.net]
    about = {"system": "torch", "version": torch.__version__, "import_mib": serving.resident_mib(), "gemm_gflops": round(gemm_gflops(), 1)}
    torch.set_num_threads(options.threads)
    torch.manual_seed(1)
    net = torch_net.CaffeNet(compared.layers(), compared.shape)
    about["parameters"] = net.parameter_count()
    data, labels = torch.rand(options.batch, *compared.shape), torch.randint(compared.classes, (options.batch,))
    if options.variant != "nchw":
        net, data = net.to(memory_format=torch.channels_last), data.to(memory_format=torch.channels_last)
    optimizer = torch_net.optimizer_of(net, compared.solver())
    loss_of = net
    if options.variant == "compile":
        if options.level == "v3":
            inductor.cpp.simdlen = 256
        loss_of = torch.compile(net)

    def step():
        optimizer.zero_grad()
        loss_of(data, labels).backward()
        optimizer.step()

    about["threads"] = torch.get_num_threads()
    about["capability"] = torch.backends.cpu.get_cpu_capability()
    serving.serve(about, step, options)


if __name__ == "__main__":
    main()
