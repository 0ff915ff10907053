"""Takes back what a run did to its workspace, and nothing else.

Three states decide: before the run, after it, and now. Only paths that the run changed are restored; what
the user changed elsewhere since stays. A path that both changed is a conflict, and without `force` nothing
is done at all. Restoring again what is already restored changes nothing, so an undo that was cut off is
simply repeated.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
import stat
from pathlib import Path

import msgspec

from agentos.errors import Failed
from agentos.runtime.manifest import Item, Manifest, same
from agentos.tools.files import failing, opened_folder
from agentos.tools.names import quote


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What an undo would do: the paths to restore, and those that changed again since the run."""

    restore: tuple[bytes, ...]
    conflicts: tuple[bytes, ...]


def plan_undo(before: Manifest, after: Manifest, now: Manifest) -> Plan:
    """Compares the three states."""
    restore, conflicts = [], []
    for path in before.changes(after):
        current = now.items.get(path)
        if same(current, before.items.get(path)):
            continue
        restore.append(path)
        if not same(current, after.items.get(path)):
            conflicts.append(path)
    return Plan(restore=tuple(restore), conflicts=tuple(conflicts))


def restore(before: Manifest, now: Manifest, paths: tuple[bytes, ...], folder: Path) -> list[str]:
    """Brings `paths` back to what they were, from the packs in `folder`.

    Returns what could not be: folders that hold something newer, which stay. Raises Failed where a stored
    content is missing or damaged; nothing has been changed then.
    """
    wanted = {path: before.items[path] for path in paths if path in before.items}
    for item in wanted.values():
        if item.kind == "file":
            _check(item, folder)
    kept = set()
    for path in sorted(paths, reverse=True):  # what is inside a folder comes before it
        current, target = now.items.get(path), wanted.get(path)
        if current is None or (target is not None and target.kind == current.kind):
            continue
        if not _remove(before.root, path, current):
            kept.add(path)
    for path in sorted(wanted.keys() - kept):  # a folder comes before what is inside it
        _put(before.root, path, wanted[path], folder)
    for path in sorted(wanted.keys() - kept, reverse=True):
        if wanted[path].kind == "folder":
            _set_mode(before.root, path, wanted[path].mode)
    return [f"{quote(os.fsdecode(path))}/" for path in sorted(kept)]


def _content(item: Item, folder: Path) -> bytes:
    try:
        with (folder / item.pack).open("rb") as pack:
            pack.seek(item.offset)
            return pack.read(item.size)
    except OSError as error:
        raise Failed(f"the checkpoint cannot be read: {error.strerror}", where=item.pack) from None


def _check(item: Item, folder: Path) -> None:
    if hashlib.sha256(_content(item, folder)).digest() != item.digest:
        raise Failed("the checkpoint is damaged", where=f"{folder / item.pack}:{item.offset}")


def _at(root: str, path: bytes) -> tuple[str, str]:
    """The absolute folder and the name of a relative path."""
    return os.path.split(f"{root}/{os.fsdecode(path)}")


def _remove(root: str, path: bytes, current: Item) -> bool:
    """False when it is a folder that holds something."""
    folder_path, name = _at(root, path)
    with opened_folder(folder_path) as folder, failing(f"{folder_path}/{name}"):
        if current.kind != "folder":
            with contextlib.suppress(FileNotFoundError):
                os.unlink(name, dir_fd=folder)
            return True
        try:
            os.rmdir(name, dir_fd=folder)
        except FileNotFoundError:
            return True
        except OSError:
            return False
    return True


def _put(root: str, path: bytes, item: Item, packs: Path) -> None:
    folder_path, name = _at(root, path)
    with opened_folder(folder_path, create=True) as folder, failing(f"{folder_path}/{name}"):
        if item.kind == "folder":
            with contextlib.suppress(FileExistsError):
                os.mkdir(name, 0o700, dir_fd=folder)
            return
        content = _content(item, packs)
        temporary = f".agentos-{secrets.token_hex(8)}"
        if item.kind == "link":
            os.symlink(content, os.fsencode(temporary), dir_fd=folder)
        else:
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
            with os.fdopen(os.open(temporary, flags, 0o600, dir_fd=folder), "wb") as file:
                file.write(content)
                os.fchmod(file.fileno(), item.mode)
        try:
            os.rename(temporary, name, src_dir_fd=folder, dst_dir_fd=folder)
        except OSError:
            os.unlink(temporary, dir_fd=folder)
            raise


def _set_mode(root: str, path: bytes, mode: int) -> None:
    folder_path, name = _at(root, path)
    with opened_folder(folder_path) as folder, failing(f"{folder_path}/{name}"):
        descriptor = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
        try:
            if stat.S_IMODE(os.fstat(descriptor).st_mode) != mode:
                os.fchmod(descriptor, mode)
        finally:
            os.close(descriptor)
