"""What is launched and how it ended: the messages between Python and `agentos-runner launch`."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path as FilePath
from typing import Literal

import msgspec

from agentos.errors import AgentOSError, InternalError, MissingMechanism, UsageError
from agentos.messages import AnyScope, Everything, Path

Level = Literal["strict", "standard", "none"]
Access = Literal["read", "read_write"]

_SYSTEM = ("/bin", "/boot", "/dev", "/etc", "/lib", "/opt", "/proc", "/run", "/sbin", "/sys", "/usr")


class PathGrant(msgspec.Struct, frozen=True, kw_only=True):
    """A path of the host that is visible, at the same place, inside."""

    path: bytes
    access: Access


class LaunchSpec(msgspec.Struct, frozen=True, kw_only=True):
    """What to run and what it may touch: the same as `LaunchSpec` of `rust/sandbox`. Byte strings, since
    paths and arguments need not be UTF-8."""

    level: Level
    argv: list[bytes]
    environment: list[tuple[bytes, bytes]]
    folder: bytes
    """Working folder."""
    home: bytes
    """Home folder: private and empty at its real path, the user's runtimes read-only in it."""
    paths: list[PathGrant] = []
    hidden: list[bytes] = []
    """Paths that stay empty even below a granted one; a deeper granted one shows again."""
    umask: int = 0o022

    @classmethod
    def from_mandate(
        cls,
        mandate: Sequence[AnyScope],
        argv: Sequence[str | bytes],
        *,
        cwd: str | bytes | os.PathLike[str],
        env: Mapping[str, str],
        level: Level = "strict",
        home: str | None = None,
        paths: Sequence[str | bytes] = (),
        hidden: Sequence[str | os.PathLike[str]] = (),
        umask: int = 0o022,
    ) -> LaunchSpec:
        """The launch that the mandate of a ticket allows, and no more.

        `env` is the whole environment but `HOME` and `TMPDIR`, which are set here. `home` is the home folder
        of the person it runs for (default: this process's). `paths` are the mandate's paths as the host knows
        them, needed for those that are not UTF-8. Raises UsageError for a mandate that confinement
        cannot hold a process to (`everything`, writing without reading).
        """
        real = _usable_home(home or str(FilePath("~").expanduser()))
        environment = {**env, "HOME": real, "TMPDIR": "/tmp"}
        folder = os.fsencode(cwd)
        return cls(
            level=level,
            argv=[os.fsencode(word) for word in argv],
            environment=[(os.fsencode(key), os.fsencode(value)) for key, value in environment.items()],
            folder=folder,
            home=os.fsencode(real),
            paths=[]
            if level == "none"
            else _grants(mandate, [os.fsencode(path) for path in paths] + [folder]),
            hidden=[os.fsencode(path) for path in hidden],
            umask=umask,
        )


class Exit(msgspec.Struct, frozen=True, kw_only=True):
    """How a confined process ended: with `code`, by `signal`, or not started (`error`, code 126 or 127)."""

    code: int | None = None
    signal: int | None = None
    error: str | None = None
    timed_out: bool = False
    cancelled: bool = False
    seconds: float = 0.0

    @property
    def exit_code(self) -> int:
        """As a shell shows it: the code, or 128 + the signal's number."""
        return self.code if self.code is not None else 128 + (self.signal or 0)


class _Event(msgspec.Struct, frozen=True):
    event: Literal["started", "exited", "signalled", "failed"]
    init: int = 0
    code: int = 0
    signal: int = 0
    kind: Literal["", "input", "mechanism", "cannot_run", "not_found"] = ""
    what: str = ""
    message: str = ""


_EVENT = msgspec.json.Decoder(_Event)


class Report:
    """The launcher's reports: bytes in, and from them the process to watch and how it ended."""

    def __init__(self) -> None:
        self.init: int = 0
        self.end: _Event | None = None
        self._buffer = b""

    def feed(self, data: bytes) -> None:
        """Takes what came from the launcher. Only the first event that ends a launch counts."""
        *lines, self._buffer = (self._buffer + data).split(b"\n")
        for line in lines:
            event = _EVENT.decode(line)
            if event.event == "started":
                self.init = event.init
            elif self.end is None:
                self.end = event

    def exit(self, *, seconds: float, timed_out: bool = False, cancelled: bool = False) -> Exit:
        """The result, once the launcher is gone. Raises what kept the process from starting."""
        end = self.end
        if end is None or (end.event == "signalled" and (timed_out or cancelled)):
            # Killed with the lifeline, or somebody killed the launcher or pid 1 itself.
            return Exit(signal=9, timed_out=timed_out, cancelled=cancelled, seconds=seconds)
        if end.event == "exited":
            return Exit(code=end.code, seconds=seconds)
        if end.event == "signalled":
            return Exit(signal=end.signal, seconds=seconds)
        if end.kind in ("cannot_run", "not_found"):
            code = 127 if end.kind == "not_found" else 126
            return Exit(code=code, error=end.message, seconds=seconds)
        raise _failure(end)


def record_path(path: str | bytes) -> str:
    """A path as the kernel's records have it: text, with bytes that are not UTF-8 escaped."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def is_system(path: str) -> bool:
    """Whether `path` lies in a folder that belongs to the system rather than to people."""
    return any(path == place or path.startswith(place + "/") for place in _SYSTEM)


def _usable_home(home: str) -> str:
    """`home`, or `/tmp` for accounts whose home is no place to put an empty folder over."""
    normal = os.path.normpath(home)
    return "/tmp" if not normal.startswith("/") or normal.strip("/") == "" or is_system(normal) else normal


def _grants(mandate: Sequence[AnyScope], real_paths: Sequence[bytes]) -> list[PathGrant]:
    real = {record_path(path): path for path in real_paths}
    grants = []
    for scope in mandate:
        if isinstance(scope, Everything):
            raise _unconfinable("everything")
        if isinstance(scope, Path):
            if scope.rights == "write":
                raise _unconfinable(f"writing {scope.path} without reading it")
            path = real.get(scope.path, os.fsencode(scope.path))
            grants.append(PathGrant(path=path, access=scope.rights))
    return grants


def _unconfinable(what: str) -> UsageError:
    return UsageError(
        f"a process cannot be confined to {what}", hint="name paths, with the rights read or read_write"
    )


def _failure(event: _Event) -> AgentOSError:
    if event.kind == "mechanism":
        return MissingMechanism(
            f"the confinement level `strict` cannot be had: {event.what}: {event.message}",
            hint="`agentos doctor` shows what this machine can do; `--level none` runs without confinement",
        )
    if event.kind == "input":
        return UsageError(event.message, hint="a path must exist, and the working folder be granted")
    return InternalError(f"the launcher reported {event}")
