"""LMDBs written and copied from outside, by the system's own library."""

import ctypes
import ctypes.util
import pathlib
from typing import Callable, Dict, Optional

NO_LOCK, READ_ONLY, COMPACT = 0x400000, 0x20000, 0x01
FIRST, NEXT = 0, 8
MAP_BYTES = 1 << 28


class _Value(ctypes.Structure):
    _fields_ = [("size", ctypes.c_size_t), ("data", ctypes.c_void_p)]

    @classmethod
    def of(cls, text: bytes) -> "_Value":
        return cls(len(text), ctypes.cast(ctypes.c_char_p(text), ctypes.c_void_p))

    def text(self) -> bytes:
        return ctypes.string_at(self.data, self.size)


def library() -> Optional[ctypes.CDLL]:
    """None: this machine has none that can be loaded."""
    name = ctypes.util.find_library("lmdb")
    return ctypes.CDLL(name) if name else None


class _Environment:
    """An open directory. Use it in a `with`."""

    def __init__(self, directory: pathlib.Path, flags: int) -> None:
        self.library = library()
        self.pointer = ctypes.c_void_p()
        self.check(self.library.mdb_env_create(ctypes.byref(self.pointer)))
        self.check(self.library.mdb_env_set_mapsize(self.pointer, ctypes.c_size_t(MAP_BYTES)))
        self.check(self.library.mdb_env_open(self.pointer, str(directory).encode(), flags, 0o644))

    def __enter__(self) -> "_Environment":
        return self

    def __exit__(self, *_) -> None:
        self.library.mdb_env_close(self.pointer)

    @staticmethod
    def check(code: int) -> None:
        if code != 0:
            raise OSError(code, "LMDB")

    def in_transaction(self, flags: int, body: Callable[[ctypes.c_void_p, ctypes.c_uint], None]) -> None:
        transaction, database = ctypes.c_void_p(), ctypes.c_uint()
        self.check(self.library.mdb_txn_begin(self.pointer, None, flags, ctypes.byref(transaction)))
        self.check(self.library.mdb_dbi_open(transaction, None, 0, ctypes.byref(database)))
        body(transaction, database)
        self.check(self.library.mdb_txn_commit(transaction))


def read(directory: pathlib.Path) -> Dict[bytes, bytes]:
    """All records, in the order of their keys."""
    records: Dict[bytes, bytes] = {}
    with _Environment(directory, READ_ONLY | NO_LOCK) as environment:
        def walk(transaction: ctypes.c_void_p, database: ctypes.c_uint) -> None:
            cursor, key, value = ctypes.c_void_p(), _Value(), _Value()
            environment.check(environment.library.mdb_cursor_open(transaction, database, ctypes.byref(cursor)))
            step = FIRST
            while environment.library.mdb_cursor_get(cursor, ctypes.byref(key), ctypes.byref(value), step) == 0:
                records[key.text()] = value.text()
                step = NEXT
            environment.library.mdb_cursor_close(cursor)
        environment.in_transaction(READ_ONLY, walk)
    return records


def write(directory: pathlib.Path, records: Dict[bytes, bytes]) -> None:
    """Adds records to the LMDB, which is made if it is not there, in one transaction; a key that is there gets the value."""
    directory.mkdir(exist_ok=True)
    with _Environment(directory, 0) as environment:
        def put(transaction: ctypes.c_void_p, database: ctypes.c_uint) -> None:
            for key, value in records.items():
                of_key, of_value = _Value.of(key), _Value.of(value)
                environment.check(environment.library.mdb_put(transaction, database, ctypes.byref(of_key), ctypes.byref(of_value), 0))
        environment.in_transaction(0, put)


def compact(directory: pathlib.Path, copy: pathlib.Path) -> None:
    """What `mdb_copy -c` does."""
    copy.mkdir()
    with _Environment(directory, READ_ONLY | NO_LOCK) as environment:
        environment.check(environment.library.mdb_env_copy2(environment.pointer, str(copy).encode(), COMPACT))
