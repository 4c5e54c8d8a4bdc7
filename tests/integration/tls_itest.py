#!/usr/bin/env python3
"""Files over TLS, and by the identity of a virtual machine of Azure's: in namespaces of their own stand its end point, which has the
address that it has everywhere, and a storage under its own name with a certificate that this test has made."""

import functools
import http.server
import json
import os
import pathlib
import shutil
import ssl
import subprocess
import sys
import threading
import unittest
import unittest.mock
from typing import Dict, List

import fs_itest
import testbed
from testbed import COMMAND_SECONDS, program

ACCOUNT = "acct.blob.core.windows.net"
IDENTITY = "169.254.169.254"
TOKEN = "the-token-of-this-machine"


def make_certificate(directory: pathlib.Path, name: str) -> pathlib.Path:
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN={name}",
                    "-addext", f"subjectAltName=DNS:{name}", "-keyout", directory / "key.pem", "-out", directory / "certificate.pem"],
                   check=True, capture_output=True, timeout=COMMAND_SECONDS)
    return directory / "certificate.pem"


def serve(handler, address: str, port: int, tls: "pathlib.Path | None" = None) -> http.server.ThreadingHTTPServer:
    server = http.server.ThreadingHTTPServer((address, port), handler)
    if tls is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(tls / "certificate.pem", tls / "key.pem")
        server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


@unittest.skipUnless(shutil.which("openssl"), "there is no openssl")
class TlsTest(testbed.TestCase):
    def test_a_server_is_trusted_by_the_file_of_certificates_that_the_environment_names(self) -> None:
        certificate = make_certificate(self.workspace.path, "localhost")
        text = os.urandom(9_000_000)
        (self.workspace.path / "file").write_bytes(text)
        handler = functools.partial(fs_itest.RangeHandler, directory=str(self.workspace.path))
        server = serve(handler, "127.0.0.1", 0, self.workspace.path)
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        uri = f"https://localhost:{server.server_port}/file"
        refused = self.workspace.command("fs", "cp", uri, "copy")
        self.assertEqual(refused.returncode, 2, refused.stderr)
        self.assertIn("SAMOVAR_CA_FILE names a file of certificates to be trusted", refused.stderr)
        for variable in ("SAMOVAR_CA_FILE", "SSL_CERT_FILE"):
            with unittest.mock.patch.dict(os.environ, {variable: str(certificate), "SAMOVAR_FILE_CACHE": str(self.workspace.path / "files")}):
                self.workspace.check("fs", "cp", uri, "copy", "--force")
                self.assertEqual((self.workspace.path / "copy").read_bytes(), text)
                # Another name than the certificate's.
                other = self.workspace.command("fs", "cat", uri.replace("localhost", "127.0.0.1"))
                self.assertEqual(other.returncode, 2, other.stderr)


class IdentityHandler(http.server.BaseHTTPRequestHandler):
    """Is busy for the first request, and then gives the token to whoever asks as a program of this machine has to."""
    asked = 0

    def do_GET(self) -> None:  # pylint: disable=invalid-name
        type(self).asked += 1
        is_right = self.headers.get("Metadata") == "true" and "resource=https%3A%2F%2Fstorage.azure.com%2F" in self.path
        body = json.dumps({"access_token": TOKEN, "expires_in": "86399", "token_type": "Bearer"}).encode()
        self.send_response(429 if type(self).asked == 1 else 200 if is_right else 400)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_) -> None:
        pass


class BlobHandler(http.server.BaseHTTPRequestHandler):
    """Keeps what is put there, for whoever has the token."""
    blobs: Dict[str, bytes] = {}

    def answer(self, status: int, body: bytes = b"", of: "bytes | None" = None) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body if of is None else of)))
        self.end_headers()
        self.wfile.write(body)

    def handle_it(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        blob = self.blobs.get(self.path)
        if self.headers.get("Authorization") != f"Bearer {TOKEN}" or self.headers.get("Host") != ACCOUNT:
            self.answer(403)
        elif self.command == "PUT":
            self.blobs[self.path] = body
            self.answer(201)
        elif blob is None:
            self.answer(404)
        elif self.command == "HEAD":
            self.answer(200, of=blob)
        else:
            self.answer(206, blob)

    do_GET = do_HEAD = do_PUT = handle_it

    def log_message(self, *_) -> None:
        pass


def in_namespaces(directory: pathlib.Path) -> int:
    """The test itself, where this process may make addresses and names."""
    for words in (["ip", "link", "set", "lo", "up"], ["ip", "address", "add", f"{IDENTITY}/32", "dev", "lo"],
                  ["mount", "--bind", directory / "hosts", "/etc/hosts"]):
        subprocess.run(words, check=True, timeout=COMMAND_SECONDS)
    serve(IdentityHandler, IDENTITY, 80)
    serve(BlobHandler, "127.0.0.1", 443, directory)
    outputs: List[str] = []
    for words in (["cp", "file", f"wasbs://c@{ACCOUNT}/file"], ["cp", f"abfss://c@{ACCOUNT.replace('blob', 'dfs')}/file", "back"]):
        done = subprocess.run([program("samovar"), "fs", *words], cwd=directory, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              check=False, timeout=COMMAND_SECONDS)
        outputs.append(f"{done.returncode} {done.stdout}{done.stderr}")
    print("\n".join(outputs))
    return 0


class IdentityTest(testbed.TestCase):
    def test_a_machine_of_azures_reads_and_writes_by_its_identity(self) -> None:
        here = self.workspace.path
        if not shutil.which("openssl") or subprocess.run(["unshare", "--net", "--mount", "true"], capture_output=True, check=False).returncode != 0:
            self.skipTest("there is no openssl, or no right to make namespaces")
        make_certificate(here, ACCOUNT)
        (here / "hosts").write_text(f"127.0.0.1 localhost {ACCOUNT}\n", encoding="utf-8")
        (here / "file").write_bytes(b"by its identity")
        environment = {name: value for name, value in os.environ.items() if not name.startswith("AZURE_")}
        environment |= {"SAMOVAR_CA_FILE": str(here / "certificate.pem"), "SAMOVAR_FILE_CACHE": str(here / "files"),
                        "HADOOP_CONF_DIR": str(here / "none")}
        done = subprocess.run(["unshare", "--net", "--mount", sys.executable, "-B", __file__, "--in-namespaces", here], env=environment,
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=3 * COMMAND_SECONDS)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual((here / "back").read_bytes() if (here / "back").exists() else done.stdout, b"by its identity")
        self.assertNotIn(TOKEN, done.stdout + done.stderr)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--in-namespaces"]:
        sys.exit(in_namespaces(pathlib.Path(sys.argv[2])))
    unittest.main()
