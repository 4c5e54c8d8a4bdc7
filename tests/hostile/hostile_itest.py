#!/usr/bin/env python3
"""A client that means harm, against a cluster that trains: every field of every call at its extremes, calls cut short and with bits turned
over, readers that stop, connections without number. The cluster serves on, within its memory, and the model is that of a run without.

The client leaves out the calls that any client is allowed to make: cancel the job, close it, push in the job's own epoch, be a later
coordinator.
"""

import importlib
import math
import pathlib
import random
import resource
import socket
import subprocess
import sys
import tempfile
import threading
import time
import unittest
from typing import Iterator, List

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "tests" / "integration"))
import testbed  # noqa: E402
from testbed import Cluster  # noqa: E402

try:
    import grpc
    from google.protobuf import descriptor as descriptors
    from google.protobuf import message_factory
except ImportError as missing:
    grpc, MISSING = None, str(missing)

JOB = "target"
ITERATIONS = 6000
SERVICES = ("CoordinatorService", "JobService", "ParameterService", "ProcessLogService", "StatusService")
# Anybody who may call may do this to a job that he can name; here it is done to jobs that there are not.
ENDS_JOBS = {"Cancel", "Forget", "CloseJob"}
STREAMS = {"Watch", "Logs", "GetProcessLog", "Exchange"}
CALL_SECONDS = 20
CONNECTIONS = 2000
IDLE_READERS = 40
MEMORY_BYTES = 3 << 30
INTEGERS = (0, 1, 2**31 - 1, 2**31, 2**32 - 1, 2**63 - 1, 2**63, 2**64 - 1, -1, -2**31, -2**63)
REALS = (0.0, 1e-45, 1e308, math.inf, -math.inf, math.nan)
TEXTS = ("", JOB, "x", "../../x", "/dev/full", "\x1b[31m\n\r\x00\x7f", "x" * (1 << 20))
MESSAGE_DEPTH = 3
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
SETTINGS = b"\x00\x00\x00\x04\x00\x00\x00\x00\x00"


def load_protocol(directory: str):
    """The messages and services, generated from proto/."""
    files = [path.relative_to(ROOT / "proto") for path in (ROOT / "proto").rglob("*.proto")]
    subprocess.run(["protoc", f"--proto_path={ROOT / 'proto'}", f"--python_out={directory}", *map(str, files)], check=True)
    sys.path.insert(0, directory)
    return [importlib.import_module(str(path.with_suffix("")).replace("/", ".") + "_pb2") for path in files]


def message_class(descriptor):
    if hasattr(message_factory, "GetMessageClass"):
        return message_factory.GetMessageClass(descriptor)
    return message_factory.MessageFactory().GetPrototype(descriptor)


def values_for(field) -> Iterator[object]:
    kind = descriptors.FieldDescriptor
    if field.cpp_type in (kind.CPPTYPE_FLOAT, kind.CPPTYPE_DOUBLE):
        yield from REALS
    elif field.cpp_type == kind.CPPTYPE_BOOL:
        yield True
    elif field.cpp_type == kind.CPPTYPE_STRING:
        yield from (text.encode() for text in TEXTS) if field.type == kind.TYPE_BYTES else TEXTS
    elif field.cpp_type != kind.CPPTYPE_MESSAGE:
        yield from INTEGERS


def extremes_of(message, depth: int = MESSAGE_DEPTH) -> Iterator[object]:
    """Copies of the message with one field, its own or an inner message's, at an extreme."""
    for field in message.DESCRIPTOR.fields:
        repeated = field.label == field.LABEL_REPEATED
        if field.message_type is not None:
            if depth == 0 or (repeated and field.message_type.GetOptions().map_entry):
                continue
            for inner in extremes_of(message_class(field.message_type)(), depth - 1):
                copy = type(message)()
                copy.CopyFrom(message)
                if repeated:
                    getattr(copy, field.name).add().CopyFrom(inner)
                else:
                    getattr(copy, field.name).CopyFrom(inner)
                yield copy
            continue
        for value in values_for(field):
            copy = type(message)()
            copy.CopyFrom(message)
            try:
                if repeated:
                    getattr(copy, field.name).extend([value] * 3)
                else:
                    setattr(copy, field.name, value)
            except (ValueError, TypeError):
                # The type has no such number.
                continue
            yield copy


class Client:
    """Calls methods with the bytes that it is given."""

    def __init__(self, address: str, modules) -> None:
        self.channel = grpc.insecure_channel(address, options=[("grpc.max_send_message_length", -1), ("grpc.max_receive_message_length", -1)])
        self.methods = {method.name: method for module in modules for service in module.DESCRIPTOR.services_by_name.values()
                        if service.name in SERVICES for method in service.methods}
        self.codes: dict = {}

    def _path(self, name: str) -> str:
        return f"/{self.methods[name].containing_service.full_name}/{name}"

    def call(self, name: str, request: bytes) -> None:
        """The answer is not looked at; that there is one is."""
        try:
            if name == "Exchange":
                for _ in self.channel.stream_stream(self._path(name))(iter([request]), timeout=CALL_SECONDS):
                    break
            elif name in STREAMS:
                for _ in self.channel.unary_stream(self._path(name))(request, timeout=CALL_SECONDS):
                    break
            else:
                self.channel.unary_unary(self._path(name))(request, timeout=CALL_SECONDS)
            code = "OK"
        except grpc.RpcError as error:
            code = error.code().name
        self.codes[code] = self.codes.get(code, 0) + 1

    def request(self, name: str, job: str):
        message = message_class(self.methods[name].input_type)()
        if "job_id" in message.DESCRIPTOR.fields_by_name and name not in ENDS_JOBS:
            message.job_id = job
        return message

    def idle_reader(self, name: str, requests: Iterator[bytes]):
        """A stream whose answers nobody takes."""
        if name == "Exchange":
            return self.channel.stream_stream(self._path(name))(requests)
        return self.channel.unary_stream(self._path(name))(next(requests))


@unittest.skipIf(grpc is None, "the client needs Debian's python3-grpcio and python3-protobuf")
class HostileTest(testbed.TestCase):
    def setUp(self) -> None:
        super().setUp()
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, max(soft, 4 * CONNECTIONS)), hard))
        self.draw = random.Random(1)
        self.workspace.write_solver(max_iter=ITERATIONS, snapshot=1000, test_interval=ITERATIONS, test_initialization="false", display=0)
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.modules = load_protocol(directory.name)

    def submit(self, cluster: Cluster) -> None:
        cluster.submit("--mode", "sync", "--name", JOB, "--servers", 2, "--seed", 3)

    def model(self, cluster: Cluster, name: str) -> bytes:
        self.workspace.check("model", "export", JOB, cluster.address, "--output", f"{name}.caffemodel")
        return (self.workspace.path / f"{name}.caffemodel").read_bytes()

    def addresses(self, cluster: Cluster) -> List[str]:
        return list(cluster.job(JOB)["servers"])

    def peak_bytes(self, cluster: Cluster) -> int:
        """The largest memory that a server has had."""
        peaks = []
        for process in [cluster.coordinator, *cluster.servers]:
            text = pathlib.Path(f"/proc/{process.pid}/status").read_text(encoding="ascii")
            peaks.append(1024 * int(next(line for line in text.splitlines() if line.startswith("VmHWM")).split()[1]))
        return max(peaks)

    def send_extremes(self, client: Client) -> int:
        sent = 0
        for name in sorted(client.methods):
            for job in (JOB, "nobody"):
                for message in extremes_of(client.request(name, job)):
                    # The epoch of the job's coordinator is its own.
                    if name not in ENDS_JOBS and getattr(message, "epoch", 0) == 1 and job == JOB:
                        continue
                    if name in ENDS_JOBS and message.job_id == JOB:
                        continue
                    # Training goes no further than a last snapshot.
                    if name == "Snapshot" and message.last:
                        continue
                    client.call(name, message.SerializeToString())
                    sent += 1
        return sent

    def send_garbage(self, client: Client) -> int:
        sent = 0
        for name in sorted(client.methods):
            samples = list(extremes_of(client.request(name, "nobody"), depth=1))
            for message in self.draw.sample(samples, min(20, len(samples))):
                whole = bytearray(message.SerializeToString()[:4096] or b"\x00")
                client.call(name, bytes(whole[:self.draw.randrange(len(whole))]))
                at = self.draw.randrange(len(whole))
                whole[at] ^= 1 << self.draw.randrange(8)
                if JOB.encode() not in whole and not self.is_later_coordinator(type(message), bytes(whole)):
                    client.call(name, bytes(whole))
                sent += 2
        return sent

    def is_later_coordinator(self, kind, whole: bytes) -> bool:
        """Whether the bytes are a message of the coordinator after the next: servers obey it, whoever may call may be one."""
        try:
            return 1 < getattr(kind.FromString(whole), "epoch", 0) < 1 << 32
        except Exception:  # Garbage: protobuf's versions have errors of their own for it.
            return False

    def send_raw(self, address: str) -> None:
        host, port = address.rsplit(":", 1)
        for number in range(100):
            with socket.create_connection((host, int(port)), CALL_SECONDS) as plain:
                junk = self.draw.randbytes(self.draw.randrange(1, 5000))
                plain.sendall((PREFACE + SETTINGS if number % 2 else b"") + junk)

    def crowd(self, address: str) -> List[socket.socket]:
        host, port = address.rsplit(":", 1)
        held = []
        for _ in range(CONNECTIONS // 2):
            try:
                connection = socket.create_connection((host, int(port)), CALL_SECONDS)
                connection.sendall(PREFACE + SETTINGS)
            except OSError:
                break
            held.append(connection)
        return held

    def stop_reading(self, client: Client) -> list:
        readers = []
        for number in range(IDLE_READERS):
            name = ("Watch", "Logs", "Exchange")[number % 3]
            message = client.request(name, JOB)
            if name == "Logs":
                message.follow = True
            if name == "Exchange":
                message.pull.extend(range(4))
            readers.append(client.idle_reader(name, iter([message.SerializeToString()] * (1000 if name == "Exchange" else 1))))
        return readers

    def attack(self, cluster: Cluster) -> None:
        addresses = self.addresses(cluster)
        clients = [Client(address, self.modules) for address in addresses]
        readers = [reader for client in clients for reader in self.stop_reading(client)]
        threads = [threading.Thread(target=self.send_extremes, args=(client,)) for client in clients]
        for thread in threads:
            thread.start()
        held = [connection for address in addresses for connection in self.crowd(address)]
        print(f"{len(held)} connections", flush=True)
        # Others are served all the while.
        self.workspace.check("status", cluster.address)
        for address in addresses:
            self.send_raw(address)
        for client in clients:
            self.send_garbage(client)
        for thread in threads:
            thread.join()
        for connection in held:
            connection.close()
        self.workspace.check("status", cluster.address)
        for reader in readers:
            reader.cancel()
        for client in clients:
            print(f"{sum(client.codes.values())} calls, by their codes: {dict(sorted(client.codes.items()))}", flush=True)
            self.assertNotIn("UNKNOWN", client.codes)
            client.channel.close()

    def assert_right(self, cluster: Cluster, expected: bytes, name: str) -> None:
        job = cluster.await_job(JOB, lambda job: job["state"] not in ("JOB_STATE_QUEUED", "JOB_STATE_RUNNING"))
        self.assertEqual(job["state"], "JOB_STATE_SUCCEEDED", job["cause"])
        ledger = job["ledger"]
        self.assertEqual((ledger["complete_chunks"], int(ledger["iterations"])), (ledger["chunks"], ITERATIONS))
        self.assertEqual(self.model(cluster, name), expected)

    def test_the_cluster_serves_on_and_the_model_is_that_of_a_run_without(self) -> None:
        with Cluster(self.workspace) as cluster:
            self.submit(cluster)
            cluster.await_state(JOB, "SUCCEEDED")
            expected = self.model(cluster, "undisturbed")
            quiet = self.peak_bytes(cluster)
        for directory in ("server-0", "server-1"):
            testbed.shutil.rmtree(self.workspace.path / directory)
        with Cluster(self.workspace) as cluster:
            self.submit(cluster)
            cluster.await_job(JOB, lambda job: int(job["completed_iterations"]) >= 50)
            self.attack(cluster)
            peak = self.peak_bytes(cluster)
            print(f"memory of a server: {quiet >> 20} MiB at most in peace, {peak >> 20} MiB under attack", flush=True)
            self.assertLess(peak, MEMORY_BYTES)
            self.assertEqual([process.poll() for process in (cluster.coordinator, *cluster.servers, *cluster.workers)], [None] * 4)
            self.assert_right(cluster, expected, "attacked")
            # Files that the attack has left on the disk do no harm either.
            cluster.coordinator.kill()
            cluster.coordinator.wait(testbed.END_SECONDS)
            cluster.coordinator = cluster.start_coordinator()
            self.assert_right(cluster, expected, "restarted")


if __name__ == "__main__":
    unittest.main()
