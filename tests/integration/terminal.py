"""A terminal for programs that draw: a pseudo-terminal whose screen is kept by pyte (python3-pyte)."""

import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import termios
import time
from typing import Callable, Dict, List, Optional

try:
    import pyte
except ImportError:
    pyte = None

from testbed import END_SECONDS, RUN_SECONDS, program


class _Screen(pyte.Screen if pyte else object):
    """Knows that a program has gone over to the other screen, and come back; and what pyte does not know: scrolling by several lines, and
    characters that are repeated."""

    alternate = False
    drawn = " "

    def draw(self, data):
        self.drawn = data[-1:] or self.drawn
        super().draw(data)

    def repeat(self, count=1):
        super().draw(self.drawn * (count or 1))

    def _margins(self):
        return (self.margins.top, self.margins.bottom) if self.margins else (0, self.lines - 1)

    def scroll_up(self, count=1):
        row = self.cursor.y
        self.cursor.y = self._margins()[1]
        for _ in range(count or 1):
            self.index()
        self.cursor.y = row

    def scroll_down(self, count=1):
        row = self.cursor.y
        self.cursor.y = self._margins()[0]
        for _ in range(count or 1):
            self.reverse_index()
        self.cursor.y = row

    def set_mode(self, *modes, **kwargs):
        if kwargs.get("private") and 1049 in modes:
            self.alternate = True
        super().set_mode(*modes, **kwargs)

    def reset_mode(self, *modes, **kwargs):
        if kwargs.get("private") and 1049 in modes:
            self.alternate = False
            self.reset()
        super().reset_mode(*modes, **kwargs)


if pyte:
    class _Stream(pyte.ByteStream):
        csi = {**pyte.ByteStream.csi, "S": "scroll_up", "T": "scroll_down", "b": "repeat"}
        events = pyte.ByteStream.events | {"scroll_up", "scroll_down", "repeat"}


class Terminal:
    """A command of samovar on a terminal. Use it in a `with`: it is killed at the end."""

    def __init__(self, arguments: List[str], rows: int = 24, columns: int = 80, environment: Optional[Dict[str, str]] = None, cwd=None) -> None:
        self.screen = _Screen(columns, rows)
        self._stream = _Stream(self.screen)
        self.bytes = b""
        self._fd, child = pty.openpty()
        self.resize(rows, columns)
        # Before the program changes it.
        self._slave = child
        self.settings = termios.tcgetattr(child)
        variables = {**os.environ, "TERM": "xterm-256color", "LC_ALL": "C.UTF-8", **(environment or {})}
        self.process = subprocess.Popen([program("samovar"), *map(str, arguments)], stdin=child, stdout=child, stderr=child, env=variables,
                                        cwd=cwd, start_new_session=True)

    def __enter__(self) -> "Terminal":
        return self

    def __exit__(self, *_) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(END_SECONDS)
        os.close(self._slave)
        os.close(self._fd)

    def resize(self, rows: int, columns: int) -> None:
        fcntl.ioctl(self._fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self.screen.resize(rows, columns)

    def press(self, keys: str) -> None:
        os.write(self._fd, keys.encode())

    def _read(self, seconds: float) -> bool:
        ready, _, _ = select.select([self._fd], [], [], seconds)
        if not ready:
            return False
        data = os.read(self._fd, 65536)
        self.bytes += data
        self._stream.feed(data)
        return True

    def text(self) -> str:
        return "\n".join(line.rstrip() for line in self.screen.display)

    def colour_of(self, word: str) -> str:
        """The colour of the first character of the word."""
        for row, line in enumerate(self.screen.display):
            if word in line:
                return self.screen.buffer[row][line.index(word)].fg
        raise AssertionError(f"{word} is not shown\n{self.text()}")

    def await_text(self, such_that: Callable[[str], bool], seconds: float = RUN_SECONDS) -> str:
        """The screen as soon as that holds."""
        deadline = time.monotonic() + seconds
        while not such_that(self.text()):
            if time.monotonic() > deadline:
                raise AssertionError(f"the screen did not get there:\n{self.text()}")
            self._read(0.2)
        return self.text()

    def await_exit(self) -> int:
        deadline = time.monotonic() + END_SECONDS
        while self.process.poll() is None:
            if time.monotonic() > deadline:
                raise AssertionError(f"still running\n{self.text()}")
            self._read(0.1)
        while self._read(0.1):
            pass
        return self.process.returncode

    def is_as_it_was(self) -> bool:
        """Echo, lines and signals are on again, the cursor is there, and the screen is the one before."""
        now = termios.tcgetattr(self._slave)
        return now[:4] == self.settings[:4] and not self.screen.alternate and not self.screen.cursor.hidden
