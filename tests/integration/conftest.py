"""Fixtures of tests that run the real command against a real daemon."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.command import Command


@pytest.fixture
def agentos(tmp_path: Path) -> Iterator[Command]:
    """The command with a home and a working folder of its own; its daemon ends with the test."""
    work = tmp_path / "work"
    work.mkdir()
    command = Command(tmp_path / "home", work)
    yield command
    command.end()


@pytest.fixture
def home(agentos: Command) -> Command:
    """The command again, for tests in which `agentos` is the package."""
    return agentos
