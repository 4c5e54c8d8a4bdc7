#!/usr/bin/env python3
"""Files, jobs and features in Azure's blob storage, for which Azurite stands. Whoever reads there beside us is Azure's own client.

run.sh starts this: AZURITE_URL is the service's address, with the account behind it; AZURITE_ACCOUNT and AZURITE_KEY are its own.
"""

import json
import os
import pathlib
import random
import socket
import sys
import threading
import unittest
from typing import Dict, List, Optional

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "tests" / "remote"))
import scenario  # noqa: E402

from azure.core.exceptions import ResourceNotFoundError  # noqa: E402
from azure.storage.blob import BlobServiceClient  # noqa: E402

URL, ACCOUNT, KEY = (os.environ[f"AZURITE_{name}"] for name in ("URL", "ACCOUNT", "KEY"))


class FaultyProxy:
    """Stands before the service: of the connections some are cut in their middle, and some answered with 503. `seed` says which."""

    def __init__(self, port: int, seed: int) -> None:
        self.target = port
        self.draw = random.Random(seed)
        self.cut = self.busy = self.connections = 0
        self.lock = threading.Lock()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self) -> None:
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(client,), daemon=True).start()

    def serve(self, client: socket.socket) -> None:
        with self.lock:
            self.connections += 1
            fate = self.draw.random()
            # Bytes of both directions after which the connection is cut; it carries several requests otherwise.
            left = self.draw.randrange(1, 40 << 20)
        if fate < 0.15:
            self.refuse(client)
            return
        service = socket.create_connection(("127.0.0.1", self.target))
        budget = [left]
        pumps = [threading.Thread(target=self.pump, args=(*pair, budget), daemon=True) for pair in ((client, service), (service, client))]
        for pump in pumps:
            pump.start()
        for pump in pumps:
            pump.join()
        client.close()
        service.close()

    def pump(self, source: socket.socket, sink: socket.socket, budget: List[int]) -> None:
        try:
            while True:
                data = source.recv(1 << 16)
                with self.lock:
                    budget[0] -= len(data)
                    is_cut = bool(data) and budget[0] <= 0
                    self.cut += is_cut
                if not data or is_cut:
                    break
                sink.sendall(data)
        except OSError:
            pass
        for end in (source, sink):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def refuse(self, client: socket.socket) -> None:
        """Takes a request with all of its body, and says that the service is busy."""
        with client:
            try:
                head = b""
                while b"\r\n\r\n" not in head:
                    piece = client.recv(1 << 16)
                    if not piece:
                        return
                    head += piece
                head, _, body = head.partition(b"\r\n\r\n")
                length = next((int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")), 0)
                left = length - len(body)
                while left > 0:
                    piece = client.recv(1 << 16)
                    if not piece:
                        return
                    left -= len(piece)
                with self.lock:
                    self.busy += 1
                client.sendall(b"HTTP/1.1 503 Server Busy\r\nx-ms-error-code: ServerBusy\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            except OSError:
                pass

    def close(self) -> None:
        self.listener.close()


class AzureTest(scenario.Scenario):
    scheme, host = "wasbs", "blob"
    secrets = [KEY, "SharedKey", "sig="]
    proxy: Optional[FaultyProxy] = None

    def setUp(self) -> None:
        super().setUp()
        self.service = BlobServiceClient(URL, credential=KEY, api_version="2020-10-02")
        name = f"c{os.getpid()}-{random.randrange(1 << 30)}"
        self.container = self.service.create_container(name)
        self.addCleanup(self.container.delete_container)
        self.base = f"{self.scheme}://{name}@{ACCOUNT}.{self.host}.core.windows.net/base"
        self.connect(URL)
        self.cache = self.workspace.path / "cache_of_files"
        os.environ["SAMOVAR_FILE_CACHE"] = str(self.cache)

    def connect(self, url: str) -> None:
        os.environ["AZURE_STORAGE_CONNECTION_STRING"] = f"AccountName={ACCOUNT};AccountKey={KEY};BlobEndpoint={url}"

    def read(self, path: str) -> Optional[bytes]:
        try:
            return self.container.download_blob(f"base/{path}").readall()
        except ResourceNotFoundError:
            return None

    def sizes(self, path: str) -> Dict[str, int]:
        prefix = f"base/{path}/" if path else "base/"
        return {blob.name[len(prefix):]: blob.size for blob in self.container.list_blobs(name_starts_with=prefix)
                if "/" not in blob.name[len(prefix):]}

    def test_a_wrong_key_and_a_missing_container_are_told_without_the_key(self) -> None:
        os.environ["AZURE_STORAGE_CONNECTION_STRING"] = f"AccountName={ACCOUNT};AccountKey=d3Jvbmc=;BlobEndpoint={URL}"
        self.assertIn(b"403", self.samovar("fs", "ls", self.base, code=1).stderr)
        self.connect(URL)
        other = self.base.replace("://c", "://none-c")
        self.assertIn(b"there is no container", self.samovar("fs", "ls", other, code=2).stderr)

    def test_names_with_slashes_and_spaces_at_their_end_are_listed_copied_and_removed(self) -> None:
        names = ["odd/a", "odd/a ", "odd//b", "odd///c d ", "odd/e/f"]
        for name in names:
            self.container.upload_blob(f"base/{name}", name.encode())
        listed = [json.loads(line)["name"] for line in self.samovar("fs", "ls", f"{self.base}/odd", "--recursive", "--json").stdout.splitlines()]
        self.assertEqual(sorted(name for name in listed if not name.endswith("/")), sorted(name[len("odd/"):] for name in names))
        self.samovar("fs", "cp", f"{self.base}/odd", "back", "--recursive")
        back = sorted(path.read_text(encoding="utf-8") for path in (self.workspace.path / "back").rglob("*") if path.is_file())
        self.assertEqual(back, sorted(names))
        self.samovar("fs", "cp", f"{self.base}/odd", f"{self.base}/copy", "--recursive")
        self.assertEqual(self.read("copy///c d "), b"odd///c d ")
        self.assertEqual(self.samovar("fs", "cat", f"{self.base}/odd/a ").stdout, b"odd/a ")
        self.samovar("fs", "rm", f"{self.base}/odd/a ")
        self.assertEqual(self.read("odd/a"), b"odd/a")
        self.samovar("fs", "rm", f"{self.base}/odd", "--recursive")
        self.assertFalse(list(self.container.list_blobs(name_starts_with="base/odd")))

    def test_blobs_that_stand_for_folders_are_removed_when_nothing_else_is_in_them(self) -> None:
        self.container.upload_blob("base/f", b"", metadata={"hdi_isfolder": "true"})
        self.container.upload_blob("base/f/g/", b"")
        self.container.upload_blob("base/f/g/h", b"h")
        self.samovar("fs", "rm", f"{self.base}/f/g", code=2)
        self.samovar("fs", "rm", f"{self.base}/f/g/h")
        listed = self.samovar("fs", "ls", f"{self.base}/f", "--json").stdout
        self.assertEqual(json.loads(listed), {"name": "g", "type": "directory"})
        self.samovar("fs", "cp", f"{self.base}/f", "back", "--recursive")
        self.assertTrue((self.workspace.path / "back" / "g").is_dir())
        self.samovar("fs", "rm", f"{self.base}/f", "--recursive")
        self.assertFalse(list(self.container.list_blobs(name_starts_with="base/f")))


class AbfsTest(AzureTest):
    """The same blobs by the URIs of Data Lake storage."""
    scheme, host = "abfss", "dfs"


class FaultyAzureTest(AzureTest):
    """The same with connections that are cut, and a service that is busy."""

    def setUp(self) -> None:
        super().setUp()
        port = int(URL.split(":")[2].split("/")[0])
        self.proxy = FaultyProxy(port, seed=1)
        self.addCleanup(self.proxy.close)
        self.connect(URL.replace(f":{port}/", f":{self.proxy.port}/"))

    def tearDown(self) -> None:
        self.row(f"{self.proxy.connections} connections, {self.proxy.cut} cut, {self.proxy.busy} answered with 503")
        super().tearDown()

    test_a_wrong_key_and_a_missing_container_are_told_without_the_key = None
    test_names_with_slashes_and_spaces_at_their_end_are_listed_copied_and_removed = None


if __name__ == "__main__":
    unittest.main(verbosity=2)
