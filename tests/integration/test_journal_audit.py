"""`agentos audit`: everything that was decided, by process and time, and the verdict on all of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tests.command import Command
from tests.journals import Written, write


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Written:
    return write(tmp_path_factory.mktemp("written") / "home")


@pytest.fixture
def agentos(written: Written, tmp_path: Path) -> Command:
    return Command(written.home.root, tmp_path)


def kinds(rows: list[dict[str, Any]]) -> list[str]:
    return [row["type"] for row in rows]


def test_show_lists_every_entry_in_order(agentos: Command) -> None:
    rows = agentos.json("audit", "show")
    assert [row["seq"] for row in rows] == list(range(1, len(rows) + 1))
    assert kinds(rows).count("denied") == 1
    assert kinds(rows)[0] == "epoch"
    assert rows[0]["time"] == "2030-03-17T17:46:40.000000Z"
    lines = agentos("audit", "show").stdout.splitlines()
    assert len(lines) == len(rows)
    assert all(row["type"] in line for row, line in zip(rows, lines, strict=True))


def test_show_names_the_process_of_tickets_and_refusals(agentos: Command, written: Written) -> None:
    rows = agentos.json("audit", "show", "--pid", written.reader)
    assert kinds(rows) == ["go", "go", "completed", "denied", "closing", "exited"]
    assert all(written.reader in (row["pid"], row["to"]) for row in rows)
    assert (rows[0]["pid"], rows[0]["to"]) == (written.root, written.reader), "the parent's spawn"
    assert [rows[at]["entry"]["action"]["path"] for at in (1, 3)] == ["/srv/a", "/etc/passwd"]


def test_a_process_may_be_named_by_the_start_of_its_name(agentos: Command, written: Written) -> None:
    whole = agentos.json("audit", "show", "--pid", written.caller)
    assert agentos.json("audit", "show", "--pid", written.caller.removeprefix("p-")[:6]) == whole


def test_show_since_an_entry_or_a_time(agentos: Command) -> None:
    rows = agentos.json("audit", "show")
    assert agentos.json("audit", "show", "--since", "5") == rows[4:]
    later = [row for row in rows if row["time"] >= rows[6]["time"]]
    assert agentos.json("audit", "show", "--since", rows[6]["time"]) == later
    assert 0 < len(later) < len(rows)
    assert agentos.json("audit", "show", "--since", "2040-01-01") == []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["show", "--since", "yesterday"], "neither an entry's number nor a time"),
        (["show", "--pid", "p-zzzzz"], "knows no process"),
        (["show", "--pid", "p-"], "several processes"),
        (["import"], "invalid choice"),
        ([], "ACTION"),
    ],
)
def test_wrong_arguments_are_bad_input(agentos: Command, arguments: list[str], said: str) -> None:
    done = agentos("audit", *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr


def test_verify_says_how_many_entries_hold(agentos: Command) -> None:
    rows = agentos.json("audit", "show")
    report = agentos.json("audit", "verify")
    assert report == {"ok": True, "entries": len(rows), "head": rows[-1]["hash"], "first_bad": None}
    assert agentos("audit", "verify").stdout == f"ok: {len(rows)} entries, head {rows[-1]['hash']}\n"


def test_a_home_without_a_journal_is_not_called_good(tmp_path: Path) -> None:
    agentos = Command(tmp_path / "home", tmp_path)
    for action in ("show", "verify"):
        done = agentos("audit", action, "--json")
        assert done.returncode == 2
        assert "there is no journal" in json.loads(done.stdout)["error"]["message"]
    assert not (tmp_path / "home").exists()
