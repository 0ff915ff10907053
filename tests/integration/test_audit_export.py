"""Exports: the entries as they are stored, checked without the home, and attacked like a journal."""

from __future__ import annotations

import hashlib
import json
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.command import Command
from tests.journals import tamper, write

Lines = list[dict[str, Any]]


@dataclass(frozen=True)
class Exported:
    """An export as its lines, the anchor of one of its entries, and the command of its home."""

    agentos: Command
    lines: Lines
    anchor: dict[str, Any]
    folder: Path


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exported]:
    folder = tmp_path_factory.mktemp("exports")
    agentos = Command(write(folder / "home").home.root, folder)
    try:
        assert agentos("audit", "anchor", "-o", "anchor.json").returncode == 0
    finally:
        agentos.end()
    done = agentos("audit", "export")
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    yield Exported(agentos, lines, json.loads((folder / "anchor.json").read_bytes()), folder)


@pytest.fixture
def agentos(tmp_path: Path) -> Command:
    """A command in a home that is empty: what is verified needs none."""
    return Command(tmp_path / "nowhere", tmp_path)


def verified(agentos: Command, lines: Lines, *arguments: str) -> tuple[int, dict[str, Any]]:
    text = "".join(json.dumps(line) + "\n" for line in lines)
    (agentos.cwd / "export.jsonl").write_text(text)
    done = agentos("audit", "verify", "export.jsonl", *arguments, "--json")
    assert "Traceback" not in done.stderr
    return done.returncode, json.loads(done.stdout)


def test_an_export_holds_the_stored_bytes_and_hashes(exported: Exported) -> None:
    header, *entries = exported.lines
    rows = exported.agentos.json("audit", "show")
    assert [(line["seq"], line["hash"]) for line in entries] == [(row["seq"], row["hash"]) for row in rows]
    assert [json.loads(line["body"]) for line in entries] == [row["entry"] for row in rows]
    assert (header["from"], header["to"], header["previous"]) == (1, len(rows), "0" * 64)
    last = bytes(32)
    for line in entries:
        place = line["seq"].to_bytes(8, "big") + line["version"].to_bytes(2, "big")
        last = hashlib.sha256(last + place + line["body"].encode()).digest()
        assert last.hex() == line["hash"]
    assert last.hex() == header["head"]


def test_an_export_is_verified_without_the_home(agentos: Command, exported: Exported) -> None:
    anchor = str(exported.folder / "anchor.json")
    code, report = verified(agentos, exported.lines, "--anchor", anchor)
    assert (code, report["ok"]) == (0, True)
    assert (report["entries"], report["head"]) == (len(exported.lines) - 1, exported.lines[0]["head"])
    assert report["anchors"][0]["seq"] == exported.anchor["seq"]
    assert not agentos.home.exists()


def test_a_part_is_verified_like_the_whole(agentos: Command, exported: Exported, tmp_path: Path) -> None:
    seq = exported.anchor["seq"]
    part = tmp_path / "part.jsonl"
    done = exported.agentos(
        "audit", "export", "--from", str(seq + 1), "--to", str(seq + 2), "-o", str(part), "--json"
    )
    assert json.loads(done.stdout) == {
        "file": str(part),
        "from": seq + 1,
        "to": seq + 2,
        "head": exported.lines[seq + 2]["hash"],
    }
    assert stat.S_IMODE(part.stat().st_mode) == 0o600
    lines = [json.loads(line) for line in part.read_text().splitlines()]
    assert lines[1:] == exported.lines[seq + 1 : seq + 3]
    anchor = str(exported.folder / "anchor.json")
    assert verified(agentos, lines, "--anchor", anchor)[0] == 0, "the anchor is of the entry before"
    lines[0]["previous"] = "ab" * 32
    assert verified(agentos, lines, "--anchor", anchor)[0] == 1
    late = exported.agentos("audit", "export", "--from", str(seq + 2)).stdout
    code, refused = verified(agentos, [json.loads(line) for line in late.splitlines()], "--anchor", anchor)
    assert code == 2 and "begins after entry" in refused["error"]["message"]


def chained(lines: Lines) -> None:
    """What an attacker does last: numbers, hashes and header made to fit."""
    header, *entries = lines
    last = bytes(32)
    for seq, line in enumerate(entries, 1):
        place = seq.to_bytes(8, "big") + line["version"].to_bytes(2, "big")
        last = hashlib.sha256(last + place + line["body"].encode()).digest()
        line.update(seq=seq, hash=last.hex())
    header.update(to=len(entries), head=last.hex())


def without_anchor(lines: Lines) -> None:
    lines[:] = [line for line in lines if '"kind":"anchor"' not in line.get("body", "")]


def edited(lines: Lines) -> None:
    lines[4]["body"] = lines[4]["body"].replace("reader", "Reader").replace("/srv", "/etc")


def remade(change: Callable[[Lines], object]) -> Callable[[Lines, int], object]:
    def act(lines: Lines, _: int) -> None:
        change(lines)
        without_anchor(lines)
        chained(lines)

    return act


def cut(lines: Lines, anchored: int) -> None:
    del lines[anchored:]
    chained(lines)


# Name: what is done to the lines, the entry that must be named (None: the anchored one), what is said of it.
ATTACKS: dict[str, tuple[Callable[[Lines, int], object], int | None, str]] = {
    "a byte is changed": (lambda x, _: edited(x), 4, "it was changed"),
    "two lines are swapped": (lambda x, _: x.insert(3, x.pop(6)), 3, "was moved"),
    "a line is deleted": (lambda x, _: x.pop(5), 5, "it is missing"),
    "a line is put in twice": (lambda x, _: x.insert(5, x[5]), 6, "stands in its place"),
    "the end is cut off": (
        lambda x, _: x.__delitem__(slice(8, None)),
        8,
        "the end of the export was cut off",
    ),
    "a hash is changed": (lambda x, _: x[7].update(hash="ab" * 32), 7, "it was changed"),
    "the head is changed": (lambda x, _: x[0].update(head="ab" * 32), 0, "another hash"),
    "a line is no entry": (lambda x, _: x[6].pop("body"), 6, "cannot be read"),
    "the end is cut off and the header made to fit": (cut, None, "missing"),
    "a byte is changed and the chain made anew": (remade(edited), None, "the chain made anew"),
}


@pytest.mark.parametrize("attack", ATTACKS.values(), ids=list(ATTACKS))
def test_an_attack_on_an_export_is_found_and_located(
    agentos: Command,
    exported: Exported,
    attack: tuple[Callable[[Lines, int], object], int | None, str],
) -> None:
    act, located, said = attack
    lines = json.loads(json.dumps(exported.lines))
    act(lines, exported.anchor["seq"])
    anchor = str(exported.folder / "anchor.json")
    code, report = verified(agentos, lines, "--anchor", anchor)
    assert (code, report["ok"]) == (1, False), report
    assert said in report["first_bad"]["reason"], report
    expected = {None: exported.anchor["seq"], 0: len(lines) - 1}.get(located, located)
    assert report["first_bad"]["seq"] == expected, report


@pytest.mark.parametrize(
    "text", ["", "\n", "{}", '{"type":"anchor"}', "\xff", '{"type":"journal","version":2}']
)
def test_what_is_no_export_is_refused(agentos: Command, text: str) -> None:
    (agentos.cwd / "odd").write_text(text, encoding="latin-1")
    done = agentos("audit", "verify", "odd", "--json")
    assert done.returncode == 2
    assert "not an exported journal" in json.loads(done.stdout)["error"]["message"]
    assert agentos("audit", "verify", "not-there").returncode == 2


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--from", "0"], "from 1"),
        (["--to", "x"], "from 1"),
        (["--from", "5", "--to", "4"], "no entries 5 to 4"),
        (["--to", "999"], "no entries 1 to 999"),
    ],
)
def test_entries_that_are_not_there_are_bad_input(
    exported: Exported, tmp_path: Path, arguments: list[str], said: str
) -> None:
    done = exported.agentos("audit", "export", *arguments, "-o", str(tmp_path / "out"))
    assert done.returncode == 2 and said in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_journal_is_not_exported_and_a_folder_is_no_file(tmp_path: Path) -> None:
    home = write(tmp_path / "home").home
    agentos = Command(home.root, tmp_path)
    unwritable = agentos("audit", "export", "-o", str(tmp_path))
    assert unwritable.returncode == 1 and "cannot be written" in unwritable.stderr
    tamper(home, "UPDATE entry SET version = 3 WHERE seq = 4")
    done = agentos("audit", "export", "-o", "out.jsonl")
    assert done.returncode == 1 and "damaged from entry 4 on" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["home"]
