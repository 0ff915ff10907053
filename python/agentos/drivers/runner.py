"""Finds the executable `agentos-runner` that was installed with this package. `PATH` is not asked: whoever
can write a folder of it would get the launcher's and the broker's trust."""

from __future__ import annotations

import functools
import os
import sys
from pathlib import Path

from agentos.errors import MissingMechanism

NAME = "agentos-runner"
DISTRIBUTION = "agentos-kernel"


@functools.cache
def find_runner() -> str:
    """Its absolute path. Raises MissingMechanism where the installation has none."""
    for candidate in _candidates():
        if candidate.is_file() and os.access(candidate, os.X_OK):
            return str(candidate)
    raise MissingMechanism(
        f"the executable `{NAME}` is not installed beside this package",
        where=str(Path(sys.executable).parent),
        hint=f"install the package again: pip install --force-reinstall {DISTRIBUTION}",
    )


def _candidates() -> list[Path]:
    beside = [Path(sys.executable).parent / NAME]
    if beside[0].is_file():
        return beside  # spares reading the installation's record
    import importlib.metadata
    import sysconfig

    try:
        files = importlib.metadata.files(DISTRIBUTION) or []
    except importlib.metadata.PackageNotFoundError:
        files = []
    recorded = [Path(str(file.locate())).resolve() for file in files if file.name == NAME]
    schemes = [sysconfig.get_path("scripts"), sysconfig.get_path("scripts", f"{os.name}_user")]
    return recorded + [Path(folder) / NAME for folder in schemes if folder]
