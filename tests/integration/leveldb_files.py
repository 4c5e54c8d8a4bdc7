"""A LevelDB, written by its format alone: all records are in its log, as a process leaves it that was not closed."""

import pathlib
import struct
from typing import Iterable, Iterator, Tuple

BLOCK = 32768


def _crc_table() -> Iterator[int]:
    for number in range(256):
        for _ in range(8):
            number = number >> 1 ^ (0x82F63B78 if number & 1 else 0)
        yield number


TABLE = tuple(_crc_table())


def masked_crc32c(data: bytes) -> int:
    crc = 0xFFFFFFFF
    for byte in data:
        crc = TABLE[(crc ^ byte) & 0xFF] ^ crc >> 8
    crc ^= 0xFFFFFFFF
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def log(payloads: Iterable[bytes]) -> bytes:
    """Records cut at blocks: whole (1), first (2), middle (3), last (4)."""
    out = bytearray()
    for payload in payloads:
        begun = False
        while True:
            room = BLOCK - len(out) % BLOCK
            if room < 7:
                out += bytes(room)
                continue
            piece, payload = payload[:room - 7], payload[room - 7:]
            kind = (4 if begun else 1) if not payload else (3 if begun else 2)
            out += struct.pack("<IHB", masked_crc32c(bytes([kind]) + piece), len(piece), kind) + piece
            begun = True
            if not payload:
                break
    return bytes(out)


def varint(value: int) -> bytes:
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes(out) + bytes([value])


def sized(text: bytes) -> bytes:
    return varint(len(text)) + text


def write(directory: pathlib.Path, records: Iterable[Tuple[bytes, bytes]]) -> None:
    """The records come with ascending keys."""
    directory.mkdir()
    batches = [struct.pack("<QI", number, 1) + b"\1" + sized(key) + sized(value) for number, (key, value) in enumerate(records, start=1)]
    (directory / "000003.log").write_bytes(log(batches))
    edit = b"\1" + sized(b"leveldb.BytewiseComparator") + b"\2\3" + b"\x09\0" + b"\3\4" + b"\4\0"
    (directory / "MANIFEST-000002").write_bytes(log([edit]))
    (directory / "CURRENT").write_text("MANIFEST-000002\n")
