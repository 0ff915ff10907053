"""OpenFang's patterns against our scopes: what is taken is exact, and hands on nothing more.

The matcher below is theirs as the reference describes it, written for this test. Small worlds are gone
through whole: every pattern and every value of a few letters, on a real kernel.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from itertools import product

import pytest
import trio
from hypothesis import assume, given
from hypothesis import strategies as st

from agentos.errors import Denied
from agentos.kernel import Kernel, open_kernel
from agentos.messages import (
    AnyAction,
    AnyScope,
    ConnectAction,
    Pid,
    ReadAction,
    RecallAction,
    SendAction,
    Spawn,
    WriteAction,
)
from agentos.runtime.openfang_capability import Untranslatable, read_capability, scope_of


def matches(pattern: str, value: str) -> bool:
    """Whether OpenFang's pattern matches: the first star counts, those after it are letters."""
    if pattern in ("*", value):
        return True
    if pattern.startswith("*"):
        return value.endswith(pattern[1:])
    if pattern.endswith("*"):
        return value.startswith(pattern[:-1])
    before, star, after = pattern.partition("*")
    fits = len(value) >= len(before) + len(after)
    return bool(star) and fits and value.startswith(before) and value.endswith(after)


def words(alphabet: str, longest: int) -> Iterator[str]:
    for length in range(1, longest + 1):
        yield from map("".join, product(alphabet, repeat=length))


def taken(kind: str, patterns: Iterator[str], files: frozenset[str] = frozenset()) -> dict[str, AnyScope]:
    found = {}
    for pattern in patterns:
        try:
            capability = read_capability({"type": kind, "value": pattern})
            found[pattern] = scope_of(capability, is_file=files.__contains__)
        except Untranslatable:
            continue
    return found


async def covered(kernel: Kernel, scope: AnyScope, actions: dict[str, AnyAction]) -> set[str]:
    """The values whose action the kernel lets a holder of `scope` do."""
    agent = await kernel.spawn(kernel.root, "a", key=str(len(kernel.processes())), grants=[scope])
    return {value for value, action in actions.items() if _held(kernel, agent.pid, action)}


def _held(kernel: Kernel, pid: Pid, action: AnyAction) -> bool:
    [held] = [one for one in kernel.explain(pid, action) if one.stage == "capability"]
    return held.decision == "go"


def exact(kind: str, scopes: dict[str, AnyScope], actions: dict[str, AnyAction]) -> None:
    async def main() -> None:
        async with open_kernel(None) as kernel:
            await kernel.epoch()
            for pattern, scope in scopes.items():
                theirs = {
                    value for value in actions if any(matches(pattern, one) for one in spelt(kind, value))
                }
                assert await covered(kernel, scope, actions) == theirs, pattern

    trio.run(main)


def spelt(kind: str, value: str) -> tuple[str, ...]:
    """The texts that name one object. A folder's name may end in a slash."""
    return (value, f"{value}/") if kind == "FileRead" else (value,)


def test_of_paths_what_is_taken_is_exact() -> None:
    # `/b` is a file: nothing lies below it.
    files = frozenset(("/b", "/a/b"))
    values = [path for path in words("/ab", 6) if path.startswith("/") and posixpath.normpath(path) == path]
    values = [path for path in values if not any(path.startswith(f"{file}/") for file in files)]
    scopes = taken("FileRead", words("/ab*", 6), files)
    assert {"*", "/*", "/a/*", "/a/a/*", "/b", "/a/b"} <= set(scopes)
    actions: dict[str, AnyAction] = {
        path: ReadAction(path=path) for path in values if not path.startswith("//")
    }
    exact("FileRead", scopes, actions)


def test_of_hosts_what_is_taken_is_exact() -> None:
    hosts = ("a", "b.a", "a.b", "ab", "a-b")
    ports = (1, 4, 41, 443)
    patterns = [
        f"{host}:{port}" for host in (*hosts, "*", "*a", "a*", "A") for port in (*ports, "*", "4*", "04", 0)
    ]
    scopes = taken("NetConnect", iter([*patterns, *hosts, "*", "*.a:1", ":1", "a:"]))
    assert {"*", "*:443", "a.b:*", "ab:41"} <= set(scopes)
    assert not {"a", "*a:1", "a:4*", "a:0", "A:1", "a:04"} & set(scopes)
    actions: dict[str, AnyAction] = {
        f"{host}:{port}": ConnectAction(host=host, port=port) for host in hosts for port in ports
    }
    exact("NetConnect", scopes, actions)


@pytest.mark.parametrize(
    ("kind", "action"),
    [
        ("AgentMessage", lambda name: SendAction(mailbox=name)),
        ("MemoryRead", lambda name: RecallAction(space=name)),
    ],
)
def test_of_names_what_is_taken_is_exact(kind: str, action: type[SendAction]) -> None:
    scopes = taken(kind, words("ab*", 4))
    assert {"*", "a", "abba"} <= set(scopes) and "a*" not in scopes
    exact(kind, scopes, {name: action(name) for name in words("ab", 4)})


def test_what_is_handed_on_matches_no_more() -> None:
    for kind in ("FileRead", "AgentMessage", "NetConnect", "LlmQuery"):
        scopes = taken(kind, words("/ab*:1", 4), frozenset(("/a", "/b")))
        values = list(words("/ab:1", 4))
        for parent in scopes:
            for child in (one for one in scopes if matches(parent, one)):
                worse = [value for value in values if matches(child, value) and not matches(parent, value)]
                assert worse == [], (kind, parent, child)


def test_two_stars_would_hand_on_more_and_are_refused() -> None:
    pairs = [
        (parent, child)
        for parent in words("ab*", 4)
        for child in words("ab*", 4)
        if matches(parent, child)
        and any(matches(child, value) and not matches(parent, value) for value in words("ab", 5))
    ]
    assert ("**", "*") in pairs
    assert all(parent.count("*") > 1 for parent, _ in pairs)
    assert not taken("FileRead", iter(parent for parent, _ in pairs))


PARTS = st.lists(st.sampled_from(("a", "b", "ab", "é")), max_size=3)
ENDS = st.sampled_from(("", "/*"))


@given(st.sampled_from(("FileRead", "FileWrite")), PARTS, ENDS, PARTS, ENDS)
def test_a_child_s_scope_is_held_by_its_parent_s_just_where_its_pattern_is(
    kind: str, parts: list[str], end: str, more: list[str], child_end: str
) -> None:
    parent = "".join(f"/{part}" for part in parts) + end
    child = "".join(f"/{part}" for part in (*parts, *more)) + child_end
    files = frozenset(one for one in (parent, child) if not one.endswith("*"))
    assume(parent and child and not any(child.startswith(f"{file}/") for file in files))
    scopes = taken(kind, iter((parent, child)), files)

    async def main() -> bool:
        async with open_kernel(None) as kernel:
            await kernel.epoch()
            holder = await kernel.spawn(kernel.root, "p", key="p", grants=[scopes[parent], Spawn()])
            try:
                heir = await kernel.spawn(holder.pid, "c", key="c", grants=[scopes[child]])
            except Denied:
                return False
            place = child.removesuffix("/*") or "/"
            action = (ReadAction if kind == "FileRead" else WriteAction)(path=f"{place.rstrip('/')}/x")
            return _held(kernel, heir.pid, action)

    assert trio.run(main) == (matches(parent, f"{child.removesuffix('*').rstrip('/')}/x") or parent == child)
