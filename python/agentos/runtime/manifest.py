"""What a folder held at one moment: the data of a checkpoint.

A manifest names every file, link and folder with its mode and the digest of its content. The contents lie in
packs beside it; a manifest may refer to packs of earlier checkpoints for what has not changed since.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Literal

import msgspec

from agentos.errors import Failed

VERSION = 1


class Item(msgspec.Struct, frozen=True, array_like=True):
    """One path. `digest` is the SHA-256 of a file's content or a link's target, empty for a folder.

    `pack`, `offset` and `size` say where the content is stored (an empty `pack`: nowhere). `inode`,
    `mtime_ns` and `ctime_ns` recognise a file that has not changed without reading it.
    """

    kind: Literal["file", "link", "folder"]
    mode: int
    digest: bytes = b""
    pack: str = ""
    offset: int = 0
    size: int = 0
    inode: int = 0
    mtime_ns: int = 0
    ctime_ns: int = 0

    def same(self, other: Item | None) -> bool:
        """Whether both stand for the same content and mode."""
        return other is not None and (self.kind, self.mode, self.digest) == (
            other.kind,
            other.mode,
            other.digest,
        )


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """The items below `folder` by relative path (bytes, as the system has them), the folders left out, and
    the `.git` of each repository in it."""

    folder: bytes
    started_ns: int
    items: dict[bytes, Item]
    left_out: tuple[bytes, ...] = ()
    repositories: tuple[bytes, ...] = ()
    version: int = VERSION

    @property
    def root(self) -> str:
        """The folder's path."""
        return os.fsdecode(self.folder)

    def changes(self, later: Manifest) -> list[bytes]:
        """The paths that differ between this and a later manifest of the same folder, sorted."""
        paths = self.items.keys() | later.items.keys()
        return sorted(path for path in paths if not same(self.items.get(path), later.items.get(path)))

    def changed_files(self, later: Manifest) -> list[bytes]:
        """Like `changes`, without folders."""

        def folder(path: bytes) -> bool:
            items = (self.items.get(path), later.items.get(path))
            return all(item is None or item.kind == "folder" for item in items)

        return [path for path in self.changes(later) if not folder(path)]


def same(one: Item | None, other: Item | None) -> bool:
    """Whether two items, either of which may be absent, stand for the same content and mode."""
    return other is None if one is None else one.same(other)


def save(manifest: Manifest, path: Path) -> str:
    """Writes `manifest` durably at `path`; returns the SHA-256 (hex) of the file."""
    data = msgspec.msgpack.encode(manifest)
    temporary = path.with_suffix(path.suffix + ".new")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(descriptor)
    temporary.rename(path)
    return hashlib.sha256(data).hexdigest()


def load(path: Path, digest: str) -> Manifest:
    """Reads the manifest at `path`; Failed when it is missing, or not the one with that SHA-256 (hex)."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise Failed(f"the checkpoint cannot be read: {error.strerror}", where=str(path)) from None
    if hashlib.sha256(data).hexdigest() != digest:
        raise Failed("the checkpoint is damaged", where=str(path))
    return msgspec.msgpack.decode(data, type=Manifest)
