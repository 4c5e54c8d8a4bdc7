"""A client of a cluster, over gRPC. What a user's files are checked for is the bundle's business: submit and export run its commands."""

import json
from typing import Any, Dict, Iterator, List, Optional

from samovar import bundle as bundles
from samovar import jobs as job_commands
from samovar.bundle import Bundle, absolute
from samovar.contracts import Contracts
from samovar.errors import CallFailed, SamovarError


def state_of(job: Any) -> str:
    """A job's state as a word: "QUEUED", "RUNNING", "SUCCEEDED", "FAILED" or "CANCELLED"."""
    states = job.DESCRIPTOR.fields_by_name["state"].enum_type.values_by_number
    return states[job.state].name.replace("JOB_STATE_", "", 1)


class Client:
    """Calls a cluster's coordinator. Messages are those of the .proto files (share/proto of the tarball), with their fields' names.

    Thread safety: all methods may be called from any thread; an iterator belongs to one.
    """

    def __init__(self, address: str, bundle: Optional[str] = None, timeout: float = 10.0) -> None:
        """address: "host:port", or the cluster's home, a path or URI, which the bundle then reads. bundle: where the programs are, for
        homes, submit and export; see samovar.bundle.find. timeout: seconds for a call, but for watch and logs. Does not connect."""
        try:
            import grpc
        except ImportError:
            raise SamovarError("the client needs the Python packages grpcio and protobuf: pip install grpcio protobuf") from None
        self._grpc = grpc
        self._place = bundle
        self._timeout = timeout
        self.address = address
        if "/" in address:
            self.address = json.loads(self._bundle().run("status", address, "--json"))["coordinator"]
        self._contracts = Contracts()
        # Watchers of many jobs get long statuses.
        self._channel = grpc.insecure_channel(self.address, options=[("grpc.max_receive_message_length", 64 << 20)])

    def _bundle(self) -> Bundle:
        return bundles.find([self._place])

    def close(self) -> None:
        self._channel.close()

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _start(self, service: str, method: str, timeout: Optional[float], fields: Dict[str, Any]) -> Any:
        path, request, answer, streams = self._contracts.method(service, method)
        make = self._channel.unary_stream if streams else self._channel.unary_unary
        call = make(path, request_serializer=request.SerializeToString, response_deserializer=answer.FromString)
        return call(request(**fields), timeout=timeout)

    def _failed(self, error: Any) -> CallFailed:
        code = error.code().name
        advice = "; is a coordinator running there?" if code == "UNAVAILABLE" else ""
        return CallFailed(f"{self.address}: {error.details()}{advice}", code)

    def _call(self, service: str, method: str, **fields: Any) -> Any:
        try:
            return self._start(service, method, self._timeout, fields)
        except self._grpc.RpcError as error:
            raise self._failed(error) from None

    def _stream(self, service: str, method: str, **fields: Any) -> Iterator[Any]:
        call = self._start(service, method, None, fields)
        try:
            yield from call
        except self._grpc.RpcError as error:
            raise self._failed(error) from None
        finally:
            call.cancel()

    def status(self) -> Any:
        """The cluster's status: servers, workers, jobs (ClusterStatus)."""
        return self._call("StatusService", "GetStatus")

    def watch_status(self, interval: float = 1.0) -> Iterator[Any]:
        """The cluster's status, then, at most every `interval` seconds, what has changed in it (ClusterStatus), without end."""
        return self._stream("StatusService", "WatchStatus", interval_ms=max(100, int(interval * 1000)))

    def history(self, job_id: str, first_iteration: int = 0, max_points: int = 0) -> Iterator[Any]:
        """The curve of a job that runs or has ended, in blocks of points (HistoryBlock); max_points: of many only so many, lowest and highest."""
        return self._stream("StatusService", "GetHistory", job_id=job_id, first_iteration=first_iteration, max_points=max_points)

    def jobs(self) -> List[Any]:
        """The status of each job that the coordinator remembers (JobStatus)."""
        return list(self._call("JobService", "List").jobs)

    def job(self, job_id: str) -> Any:
        """A job's status. CallFailed, NOT_FOUND: there is none of that name."""
        return self._call("JobService", "Get", job_id=job_id)

    def spec(self, job_id: str) -> Any:
        """A job as it was submitted (JobSpec)."""
        return self._call("JobService", "GetSpec", job_id=job_id)

    def watch(self, job_id: str, interval: float = 0.5, displays: bool = False) -> Iterator[Any]:
        """A job's status at once, then whenever it has changed, at most every `interval` seconds, and a last time when it has ended.
        displays: with the new lines of the solver's `display`."""
        return self._stream("JobService", "Watch", job_id=job_id, interval_ms=max(50, int(interval * 1000)), displays=displays)

    def logs(self, job_id: str, follow: bool = False, after: int = 0) -> Iterator[Any]:
        """The events of a job, oldest first (JobEvent), those with a number above `after`; follow: also later ones, until it has ended."""
        return self._stream("JobService", "Logs", job_id=job_id, after=after, follow=follow)

    def cancel(self, job_id: str, reason: str = "a client has asked for it") -> None:
        """Ends a job. One that has ended stays as it is."""
        self._call("JobService", "Cancel", job_id=job_id, reason=reason)

    def submit(self, solver: str, **flags: Any) -> str:
        """Has the bundle check solver, nets and data, and submits the job. Returns its name.

        flags: those of `samovar submit`: name="lenet", mode="sync", servers=2 and so on. CommandFailed: with what is wrong (code 2: in
        the files or flags).
        """
        return job_commands.submit(self._bundle(), self.address, absolute(solver), flags)

    def export(self, job_id: str, output: str, iteration: Optional[int] = None, overwrite: bool = False) -> str:
        """Writes the job's model to `output`, a path or URI *.caffemodel, and the solver state beside it; the job may be running.
        iteration: that of a snapshot. Returns the model's path."""
        written = job_commands.export(self._bundle(), self.address, job_id, absolute(output), {"iteration": iteration, "force": overwrite})
        return written.get("model", output)
