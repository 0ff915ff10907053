"""Imports that are killed, stopped, or meet each other."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.command import Command

from agentos.kernel import Archive, ImportJob

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def export(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An export that takes a few transactions to import."""
    path = tmp_path_factory.mktemp("export") / "conversations.json"
    generator = Path(__file__).parents[2] / "benches" / "generate_export.py"
    subprocess.run([sys.executable, str(generator), "130", str(path), "--seed", "7"], check=True)
    return path


def _content(folder: Path) -> list[Any]:
    archive = Archive.existing(str(folder))
    assert archive is not None
    hits = json.loads(archive.search("likes", 500))
    return [
        json.loads(archive.records()),
        json.loads(archive.facts()),
        {**json.loads(archive.stats()), "bytes": 0},
        sorted((hit["id"], hit["text"]) for hit in hits),
    ]


def _wait_for_bytes(process: subprocess.Popen[str], count: int) -> None:
    """Reads progress until `count` bytes are read."""
    assert process.stdout is not None
    for line in process.stdout:
        event = json.loads(line)
        assert event["event"] == "progress", "the import ended too early for this test"
        if event["bytes"] >= count:
            return
    raise AssertionError("the import ended without progress")


def test_a_killed_import_is_finished_by_the_same_command(
    agentos: Command, export: Path, tmp_path: Path
) -> None:
    process = agentos.start("memory", "import", str(export), "--json")
    _wait_for_bytes(process, 70_000_000)
    process.kill()
    process.communicate()
    rows = agentos.json("memory", "imports")
    assert [row["state"] for row in rows] == ["interrupted"]
    assert agentos.json("memory", "stats")["conversations"] > 0
    done = agentos("memory", "import", str(export), "--json")
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout.splitlines()[-1])
    whole = Archive(str(tmp_path / "whole"))
    expected = json.loads(whole.run_import(ImportJob([str(export)])))
    for key in ("conversations", "messages", "facts", "branches", "first", "last"):
        assert summary[key] == expected[key], key
    assert summary["import"] == rows[0]["import"]
    assert _content(agentos.home / "archive") == _content(tmp_path / "whole")
    assert agentos("memory", "undo", summary["import"]).returncode == 0
    assert agentos.json("memory", "stats")["messages"] == 0


def test_ctrl_c_ends_cleanly_and_says_how_to_go_on(agentos: Command, export: Path) -> None:
    process = agentos.start("memory", "import", str(export), "--json")
    _wait_for_bytes(process, 1)
    os.killpg(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert "run the same command again" in err
    assert "Traceback" not in err
    assert json.loads(out.splitlines()[-1])["error"]["code"] == "interrupted"
    assert {row["state"] for row in agentos.json("memory", "imports")} <= {"interrupted"}


def test_a_second_import_is_refused_and_searching_goes_on(agentos: Command, export: Path) -> None:
    process = agentos.start("memory", "import", str(export), "--json")
    _wait_for_bytes(process, 1)
    second = agentos("memory", "import", str(export))
    assert second.returncode == 1
    assert "another import" in second.stderr
    assert isinstance(agentos.json("memory", "search", "likes"), list)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    assert json.loads(out.splitlines()[-1])["event"] == "summary"


def test_ctrl_c_ends_an_import_that_waits_for_standard_input(agentos: Command) -> None:
    waits, feeds = os.pipe()
    process = agentos.start("memory", "import", "-", "--json", stdin=waits)
    os.close(waits)
    assert process.stdout is not None
    assert json.loads(process.stdout.readline())["event"] == "progress", "it is under way"
    os.killpg(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=60)
    os.close(feeds)
    assert process.returncode == 130, err
    assert "nothing was stored yet" in err
