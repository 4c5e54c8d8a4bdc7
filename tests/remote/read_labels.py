#!/usr/bin/env python3
"""Prints the key and label of each record of an LMDB of Caffe's Datums, with PyPI's lmdb and without anything of Samovar's.

    read_labels.py DIRECTORY      a line each: KEY LABEL
"""

import pathlib
import sys

import lmdb

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "integration"))
from model_blobs import fields  # noqa: E402

LABEL = 5

with lmdb.open(sys.argv[1], readonly=True, lock=False) as database, database.begin() as records:
    for key, value in records.cursor():
        print(key.decode(), dict(fields(value)).get(LABEL, 0))
