"""Imports into a disk that is full, and looks into one that is read-only: small file systems in memory, each
in a mount namespace of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from tests.exports import chat, write_json

pytestmark = [pytest.mark.slow, pytest.mark.needs("unshare")]

_START = """
import json, subprocess, sys
from agentos.errors import Failed
from agentos.kernel import Archive, ImportJob
folder, export = sys.argv[1:]
def mount(options):
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "none", folder], check=True)
def bring():
    return json.loads(Archive(folder + "/archive").run_import(ImportJob([export])))
"""

_FULL = """
full = 0
for size in ("700k", "1m", "1500k", "2m", "2500k", "3m", "4m"):
    mount(f"size={size}")
    try:
        bring()
    except Failed as error:
        full += 1
        assert "full" in error.message or "No space" in error.message, error.message
        assert "free some space" in error.hint, error.hint
        before = Archive.existing(folder + "/archive")
        states = {row["state"] for row in json.loads(before.imports())} if before else set()
        assert states <= {"interrupted"}, size
        del before
        mount("remount,size=200m")
        assert bring()["conversations"]["seen"] == 400
    assert [row["state"] for row in json.loads(Archive(folder + "/archive").imports())] == ["done"]
assert full, "the disk was never full"
"""

_READ_ONLY = """
mount("size=50m")
bring()
mount("remount,ro")
archive = Archive.existing(folder + "/archive")
assert len(json.loads(archive.search("pear", 5))) == 5
assert json.loads(archive.stats())["conversations"] == 400
assert json.loads(archive.facts()) == []
"""


@pytest.mark.parametrize("steps", [_FULL, _READ_ONLY], ids=["full", "read-only"])
def test_a_disk_that_takes_nothing_more(tmp_path: Path, steps: str) -> None:
    talks = [chat(f"c{number}", [f"pear {number} " * 400, "apple"]) for number in range(400)]
    export = write_json(tmp_path / "conversations.json", talks)
    folder = tmp_path / "disk"
    folder.mkdir()
    done = subprocess.run(
        ["unshare", "-rm", sys.executable, "-c", _START + steps, str(folder), str(export)],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
