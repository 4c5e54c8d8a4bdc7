"""Child processes that never outlive the process, or thread, that has started them.

Linux sends a child SIGTERM when the thread that started it ends; the thread that starts one therefore waits for it.
"""

import collections
import ctypes
import os
import re
import signal
import subprocess
import sys
import threading
import time
from typing import IO, Callable, Deque, Dict, List, Optional, Sequence

_LIBC = ctypes.CDLL(None, use_errno=True)
_PR_SET_PDEATHSIG = 1
# What is kept of a child's output, to tell why it has ended.
KEPT_LINES = 100
# A server saves its jobs in that time.
END_SECONDS = 12.0


def _end_with(parent: int) -> Callable[[], None]:
    def prepare() -> None:
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
        # It may have died in between.
        if os.getppid() != parent:
            os._exit(1)

    return prepare


class Child:
    """A process whose lines of output are read as they come.

    Thread safety: the methods belong to one thread; `on_line` is called on another one.
    """

    def __init__(self, words: Sequence[str], *, on_line: Optional[Callable[[str], None]] = None, takes_input: bool = False,
                 gives_output: bool = False, env: Optional[Dict[str, str]] = None, pass_fds: Sequence[int] = (),
                 echo: bool = False) -> None:
        """`on_line`: receives each line of the standard output, which is kept with the errors otherwise. `takes_input`: `stdin` is
        the caller's to write to. `gives_output`: `stdout` is the caller's to read from. `echo`: lines that are kept also go to this
        process's standard error, which Spark shows as the executor's.
        """
        self.words = list(words)
        self._kept: Deque[str] = collections.deque(maxlen=KEPT_LINES)
        self._echo = echo
        self._popen = subprocess.Popen(
            self.words, stdin=subprocess.PIPE if takes_input else subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            env=env, pass_fds=tuple(pass_fds), start_new_session=True, preexec_fn=_end_with(os.getpid()))
        self._readers = [threading.Thread(target=self._read, args=(self._popen.stderr, self._keep), daemon=True)]
        if not gives_output:
            self._readers.append(threading.Thread(target=self._read, args=(self._popen.stdout, on_line or self._keep), daemon=True))
        for reader in self._readers:
            reader.start()

    @property
    def pid(self) -> int:
        return self._popen.pid

    @property
    def stdin(self) -> IO[bytes]:
        assert self._popen.stdin is not None
        return self._popen.stdin

    @property
    def stdout(self) -> IO[bytes]:
        assert self._popen.stdout is not None
        return self._popen.stdout

    def _keep(self, line: str) -> None:
        self._kept.append(line)
        if self._echo:
            print(line, file=sys.stderr, flush=True)

    @staticmethod
    def _read(pipe: IO[bytes], take: Callable[[str], None]) -> None:
        for line in pipe:
            take(line.decode("utf-8", "replace").rstrip("\n"))

    def poll(self) -> Optional[int]:
        """The exit code, minus the number of a signal that has ended it; None: it runs."""
        return self._popen.poll()

    def wait(self, seconds: Optional[float] = None) -> Optional[int]:
        """As poll, after so many seconds at most."""
        try:
            code = self._popen.wait(seconds)
        except subprocess.TimeoutExpired:
            return None
        for reader in self._readers:
            reader.join(1.0)
        return code

    def last_lines(self) -> List[str]:
        return list(self._kept)

    def end(self, seconds: float = END_SECONDS) -> None:
        """Asks it to end, waits, and kills it then, with its own children; closes its pipes."""
        if self._popen.poll() is None:
            self._popen.terminate()
            if self.wait(seconds) is None:
                os.killpg(self.pid, signal.SIGKILL)
                self.wait()
        for reader in self._readers:
            reader.join(1.0)
        # A pipe that somebody else still holds open is its reader's, which would be waited for.
        if any(reader.is_alive() for reader in self._readers):
            return
        for pipe in (self._popen.stdin, self._popen.stdout, self._popen.stderr):
            try:
                if pipe is not None:
                    pipe.close()
            except OSError:
                pass

    def __enter__(self) -> "Child":
        return self

    def __exit__(self, *_: object) -> None:
        self.end()


# A command's error, and a line of a server's or a worker's log.
_ERROR = re.compile(r"samovar(?:-server|-worker)?: (?:error: )?(?P<text>.+)")
# "2026-01-31T12:00:00.000Z E host worker[4711] worker=w1: text"
_LOGGED_ERROR = re.compile(r"\S+Z E \S+ (?P<process>\w+)\[\d+\].*?: (?P<text>.+)")


def messages_of(lines: Sequence[str]) -> str:
    """What a program has said in its last lines: its error where it has named one, else all of them."""
    for line in reversed(lines):
        match = _ERROR.match(line) or _LOGGED_ERROR.match(line)
        if match and not line.startswith("samovar: warning: "):
            logged = match.groupdict().get("process")
            return f"{logged}: {match['text']}" if logged else match["text"]
    return "\n".join(lines) or "it has said nothing"


def deadline_in(seconds: float) -> float:
    """For time_left."""
    return time.monotonic() + seconds


def time_left(deadline: float) -> float:
    return max(0.0, deadline - time.monotonic())
