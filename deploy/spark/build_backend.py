"""Builds the package as setuptools does, with the descriptors of the services in it.

The tarball brings them as samovar/samovar.desc. In a checkout they are made of ../../proto, by protoc if there is one, else by the
package grpcio-tools, which is then required for the build.
"""

import pathlib
import shutil
from typing import Any, List, Optional

from setuptools import build_meta
from setuptools.build_meta import *  # noqa: F401,F403: the hooks that are the same

from samovar import contracts

DESCRIPTORS = pathlib.Path(__file__).resolve().parent / "samovar" / "samovar.desc"


def _requirements() -> List[str]:
    return [] if DESCRIPTORS.exists() or shutil.which("protoc") else ["grpcio-tools"]


def get_requires_for_build_wheel(config_settings: Any = None) -> List[str]:
    return build_meta.get_requires_for_build_wheel(config_settings) + _requirements()


def build_wheel(wheel_directory: str, config_settings: Any = None, metadata_directory: Optional[str] = None) -> str:
    made = not DESCRIPTORS.exists()
    if made:
        DESCRIPTORS.write_bytes(contracts.compile_descriptors())
    try:
        return build_meta.build_wheel(wheel_directory, config_settings, metadata_directory)
    finally:
        if made:
            DESCRIPTORS.unlink()
