#!/usr/bin/env python3
"""OpenCV's side of compare.py: imdecode and numpy, in as many threads, each of which fills its samples of the batch."""

import concurrent.futures
import random
import time

import cv2
import numpy

import feeding
import records


class Batches:
    def __init__(self, options):
        self.records = records.records_of(options.folder, options.kind)
        self.mean = records.mean_of(options.folder, options.mean)
        self.pool = concurrent.futures.ThreadPoolExecutor(options.threads) if options.threads > 1 else None
        self.data = numpy.empty((records.BATCH, 3, records.CROP, records.CROP), numpy.float32)
        self.labels = numpy.empty(records.BATCH, numpy.float32)
        self.order = []

    def fill(self, place):
        at, number = place
        stored, self.labels[at] = self.records.read(number)
        if isinstance(stored, numpy.ndarray):
            planes = stored
        else:
            planes = cv2.imdecode(numpy.frombuffer(stored, numpy.uint8), cv2.IMREAD_COLOR).transpose(2, 0, 1)
        top, left = random.randint(0, planes.shape[1] - records.CROP), random.randint(0, planes.shape[2] - records.CROP)
        rows, columns = slice(top, top + records.CROP), slice(left, left + records.CROP)
        mean = self.mean if self.mean.shape[-1] == 1 else self.mean[:, rows, columns]
        out = self.data[at, :, :, ::-1] if random.random() < 0.5 else self.data[at]
        numpy.subtract(planes[:, rows, columns], mean, out=out)

    def step(self):
        if len(self.order) < records.BATCH:
            self.order = random.sample(range(len(self.records)), len(self.records))
        chosen = [self.order.pop() for _ in range(records.BATCH)]
        if self.pool is None:
            for place in enumerate(chosen):
                self.fill(place)
        else:
            list(self.pool.map(self.fill, enumerate(chosen)))


def main():
    options = feeding.arguments(__doc__)
    cv2.setNumThreads(1)
    batches = Batches(options)
    batches.step()
    about = {"system": "opencv", "version": f"opencv {cv2.__version__}, numpy {numpy.__version__}", "mean": float(batches.data.mean())}
    feeding.serve(about, batches.step, 0, time.process_time, options)


if __name__ == "__main__":
    main()
