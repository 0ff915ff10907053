"""A damaged or newer `kernel.db`: a clear error, the contract's exit code, and nothing written."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.command import Command
from tests.journals import Written, write


@pytest.fixture
def written(tmp_path: Path) -> Written:
    return write(tmp_path / "home")


@pytest.fixture
def agentos(written: Written, tmp_path: Path) -> Command:
    return Command(written.home.root, tmp_path)


def test_one_edited_entry_is_named(agentos: Command, written: Written) -> None:
    denied = next(row["seq"] for row in agentos.json("audit", "show") if row["type"] == "denied")
    written.tamper(
        "UPDATE entry SET body = CAST(replace(CAST(body AS TEXT), '/etc/passwd', '/etc/hosts') AS BLOB) "
        f"WHERE seq = {denied}"
    )
    done = agentos("audit", "verify", "--json")
    report = json.loads(done.stdout)
    assert (done.returncode, report["ok"], report["entries"]) == (1, False, denied - 1)
    assert report["first_bad"]["seq"] == denied
    assert "changed or moved" in report["first_bad"]["reason"]
    assert f"entry {denied}" in agentos("audit", "verify").stdout


def test_a_cut_off_end_is_named(agentos: Command, written: Written) -> None:
    entries = agentos.json("audit", "verify")["entries"]
    written.tamper(f"DELETE FROM entry WHERE seq > {entries - 2}")
    done = agentos("audit", "verify", "--json")
    report = json.loads(done.stdout)
    assert (done.returncode, report["first_bad"]["seq"]) == (1, entries - 1)
    assert "cut off" in report["first_bad"]["reason"]


def flip_in_the_middle(whole: bytes) -> bytes:
    """Damages an entry on its page: the text is in the file as it was written."""
    at = whole.index(b"/etc/passwd")
    return whole[:at] + b"/etc/PASSWD" + whole[at + 11 :]


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "emptied": lambda whole: b"",
    "another file": lambda whole: b"this was a database once " * 400,
    "cut in half": lambda whole: whole[: len(whole) // 2],
    "zeroed": lambda whole: bytes(len(whole)),
    "one entry": flip_in_the_middle,
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=list(DAMAGES))
@pytest.mark.parametrize("verb", [["ps"], ["exec", "--", "true"]], ids=["reading", "acting"])
def test_every_verb_refuses_a_damaged_journal_and_writes_nothing(
    agentos: Command, written: Written, verb: list[str], damage: Callable[[bytes], bytes]
) -> None:
    database = written.home.database
    database.write_bytes(damage(database.read_bytes()))
    before = written.contents()
    done = agentos(*verb)
    # `exec` keeps 125 for failures of its own, so that its command's codes mean what they say.
    assert done.returncode == (125 if verb[0] == "exec" else 1), done.stderr
    assert str(database) in done.stderr
    assert "damaged" in done.stderr
    assert re.search(r"Traceback|bug", done.stderr) is None
    assert written.contents() == before


def test_a_newer_format_is_exit_7_and_untouched(agentos: Command, written: Written) -> None:
    written.tamper("PRAGMA user_version = 9")
    before = written.contents()
    for verb in (["ps"], ["audit", "verify"]):
        done = agentos(*verb, "--json")
        assert done.returncode == 7
        error = json.loads(done.stdout)["error"]
        assert "format 9" in error["message"]
        assert error["hint"]
    assert written.contents() == before
