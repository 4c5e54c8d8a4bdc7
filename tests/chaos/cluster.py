"""A cluster of real processes, of which any may be killed and started again."""

import json
import os
import pathlib
import signal
import subprocess
import sys
import time
from typing import Dict, List, Optional

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "integration"))
import testbed  # noqa: E402

END_SECONDS = 30 * testbed.TIME_FACTOR


class Member:
    """A server or a worker: a place in the cluster, and the process that fills it at present."""

    def __init__(self, cluster: "Cluster", name: str) -> None:
        self.cluster = cluster
        self.name = name
        self.port = testbed.free_port()
        # Words before the program's, of one that runs it.
        self.prefix: List[str] = []
        self.process: Optional[subprocess.Popen] = None

    @property
    def kind(self) -> str:
        return {"server-0": "coordinator"}.get(self.name, self.name.split("-")[0])

    @property
    def state(self) -> pathlib.Path:
        return self.cluster.path / self.name

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def words(self) -> List[str]:
        if self.kind == "worker":
            return [testbed.program("samovar-worker"), "--coordinator", self.cluster.place, "--name", self.name, "--threads", "1"]
        words = [testbed.program("samovar-server"), "--listen", self.address, "--state", str(self.state)]
        if self.kind != "coordinator":
            return words + ["--join", self.cluster.place]
        return words + ["--coordinator"] + (["--home", self.cluster.home] if self.cluster.home else [])

    def start(self) -> None:
        with open(self.cluster.path / f"{self.name}.log", "ab") as log:
            self.process = subprocess.Popen(self.prefix + self.words(), cwd=self.cluster.path, stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def end(self, number: int = signal.SIGKILL) -> int:
        """Sends the signal and waits for the end. Returns the exit code, as subprocess has it."""
        self.process.send_signal(number)
        return self.process.wait(END_SECONDS)


class Cluster:
    """Use it in a `with`: processes that are left at its end are killed."""

    def __init__(self, path: pathlib.Path, servers: int, workers: int, home: str = "") -> None:
        """`home`: where the coordinator keeps its epoch, address and jobs, and others find it; empty: it has none."""
        self.path = path
        self.home = home
        path.mkdir()
        names = [f"server-{i}" for i in range(servers)] + [f"worker-{i}" for i in range(workers)]
        self.members: Dict[str, Member] = {name: Member(self, name) for name in names}

    @property
    def place(self) -> str:
        """By which others find the coordinator."""
        return self.home or self.coordinator.address

    @property
    def coordinator(self) -> Member:
        return self.members["server-0"]

    def __enter__(self) -> "Cluster":
        for member in self.members.values():
            member.start()
        return self

    def __exit__(self, *_) -> None:
        for member in self.members.values():
            if member.process is not None and member.process.poll() is None:
                member.end()

    def client(self, command: str, *words: str, cwd: pathlib.Path) -> "subprocess.CompletedProcess[str]":
        return subprocess.run([testbed.program("chaos_client"), command, self.coordinator.address, *words], cwd=cwd,
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=testbed.COMMAND_SECONDS, check=False)

    def insist(self, command: str, *words: str, cwd: pathlib.Path) -> str:
        """What the client prints. Repeats what fails, since a busy machine may be slow to answer."""
        deadline = time.monotonic() + testbed.COMMAND_SECONDS
        while True:
            done = self.client(command, *words, cwd=cwd)
            if done.returncode == 0:
                return done.stdout.strip()
            if time.monotonic() > deadline:
                raise AssertionError(f"{command} fails: {done.stderr}")

    def submit(self, workspace: pathlib.Path, mode: str, servers: int) -> str:
        return self.insist("submit", "solver.prototxt", mode, str(servers), cwd=workspace)

    def status(self, job: str) -> Optional[dict]:
        """None: the coordinator does not answer."""
        done = self.client("status", job, cwd=self.path)
        return json.loads(done.stdout) if done.returncode == 0 else None

    def model(self, workspace: pathlib.Path, mode: str, job: str) -> bytes:
        self.insist("model", "solver.prototxt", mode, job, str(self.path / "model"), cwd=workspace)
        return (self.path / "model").read_bytes()

    def log_tails(self) -> str:
        return "\n".join(f"--- {log.name}\n" + "\n".join(log.read_text(errors="replace").splitlines()[-15:])
                         for log in sorted(self.path.glob("*.log")))
