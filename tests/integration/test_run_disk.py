"""A run on a disk that fills up under it: it says why it waits, and goes on by itself."""

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

FILLS_UP = """
import json, sys
from pathlib import Path
from tests.command import Command
from agentos.testing import Reply, Request, ScriptedModel, ToolCall

disk = Path(sys.argv[1])
ballast = disk / "ballast"
work = disk.parent / "work"
work.mkdir()
agentos = Command(disk / "home", work)

def fill():
    with ballast.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(65536))
        except OSError:
            pass

def script(request: Request) -> Reply:
    if request.number == 1:
        fill()
    if request.number == 3:
        return Reply(text="done")
    command = {"command": f"echo {request.number} >> log"}
    return Reply(tool_calls=[ToolCall(id=f"c{request.number}", name="shell", arguments=command)])

with ScriptedModel(script) as server:
    agentos.environment |= server.environment()
    client = agentos.start("run", "x", "--model", "openai/my-own", "--json")
    for line in client.stdout:
        event = json.loads(line)
        if event["event"] == "warning":
            print(event["text"])
            [waiting] = [row["waiting_on"] for row in agentos.json("ps") if row["name"] == "agent"]
            print(waiting, len(server.requests))
            ballast.unlink()
    print(event["event"], event["state"], client.wait())
    print(*(work / "log").read_text().split())
agentos.end()
fill()
print(Command(disk / "new", work)("exec", "--", "true").stderr.splitlines()[0].rpartition(": ")[2])
"""


@pytest.mark.slow
@pytest.mark.needs("namespaces")
def test_a_run_says_that_it_waits_for_disk_space_and_goes_on(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    command = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", ON_A_SMALL_DISK, "sh"]
    done = subprocess.run([*command, disk, sys.executable, FILLS_UP], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "little disk space is left: new work waits until there is more",
        "disk 2",
        "summary done 0",
        "0 1 2",
        "No space left on device",
    ]
