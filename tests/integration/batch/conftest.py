"""A repository, its units' workspaces, and a trap that shows whether somebody's command ran."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

import repositories
from agentos.batch.private import PrivateRepository
from agentos.batch.repository import Repository
from agentos.batch.workspace import Workspace

FILES = {
    "src/a/one.py": "one\n",
    "src/b/two.py": "two\n",
    "src/b/run.sh": "#!/bin/sh\n",
    "README.md": "read me\n",
    ".gitignore": "*.pyc\n/.env\n/node_modules/\n",
}


@pytest.fixture
def checkout(tmp_path: Path) -> repositories.Checkout:
    return repositories.make(tmp_path / "repository", FILES)


@pytest.fixture
def private(checkout: repositories.Checkout, tmp_path: Path) -> PrivateRepository:
    return open_private(checkout, tmp_path)


def open_private(checkout: repositories.Checkout, folder: Path) -> PrivateRepository:
    repository = Repository.open(checkout.top, repositories.ENVIRONMENT)
    return PrivateRepository(repository, folder / "home" / "engine.git", repositories.ENVIRONMENT)


@pytest.fixture
def prepare(private: PrivateRepository, tmp_path: Path) -> Callable[[], Workspace]:
    """Makes a workspace of HEAD, each in a folder of its own."""
    count = 0

    def make() -> Workspace:
        nonlocal count
        count += 1
        base = private.repository.resolve("HEAD")
        return Workspace.prepare(private, tmp_path / "home" / "units" / str(count), base)

    return make


class Trap:
    """A command that leaves a mark when it runs."""

    def __init__(self, folder: Path) -> None:
        self.mark = folder / "sprung"
        self.command = folder / "trap.sh"
        self.command.write_text(f'#!/bin/sh\necho "$0 $@" >> {self.mark}\ncat\n')
        self.command.chmod(0o755)

    @property
    def sprung(self) -> bool:
        return self.mark.exists()


@pytest.fixture
def trap(tmp_path: Path) -> Trap:
    return Trap(tmp_path)
