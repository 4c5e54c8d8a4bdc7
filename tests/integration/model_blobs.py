"""What stands in a .caffemodel or .solverstate, read by the wire format alone."""

from typing import Dict, Iterator, List, Tuple


def fields(message: bytes) -> Iterator[Tuple[int, object]]:
    """The fields of a message in protobuf's wire format: numbers, and bytes where they have a length."""
    at = 0

    def varint() -> int:
        nonlocal at
        value = shift = 0
        while True:
            byte = message[at]
            at += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    while at < len(message):
        tag = varint()
        size = {0: 0, 1: 8, 5: 4}.get(tag & 7)
        if size == 0:
            yield tag >> 3, varint()
            continue
        if size is None:
            size = varint()
        yield tag >> 3, message[at:at + size]
        at += size


def blobs_of(model: bytes) -> Dict[str, List[bytes]]:
    """The floats of each layer's blobs, as bytes."""
    result = {}
    for number, layer in fields(model):
        if number != 100:
            continue
        parts = list(fields(layer))
        name = next(value for field, value in parts if field == 1).decode()
        result[name] = [b"".join(data for kind, data in fields(blob) if kind == 5) for field, blob in parts if field == 7]
    return result
