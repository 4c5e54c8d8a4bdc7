"""Processes as /proc shows them: told from later ones of the same number, sought by program, ended and awaited."""

import os
import pathlib
import select
import signal
from dataclasses import dataclass
from typing import List, Optional, Tuple


@dataclass(frozen=True)
class Process:
    """A process as it was found. The start time tells it from a later process of the same number."""
    pid: int
    start: int
    words: Tuple[str, ...]

    @property
    def is_worker(self) -> bool:
        return self.is_program("samovar-worker")

    @property
    def is_server(self) -> bool:
        return self.is_program("samovar-server")

    def is_program(self, name: str) -> bool:
        # A program that keeps to a lower instruction set is run by the loader: the program's file is among the loader's arguments.
        programs = [word for word in self.words if not word.startswith("-")]
        loaded = bool(programs) and pathlib.Path(programs[0]).name.startswith("ld-")
        return any(word.endswith(f"/{name}") for word in (programs if loaded else programs[:1]))

    @property
    def is_coordinator(self) -> bool:
        return self.is_server and "--coordinator" in self.words

    def runs(self) -> bool:
        stat = read_stat(self.pid)
        return stat is not None and stat[2] == self.start and stat[0] not in "ZX"

    def kill(self, number: int = signal.SIGKILL) -> None:
        if self.runs():
            try:
                os.kill(self.pid, number)
            except ProcessLookupError:
                pass

    def await_end(self, seconds: float) -> bool:
        """Whether it ended in time."""
        try:
            handle = os.pidfd_open(self.pid)
        except ProcessLookupError:
            return True
        try:
            if self.runs():
                poll = select.poll()
                poll.register(handle, select.POLLIN)
                poll.poll(seconds * 1000)
            return not self.runs()
        finally:
            os.close(handle)


def read_stat(pid: int) -> Optional[Tuple[str, int, int]]:
    """State, parent and start time (in ticks since boot) of a process; None if there is none."""
    try:
        text = pathlib.Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    # The name, in parentheses, may hold anything.
    fields = text[text.rindex(")") + 2:].split()
    return fields[0], int(fields[1]), int(fields[19])


def children_of(parent: int) -> List[Process]:
    found = []
    for entry in pathlib.Path("/proc").iterdir():
        stat = read_stat(int(entry.name)) if entry.name.isdigit() else None
        if stat is None or stat[1] != parent or stat[0] in "ZX":
            continue
        try:
            words = (entry / "cmdline").read_bytes().decode(errors="replace").split("\0")
        except OSError:
            continue
        found.append(Process(int(entry.name), stat[2], tuple(words)))
    return found
