"""Scenes for launches: one per user that can be had here."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from security.launching import NOBODY, Place, place

AS_NOBODY = [pytest.mark.needs("root"), pytest.mark.needs("/usr/bin/python3")]


@pytest.fixture(params=["own", pytest.param("nobody", marks=AS_NOBODY)])
def scene(request: pytest.FixtureRequest) -> Iterator[Place]:
    """A scene of host files, as the user of the tests and as nobody."""
    uid = NOBODY if request.param == "nobody" else None
    # Not below pytest's own folder, which is closed to other users.
    yield from place(Path(tempfile.mkdtemp(prefix="agentos-scene-")), uid)


@pytest.fixture
def own(request: pytest.FixtureRequest) -> Iterator[Place]:
    """A scene of the user who runs the tests."""
    yield from place(Path(tempfile.mkdtemp(prefix="agentos-scene-")), None)


@pytest.fixture
def real_home() -> Path:
    """The home folder of the user who runs the tests."""
    return Path(os.path.expanduser("~"))  # noqa: PTH111
