"""`kill -9` of parts of a running AgentOS, and what of it still lives afterwards."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import time
from pathlib import Path
from typing import Any, Literal

from tests.command import Command, wait_gone

Victim = Literal["client", "daemon", "everything"]
VICTIMS: tuple[Victim, ...] = ("client", "daemon", "everything")


class Stream:
    """The JSON Lines of a streaming command that runs, read without waiting for more than is asked."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        self.process = process
        self._descriptor = process.stdout.fileno()
        self._buffer = b""
        self.last: dict[str, Any] = {}

    def events(self, seconds: float = 120) -> list[dict[str, Any]]:
        """What comes next; nothing at the end, or if nothing comes within `seconds`."""
        while b"\n" not in self._buffer:
            if not select.select([self._descriptor], [], [], seconds)[0]:
                return []
            chunk = os.read(self._descriptor, 1 << 16)
            if not chunk:
                return []
            self._buffer += chunk
        *lines, self._buffer = self._buffer.split(b"\n")
        found = [json.loads(line) for line in lines]
        self.last = found[-1]
        return found

    def until(self, count: int, jitter: float) -> bool:
        """Reads `count` events of units, and on for `jitter` seconds; False where the stream ends before."""
        seen = 0
        while seen < count:
            found = self.events()
            seen += sum(event["event"] == "unit" for event in found)
            if not found or self.last["event"] == "summary":
                return False
        deadline = time.monotonic() + jitter
        while (left := deadline - time.monotonic()) > 0:
            if self.events(left) and self.last["event"] == "summary":
                return False
        return True

    def summary(self) -> dict[str, Any]:
        """Reads on to the end; the last line."""
        while self.events(600):
            pass
        complaint = self.process.communicate()[1]
        assert self.process.returncode == 0, f"{self.last} {complaint}"
        return self.last


def kill(agentos: Command, client: subprocess.Popen[str], victim: Victim) -> None:
    """Kills and returns once the killed are gone. `everything` is daemon, client, and all that the daemon
    has started: broker, launchers, git."""
    daemon = agentos.daemon
    doomed = {"client": [client.pid], "daemon": [daemon], "everything": [daemon, client.pid]}[victim]
    if victim == "everything":
        doomed += children(daemon)
    handles = []
    for pid in doomed:
        try:
            handles.append(os.pidfd_open(pid))
            signal.pidfd_send_signal(handles[-1], signal.SIGKILL)
        except ProcessLookupError:
            continue
    if victim != "daemon":
        client.communicate()
    for handle in handles:
        wait_gone(handle)
        os.close(handle)


def children(parent: int) -> list[int]:
    """The processes that `parent` has started and that live."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_bytes().rpartition(b")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == parent:
            found.append(int(stat.parent.name))
    return found


def living(mark: str) -> list[str]:
    """The command lines of other processes with `mark` in their command line, folder or environment."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            place = str((folder / "cwd").readlink())
            variables = (folder / "environ").read_bytes().decode(errors="replace")
        except OSError:
            continue
        if folder.name != str(os.getpid()) and any(mark in text for text in (words, place, variables)):
            found.append(words)
    return found
