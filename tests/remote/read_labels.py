#!/usr/bin/env python3
"""Prints the key and label of each record of an LMDB of Caffe's Datums, with PyPI's lmdb and without anything of Samovar's.

    read_labels.py DIRECTORY      a line each: KEY LABEL
"""

import sys

import lmdb


def varint(data: bytes, at: int) -> "tuple[int, int]":
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at


def label_of(datum: bytes) -> int:
    """Field 5 of caffe.Datum."""
    at, label = 0, 0
    while at < len(datum):
        tag, at = varint(datum, at)
        if tag & 7 == 0:
            value, at = varint(datum, at)
            if tag >> 3 == 5:
                label = value
        elif tag & 7 == 2:
            length, at = varint(datum, at)
            at += length
        else:
            at += 4
    return label


with lmdb.open(sys.argv[1], readonly=True, lock=False) as database, database.begin() as records:
    for key, value in records.cursor():
        print(key.decode(), label_of(value))
