"""Receipts: one ticket, from the request to its outcome, provable without the home."""

from __future__ import annotations

import copy
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing
from tests.command import Command
from tests.journals import Written, write

from agentos.home import Home
from agentos.kernel import open_kernel
from agentos.messages import (
    AnyEvent,
    CallAction,
    Example,
    Matcher,
    ReadAction,
    RestartedEvent,
    Rule,
    Spawn,
    Supervision,
)


@dataclass(frozen=True)
class Given:
    """A receipt of the reader's first ticket, and the journal that it is from."""

    written: Written
    rows: list[dict[str, Any]]
    ticket: str
    receipt: dict[str, Any]


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Given]:
    folder = tmp_path_factory.mktemp("receipts")
    written = write(folder / "home")
    agentos = Command(written.home.root, folder)
    rows = agentos.json("audit", "show", "--pid", written.reader)
    ticket = next(row["ticket"] for row in rows if row["entry"].get("action", {}).get("type") == "read")
    try:
        yield Given(written, rows, ticket, agentos.json("audit", "receipt", ticket))
    finally:
        agentos.end()


@pytest.fixture
def agentos(given: Given, tmp_path: Path) -> Command:
    """A command in a home that is empty: what is verified needs none."""
    return Command(tmp_path / "nowhere", tmp_path)


def checked(agentos: Command, receipt: object) -> tuple[int, dict[str, Any]]:
    (agentos.cwd / "receipt.json").write_text(json.dumps(receipt))
    done = agentos("audit", "verify", "--receipt", "receipt.json", "--json")
    assert "Traceback" not in done.stderr
    return done.returncode, json.loads(done.stdout)


def test_a_receipt_says_what_was_asked_decided_and_done(given: Given) -> None:
    summary = given.receipt["summary"]
    assert summary["ticket"] == given.ticket and summary["pid"] == given.written.reader
    assert summary["request"]["action"] == {"type": "read", "path": "/srv/a"}
    assert summary["request"]["key"] == "1"
    decision = summary["decision"]
    assert decision["decision"] == "go"
    (held,) = decision["capabilities"]
    assert held["grant"]["scope"] == {"type": "path", "path": "/srv", "rights": "read"}
    assert held["capability"] in decision["reason"]
    spawned = next(row for row in given.rows if row["to"] == given.written.reader)
    assert held["entry"] == spawned["seq"], "the spawn gave the capability"
    assert (summary["outcome"], summary["cost"]["wall_us"]) == ("ok", 5)


def test_its_entries_are_those_of_the_journal(given: Given) -> None:
    kinds = [json.loads(entry["body"])["type"] for entry in given.receipt["entries"]]
    assert kinds == ["go", "go", "completed"]
    by_seq = {row["seq"]: row for row in given.rows}
    for entry in given.receipt["entries"]:
        assert entry["hash"] == by_seq[entry["seq"]]["hash"]
        assert json.loads(entry["body"]) == by_seq[entry["seq"]]["entry"]
    assert given.receipt["anchor"]["seq"] >= given.receipt["entries"][-1]["seq"]
    assert "/etc/passwd" not in json.dumps(given.receipt), "it shows nothing of others"


def test_a_receipt_is_verified_without_the_home(agentos: Command, given: Given) -> None:
    code, report = checked(agentos, given.receipt)
    assert (code, report["ok"], report["first_bad"]) == (0, True, None)
    assert report["head"] == given.receipt["anchor"]["hash"]
    key = given.receipt["anchor"]["public_key"]
    said = agentos("audit", "verify", "--receipt", "receipt.json", "--key", key)
    assert said.returncode == 0 and given.ticket in said.stdout and key in said.stdout
    wrong = agentos("audit", "verify", "--receipt", "receipt.json", "--key", "ab" * 32)
    assert wrong.returncode == 2 and "--key does not name" in wrong.stderr
    assert not agentos.home.exists()


def at(receipt: dict[str, Any], index: int) -> Any:
    return receipt["entries"][index]


def drop_path(receipt: dict[str, Any]) -> None:
    at(receipt, 1)["path"].pop()


def swap_entries(receipt: dict[str, Any]) -> None:
    first, second = at(receipt, 0), at(receipt, 1)
    first["seq"], second["seq"] = second["seq"], first["seq"]


def rehash(receipt: dict[str, Any]) -> None:
    from agentos.kernel import entry_hash

    entry = at(receipt, 2)
    entry["body"] = entry["body"].replace('"wall_us":5', '"wall_us":6')
    entry["hash"] = entry_hash(entry["previous"], entry["seq"], entry["version"], entry["body"].encode())
    receipt["summary"]["cost"]["wall_us"] = 6


TAMPERED: dict[str, tuple[Callable[[dict[str, Any]], object], int | None, str]] = {
    "an entry's bytes": (
        lambda r: at(r, 2).update(body=at(r, 2)["body"].replace('"ok"', '"no"')),
        2,
        "it was changed",
    ),
    "an entry, with a hash to fit": (rehash, 2, "not among the entries under the anchor"),
    "an entry's version": (lambda r: at(r, 1).update(version=2), 1, "it was changed"),
    "an entry's place": (swap_entries, None, "it was changed"),
    "a path cut short": (drop_path, 1, "not among the entries"),
    "the outcome alone": (lambda r: r["summary"].update(outcome="error"), 0, "not what the entries say"),
    "the cost alone": (lambda r: r["summary"]["cost"].update(usd_micros=1), 0, "not what the entries say"),
    "another ticket's number": (lambda r: r.update(number=r["number"] + 1), 0, "not those of a ticket"),
    "the end left out": (lambda r: r["entries"].pop(), 0, "not what the entries say"),
    "the start left out": (lambda r: r["entries"].pop(1), 0, "not those of a ticket"),
    "no entries": (lambda r: r.update(entries=[]), None, "not those of a ticket"),
}


@pytest.mark.parametrize("change", TAMPERED.values(), ids=list(TAMPERED))
def test_a_changed_receipt_does_not_hold(
    agentos: Command, given: Given, change: tuple[Callable[[dict[str, Any]], object], int | None, str]
) -> None:
    act, index, said = change
    receipt = copy.deepcopy(given.receipt)
    act(receipt)
    code, report = checked(agentos, receipt)
    assert (code, report["ok"]) == (1, False)
    assert said in report["first_bad"]["reason"], report
    if index is not None:
        assert report["first_bad"]["seq"] == given.receipt["entries"][index]["seq"]


@pytest.mark.parametrize("field", ["home", "seq", "hash", "tree", "time", "public_key", "signature"])
def test_a_receipt_under_a_forged_anchor_is_refused(agentos: Command, given: Given, field: str) -> None:
    receipt = copy.deepcopy(given.receipt)
    value = receipt["anchor"][field]
    receipt["anchor"][field] = value + 1 if isinstance(value, int) else value.replace(value[0], "7", 1)
    if receipt["anchor"][field] == value:
        receipt["anchor"][field] = value.replace(value[0], "8", 1)
    code, report = checked(agentos, receipt)
    assert code == 2, report
    assert "forged or damaged" in report["error"]["message"]


@pytest.mark.parametrize("odd", [{}, [], None, {"type": "anchor"}, {"type": "receipt", "version": 2}])
def test_what_is_no_receipt_is_refused(agentos: Command, odd: object) -> None:
    assert checked(agentos, odd)[0] == 2


_SESSION = """
import sys
from pathlib import Path
from agentos.daemon.client import connect
from agentos.home import Home
with connect(Home(Path(sys.argv[1]))) as daemon:
    daemon.call("audit.anchor", {"key": "1"})
    print("anchored", flush=True)
    sys.stdin.read()
"""


@contextmanager
def attached(home: Path) -> Iterator[None]:
    """A client of the home's daemon that has asked for an anchor, and stays until the block ends."""
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", _SESSION, str(home)], stdin=pipe, stdout=pipe) as client:
        assert client.stdout is not None
        assert client.stdout.readline() == b"anchored\n"
        yield
        client.communicate()


def test_a_receipt_of_an_open_ticket_says_that_it_is_open(tmp_path: Path) -> None:
    agentos = Command(tmp_path / "home", tmp_path)
    try:
        with attached(agentos.home):
            # The session's own process lives as long as the connection does, and so does its ticket.
            rows = agentos.json("audit", "show")
            spawn = next(row for row in rows if row["type"] == "go" and row["to"])
            assert agentos("audit", "receipt", spawn["ticket"], "-o", "open.json").returncode == 0
            said = agentos("audit", "receipt", spawn["ticket"], "-o", "again.json").stdout
        assert "still open" in said
        summary = json.loads((tmp_path / "open.json").read_bytes())["summary"]
        assert summary["request"]["action"]["type"] == "spawn"
        assert (summary["outcome"], summary["cost"], summary["completed_us"]) == (None, None, None)
        agentos.end()
        closed = agentos.json("audit", "receipt", spawn["ticket"])
        assert closed["summary"]["outcome"] == "done"
    finally:
        agentos.end()
    assert agentos("audit", "verify", "--receipt", "open.json").returncode == 0


def answered_and_restarted(home: Home) -> tuple[str, str]:
    """The tickets of a call that a person approved, and of a child that lived on in a second process."""
    rule = Rule(
        name="calls-are-asked",
        effect="ask",
        reason="calls cost money",
        when=Matcher(action=["call"]),
        catches=[Example(action=CallAction(tool="t"))],
        spares=[Example(action=ReadAction(path="/srv"))],
    )
    supervision = Supervision(strategy="one_for_one", restarts=1, within_us=10**9)
    tickets: list[int] = []

    async def main() -> None:
        async with open_kernel(home.database) as kernel, trio.open_nursery() as nursery:
            await kernel.epoch()
            await kernel.set_rules([rule], "d")

            async def ask() -> None:
                ticket = await kernel.request(kernel.root, CallAction(tool="t"), key="asked")
                tickets.append(ticket.id)
                await kernel.complete(ticket, "ok")

            nursery.start_soon(ask)
            await trio.testing.wait_all_tasks_blocked()
            await kernel.answer(kernel.questions()[0].request, approve=True)
            keeper = await kernel.spawn(
                kernel.root, "keeper", key="keeper", grants=[Spawn()], supervises=supervision
            )
            child = await kernel.spawn(keeper.pid, "worker", key="worker", restart="on_failure")
            tickets.append(child.ticket)
            restarted = trio.Event()
            born: list[int] = []

            def watch(event: AnyEvent) -> None:
                if isinstance(event, RestartedEvent):
                    born.append(event.pid)
                    restarted.set()

            kernel.watchers.append(watch)
            await kernel.exit(child.pid, "failed")
            await restarted.wait()
            await kernel.exit(born[0], "done")
            await kernel.wait_exited(born[0])
            names.extend(kernel.name("t", number) for number in sorted(tickets))

    names: list[str] = []
    trio.run(main)
    return names[0], names[1]


def test_approval_and_restart_are_on_the_receipt(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    home.create()
    asked, worker = answered_and_restarted(home)
    agentos = Command(home.root, tmp_path)
    try:
        receipts = {name: agentos.json("audit", "receipt", name) for name in (asked, worker)}
    finally:
        agentos.end()
    kinds = {
        name: [json.loads(entry["body"])["type"] for entry in receipt["entries"]]
        for name, receipt in receipts.items()
    }
    assert kinds[asked] == ["epoch", "queued", "approved", "go", "completed"]
    assert "a person, who approved: " in receipts[asked]["summary"]["decision"]["reason"]
    assert "calls cost money" in receipts[asked]["summary"]["decision"]["reason"]
    assert kinds[worker].count("exited") == 2 and kinds[worker].count("restarted") == 1
    assert receipts[worker]["summary"]["outcome"] == "done"
    for receipt in receipts.values():
        assert checked(agentos, receipt)[0] == 0


def test_a_ticket_that_is_not_there_is_bad_input(given: Given, tmp_path: Path) -> None:
    agentos = Command(given.written.home.root, tmp_path)
    unknown = agentos("audit", "receipt", "t-zzzzzzzzzzzz")
    assert (unknown.returncode, unknown.stdout) == (2, "") and "knows no ticket" in unknown.stderr
    several = agentos("audit", "receipt", "t-")
    assert several.returncode == 2 and "several tickets" in several.stderr
    both = agentos("audit", "verify", "--receipt", "a", "--anchor", "b")
    assert both.returncode == 2 and "--key" in both.stderr
