"""Homes with a journal that a real kernel wrote, and ways to damage one."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import trio

from agentos.errors import Denied
from agentos.home import Home
from agentos.kernel import open_kernel
from agentos.messages import ANY, CallAction, Cost, Grant, ReadAction, Tool
from agentos.messages import Path as PathScope

START_US = 1_900_000_000_000_000
"""When the first entry is written; each later moment is one second on."""


@dataclass(frozen=True)
class Written:
    """A home whose kernel has ended, and the public names of its processes."""

    home: Home
    root: str
    reader: str
    caller: str

    def contents(self) -> dict[str, bytes]:
        """What the journal consists of, byte by byte. (The shared memory file and the lock are no data.)"""
        return {
            path.name: path.read_bytes()
            for path in self.home.root.iterdir()
            if path.name in ("kernel.db", "kernel.db-wal", "reserve") and path.stat().st_size
        }

    def tamper(self, sql: str) -> None:
        """Changes the file behind the journal's back, in a process of its own."""
        tamper(self.home, sql)


_TAMPER = "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); c.executescript(sys.argv[2])"
# What an attacker with a pen and paper would do: the chain anew from its first entry on, and its end.
_REWRITE = f"""{_TAMPER}
import hashlib
rows = c.execute("SELECT version, body FROM entry ORDER BY seq").fetchall()
c.execute("DELETE FROM entry")
last, seq = bytes(32), 0
for seq, (version, body) in enumerate(rows, 1):
    last = hashlib.sha256(last + seq.to_bytes(8, "big") + version.to_bytes(2, "big") + body).digest()
    c.execute("INSERT INTO entry (seq, version, body, hash) VALUES (?, ?, ?, ?)", (seq, version, body, last))
c.execute("UPDATE head SET seq = ?, hash = ?", (seq, last))
c.commit()
"""


def tamper(home: Home, sql: str) -> None:
    """Changes the file behind the journal's back, in a process of its own."""
    subprocess.run([sys.executable, "-c", _TAMPER, home.database, sql], check=True)


def rewrite(home: Home, sql: str) -> None:
    """Like `tamper`, and makes numbers, chain and end anew, so that they hold among themselves."""
    subprocess.run([sys.executable, "-c", _REWRITE, home.database, sql], check=True)


def write(folder: Path) -> Written:
    """Two processes under the root: one reads and is refused, the other calls a tool."""
    home = Home(folder)
    home.create()
    names: dict[str, str] = {}

    async def main() -> None:
        moments = iter(range(START_US, START_US + 10**9, 10**6))
        async with open_kernel(home.database, clock=lambda: next(moments)) as kernel:
            await kernel.epoch()
            scope = PathScope(path="/srv", rights="read")
            reader = await kernel.spawn(kernel.root, "reader", key="reader", grants=[Grant(scope=scope)])
            ticket = await kernel.request(reader.pid, ReadAction(path="/srv/a"), key="1")
            await kernel.complete(ticket, "ok", Cost(wall_us=5))
            try:
                await kernel.request(reader.pid, ReadAction(path="/etc/passwd"), key="2")
            except Denied:
                names["denied"] = "yes"
            caller = await kernel.spawn(kernel.root, "caller", key="caller", grants=[Tool(tool=ANY)])
            await kernel.complete(await kernel.request(caller.pid, CallAction(tool="t"), key="1"), "ok")
            for child in (reader, caller):
                await kernel.exit(child.pid, "done")
                await kernel.wait_exited(child.pid)
            names.update(
                root=kernel.name("p", kernel.root),
                reader=kernel.name("p", reader.pid),
                caller=kernel.name("p", caller.pid),
            )

    trio.run(main)
    assert names.pop("denied")
    return Written(home, **names)
