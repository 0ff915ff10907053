"""Where a batch's work goes: patches beside the branches, salvaged work, and folders that a crash left."""

from __future__ import annotations

import time
from pathlib import Path

from agentos.batch import delivery
from agentos.batch.changeset import capture
from agentos.batch.private import PrivateRepository
from agentos.batch.removal import remove
from agentos.batch.repository import Identity
from agentos.batch.workspace import Workspace
from agentos.home import Home


def patches(home: Home, batch: str) -> Path:
    """The folder of a batch's patch files."""
    return home.root / "patches" / batch


def write_patch(private: PrivateRepository, home: Home, batch: str, unit: str, commit: str) -> Path:
    """Writes a unit's patch file, whole or not at all, and returns it."""
    folder = patches(home, batch)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    file = folder / f"{unit}.patch"
    draft = file.with_suffix(".new")
    draft.write_bytes(delivery.patch(private, commit))
    draft.chmod(0o600)
    draft.replace(file)
    return file


def salvage(
    private: PrivateRepository, identity: Identity, folder: Path, batch: str, unit: str, number: int
) -> str | None:
    """The work in the workspace `folder` under a salvage ref, which is returned; None if there is none."""
    workspace = Workspace.reopen(private, folder)
    if workspace is None:
        return None
    changes = capture(workspace)
    if not changes.changes:
        return None
    message = f"Salvaged work of {unit}, attempt {number}\n"
    when_us = time.time_ns() // 1000
    commit = delivery.commit(private, changes.tree, (workspace.commit,), message, identity, when_us)
    return delivery.salvage(private.repository, batch, unit, number, commit)


def sweep(folder: Path) -> None:
    """Removes all that an earlier run left in a batch's folder but its private repository."""
    for left in folder.iterdir() if folder.is_dir() else ():
        if left.name != "git":
            remove(left)
