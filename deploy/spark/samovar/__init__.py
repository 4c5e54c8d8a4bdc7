"""Samovar for Python: a client of a cluster, and training from Spark (samovar.spark).

    from samovar import Client
    with Client("hn0-mycluster:7400") as client:
        for job in client.jobs():
            print(job.job_id, job.iteration, job.loss)

The programs do the work: this package finds them (samovar.bundle) and runs them. It needs no other package by itself; Client needs
grpcio and protobuf, and samovar.spark needs pyspark.
"""

from typing import TYPE_CHECKING, Any

from samovar.errors import BundleNotFound, CallFailed, CommandFailed, JobFailed, RecordError, SamovarError, WorkerFailed

if TYPE_CHECKING:
    from samovar.client import Client

__version__ = "0.2.0"
__all__ = ["BundleNotFound", "CallFailed", "Client", "CommandFailed", "JobFailed", "RecordError", "SamovarError", "WorkerFailed",
           "__version__"]


def __getattr__(name: str) -> Any:
    # Not before it is used: an executor has no need of gRPC.
    if name == "Client":
        from samovar.client import Client
        return Client
    raise AttributeError(f"module 'samovar' has no attribute {name!r}")
