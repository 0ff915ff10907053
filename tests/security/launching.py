"""Launches through the real launcher, as the user who runs the tests and, where that is root, as nobody."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from agentos.drivers.launch import Access, LaunchSpec, Level, PathGrant
from agentos.drivers.runner import find_runner

NOBODY = 65534
SYSTEM_PYTHON = "/usr/bin/python3"


@dataclass(frozen=True)
class Ended:
    """How a launch ended, as its reports say, and all that it printed."""

    events: list[dict[str, Any]]
    output: bytes
    launcher_code: int

    @property
    def last(self) -> dict[str, Any]:
        """The first report of an end, which is the one that counts."""
        return next((event for event in self.events if event["event"] != "started"), {"event": "none"})

    @property
    def code(self) -> int | None:
        return self.last.get("code") if self.last["event"] == "exited" else None


@dataclass(frozen=True)
class Place:
    """A scene of host files that belongs to one user, outside any private folder of theirs."""

    uid: int | None
    root: Path
    runner: str

    @property
    def home(self) -> Path:
        return self.root / "home"

    @property
    def work(self) -> Path:
        """Granted for reading and writing."""
        return self.root / "work"

    @property
    def shown(self) -> Path:
        """Granted for reading."""
        return self.root / "shown"

    @property
    def outside(self) -> Path:
        """Not granted."""
        return self.root / "outside"

    @property
    def python(self) -> str:
        """An interpreter that this user can run."""
        return os.path.realpath(sys.executable) if self.uid is None else SYSTEM_PYTHON

    @property
    def identity(self) -> dict[str, Any]:
        return {} if self.uid is None else {"user": self.uid, "group": self.uid, "extra_groups": []}

    def own(self, path: Path) -> None:
        """Gives a path to the user of this place."""
        if self.uid is not None:
            os.chown(path, self.uid, self.uid)

    def spec(
        self,
        *argv: str | bytes,
        level: Level = "strict",
        grants: Mapping[str | bytes | Path, Access] | None = None,
        environment: Mapping[str, str] | None = None,
        folder: str | bytes | Path | None = None,
        home: Path | None = None,
        **more: Any,
    ) -> LaunchSpec:
        """A launch in the workspace; `grants` come on top of the workspace and the shown folder."""
        base: dict[str | bytes | Path, Access] = {self.work: "read_write", self.shown: "read"}
        if self.uid is None and not self.python.startswith("/usr/"):
            base[sys.base_prefix] = "read"
        base |= grants or {}
        inside = {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": str(home or self.home), "LANG": "C.UTF-8"}
        return LaunchSpec(
            level=level,
            argv=[os.fsencode(word) for word in argv],
            environment=[
                (os.fsencode(k), os.fsencode(v)) for k, v in (inside | dict(environment or {})).items()
            ],
            folder=os.fsencode(folder or self.work),
            home=os.fsencode(home or self.home),
            paths=[PathGrant(path=os.fsencode(path), access=access) for path, access in base.items()],
            **more,
        )

    def start(
        self, spec: LaunchSpec | dict[str, Any] | bytes, **streams: Any
    ) -> tuple[subprocess.Popen[bytes], socket.socket]:
        """A running launch: its launcher, and the lifeline. A `spec` of bytes is sent as it is."""
        ours, theirs = socket.socketpair()
        extra = streams.pop("pass_fds", ())
        environment = streams.pop("env", {})
        with theirs:
            launcher = subprocess.Popen(
                [self.runner, "launch", str(theirs.fileno())],
                pass_fds=[theirs.fileno(), *extra],
                env=environment,
                cwd="/",
                **{"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
                | streams,
                **self.identity,
            )
        ours.sendall(spec if isinstance(spec, bytes) else msgspec.json.encode(spec) + b"\n")
        return launcher, ours

    def run(self, spec: LaunchSpec | dict[str, Any], **streams: Any) -> Ended:
        """Runs a launch to its end."""
        launcher, lifeline = self.start(spec, **streams)
        with lifeline, launcher:
            output = launcher.stdout.read() if launcher.stdout else b""
            reports = b"".join(iter(lambda: lifeline.recv(1 << 16), b""))
            code = launcher.wait()
        return Ended([msgspec.json.decode(line) for line in reports.splitlines()], output, code)


def place(root: Path, uid: int | None) -> Iterator[Place]:
    """Makes the scene in the empty folder `root`, and takes it down."""
    root.chmod(0o755)
    runner = root / "agentos-runner"
    shutil.copy2(find_runner(), runner)
    made = Place(uid, root, str(runner))
    made.own(root)
    for folder in (made.home, made.home / ".ssh", made.work, made.shown, made.outside):
        folder.mkdir()
        made.own(folder)
    for file in (made.home / ".ssh" / "key", made.outside / "secret", made.shown / "file"):
        file.write_text("the secret\n")
        file.chmod(0o600)
        made.own(file)
    program = made.shown / "attacks.py"
    shutil.copy2(Path(__file__).with_name("attacks.py"), program)
    program.chmod(0o644)
    yield made
    shutil.rmtree(root)
