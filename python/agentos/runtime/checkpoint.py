"""A checkpoint of a workspace: everything in it, saved before an agent's first write.

Content goes into one pack file beside the manifest, so that a single `fsync` makes it durable; what an
earlier checkpoint of the same folder holds unchanged is referred to, not copied. Nothing of the user's
repository is touched: git is asked one question, with its settings neutralised, and writes nothing.

Left out are `.git` (no tool can write to one that is there) and folders that git ignores as a whole
(`node_modules`, `.venv`, `target`): builds fill them, and copying them would cost more than the run. Owners,
extended attributes and hard links are not kept. Rejected: a private git folder with the workspace as work
tree. Git keeps one permission bit of nine and no empty folder, and takes a nested repository for a link.
"""

from __future__ import annotations

import hashlib
import os
import stat
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from agentos.errors import UsageError
from agentos.runtime.manifest import Item, Manifest

MOST_BYTES = 4 << 30  # of new content in one checkpoint
MOST_ITEMS = 1_000_000
CHUNK = 1 << 20
# A file changed this shortly before a scan may change again without its times showing it.
RACY_NS = 2_000_000_000
READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class Pack:
    """Appends contents to one new file and remembers where they are."""

    def __init__(self, path: Path) -> None:
        self.name = path.name
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC
        self._file: BinaryIO = os.fdopen(os.open(path, flags, 0o600), "wb")
        self.size = 0

    def add(self, data: bytes) -> None:
        self._file.write(data)
        self.size += len(data)
        if self.size > MOST_BYTES:
            raise UsageError(
                f"the folder has more than {MOST_BYTES >> 30} GiB to keep for an undo",
                hint="name a smaller one with --workspace",
            )

    def close(self) -> None:
        """Makes it durable."""
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()


def save_checkpoint(root: str, folder: Path, name: str, previous: Manifest | None) -> Manifest:
    """Stores everything below `root` in `folder/<name>.pack`; `previous` is the folder's last manifest.

    Raises UsageError where there is too much of it, OSError where it cannot be read or kept.
    """
    path = folder / f"{name}.pack"
    pack = Pack(path)
    try:
        known = _still_stored(previous, folder)
        manifest = Scan(root, known, ignored_folders(root), pack).manifest()
        pack.close()
    except BaseException:
        path.unlink()
        raise
    if not pack.size:
        path.unlink()
    return manifest


def look(root: str, before: Manifest) -> Manifest:
    """What `root` holds now, stored nowhere; reads only files that may have changed since `before`."""
    return Scan(root, before, before.left_out, None, before.repositories).manifest()


def _still_stored(previous: Manifest | None, folder: Path) -> Manifest | None:
    if previous is None:
        return None
    packs = {item.pack for item in previous.items.values() if item.pack}
    gone = {pack for pack in packs if not (folder / pack).exists()}
    items = {path: item for path, item in previous.items.items() if item.pack not in gone}
    return Manifest(folder=previous.folder, started_ns=previous.started_ns, items=items)


class Scan:
    """One walk through a folder that follows no link."""

    def __init__(
        self,
        root: str,
        known: Manifest | None,
        left_out: tuple[bytes, ...],
        pack: Pack | None,
        repositories: tuple[bytes, ...] | None = None,
    ) -> None:
        self._root = root
        self._known = known
        self._left_out = frozenset(left_out)
        self._pack = pack
        # A repository that came to be during a run is a change like any other.
        self._known_repositories = repositories
        self._repositories: list[bytes] = []
        self._started_ns = time.time_ns()
        self._items: dict[bytes, Item] = {}

    def manifest(self) -> Manifest:
        """Walk, and tell what is there."""
        descriptor = os.open(self._root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            self._folder(descriptor, b"")
        finally:
            os.close(descriptor)
        return Manifest(
            folder=os.fsencode(self._root),
            started_ns=self._started_ns,
            items=self._items,
            left_out=tuple(sorted(self._left_out)),
            repositories=tuple(self._repositories),
        )

    def _folder(self, descriptor: int, prefix: bytes) -> None:
        for name in sorted(os.fsencode(name) for name in os.listdir(descriptor)):
            path = prefix + name
            if path in self._left_out or (name == b".git" and self._repository(path)):
                continue
            if len(self._items) >= MOST_ITEMS:
                raise UsageError(
                    f"the folder holds more than {MOST_ITEMS} files",
                    hint="name a smaller one with --workspace",
                )
            try:
                item = self._item(descriptor, name, path)
            except FileNotFoundError:
                continue  # gone while we looked
            if item is not None:
                self._items[path] = item

    def _repository(self, path: bytes) -> bool:
        """Whether a `.git` is one to leave alone."""
        if self._known_repositories is not None and path not in self._known_repositories:
            return False
        self._repositories.append(path)
        return True

    def _item(self, folder: int, name: bytes, path: bytes) -> Item | None:
        status = os.stat(name, dir_fd=folder, follow_symlinks=False)
        mode = stat.S_IMODE(status.st_mode)
        if stat.S_ISDIR(status.st_mode):
            inner = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
            try:
                self._folder(inner, path + b"/")
            finally:
                os.close(inner)
            return Item("folder", mode)
        if not (stat.S_ISREG(status.st_mode) or stat.S_ISLNK(status.st_mode)):
            return None  # a pipe, socket or device: nothing that could be kept
        known = self._unchanged(path, status)
        if known is not None:
            return known
        if stat.S_ISLNK(status.st_mode):
            target = os.fsencode(os.readlink(name, dir_fd=folder))
            return self._stored("link", 0o777, iter([target]), status)
        with os.fdopen(os.open(name, READ, dir_fd=folder), "rb", buffering=0) as file:
            return self._stored("file", mode, iter(lambda: file.read(CHUNK), b""), status)

    def _unchanged(self, path: bytes, status: os.stat_result) -> Item | None:
        known = None if self._known is None else self._known.items.get(path)
        if known is None or self._known is None or known.ctime_ns > self._known.started_ns - RACY_NS:
            return None
        seen = (status.st_ino, status.st_mtime_ns, status.st_ctime_ns, status.st_size)
        # A changed mode moves the change time, so that is covered as well.
        return known if seen == (known.inode, known.mtime_ns, known.ctime_ns, known.size) else None

    def _stored(self, kind: str, mode: int, content: Iterator[bytes], status: os.stat_result) -> Item:
        offset = 0 if self._pack is None else self._pack.size
        digest, size = hashlib.sha256(), 0
        for data in content:
            digest.update(data)
            size += len(data)
            if self._pack is not None:
                self._pack.add(data)
        return Item(
            kind="link" if kind == "link" else "file",
            mode=mode,
            digest=digest.digest(),
            pack="" if self._pack is None else self._pack.name,
            offset=offset,
            size=size,
            inode=status.st_ino,
            mtime_ns=status.st_mtime_ns,
            ctime_ns=status.st_ctime_ns,
        )


def ignored_folders(root: str) -> tuple[bytes, ...]:
    """The folders below `root` that git ignores as a whole, where `root` lies in a repository."""
    quiet = (
        "-c",
        "core.fsmonitor=false",
        "-c",
        "core.hooksPath=/dev/null",
        "-c",
        "core.untrackedCache=false",
    )
    question = ("ls-files", "--others", "--ignored", "--exclude-standard", "--directory", "-z")
    environment = {
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": "/nonexistent",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": "/dev/null",
        "GIT_OPTIONAL_LOCKS": "0",
        "GIT_TERMINAL_PROMPT": "0",
        "LC_ALL": "C",
    }
    try:
        done = subprocess.run(
            ["git", *quiet, *question], cwd=root, env=environment, capture_output=True, check=False
        )
    except FileNotFoundError:
        return ()
    if done.returncode != 0:
        return ()
    return tuple(line[:-1] for line in done.stdout.split(b"\0") if line.endswith(b"/") and line != b"./")
