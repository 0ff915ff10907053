"""The loop guard against families of models: who goes in circles is stopped, who works is left alone."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from agentos.models.conversation import ToolUse
from agentos.runtime.loop_guard import Call, Limits, LoopGuard, call_of, canonical
from agentos.tools.toolset import TOOLS

LIMITS = Limits()


def looks(name: str) -> Call:
    return Call(name="look", arguments=canonical(name))


def changes(name: str) -> Call:
    return Call(name="change", arguments=canonical(name), changes=True)


def play(guard: LoopGuard, call: Call, result: str) -> str:
    kind = guard.check(call).kind
    if kind in ("allow", "warn"):
        guard.record(call, result, failed=False)
    return kind


@given(st.lists(st.integers(0, 9), min_size=1, max_size=40))
def test_whoever_only_looks_at_what_he_has_seen_is_stopped(pattern: list[int]) -> None:
    guard = LoopGuard()
    made = 0
    while guard.broken is None:
        for number in pattern:
            made += play(guard, looks(str(number)), "the same as ever") in ("allow", "warn")
        assert made <= 10 * (LIMITS.block - 1)
    assert play(guard, looks("something else"), "x") == "break"


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 9)), min_size=1, max_size=10))
def test_whoever_does_the_same_ten_things_over_and_over_is_stopped(pattern: list[tuple[bool, int]]) -> None:
    guard = LoopGuard()
    for _ in range(20):
        for change, number in pattern:
            play(guard, (changes if change else looks)(str(number)), "done")
    assert guard.broken is not None


@given(st.lists(st.text(max_size=3), unique=True, max_size=200), st.booleans())
def test_different_calls_are_never_touched(names: list[str], change: bool) -> None:
    guard = LoopGuard()
    assert {play(guard, (changes if change else looks)(name), "same") for name in names} <= {"allow"}


@given(st.integers(1, 200), st.integers(1, 3))
def test_looking_again_after_each_change_is_never_touched(rounds: int, checks: int) -> None:
    guard = LoopGuard()
    for number in range(rounds):
        assert play(guard, changes(str(number)), "changed") == "allow"
        for check in range(checks):
            assert play(guard, looks(f"check {check}"), "green") == "allow"


@given(st.permutations(["pattern", "path", "files"]), st.booleans())
def test_neither_order_nor_a_default_makes_another_call(order: list[str], full: bool) -> None:
    search = TOOLS["search"]
    shuffled = dict.fromkeys(order, "a") | ({"ignore_case": False} if full else {})
    plain = {"pattern": "a", "path": "a", "files": "a"}
    one, other = (ToolUse(id="c", name="search", input=arguments) for arguments in (shuffled, plain))
    assert call_of(one, search).key == call_of(other, search).key
    changed = ToolUse(id="c", name="search", input={**shuffled, "path": "b"})
    assert call_of(changed, search).key != call_of(other, search).key
