"""Makes one worker of a run slower than the others, by stopping it most of the time."""

import os
import pathlib
import signal
import threading

RUNS_SECONDS = 0.01


def workers_of(pid):
    """The processes of samovar-worker that this one has started."""
    found = []
    for entry in pathlib.Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and (entry / "comm").read_text().strip() == "samovar-worker":
                parent = int((entry / "stat").read_text().rsplit(")", 1)[1].split()[1])
                if parent == pid:
                    found.append(int(entry.name))
        except (OSError, ValueError):
            continue
    return sorted(found)


def send(pid, number):
    """Whether the process was there to take the signal."""
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return False
    return True


class SlowWorker(threading.Thread):
    """While the block runs, the first worker of process `pid` runs a part of the time."""

    def __init__(self, pid, times_slower):
        super().__init__(daemon=True)
        self._pid = pid
        self._rest = RUNS_SECONDS * (times_slower - 1)
        self._ended = threading.Event()
        # Whether there was a worker to be stopped.
        self.slowed = False

    def run(self):
        while not self._ended.wait(RUNS_SECONDS):
            workers = workers_of(self._pid)[:1]
            self.slowed = any([send(worker, signal.SIGSTOP) for worker in workers]) or self.slowed
            self._ended.wait(self._rest)
            for worker in workers:
                send(worker, signal.SIGCONT)

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self._ended.set()
        self.join()
