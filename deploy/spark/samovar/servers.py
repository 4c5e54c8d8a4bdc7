"""Parameter servers on this machine, for one job: they end with the process that has started them."""

import os
import select
import shutil
import tempfile
from typing import List, Optional

from samovar.bundle import Bundle
from samovar.children import Child, deadline_in, messages_of, time_left
from samovar.errors import SamovarError

START_SECONDS = 60.0


class Servers:
    """Servers, the first of which is the coordinator too. Use it in a `with`.

    Thread safety: all methods belong to the thread that has made the object, with which the servers would end.
    """

    def __init__(self, bundle: Bundle, count: int, host: str, *, allow_plaintext: bool = False, state: Optional[str] = None) -> None:
        """`host`: the name or address of this machine that the workers use. `state`: a directory for their snapshots, which is kept;
        without one it is a temporary directory."""
        self._bundle = bundle
        self._host = host
        self._flags = ["--allow-plaintext"] if allow_plaintext else []
        self._temporary = None if state else tempfile.mkdtemp(prefix="samovar-spark-")
        self._state = state or str(self._temporary)
        self._servers: List[Child] = []
        self.coordinator = ""
        try:
            self.coordinator = self._start("--coordinator")
            for _ in range(1, count):
                self._start("--join", self.coordinator)
        except BaseException:
            self.close()
            raise

    def _start(self, *words: str) -> str:
        """Starts a server, and returns its address when it serves."""
        number = len(self._servers)
        reader, writer = os.pipe()
        try:
            state = os.path.join(self._state, f"server-{number}")
            child = Child([self._bundle.program("samovar-server"), *words, "--listen", f"{self._host}:0", "--state", state,
                           "--ready-fd", str(writer), "--die-with-parent", *self._flags], pass_fds=[writer])
            self._servers.append(child)
            os.close(writer)
            writer = -1
            address = b""
            deadline = deadline_in(START_SECONDS)
            while not address.endswith(b"\n"):
                ready, _, _ = select.select([reader], [], [], time_left(deadline))
                piece = os.read(reader, 4096) if ready else b""
                if not piece:
                    child.wait(1.0)
                    raise SamovarError(f"server {number} does not start: {messages_of(child.last_lines())}")
                address += piece
            return address.decode().strip()
        finally:
            os.close(reader)
            if writer >= 0:
                os.close(writer)

    def check(self) -> None:
        """SamovarError: a server has ended."""
        for number, child in enumerate(self._servers):
            code = child.poll()
            if code is not None:
                child.wait(1.0)
                raise SamovarError(f"server {number} has ended with exit code {code}: {messages_of(child.last_lines())}")

    def close(self) -> None:
        """Ends them, the coordinator last, and removes what is temporary."""
        for child in reversed(self._servers):
            child.end()
        self._servers.clear()
        if self._temporary:
            shutil.rmtree(self._temporary, ignore_errors=True)

    def __enter__(self) -> "Servers":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
