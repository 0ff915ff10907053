"""The `agentos` command as a person runs it, in a home of its own."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

AGENTOS = [sys.executable, "-m", "agentos"]


@dataclass
class Command:
    """Runs `agentos` with `home` as its home; `environment` is added to a small clean one."""

    home: Path
    cwd: Path
    environment: dict[str, str] = field(default_factory=dict)

    def _environment(self) -> dict[str, str]:
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
        return kept | {"AGENTOS_HOME": str(self.home)} | self.environment

    def __call__(self, *arguments: str, timeout: float = 120) -> subprocess.CompletedProcess[str]:
        """Runs it to its end."""
        return subprocess.run(
            [*AGENTOS, *arguments],
            cwd=self.cwd,
            env=self._environment(),
            capture_output=True,
            text=True,
            timeout=timeout,
            stdin=subprocess.DEVNULL,
        )

    def json(self, *arguments: str) -> Any:
        """The JSON document of a verb that must succeed."""
        done = self(*arguments, "--json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def start(self, *arguments: str, stdin: int = subprocess.DEVNULL) -> subprocess.Popen[str]:
        """Starts it and returns at once."""
        return subprocess.Popen(
            [*AGENTOS, *arguments],
            cwd=self.cwd,
            env=self._environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            stdin=stdin,
            text=True,
            start_new_session=True,
        )

    @property
    def daemon(self) -> int:
        """The process id in the home's lock."""
        return int((self.home / "lock").read_text())

    @property
    def brokers(self) -> list[int]:
        """The process ids of the daemon's broker: none while it is being replaced."""
        # A thread that forked has the child on its own list.
        found = []
        for children in Path(f"/proc/{self.daemon}/task").glob("*/children"):
            for pid in children.read_text().split():
                with contextlib.suppress(OSError):
                    if b"broker" in Path(f"/proc/{pid}/cmdline").read_bytes():
                        found.append(int(pid))
        return found

    @property
    def broker(self) -> int:
        """The process id of the daemon's broker."""
        [broker] = self.brokers
        return broker

    def end(self) -> None:
        """Ends the home's daemon, if one lives, and waits for it."""
        try:
            daemon = self.daemon
            watched = os.pidfd_open(daemon)
        except (OSError, ValueError):
            return
        try:
            for number in (signal.SIGCONT, signal.SIGTERM):
                signal.pidfd_send_signal(watched, number)
            wait_gone(watched)
        except ProcessLookupError:
            pass
        finally:
            os.close(watched)


def wait_gone(watched: int, seconds: float = 30) -> None:
    """Returns once the process behind a pidfd has ended."""
    import select

    readable, _, _ = select.select([watched], [], [], seconds)
    assert readable, "the process has not ended"
