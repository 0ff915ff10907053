"""Input that is broken or hostile: a clear error with its place, the right exit code, and nothing written."""

from __future__ import annotations

import io
import json
import re
import stat
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.command import Command
from tests.exports import chat, node, saved, write_json, write_zip

pytestmark = pytest.mark.slow

GOOD = [chat("a", ["one"]), chat("b", ["two"])]
WHOLE = json.dumps(GOOD).encode()


def _member(name: str, data: bytes = WHOLE, mode: int = 0o644, kind: int = stat.S_IFREG) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        entry = zipfile.ZipInfo(name)
        entry.external_attr = (kind | mode) << 16
        entry.compress_type = zipfile.ZIP_DEFLATED
        archive.writestr(entry, data)
    return buffer.getvalue()


def _encrypted() -> bytes:
    data = bytearray(_member("conversations.json"))
    data[6] |= 1
    data[data.index(b"PK\x01\x02") + 8] |= 1
    return bytes(data)


def _bomb() -> bytes:
    return _member("conversations.json", b"[" + b" " * 64_000_000 + b"]")


def _corrupt(part: int = 8, of: int = 16) -> bytes:
    """One byte of the member's compressed data changed, at `part / of` of its length."""
    name = "conversations.json"
    data = bytearray(_member(name, json.dumps([chat("a", ["x" * 5000])]).encode()))
    start, end = 30 + len(name), data.index(b"PK\x01\x02")
    data[start + (end - start) * part // of] ^= 0xFF
    return bytes(data)


BAD: dict[str, tuple[str, Callable[[], bytes], str]] = {
    "truncated JSON": ("c.json", lambda: WHOLE[: len(WHOLE) * 2 // 3], "ends in the middle"),
    "cut inside the first conversation": ("c.json", lambda: WHOLE[:100], "ends in the middle"),
    "truncated zip": ("c.zip", lambda: _member("conversations.json")[:-40], "damaged or was cut off"),
    "zip with broken data": ("c.zip", _corrupt, "damaged"),
    "zip bomb": ("c.zip", _bomb, "zip bomb"),
    "name that leaves the archive": ("c.zip", lambda: _member("../../evil.json"), "leaves its folder"),
    "absolute name": ("c.zip", lambda: _member("/etc/evil.json"), "leaves its folder"),
    "link in a zip": ("c.zip", lambda: _member("c.json", b"/etc", kind=stat.S_IFLNK), "symbolic link"),
    "encrypted zip": ("c.zip", _encrypted, "encrypted"),
    "plain text": ("c.json", lambda: b"hello", "plain text"),
    "empty file": ("c.json", lambda: b"", "empty"),
    "picture": ("c.json", lambda: b"\x89PNG\r\n", "picture"),
    "database": ("c.json", lambda: b"SQLite format 3\0", "SQLite"),
    "other JSON": ("c.json", lambda: b'[{"alpha":1,"beta":2}]', "alpha, beta"),
    "empty list": ("c.json", lambda: b"[]", "without elements"),
    "another product": ("c.json", lambda: b'[{"conversation":{},"responses":[]}]', "Grok"),
    "zip without conversations": ("c.zip", lambda: _member("photo.jpg", b"\xff\xd8\xff"), "picture"),
    "garbage after the end": ("c.json", lambda: WHOLE + b"]", "follows the end"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_refused_with_its_place(agentos: Command, tmp_path: Path, case: str) -> None:
    name, make, words = BAD[case]
    path = tmp_path / name
    path.write_bytes(make())
    done = agentos("memory", "import", str(path), "--json")
    assert done.returncode == 2, done.stderr
    error = json.loads(done.stdout.splitlines()[-1])["error"]
    assert words in error["message"], error
    assert error["where"].startswith(name)
    assert "Traceback" not in done.stderr
    assert agentos.json("memory", "imports") == []
    assert agentos.json("memory", "stats")["conversations"] == 0
    left = [path for path in (agentos.home / "archive").rglob("*") if path.is_file()]
    assert {path.name for path in left} <= {"archive.db", "archive.db-wal", "archive.db-shm", "lock"}


def test_a_zip_with_one_wrong_byte_is_bad_input_wherever_it_is(agentos: Command, tmp_path: Path) -> None:
    # What the decompressor makes of it differs: broken, too long, too short, or other text altogether.
    for part in range(16):
        path = tmp_path / f"{part}.zip"
        path.write_bytes(_corrupt(part))
        done = agentos("memory", "import", str(path))
        assert done.returncode == 2, (part, done.stderr)
    assert agentos.json("memory", "imports") == []


def test_a_bad_export_takes_nothing_from_what_is_there(agentos: Command, tmp_path: Path) -> None:
    good = write_json(tmp_path / "good.json", GOOD)
    assert agentos("memory", "import", str(good)).returncode == 0
    before = agentos.json("memory", "stats")
    bad = tmp_path / "bad.json"
    bad.write_bytes(json.dumps([*GOOD, chat("c", ["three"]), chat("d", ["four"])]).encode()[:-30])
    assert agentos("memory", "import", str(bad)).returncode == 2
    after = agentos.json("memory", "stats")
    assert {**after, "bytes": 0} == {**before, "bytes": 0}
    assert agentos.json("memory", "search", "three") == []


def test_what_could_not_be_read_is_reported_with_its_place(agentos: Command, tmp_path: Path) -> None:
    text = json.dumps([GOOD[0], {"id": "x", "title": "no tree"}, GOOD[1]])
    path = tmp_path / "c.json"
    path.write_text(text)
    done = agentos("memory", "import", str(path), "--json")
    assert done.returncode == 3
    summary = json.loads(done.stdout.splitlines()[-1])
    offset = text.index('{"id": "x"')
    assert [(d["count"], d["where"]) for d in summary["dropped"]] == [(1, [f"c.json:{offset}"])]
    assert summary["conversations"]["new"] == 2


def test_bytes_that_are_no_text_cost_themselves(agentos: Command, tmp_path: Path) -> None:
    path = tmp_path / "c.json"
    path.write_bytes(WHOLE.replace(b"one", b"o\xffe").replace(b"two", b"\\ud83d two"))
    done = agentos("memory", "import", str(path), "--json")
    assert done.returncode == 3
    summary = json.loads(done.stdout.splitlines()[-1])
    assert [d["reason"] for d in summary["dropped"]] == ["invalid_utf8"]
    assert [d["reason"] for d in summary["notes"]] == ["lone_surrogate"]
    assert agentos.json("memory", "search", "two")[0]["text"] == "\ufffd two"


def test_a_missing_file_and_nothing_on_stdin_are_usage_errors(agentos: Command) -> None:
    for arguments in (
        ["import", "nowhere.zip"],
        ["import", "-"],
        ["import"],
        ["search", "x", "--limit", "0"],
    ):
        done = agentos("memory", *arguments)
        assert done.returncode == 2, arguments
        assert "Traceback" not in done.stderr


def test_a_folder_with_links_reads_only_what_is_in_it(agentos: Command, tmp_path: Path) -> None:
    write_json(tmp_path / "outside" / "conversations.json", [chat("o", ["outside"])])
    write_json(tmp_path / "folder" / "conversations.json", GOOD)
    (tmp_path / "folder" / "loop").symlink_to(tmp_path / "folder")
    (tmp_path / "folder" / "more.json").symlink_to(tmp_path / "outside" / "conversations.json")
    assert agentos("memory", "import", str(tmp_path / "folder")).returncode == 0
    assert agentos.json("memory", "search", "outside") == []


def test_two_bad_zips_in_a_folder_name_the_right_one(agentos: Command, tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    write_zip(folder / "a.zip", {"conversations.json": GOOD})
    (folder / "b.zip").write_bytes(_member("../x.json"))
    done = agentos("memory", "import", str(folder))
    assert done.returncode == 2
    assert "b.zip" in done.stderr


DEEP = '{"a":' * 100_000 + "1" + "}" * 100_000


@pytest.mark.parametrize(
    "place",
    ['"title": "Talk a"', '"recipient": "all"', '"parts": ["one"]', '"content_type": "text"'],
    ids=["conversation", "message", "parts", "content"],
)
def test_deep_nesting_anywhere_costs_nothing(agentos: Command, tmp_path: Path, place: str) -> None:
    text = json.dumps([chat("a", ["one"])])
    if place.startswith('"parts"'):
        deep = text.replace(place, f'"parts": [{DEEP}, "one"]')
    else:
        deep = text.replace(place, f'{place}, "more": {DEEP}')
    path = tmp_path / "c.json"
    path.write_text(deep)
    for new in (1, 0):
        done = agentos("memory", "import", str(path), "--json")
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout.splitlines()[-1])["conversations"]["new"] == new
    assert [hit["text"] for hit in agentos.json("memory", "search", "one")] == ["one"]


def test_a_cycle_in_the_tree_keeps_every_message(agentos: Command, tmp_path: Path) -> None:
    talk = chat("a", ["one", "two", "three"])
    talk["mapping"]["a-0"]["parent"] = "a-2"
    talk["mapping"]["a-2"]["children"] = ["a-0"]
    talk["mapping"]["a-1"]["children"] = ["a-1", "nowhere"]
    assert agentos("memory", "import", str(write_json(tmp_path / "c.json", [talk]))).returncode == 0
    hit = agentos.json("memory", "search", "two")[0]
    shown = agentos.json("memory", "show", hit["conversation"])
    assert [message["text"] for message in shown["messages"]] == ["one", "two", "three"]


def test_what_could_steer_a_terminal_is_shown_and_not_sent(agentos: Command, tmp_path: Path) -> None:
    evil = "\x1b[2J\x1b]0;owned\x07 \x9b31m \u202e \0 pear"
    facts = {"m": node("m", "a-0", saved([f"User likes {evil}"], 100))}
    talk = chat("a", [evil], extra=facts) | {"title": f"Title {evil}"}
    path = write_zip(tmp_path / "\x1b[31m.zip", {"c\x1b[2J.json": [{"id": evil}, talk]})
    steers = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e]")
    hit = None
    for verb in ("import", "search", "show", "conversation", "fact", "list", "imports", "stats"):
        arguments = {
            "import": ["import", str(path)],
            "search": ["search", "pear"],
            "show": ["show", hit["id"] if hit else ""],
            "conversation": ["show", hit["conversation"] if hit else ""],
            "fact": ["show", agentos.json("memory", "list")[0]["id"] if hit else ""],
        }.get(verb, [verb])
        done = agentos("memory", *arguments)
        assert done.returncode in (0, 3), (verb, done.stderr)
        assert steers.search(done.stdout + done.stderr) is None, verb
        if verb == "import":
            (hit,) = [hit for hit in agentos.json("memory", "search", "pear") if hit["kind"] == "message"]
            assert hit["text"] == evil, "scripts get it as it is"
    missing = agentos("memory", "import", "\x1b[2Jnowhere.zip")
    assert (missing.returncode, steers.search(missing.stderr)) == (2, None)


def test_an_export_of_which_nothing_can_be_read_is_bad_input(agentos: Command, tmp_path: Path) -> None:
    twice = json.dumps([chat("a", ["one"])]).replace('"mapping": {', '"mapping": {"a-0": {}, ')
    for text, words in (
        (twice, "the key `a-0` occurs twice"),
        (json.dumps([chat("a", ["one"])]).replace("one", "o\0ne"), "broken JSON: control character"),
        ("\ufeff" + json.dumps([chat("a", ["one"])]), "UTF-16"),
    ):
        path = tmp_path / "c.json"
        path.write_bytes(text.encode("utf-16-le" if words == "UTF-16" else "utf-8"))
        done = agentos("memory", "import", str(path))
        assert done.returncode == 2, (words, done.stdout)
        assert words in done.stderr
    assert agentos.json("memory", "imports") == []


def test_a_shard_without_conversations_is_reported(agentos: Command, tmp_path: Path) -> None:
    shards = {"conversations-000.json": GOOD, "conversations-001.json": [{"id": "x"}], "sora.json": {}}
    done = agentos("memory", "import", str(write_zip(tmp_path / "e.zip", shards)), "--json")
    assert done.returncode == 3
    summary = json.loads(done.stdout.splitlines()[-1])
    assert [(d["reason"], d["count"], d["where"]) for d in summary["dropped"]] == [
        ("not_recognised", 1, ["e.zip:conversations-001.json:1"])
    ]


def test_names_that_no_file_can_have_are_usage_errors(agentos: Command, tmp_path: Path) -> None:
    done = agentos("memory", "import", str(tmp_path / ("x" * 5000)))
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
