"""How this package and the bundle get to the executors, and how a task finds them there."""

import atexit
import os
import shutil
import tempfile
import zipfile
from dataclasses import dataclass
from typing import Any, Dict, Optional, Tuple

import samovar
from samovar import bundle as bundles
from samovar.bundle import ARCHIVE_NAME, Bundle
from samovar.errors import SamovarError

_TARBALLS = (".tar.gz", ".tgz")


@dataclass(frozen=True)
class Place:
    """Where a task looks for the programs: there first, if the driver was told so, and last where the driver has them."""
    told: Optional[str]
    found: str

    def find(self) -> Bundle:
        return bundles.find([self.told, _unpacked()], [self.found])


def _unpacked() -> Optional[str]:
    """Where Spark has unpacked the tarball, on the driver as well as on an executor."""
    from pyspark import SparkFiles
    try:
        return os.path.join(SparkFiles.getRootDirectory(), ARCHIVE_NAME)
    except Exception:  # There is no context.
        return None


def _ship_package(context: Any) -> None:
    """Adds this package to those that the executors import, once a context."""
    directory = os.path.dirname(os.path.abspath(samovar.__file__))
    if getattr(context, "_samovar_shipped", False) or not os.path.isdir(directory):
        return
    temporary = tempfile.mkdtemp(prefix="samovar-package-")
    # Executors that start later fetch it from there.
    atexit.register(shutil.rmtree, temporary, ignore_errors=True)
    path = os.path.join(temporary, "samovar_package.zip")
    with zipfile.ZipFile(path, "w") as archive:
        for folder, _, names in os.walk(directory):
            for name in sorted(names):
                if name.endswith(".py"):
                    file = os.path.join(folder, name)
                    archive.write(file, os.path.join("samovar", os.path.relpath(file, directory)))
    context.addPyFile(path)
    context._samovar_shipped = True


def prepare(context: Any, bundle: Optional[str]) -> Tuple[Bundle, Place]:
    """Has the executors get the package and, if `bundle` is a tarball, the programs. Returns the driver's bundle, and the tasks'."""
    _ship_package(context)
    told = bundle
    if bundle is not None and bundle.endswith(_TARBALLS):
        told = None
        if getattr(context, "_samovar_tarball", None) != bundle:
            if not hasattr(context, "addArchive"):
                raise SamovarError("bundle= as a tarball needs PySpark 3.3 or later; give spark.archives=TARBALL#samovar to spark-submit")
            context.addArchive(f"{bundle}#{ARCHIVE_NAME}")
            context._samovar_tarball = bundle
    elif bundle is not None:
        told = os.path.abspath(bundle)
    driver = bundles.find([told, _unpacked()])
    return driver, Place(told, driver.programs)


def environment() -> Dict[str, str]:
    """The environment of a task's children: temporary files and copies go to the executor's own directory, which Spark removes."""
    variables = dict(os.environ)
    local = variables.get("SPARK_LOCAL_DIRS", "").split(",")[0]
    if local and os.path.isdir(local):
        variables.setdefault("TMPDIR", local)
        variables.setdefault("SAMOVAR_FILE_CACHE", os.path.join(local, "samovar-files"))
    return variables


def _task() -> Any:
    from pyspark import TaskContext
    return TaskContext.get()


def attempt_id() -> int:
    """Tells this attempt of a task from all others of the application."""
    return int(_task().taskAttemptId())


def attempt_number() -> int:
    """How often this task was tried before."""
    return int(_task().attemptNumber())
