"""Attacks on a real journal, each found and located by `agentos audit verify` and what was kept elsewhere."""

from __future__ import annotations

import json
import shutil
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.command import Command
from tests.journals import rewrite, tamper, write

from agentos.audit.anchor import signed_bytes
from agentos.home import Home

EDIT = "UPDATE entry SET body = CAST(replace(CAST(body AS TEXT), '/etc/passwd', '/etc/hostname') AS BLOB);"
NO_ANCHORS = """DELETE FROM entry WHERE instr(CAST(body AS TEXT), '"kind":"anchor"') > 0;"""


@dataclass(frozen=True)
class Kept:
    """A home in which an agent worked and two anchors were made, and what somebody kept of it elsewhere."""

    home: Home
    folder: Path
    first: dict[str, Any]
    second: dict[str, Any]
    before: Path
    """The whole journal as it was before the first anchor."""
    between: Path
    """The whole journal as it was after the first."""
    denied: int
    """The entry that refused `/etc/passwd`."""

    @property
    def anchors(self) -> list[str]:
        return ["--anchor", str(self.folder / "first.json"), "--anchor", str(self.folder / "second.json")]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kept]:
    folder = tmp_path_factory.mktemp("kept")
    home = write(folder / "home").home
    agentos = Command(home.root, folder)
    denied = next(row["seq"] for row in agentos.json("audit", "show") if row["type"] == "denied")
    shutil.copyfile(home.database, folder / "before.db")
    anchors = []
    try:
        for name in ("first.json", "second.json"):
            done = agentos("audit", "anchor", "-o", str(folder / name), "--json")
            assert done.returncode == 0, done.stderr
            anchors.append(json.loads(done.stdout))
            agentos.end()
            shutil.copyfile(home.database, folder / f"{name}.db")
    finally:
        agentos.end()
    assert anchors == [json.loads((folder / name).read_bytes()) for name in ("first.json", "second.json")]
    yield Kept(home, folder, *anchors, folder / "before.db", folder / "first.json.db", denied)


@pytest.fixture
def kept(made: Kept, tmp_path: Path) -> Kept:
    """The same, with a home of the test's own."""
    home = Home(tmp_path / "home")
    home.create()
    for name in ("kernel.db", "audit.key"):
        shutil.copyfile(made.home.root / name, home.root / name)
    return Kept(home, made.folder, made.first, made.second, made.before, made.between, made.denied)


@pytest.fixture
def agentos(kept: Kept, tmp_path: Path) -> Command:
    return Command(kept.home.root, tmp_path)


def replace(kept: Kept, journal: Path) -> None:
    shutil.copyfile(journal, kept.home.database)


def cut(kept: Kept, last: int) -> None:
    rewrite(kept.home, f"DELETE FROM entry WHERE seq > {last}")


SWAP = (
    "UPDATE entry SET seq = 900 WHERE seq = 3; UPDATE entry SET seq = 3 WHERE seq = 6; "
    "UPDATE entry SET seq = 6 WHERE seq = 900;"
)
Located = Callable[[Kept], int]
# Name: what is done, which entry must be named, what is said of it, whether it takes an anchor to see it.
ATTACKS: dict[str, tuple[Callable[[Kept], None], Located, str, bool]] = {
    "a byte is changed": (lambda k: tamper(k.home, EDIT), lambda k: k.denied, "changed or moved", False),
    "two entries are swapped": (lambda k: tamper(k.home, SWAP), lambda k: 3, "changed or moved", False),
    "an entry is deleted": (
        lambda k: tamper(k.home, "DELETE FROM entry WHERE seq = 5"),
        lambda k: 5,
        "it is missing",
        False,
    ),
    "the end is cut off": (
        lambda k: tamper(k.home, "DELETE FROM entry WHERE seq > 8"),
        lambda k: 9,
        "the end was cut off",
        False,
    ),
    "the end is cut off, and the head moved": (
        lambda k: cut(k, k.first["seq"] - 2),
        lambda k: k.first["seq"] - 1,
        "are missing: ",
        True,
    ),
    "the end is cut off after the first anchor": (
        lambda k: cut(k, k.second["seq"] - 1),
        lambda k: k.second["seq"],
        "it is missing: ",
        True,
    ),
    "an older journal, complete, from before any anchor": (
        lambda k: replace(k, k.before),
        lambda k: rows(k.before) + 1,
        "older copy",
        True,
    ),
    "an older journal, complete, from after the first anchor": (
        lambda k: replace(k, k.between),
        lambda k: rows(k.between) + 1,
        "older copy",
        True,
    ),
    "an entry is changed and the chain made anew": (
        lambda k: rewrite(k.home, EDIT),
        lambda k: k.first["seq"],
        "an entry from 1 to",
        False,
    ),
    "the same, and the journal's own anchors taken out": (
        lambda k: rewrite(k.home, EDIT + NO_ANCHORS),
        lambda k: k.first["seq"],
        "the chain made anew",
        True,
    ),
    "two entries are swapped and the chain made anew": (
        lambda k: rewrite(k.home, SWAP + NO_ANCHORS),
        lambda k: k.first["seq"],
        "the chain made anew",
        True,
    ),
    "an entry after the first anchor is deleted and the chain made anew": (
        lambda k: rewrite(k.home, f"DELETE FROM entry WHERE seq = {k.first['seq'] + 1}; {NO_ANCHORS}"),
        lambda k: k.second["seq"],
        "the chain made anew",
        True,
    ),
    "another home's journal": (
        lambda k: shutil.copyfile(write(k.home.root / "other").home.database, k.home.database),
        lambda k: 1,
        "it is of home",
        True,
    ),
}


def rows(database: Path) -> int:
    from agentos.kernel import audit_verify

    return int(audit_verify(database)["entries"])


def test_anchors_hold_while_nothing_was_changed(agentos: Command, kept: Kept) -> None:
    report = agentos.json("audit", "verify", *kept.anchors)
    assert report["ok"] and report["first_bad"] is None
    assert [anchor["seq"] for anchor in report["anchors"]] == [kept.first["seq"], kept.second["seq"]]
    assert report["entries"] > kept.second["seq"] > kept.first["seq"] > kept.denied
    said = agentos("audit", "verify", *kept.anchors).stdout
    assert said.startswith(f"ok: {report['entries']} entries") and said.count("anchor ") == 2


@pytest.mark.parametrize("attack", ATTACKS.values(), ids=list(ATTACKS))
def test_an_attack_is_found_and_located(
    agentos: Command, kept: Kept, attack: tuple[Callable[[Kept], None], Located, str, bool]
) -> None:
    act, located, said, needs_anchor = attack
    act(kept)
    done = agentos("audit", "verify", *kept.anchors, "--json")
    assert done.returncode == 1, done.stdout + done.stderr
    report = json.loads(done.stdout)
    assert not report["ok"]
    assert report["first_bad"]["seq"] == located(kept), report
    assert said in report["first_bad"]["reason"], report
    spoken = agentos("audit", "verify", *kept.anchors)
    assert spoken.returncode == 1
    assert f"entry {located(kept)} on: " in spoken.stdout
    alone = agentos("audit", "verify")
    assert alone.returncode == (0 if needs_anchor else 1), alone.stdout + alone.stderr


def test_a_rewrite_between_two_anchors_is_narrowed_down(agentos: Command, kept: Kept) -> None:
    rewrite(kept.home, f"UPDATE entry SET version = 2 WHERE seq = {kept.first['seq'] + 1}")
    report = json.loads(agentos("audit", "verify", *kept.anchors, "--json").stdout)
    assert report["first_bad"]["seq"] == kept.second["seq"]
    assert (
        f"from {kept.first['seq'] + 1} to {kept.second['seq']} was changed" in report["first_bad"]["reason"]
    )


def forged(kept: Kept, **changes: Any) -> dict[str, Any]:
    return kept.first | changes


def signed_by_another_key(kept: Kept) -> dict[str, Any]:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    key = Ed25519PrivateKey.generate()
    said = forged(kept, hash="ab" * 32, public_key=key.public_key().public_bytes_raw().hex())
    fields = (said[name] for name in ("home", "seq", "hash", "tree", "time", "public_key"))
    return said | {"signature": key.sign(signed_bytes(*fields)).hex()}


FORGERIES: dict[str, tuple[Callable[[Kept], Any], str]] = {
    "another entry": (lambda k: forged(k, seq=k.first["seq"] - 1), "forged or damaged"),
    "another hash": (lambda k: forged(k, hash="ab" * 32), "forged or damaged"),
    "another time": (lambda k: forged(k, time="2020-01-01T00:00:00Z"), "forged or damaged"),
    "another home": (lambda k: forged(k, home="ab" * 16), "forged or damaged"),
    "another key": (signed_by_another_key, "a key that is not this home's"),
    "a signature of zeros": (lambda k: forged(k, signature="00" * 64), "forged or damaged"),
    "a key of zeros": (lambda k: forged(k, public_key="00" * 32), "forged or damaged"),
    "no signature": (lambda k: {x: y for x, y in k.first.items() if x != "signature"}, "not an anchor"),
    "a field more": (lambda k: forged(k, note="trust me"), "not an anchor"),
    "a number too large": (lambda k: forged(k, seq=1 << 70), "not an anchor"),
    "no object": (lambda k: [k.first], "not an anchor"),
}


@pytest.mark.parametrize("forgery", FORGERIES.values(), ids=list(FORGERIES))
def test_a_forged_anchor_is_refused(
    agentos: Command, kept: Kept, tmp_path: Path, forgery: tuple[Callable[[Kept], Any], str]
) -> None:
    make, said = forgery
    (tmp_path / "forged.json").write_text(json.dumps(make(kept)))
    done = agentos("audit", "verify", *kept.anchors, "--anchor", "forged.json", "--json")
    assert done.returncode == 2, done.stdout
    error = json.loads(done.stdout)["error"]
    assert said in error["message"] and error["where"] == "forged.json" and error["hint"]


@pytest.mark.parametrize("data", [b"", b"\xff\xfe", b"{", b"null"])
def test_what_is_no_anchor_is_refused(agentos: Command, tmp_path: Path, data: bytes) -> None:
    (tmp_path / "odd.json").write_bytes(data)
    assert agentos("audit", "verify", "--anchor", "odd.json").returncode == 2
    assert agentos("audit", "verify", "--anchor", "not-there.json").returncode == 2


def test_an_anchor_of_another_home_is_refused(agentos: Command, kept: Kept, tmp_path: Path) -> None:
    foreign = Command(write(tmp_path / "foreign").home.root, tmp_path)
    try:
        assert foreign("audit", "anchor", "-o", "foreign.json").returncode == 0
    finally:
        foreign.end()
    done = agentos("audit", "verify", "--anchor", "foreign.json")
    assert done.returncode == 2
    assert "not this home's" in done.stderr


def test_named_keys_alone_are_trusted(agentos: Command, kept: Kept) -> None:
    assert agentos("audit", "verify", *kept.anchors, "--key", kept.first["public_key"]).returncode == 0
    refused = agentos("audit", "verify", *kept.anchors, "--key", "ab" * 32)
    assert refused.returncode == 2 and "--key does not name" in refused.stderr
    assert agentos("audit", "verify", "--key", "short").returncode == 2


def test_an_older_journal_is_located_though_the_key_went_too(agentos: Command, kept: Kept) -> None:
    replace(kept, kept.before)
    kept.home.audit_key.unlink()
    done = agentos("audit", "verify", *kept.anchors, "--json")
    assert done.returncode == 1
    assert json.loads(done.stdout)["first_bad"]["seq"] == rows(kept.before) + 1


def test_another_key_beside_the_journal_is_no_way_to_hide(
    agentos: Command, kept: Kept, tmp_path: Path
) -> None:
    other = Command(write(tmp_path / "other").home.root, tmp_path)
    try:
        assert other("audit", "anchor").returncode == 0
    finally:
        other.end()
    replace(kept, kept.before)
    shutil.copyfile(tmp_path / "other" / "audit.key", kept.home.audit_key)
    done = agentos("audit", "verify", *kept.anchors)
    assert done.returncode == 2 and "--key" in done.stderr
    named = agentos("audit", "verify", *kept.anchors, "--key", kept.first["public_key"], "--json")
    assert named.returncode == 1
    assert json.loads(named.stdout)["first_bad"]["seq"] == rows(kept.before) + 1


def test_the_key_is_private_and_nowhere_else(made: Kept) -> None:
    assert stat.S_IMODE(made.home.audit_key.stat().st_mode) == 0o600
    secret = b"".join(made.home.audit_key.read_bytes().splitlines()[1:-1])
    for path in made.home.root.rglob("*"):
        if path.is_file() and path != made.home.audit_key:
            assert secret not in path.read_bytes(), path


def test_an_anchor_is_an_entry_with_its_place(agentos: Command, kept: Kept) -> None:
    recorded = [
        (row["seq"], json.loads(row["entry"]["body"]))
        for row in agentos.json("audit", "show")
        if row["entry"].get("kind") == "anchor"
    ]
    assert [anchor for _, anchor in recorded] == [kept.first, kept.second]
    assert all(seq > anchor["seq"] for seq, anchor in recorded)


def test_a_false_anchor_in_the_journal_is_found(agentos: Command, kept: Kept) -> None:
    at = next(row["seq"] for row in agentos.json("audit", "show") if row["entry"].get("kind") == "anchor")
    replaced = f"replace(CAST(body AS TEXT), '{kept.first['hash']}', '{'ab' * 32}')"
    sql = f"UPDATE entry SET body = CAST({replaced} AS BLOB)"
    rewrite(kept.home, f"{sql} WHERE seq = {at}")
    done = agentos("audit", "verify", "--json")
    assert done.returncode == 1
    bad = json.loads(done.stdout)["first_bad"]
    assert bad["seq"] == at and "the anchor that it records is false" in bad["reason"]


def test_a_damaged_journal_is_not_signed(agentos: Command, kept: Kept, tmp_path: Path) -> None:
    tamper(kept.home, EDIT)
    done = agentos("audit", "anchor", "-o", "anchor.json")
    assert done.returncode == 1 and f"entry {kept.denied}" in done.stderr
    assert not (tmp_path / "anchor.json").exists()


def test_a_damaged_key_is_an_error_and_stays(agentos: Command, kept: Kept) -> None:
    kept.home.audit_key.write_text("no key")
    try:
        done = agentos("audit", "anchor")
    finally:
        agentos.end()
    assert (done.returncode, done.stdout) == (2, "")
    assert "audit.key" in done.stderr and "move it away" in done.stderr
    assert kept.home.audit_key.read_text() == "no key"
    assert agentos("audit", "verify").returncode == 0, "the chain needs no key"
    assert agentos("audit", "verify", *kept.anchors).returncode == 2
    assert agentos("audit", "verify", *kept.anchors, "--key", kept.first["public_key"]).returncode == 0


def test_a_home_without_a_journal_has_nothing_to_sign(tmp_path: Path) -> None:
    done = Command(tmp_path / "home", tmp_path)("audit", "anchor")
    assert done.returncode == 2 and "there is no journal" in done.stderr
    assert not (tmp_path / "home").exists()
