"""Records as `samovar data write-partition` takes them: keys, Datums, and the stream of both.

Everything else about a data set's form is the program's business (common/data/README.md of the source).
"""

import hashlib
import re
import struct
from bisect import bisect_right
from typing import Any, Iterable, List, NamedTuple, Optional, Sequence, Tuple

from samovar.errors import RecordError

# How the records of a set lie: by a digest of their ids, so that each partition has of everything; by their ids; as the rows came.
ORDERS = ("mixed", "id", "given")
MAX_KEY_BYTES = 511
_DIGITS = 12
_PREFIXED = re.compile(r"[0-9a-f]{12}_")

Shape = Tuple[int, int, int]


def name_of(row_id: str) -> str:
    return f'record "{row_id}"'


def key_of(row_id: Optional[str], order: str, position: int = 0) -> str:
    """The record's key, whose bytes give its place in the set. RecordError: there is no id, or one that cannot be a key."""
    if row_id is None or row_id == "":
        raise RecordError("a row has no id: the column is null or empty there")
    if order == "mixed":
        key = hashlib.sha256(row_id.encode()).hexdigest()[:_DIGITS] + "_" + row_id
    elif order == "given":
        key = f"{position:0{_DIGITS}d}_{row_id}"
    else:
        key = row_id
        if _PREFIXED.match(key):
            raise RecordError(f'{name_of(row_id)}: an id that begins with 12 hexadecimal digits and "_" looks like a key of another '
                              'order; take order="mixed"')
    if len(key.encode()) > MAX_KEY_BYTES:
        raise RecordError(f"{name_of(row_id[:100])}...: the key has {len(key.encode())} bytes, and {MAX_KEY_BYTES} at most are possible")
    return key


def id_of(key: str) -> str:
    """The id that key_of made the key of; a key of another origin stays as it is."""
    return key[_DIGITS + 1:] if _PREFIXED.match(key) else key


class Cut(NamedTuple):
    """How records lie in partitions: one after the other, of sizes that differ by one at most, larger ones first."""
    records: int
    partitions: int

    def begin(self, partition: int) -> int:
        return self.records // self.partitions * partition + min(partition, self.records % self.partitions)

    def size(self, partition: int) -> int:
        return self.begin(partition + 1) - self.begin(partition)


class KeyRanges:
    """Which partition a key belongs to: `firsts` are the first keys of all partitions but the first."""

    def __init__(self, firsts: Sequence[str]) -> None:
        self.firsts = list(firsts)

    def __call__(self, key: str) -> int:
        return bisect_right(self.firsts, key)


def _varint(number: int) -> bytes:
    # A negative int32 has ten bytes.
    number &= (1 << 64) - 1
    out = bytearray()
    while number > 0x7f:
        out.append(number & 0x7f | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def _integer(field: int, number: int) -> bytes:
    return _varint(field << 3) + _varint(number)


def encode_datum(label: int, *, data: bytes = b"", floats: Sequence[float] = (), shape: Optional[Shape] = None) -> bytes:
    """A serialised caffe.Datum. Without a shape `data` is an encoded image."""
    parts: List[bytes] = []
    if shape is not None:
        parts += [_integer(field, size) for field, size in zip((1, 2, 3), shape)]
    if data:
        parts += [_varint(4 << 3 | 2), _varint(len(data)), data]
    parts.append(_integer(5, label))
    if floats:
        # As proto2 writes a repeated field: a tag before each.
        words: List[Any] = [6 << 3 | 5] * (2 * len(floats))
        words[1::2] = floats
        parts.append(struct.pack("<" + "Bf" * len(floats), *words))
    if shape is None:
        parts.append(_integer(7, 1))
    return b"".join(parts)


def datum_of(row_id: str, label: Any, image: Any, shape: Optional[Shape]) -> bytes:
    """The Datum of a row. `image`: bytes of a JPEG or PNG, or with a shape (channels, height, width) as many pixels, plane by plane;
    or numbers, a list or a vector of pyspark.ml, without a shape of as many channels of one pixel. RecordError: names the record."""
    def wrong(text: str) -> RecordError:
        return RecordError(f"{name_of(row_id)}: {text}")

    if label is None:
        raise wrong("the label is null")
    try:
        number = int(label)
    except (TypeError, ValueError):
        raise wrong(f"the label {label!r} is no whole number") from None
    if number != label or not -2**31 <= number < 2**31:
        raise wrong(f"the label {label!r} is no whole number of 32 bits")
    if image is None:
        raise wrong("the image is null")
    size = shape[0] * shape[1] * shape[2] if shape else None
    if isinstance(image, (bytes, bytearray, memoryview)):
        data = bytes(image)
        if not data:
            raise wrong("the image is empty")
        if size is not None and len(data) != size:
            raise wrong(f"the image has {len(data)} bytes, and the shape {shape} needs {size}")
        return encode_datum(number, data=data, shape=shape)
    values = image.toArray() if hasattr(image, "toArray") else image
    try:
        floats = [float(value) for value in values]
    except (TypeError, ValueError):
        raise wrong(f"the image is {type(image).__name__}, and neither bytes nor numbers, or one of them is null") from None
    if not floats:
        raise wrong("the image is empty")
    if size is not None and len(floats) != size:
        raise wrong(f"the image has {len(floats)} values, and the shape {shape} needs {size}")
    try:
        return encode_datum(number, floats=floats, shape=shape or (len(floats), 1, 1))
    except OverflowError:
        raise wrong("the image has a value that is too large for a float") from None


def frame(key: str, datum: bytes) -> bytes:
    """A record of the stream."""
    name = key.encode()
    return struct.pack(">I", len(name)) + name + struct.pack(">I", len(datum)) + datum


END = struct.pack(">I", 0)


def check_ascending(pairs: Iterable[Tuple[str, bytes]]) -> Iterable[Tuple[str, bytes]]:
    """Gives the pairs on. RecordError: two have one key."""
    before = None
    for key, datum in pairs:
        if key == before:
            raise RecordError(f'two rows have the id "{id_of(key)}"; drop one, or take order="given", in which ids may come twice')
        before = key
        yield key, datum
