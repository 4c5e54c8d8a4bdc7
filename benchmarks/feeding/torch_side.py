#!/usr/bin/env python3
"""PyTorch's side of compare.py: a DataLoader with as many worker processes as threads are asked for."""

import io
import os

import torch
import torchvision
from PIL import Image
from torch.utils import data
from torchvision.io import ImageReadMode, decode_jpeg
from torchvision.transforms import RandomCrop
from torchvision.transforms import functional as transforms

import feeding
import records

PREFETCHED = 2


class Samples(data.Dataset):
    """Planes of float32, cropped, mirrored, less the mean; and the label. `decoder`: pil or tensor."""

    def __init__(self, options):
        self.records = records.records_of(options.folder, options.kind)
        self.mean = torch.from_numpy(records.mean_of(options.folder, options.mean))
        self.decoder = options.decoder

    def __len__(self):
        return len(self.records)

    def cropped(self, stored):
        """The crop's planes of bytes, and its place."""
        if not isinstance(stored, (bytes, memoryview)):
            planes = torch.from_numpy(stored)
        elif self.decoder == "tensor":
            planes = decode_jpeg(torch.frombuffer(bytearray(stored), dtype=torch.uint8), ImageReadMode.RGB)
        else:
            image = Image.open(io.BytesIO(stored)).convert("RGB")
            place = RandomCrop.get_params(image, (records.CROP, records.CROP))
            return transforms.pil_to_tensor(transforms.crop(image, *place)), place
        place = RandomCrop.get_params(planes, (records.CROP, records.CROP))
        return transforms.crop(planes, *place), place

    def __getitem__(self, number):
        stored, label = self.records.read(number)
        planes, place = self.cropped(stored)
        mean = self.mean if self.mean.shape[-1] == 1 else transforms.crop(self.mean, *place)
        sample = planes.float().sub_(mean)
        return (transforms.hflip(sample) if torch.rand(1) < 0.5 else sample), float(label)


def processor_seconds():
    """Of this process and of its workers."""
    ticks = 0
    with open(f"/proc/self/task/{os.getpid()}/children", encoding="ascii") as children:
        for pid in ["self", *children.read().split()]:
            with open(f"/proc/{pid}/stat", encoding="ascii") as stat:
                ticks += sum(map(int, stat.read().rpartition(")")[2].split()[11:13]))
    return ticks / os.sysconf("SC_CLK_TCK")


def endless(loader):
    while True:
        yield from loader


def main():
    options = feeding.arguments(__doc__)
    torch.set_num_threads(1)
    loader = data.DataLoader(Samples(options), batch_size=records.BATCH, shuffle=True, drop_last=True, num_workers=options.threads,
                             prefetch_factor=PREFETCHED, persistent_workers=True)
    batches = endless(loader)
    about = {"system": "torch", "version": f"torch {torch.__version__}, torchvision {torchvision.__version__}", "mean": next(batches)[0].mean().item()}
    feeding.serve(about, lambda: next(batches), PREFETCHED * options.threads, processor_seconds, options)


if __name__ == "__main__":
    main()
