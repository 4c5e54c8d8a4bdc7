#!/usr/bin/env python3
"""Clients that send half of a large message each, and then nothing. gRPC keeps what it has of them before any of our code sees it; all of
it together stays within the server's bound, and others are served."""

import pathlib
import select
import socket
import struct
import sys
import time
import unittest

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "tests" / "integration"))
import testbed  # noqa: E402
from testbed import Cluster  # noqa: E402

CLIENTS = 200
MESSAGE_BYTES = 60 << 20
SENT_BYTES = MESSAGE_BYTES // 2
# The server's bound for messages: the least that there is, which it takes with little memory for parameters.
PARAMETER_MEBIBYTES = 64
MESSAGE_MEBIBYTES = 256
SECONDS = 120

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RESET, SETTINGS, PING, GOAWAY, WINDOW_UPDATE = 0, 1, 3, 4, 6, 7, 8
ACKNOWLEDGED, END_HEADERS = 1, 4
INITIAL_WINDOW_SETTING = 4
FRAME_BYTES = 16384


def frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def field(name: bytes, value: bytes) -> bytes:
    """A header that is not in any table, uncompressed."""
    return b"\x00" + bytes([len(name)]) + name + bytes([len(value)]) + value


class HalfSender:
    """One connection with one stream, which keeps to the windows that the server gives it."""

    def __init__(self, address: str, path: bytes) -> None:
        host, port = address.rsplit(":", 1)
        self.socket = socket.create_connection((host, int(port)), SECONDS)
        headers = b"".join(field(*pair) for pair in (
            (b":method", b"POST"), (b":scheme", b"http"), (b":path", path), (b":authority", b"x"), (b"te", b"trailers"),
            (b"content-type", b"application/grpc")))
        self.socket.sendall(PREFACE + frame(SETTINGS, 0, 0, b"") + frame(HEADERS, END_HEADERS, 1, headers))
        self.socket.setblocking(False)
        self.received = b""
        self.to_send = b""
        self.windows = {0: 65535, 1: 65535}
        self.initial_window = 65535
        self.sent = 0
        self.ended = False

    def fileno(self) -> int:
        return self.socket.fileno()

    @property
    def done(self) -> bool:
        return self.ended or self.sent >= SENT_BYTES

    @property
    def can_send(self) -> bool:
        return not self.done and (bool(self.to_send) or min(self.windows.values()) > 0)

    def read(self) -> None:
        try:
            more = self.socket.recv(1 << 16)
        except BlockingIOError:
            return
        except OSError:
            more = b""
        if not more:
            self.ended = True
        self.received += more
        while len(self.received) >= 9:
            length = int.from_bytes(self.received[:3], "big")
            if len(self.received) < 9 + length:
                return
            kind, flags, stream = struct.unpack(">BBI", self.received[3:9])
            self.take(kind, flags, stream, self.received[9:9 + length])
            self.received = self.received[9 + length:]

    def take(self, kind: int, flags: int, stream: int, payload: bytes) -> None:
        if kind == WINDOW_UPDATE and stream in self.windows:
            self.windows[stream] += int.from_bytes(payload, "big")
        elif kind == SETTINGS and not flags & ACKNOWLEDGED:
            for at in range(0, len(payload), 6):
                number, value = struct.unpack(">HI", payload[at:at + 6])
                if number == INITIAL_WINDOW_SETTING:
                    self.windows[1] += value - self.initial_window
                    self.initial_window = value
            self.to_send += frame(SETTINGS, ACKNOWLEDGED, 0, b"")
        elif kind == PING and not flags & ACKNOWLEDGED:
            self.to_send += frame(PING, ACKNOWLEDGED, 0, payload)
        elif kind in (RESET, GOAWAY) or (kind == HEADERS and flags & 1):
            self.ended = True

    def send(self) -> None:
        if not self.to_send:
            size = min(FRAME_BYTES, *self.windows.values(), SENT_BYTES - self.sent)
            payload = bytes(size)
            if self.sent == 0:
                payload = (b"\x00" + struct.pack(">I", MESSAGE_BYTES) + payload)[:size]
            for stream in self.windows:
                self.windows[stream] -= size
            self.sent += size
            self.to_send = frame(DATA, 0, 1, payload)
        try:
            self.to_send = self.to_send[self.socket.send(self.to_send):]
        except BlockingIOError:
            pass
        except OSError:
            self.ended = True


def memory_mebibytes(process, name: str) -> int:
    text = pathlib.Path(f"/proc/{process.pid}/status").read_text(encoding="ascii")
    return int(next(line for line in text.splitlines() if line.startswith(name)).split()[1]) >> 10


class HalfSentTest(testbed.TestCase):
    def flood(self, address: str, path: bytes, process) -> int:
        """Until all clients have sent their halves, or have been refused, and nothing moves any more. The MiB of those that were not."""
        senders = [HalfSender(address, path) for _ in range(CLIENTS)]
        state, moved = (0, 0), time.monotonic()
        while time.monotonic() - moved < 2:
            alive = [sender for sender in senders if not sender.ended]
            readable, writable, _ = select.select(alive, [sender for sender in alive if sender.can_send], [], 0.1)
            for sender in readable:
                sender.read()
            for sender in writable:
                sender.send()
            now = (sum(sender.sent for sender in senders), sum(sender.ended for sender in senders))
            if now != state:
                state, moved = now, time.monotonic()
        held = sum(sender.sent for sender in senders if not sender.ended) >> 20
        print(f"{path.decode()}: {state[0] >> 20} MiB sent, {state[1]} of {CLIENTS} calls ended by the server, {held} MiB held, memory at most "
              f"{memory_mebibytes(process, 'VmHWM')} MiB", flush=True)
        # Others are served while the halves are there.
        self.workspace.check("status", address)
        for sender in senders:
            sender.socket.close()
        return held

    def test_what_clients_have_half_sent_is_bounded_in_total(self) -> None:
        with Cluster(self.workspace, servers=1, workers=1, flags=("--parameter-memory", str(PARAMETER_MEBIBYTES))) as cluster:
            server = cluster.coordinator
            for path in (b"/samovar.v1.ParameterService/OpenJob", b"/samovar.v1.ParameterService/Exchange",
                         b"/samovar.v1.CoordinatorService/Heartbeat"):
                self.assertLessEqual(self.flood(cluster.address, path, server), MESSAGE_MEBIBYTES)
                self.assertIsNone(server.poll())
            # And it trains.
            self.workspace.write_solver(max_iter=100)
            cluster.submit("--name", "after")
            cluster.await_state("after", "SUCCEEDED")


if __name__ == "__main__":
    unittest.main()
