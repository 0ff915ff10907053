"""Deletes folders that an agent wrote into: read-only ones, ones nested deeper than a path can be long."""

from __future__ import annotations

import os
import secrets
import stat
from pathlib import Path

from agentos.errors import Failed


def remove(folder: Path) -> None:
    """Deletes `folder` and all in it; one that is not there is fine. Never follows a symbolic link.

    Raises: Failed where the operating system refuses.
    """
    # Folders are moved up beside each other before they are emptied, so that no path grows with the depth
    # and no recursion does. The new name also frees the old one at once. A grave may be there already: an
    # earlier removal, cut by a crash, is finished with this one.
    grave = folder.with_name(f".{folder.name}.removed")
    try:
        if _is_folder(folder):
            grave.mkdir(mode=0o700, exist_ok=True)
            _bury(folder, grave)
        else:
            folder.unlink(missing_ok=True)
        if not _is_folder(grave):
            return
        waiting = list(grave.iterdir())
        while waiting:
            current = waiting.pop()
            if current.is_symlink() or not current.is_dir():
                current.unlink()
                continue
            waiting += [_bury(inner, grave) for inner in _emptied(current)]
            current.rmdir()
        grave.rmdir()
    except OSError as error:
        raise Failed(f"the folder cannot be removed: {error.strerror}", where=str(folder)) from error


def _is_folder(path: Path) -> bool:
    try:
        return stat.S_ISDIR(os.lstat(path).st_mode)
    except FileNotFoundError:
        return False


def _bury(folder: Path, grave: Path) -> Path:
    """Moves a folder into `grave`, under a name that is free there."""
    # Moving a folder writes its `..`, which needs its own permission.
    folder.chmod(0o700)
    return folder.rename(grave / secrets.token_hex(8))


def _emptied(folder: Path) -> list[Path]:
    """Deletes what is not a folder in `folder` and returns the folders in it."""
    folder.chmod(0o700)
    folders = []
    with os.scandir(folder) as inside:
        for entry in inside:
            if entry.is_dir(follow_symlinks=False):
                folders.append(Path(entry.path))
            else:
                Path(entry.path).unlink()
    return folders
