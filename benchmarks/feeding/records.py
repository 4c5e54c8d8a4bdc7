"""Records as the peers read them: the bytes of a JPEG file, or the planes of a record that is stored as bytes."""

import pathlib
import threading

import lmdb
import numpy

BATCH, CROP = 32, 227
# Blue, green, red.
MEAN_VALUES = (104, 117, 123)


def varint(bytes_, at):
    value = shift = 0
    while True:
        byte = bytes_[at]
        value |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if byte < 128:
            return value, at


def datum(bytes_):
    """Fields of a Datum by their numbers: 1 to 3 channels, height and width, 4 data, 5 label, 7 encoded."""
    fields, at = {}, 0
    while at < len(bytes_):
        tag, at = varint(bytes_, at)
        value, at = varint(bytes_, at)
        if tag & 7 == 2:
            value, at = bytes_[at:at + value], at + value
        fields[tag >> 3] = value
    return fields


def mean_of(folder, mean):
    """[3, 1, 1] or [3, 256, 256] float32."""
    if mean == "value":
        return numpy.array(MEAN_VALUES, numpy.float32).reshape(3, 1, 1)
    # A BlobProto: 2 to 4 channels, height and width, 5 packed floats; or 7 a shape, which is not needed here.
    fields = datum((pathlib.Path(folder) / "mean.binaryproto").read_bytes())
    return numpy.frombuffer(fields[5], numpy.float32).reshape(3, fields[3], fields[4]).copy()


class Files:
    def __init__(self, folder):
        lines = (pathlib.Path(folder) / "list.txt").read_text(encoding="ascii").splitlines()
        self.files = [(f"{folder}/images/{name}", int(label)) for name, label in (line.split() for line in lines)]

    def __len__(self):
        return len(self.files)

    def read(self, number):
        """The image's bytes, and its label."""
        path, label = self.files[number]
        with open(path, "rb") as file:
            return file.read(), label


class Lmdb:
    """Opened by the process that reads, by the first of its threads."""

    opening = threading.Lock()

    def __init__(self, path):
        self.path, self.transaction = path, None
        with lmdb.open(path, readonly=True, lock=False) as environment, environment.begin() as transaction:
            self.keys = [key for key, _ in transaction.cursor()]

    def __len__(self):
        return len(self.keys)

    def read(self, number):
        """The image's bytes, or its planes [3, 256, 256], where they lie in the LMDB; and its label."""
        with self.opening:
            if self.transaction is None:
                self.environment = lmdb.open(self.path, readonly=True, lock=False)
                self.transaction = self.environment.begin(buffers=True)
        fields = datum(self.transaction.get(self.keys[number]))
        if fields.get(7):
            return fields[4], fields.get(5, 0)
        return numpy.frombuffer(fields[4], numpy.uint8).reshape(fields[1], fields[2], fields[3]), fields.get(5, 0)


def records_of(folder, kind):
    return Files(folder) if kind == "list" else Lmdb(f"{folder}/{kind}")
