"""A full disk under a live kernel: what is under way is settled, new work waits, and goes on by itself."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ON_A_SMALL_DISK = """
set -e
mount -t tmpfs -o size=24m,mode=700 none "$1"
exec "$2" -c "$3" "$1"
"""

FULL_DISK = """
import os, sys, trio
from pathlib import Path
from agentos.kernel import open_kernel
from agentos.messages import ANY, CallAction, Tool

home = Path(sys.argv[1])
TOOL = CallAction(tool="t")

def fill():
    with (home / "ballast").open("wb", buffering=0) as ballast:
        try:
            while True:
                ballast.write(bytes(65536))
        except OSError:
            pass

async def main():
    with trio.fail_after(60):
        async with open_kernel(home / "kernel.db") as kernel:
            await kernel.epoch()
            await kernel.lane("exec", 4)
            child = await kernel.spawn(kernel.root, "c", key="c", grants=[Tool(tool=ANY)])
            under_way = await kernel.request(child.pid, TOOL, key="1", lane="exec")
            fill()
            while (home / "reserve").exists():
                await kernel.stream_append("out", bytes(100_000))
                await kernel.put("note", "n", {})
            order = []

            async def ask():
                ticket = await kernel.request(
                    child.pid, TOOL, key="2", lane="exec", on_low_disk=lambda: order.append("told")
                )
                order.append("new work")
                await kernel.complete(ticket, "ok")

            async with trio.open_nursery() as nursery:
                nursery.start_soon(ask)
                await trio.testing.wait_all_tasks_blocked()
                order.append(next(row.waiting_on for row in kernel.processes() if row.pid == child.pid))
                await kernel.complete(under_way, "ok")
                order.append("settled")
                await trio.testing.wait_all_tasks_blocked()
                order.append("space")
                os.unlink(home / "ballast")
            order.append(next(row.waiting_on for row in kernel.processes() if row.pid == child.pid))
            print(*order, sep=", ")

import trio.testing
trio.run(main)
"""

DISK_FULL_TO_THE_END = """
import sys, trio
from pathlib import Path
from agentos.errors import AgentOSError
from agentos.kernel import ReadOnlyKernel, open_kernel

home = Path(sys.argv[1])

async def main():
    last = 0
    try:
        async with open_kernel(home / "kernel.db") as kernel:
            await kernel.epoch()
            for number in range(1, 1000):
                await kernel.stream_append("out", bytes(500_000))
                await kernel.put("note", "n", {"number": number})
                last = number
    except* AgentOSError as errors:
        error = errors.exceptions[0]
        while isinstance(error, ExceptionGroup):
            error = error.exceptions[0]
        print(type(error).__name__, error.hint is not None)
    kept = ReadOnlyKernel.load(home / "kernel.db").record("note", "n")["number"]
    print(kept == last, last > 10)

trio.run(main)
"""


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    folder = tmp_path / "disk"
    folder.mkdir()
    return folder


def run(disk: Path, program: str) -> str:
    """What `program` prints, with a file system of 24 MiB of its own at `disk`."""
    command = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", ON_A_SMALL_DISK, "sh"]
    done = subprocess.run([*command, disk, sys.executable, program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
@pytest.mark.needs("namespaces")
def test_new_work_waits_while_what_is_under_way_is_settled(disk: Path) -> None:
    assert run(disk, FULL_DISK) == "told, disk, settled, space, new work, None\n"


@pytest.mark.slow
@pytest.mark.needs("namespaces")
def test_a_disk_full_to_the_end_is_a_clear_error_and_loses_nothing_acknowledged(disk: Path) -> None:
    assert run(disk, DISK_FULL_TO_THE_END) == "JournalError True\nTrue True\n"
