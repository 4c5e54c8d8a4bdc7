"""The errors of this package. Each message says what happened, to which thing, and what to do."""

import re
from typing import Optional


class SamovarError(RuntimeError):
    """The base of all."""


class BundleNotFound(SamovarError):
    """The programs of Samovar are not where they were looked for."""


class CommandFailed(SamovarError):
    """A command of the bundle has ended with another exit code than 0. `code` 2: flags, files or data are wrong."""

    def __init__(self, message: str, code: int = 1) -> None:
        super().__init__(message)
        self.code = code

    def __reduce__(self) -> tuple:
        return CommandFailed, (str(self), self.code)


class RecordError(SamovarError):
    """A row cannot become a record; the message names it."""


class WorkerFailed(SamovarError):
    """A worker has ended by itself; the message has its last lines."""


class JobFailed(SamovarError):
    """A job has not succeeded; the message has the reason."""


class CallFailed(SamovarError):
    """A call of the coordinator has failed. `code`: the name of gRPC's status, "NOT_FOUND" say."""

    def __init__(self, message: str, code: str = "UNKNOWN") -> None:
        super().__init__(message)
        self.code = code

    def __reduce__(self) -> tuple:
        return CallFailed, (str(self), self.code)


_RAISED = re.compile(r"samovar\.errors\.(?P<kind>\w+): (?P<text>.*?)(?=\n\n|\n\tat |\Z)", re.DOTALL)


def error_of_task(error: BaseException) -> Optional[SamovarError]:
    """The error of this package that a task has raised, out of what Spark makes of it; None if it was another one."""
    if isinstance(error, SamovarError):
        return error
    found = list(_RAISED.finditer(str(error)))
    if not found:
        return None
    kind = globals().get(found[-1]["kind"], SamovarError)
    return kind(found[-1]["text"].strip())
