"""Files by paths that the kernel decided on, opened exactly there.

A model's path is resolved first (`locate`), the kernel decides on the result, and then the file is reached
component by component without following any link. A link put in between the decision and the opening is an
error, so what was decided is what is opened, whoever moves things about meanwhile. (`openat2` would do the
same in one call; Python has no binding for it.)
"""

from __future__ import annotations

import errno
import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager

from agentos.tools.failure import ToolFailure
from agentos.tools.names import quote, unquote

STEP = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
LARGEST = 16 << 20  # bytes of a file that a tool takes into memory
NEW_FILE = 0o644
NEW_FOLDER = 0o755


def locate(root: str, path: str) -> str:
    """The absolute path, free of links and dots, that `path` means in the workspace `root`."""
    name = unquote(path)
    if "\0" in name:
        raise ToolFailure("a path cannot hold a NUL byte")
    return os.path.realpath(f"{root}/{name}" if not name.startswith("/") else name)


@contextmanager
def opened_folder(path: str, *, create: bool = False) -> Iterator[int]:
    """A descriptor (`O_PATH`) of the folder at the absolute `path`, reached without following a link."""
    with failing(path):
        folder = _walk(path, create=create)
    try:
        yield folder
    finally:
        os.close(folder)


@contextmanager
def failing(path: str) -> Iterator[None]:
    """Turns what the system says about `path` into a ToolFailure."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENOTDIR):
            raise ToolFailure(f"{quote(path)} is not reached through folders alone") from None
        raise ToolFailure(f"{quote(path)}: {os.strerror(error.errno or 0).lower()}") from None


def _walk(path: str, *, create: bool) -> int:
    folder = os.open("/", STEP)
    try:
        for name in path.split("/"):
            if name:
                inner = _step(folder, name, create=create)
                os.close(folder)
                folder = inner
    except BaseException:
        os.close(folder)
        raise
    return folder


def _step(folder: int, name: str, *, create: bool) -> int:
    try:
        return os.open(name, STEP, dir_fd=folder)
    except FileNotFoundError:
        if not create:
            raise
    os.mkdir(name, NEW_FOLDER, dir_fd=folder)
    return os.open(name, STEP, dir_fd=folder)


def read_bytes(path: str) -> bytes:
    """The content of the regular file at the absolute `path`; ToolFailure if there is none, or a huge one."""
    folder_path, name = os.path.split(path)
    with opened_folder(folder_path) as folder, failing(path):
        # O_NONBLOCK: opening a pipe must not wait for its other end.
        descriptor = os.open(
            name or ".", os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder
        )
        with os.fdopen(descriptor, "rb") as file:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                raise ToolFailure(f"{quote(path)} is not a file")
            data = file.read(LARGEST + 1)
    if len(data) > LARGEST:
        raise ToolFailure(f"{quote(path)} has {status.st_size} bytes, more than {LARGEST}: read parts of it")
    return data


def write_bytes(path: str, data: bytes) -> bool:
    """Put `data` at the absolute `path` in one step, with the mode of the file that was there; creates
    parent folders. True when the file is new."""
    folder_path, name = os.path.split(path)
    temporary = f".agentos-{secrets.token_hex(8)}"
    with opened_folder(folder_path, create=True) as folder, failing(path):
        mode = _mode(folder, name, path)
        descriptor = os.open(
            temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600, dir_fd=folder
        )
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(data)
                os.fchmod(descriptor, NEW_FILE if mode is None else mode)
            os.rename(temporary, name, src_dir_fd=folder, dst_dir_fd=folder)
        except BaseException:
            os.unlink(temporary, dir_fd=folder)
            raise
    return mode is None


def _mode(folder: int, name: str, path: str) -> int | None:
    try:
        status = os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return None
    if not stat.S_ISREG(status.st_mode):
        raise ToolFailure(f"{quote(path)} is not a file")
    return stat.S_IMODE(status.st_mode)
