#!/usr/bin/env python3
"""Caffe's side of compare.py: its own solver trains one net on a synthetic batch, a round for each line on standard input.
Needs Python 3.8 with PyPI's kendryte-caffe, which is Caffe 1.0.0 with OpenBLAS, and protobuf < 3.21."""

import os
import pathlib
import tempfile

os.environ.setdefault("GLOG_minloglevel", "2")

import caffe
import numpy

import nets
import prototxt
import serving

# Tests, snapshots and reports, and steps of several batches.
LEFT_OUT = ("net", "test_iter", "test_interval", "test_initialization", "display", "average_loss", "snapshot", "snapshot_prefix", "iter_size",
            "max_iter")


def input_layer(compared, batch):
    image = " ".join(f"dim: {dim}" for dim in (batch, *compared.shape))
    return prototxt.parse(f'name: "data" type: "Input" top: "data" top: "label" '
                          f'input_param {{ shape {{ {image} }} shape {{ dim: {batch} }} }}')


def solver_of(compared, batch):
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        net = {"layer": [input_layer(compared, batch), *compared.layers()]}
        (folder / "net.prototxt").write_text(prototxt.write(net))
        solver = {field: values for field, values in compared.solver().items() if field not in LEFT_OUT}
        text = prototxt.write(solver) + f'train_net: "{folder / "net.prototxt"}"\nmax_iter: 1000000\nsnapshot_after_train: false\ndisplay: 0\n'
        (folder / "solver.prototxt").write_text(text)
        return caffe.get_solver(str(folder / "solver.prototxt"))


def main():
    options = serving.arguments(__doc__)
    about = {"system": "Caffe", "version": caffe.__version__, "import_mib": serving.resident_mib()}
    compared = nets.NETS[options.net]
    caffe.set_mode_cpu()
    solver = solver_of(compared, options.batch)
    random = numpy.random.RandomState(1)
    blobs = solver.net.blobs
    blobs["data"].data[...] = random.rand(*blobs["data"].data.shape)
    blobs["label"].data[...] = random.randint(compared.classes, size=options.batch)
    statistics = {name for name, layer in zip(solver.net._layer_names, solver.net.layers) if layer.type == "BatchNorm"}
    about["parameters"] = sum(blob.count for name, blobs in solver.net.params.items() if name not in statistics for blob in blobs)
    serving.serve(about, lambda: solver.step(1), options)


if __name__ == "__main__":
    main()
