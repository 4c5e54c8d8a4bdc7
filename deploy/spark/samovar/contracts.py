"""The services and messages of the .proto files, for Client: made of descriptors when they are first used, so that there is no generated
code that would fit one version of protobuf only."""

import pathlib
import shutil
import subprocess
import sys
import tempfile
from typing import Any, Dict, Tuple

from samovar.errors import SamovarError

_HERE = pathlib.Path(__file__).resolve().parent
# Services that a client calls; their files bring all others.
_FILES = ("samovar/v1/status.proto", "samovar/v1/job.proto")


def compile_descriptors() -> bytes:
    """A serialised FileDescriptorSet of the .proto files beside this package, by protoc, or grpcio-tools if it is installed."""
    # In a checkout this file is deploy/spark/samovar/contracts.py, and so it is in the tarball.
    places = [_HERE.parents[2] / "proto", _HERE.parents[2] / "share" / "proto"]
    source = next((place for place in places if (place / _FILES[0]).is_file()), None)
    if source is None:
        raise SamovarError(f"there are neither {_HERE / 'samovar.desc'} nor .proto files in {places[0]} or {places[1]}; install the package "
                           "from the tarball, or from a checkout")
    protoc = [shutil.which("protoc") or ""]
    if not protoc[0]:
        try:
            import grpc_tools  # noqa: F401
        except ImportError:
            raise SamovarError("the .proto files need protoc (package protobuf-compiler) or the Python package grpcio-tools once; install "
                               "one of them, or take the package of the tarball") from None
        protoc = [sys.executable, "-m", "grpc_tools.protoc"]
    with tempfile.TemporaryDirectory() as directory:
        out = pathlib.Path(directory) / "set"
        done = subprocess.run([*protoc, f"--proto_path={source}", "--include_imports", f"--descriptor_set_out={out}", *_FILES],
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
        if done.returncode != 0:
            raise SamovarError(f"the .proto files in {source} cannot be compiled: {done.stdout.decode('utf-8', 'replace').strip()}")
        return out.read_bytes()


class Contracts:
    """The messages of the services, in a pool of their own: a program may have another caffe.proto."""

    def __init__(self) -> None:
        try:
            from google.protobuf import descriptor_pb2, descriptor_pool
        except ImportError:
            raise SamovarError("the client needs the Python packages grpcio and protobuf: pip install grpcio protobuf") from None
        described = _HERE / "samovar.desc"
        files = descriptor_pb2.FileDescriptorSet.FromString(described.read_bytes() if described.is_file() else compile_descriptors())
        self._pool = descriptor_pool.DescriptorPool()
        # Old versions of protobuf do not say of a method in a pool whether it streams.
        self._streams = {(service.name, method.name) for file in files.file for service in file.service for method in service.method
                         if method.server_streaming}
        for file in files.file:
            self._pool.AddSerializedFile(file.SerializeToString())
        self._classes: Dict[str, Any] = {}

    def message(self, name: str) -> Any:
        """The class of samovar.v1.NAME."""
        return self._class_of(self._pool.FindMessageTypeByName(f"samovar.v1.{name}"))

    def method(self, service: str, name: str) -> Tuple[str, Any, Any, bool]:
        """A method's path, the classes of its request and its answer, and whether it answers with a stream."""
        method = self._pool.FindServiceByName(f"samovar.v1.{service}").methods_by_name[name]
        return (f"/samovar.v1.{service}/{name}", self._class_of(method.input_type), self._class_of(method.output_type),
                (service, name) in self._streams)

    def _class_of(self, descriptor: Any) -> Any:
        if descriptor.full_name not in self._classes:
            from google.protobuf import message_factory
            if hasattr(message_factory, "GetMessageClass"):
                made = message_factory.GetMessageClass(descriptor)
            else:  # Before protobuf 4.22.
                made = message_factory.MessageFactory(self._pool).GetPrototype(descriptor)
            self._classes[descriptor.full_name] = made
        return self._classes[descriptor.full_name]
