"""Finds the programs of Samovar, and runs their commands."""

import glob
import os
import re
import shutil
import subprocess
from typing import Any, Dict, Iterable, List, Optional, Sequence

from samovar.children import messages_of
from samovar.errors import BundleNotFound, CommandFailed

# The name under which Spark unpacks the tarball: --archives samovar-...tar.gz#samovar
ARCHIVE_NAME = "samovar"
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9]+:")


def is_uri(path: str) -> bool:
    """Whether a path names a scheme; it is of this machine otherwise."""
    return _SCHEME.match(path) is not None


def absolute(path: str) -> str:
    """The path, or URI, as every process can use it that sees the same files."""
    return path if is_uri(path) else os.path.abspath(path)


def join(directory: str, name: str) -> str:
    return directory.rstrip("/") + "/" + name


def _programs_in(place: str) -> Optional[str]:
    """The directory of the programs, if `place` is it, an unpacked tarball, or a directory with one."""
    for directory in [place, os.path.join(place, "bin"), *sorted(glob.glob(os.path.join(place, "*", "bin")), reverse=True)]:
        path = os.path.join(directory, "samovar")
        if os.path.isfile(path) and os.access(path, os.X_OK):
            return os.path.abspath(directory)
    return None


def _usual_places() -> Iterable[str]:
    if os.environ.get("SAMOVAR_HOME"):
        yield os.environ["SAMOVAR_HOME"]
    yield os.path.join(os.getcwd(), ARCHIVE_NAME)
    # In the tarball this file is deploy/spark/samovar/bundle.py.
    yield os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "..")
    on_path = shutil.which("samovar")
    if on_path:
        yield os.path.dirname(on_path)


def find(first: Sequence[Optional[str]] = (), last: Sequence[Optional[str]] = ()) -> "Bundle":
    """The first bundle of: the places of `first`, $SAMOVAR_HOME, ./samovar, the tarball that this package is in, $PATH, and the places of
    `last`."""
    places = [place for place in [*first, *_usual_places(), *last] if place]
    for place in places:
        programs = _programs_in(place)
        if programs:
            return Bundle(programs)
    raise BundleNotFound(f"there are no programs of Samovar in {', '.join(places)}; give bundle=, a directory that is there on each "
                         "machine or the tarball, which Spark then brings there, or set SAMOVAR_HOME")


def flag_words(flags: Dict[str, Any]) -> List[str]:
    """{"test_all": True, "delay": 3} -> ["--test-all", "--delay", "3"]; None and False are left out, lists are joined by commas."""
    words = []
    for name, value in flags.items():
        if value is None or value is False:
            continue
        words.append("--" + name.replace("_", "-"))
        if value is not True:
            words.append(",".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value))
    return words


class Bundle:
    """The programs in a directory."""

    def __init__(self, programs: str) -> None:
        self.programs = programs

    def program(self, name: str) -> str:
        return os.path.join(self.programs, name)

    def run(self, *words: str, text: str = "", env: Optional[Dict[str, str]] = None) -> str:
        """Runs `samovar WORDS...` with that input to its end, and returns its output. CommandFailed: with its message."""
        done = subprocess.run([self.program("samovar"), *words], input=text.encode(), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              env=env, check=False)
        if done.returncode != 0:
            lines = done.stderr.decode("utf-8", "replace").splitlines()
            raise CommandFailed(messages_of(lines), done.returncode)
        return done.stdout.decode("utf-8", "replace")

    def exists(self, path: str) -> bool:
        """Whether there is a file or a directory."""
        try:
            self.run("fs", "ls", path)
            return True
        except CommandFailed as error:
            if any(text in str(error) for text in ("there is nothing", "No such file or directory")):
                return False
            raise
