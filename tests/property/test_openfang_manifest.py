"""Manifests of any content: an agent that holds no more than was said, or an error that says why."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from agentos.errors import UsageError
from agentos.models.reference import resolve
from agentos.runtime.agent import Spec, check_scopes
from agentos.runtime.openfang_capability import KINDS, described, read_capability, scope_of
from agentos.runtime.openfang_manifest import (
    ALL_TOOLS,
    ELSEWHERE,
    PROFILES,
    TOOLS,
    WATCHING,
    Manifest,
    is_manifest,
    translated,
)

MODEL = resolve("claude-sonnet-4-5", {})

TEXT = st.text(st.sampled_from("a*/.:1-~ é\0"), max_size=6)
JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)
KEYS = st.sampled_from((*Manifest.__struct_fields__, *ELSEWHERE))
NAMES = st.sampled_from((*TOOLS, *WATCHING, "*", "nothing"))
NAMED = st.lists(NAMES, max_size=4)


@given(st.dictionaries(KEYS, JUNK, max_size=4))
def test_whatever_stands_there_is_an_agent_or_an_error(settings: dict[str, Any]) -> None:
    is_manifest(settings)
    try:
        found = translated(settings, where="agent.toml")
    except UsageError as error:
        assert error.message
    else:
        check_scopes(Spec(name="a", model=MODEL, scopes=found.scopes))


@given(st.sampled_from((*KINDS, "Other")), JUNK)
def test_whatever_a_capability_holds_it_is_a_scope_or_an_error(kind: str, value: Any) -> None:
    try:
        scope = scope_of(
            read_capability({"type": kind, "value": value}), is_file=lambda path: len(path) % 2 == 0
        )
    except UsageError as error:
        assert error.message
    else:
        assert described(scope)


@given(
    st.sampled_from((None, *PROFILES)),
    st.sampled_from(("observe", "assist", "full")),
    NAMED,
    NAMED,
    NAMED,
    st.booleans(),
)
def test_an_agent_has_no_tool_that_was_not_left_to_it(
    profile: str | None, mode: str, tools: list[str], allowed: list[str], blocked: list[str], shell: bool
) -> None:
    settings = {
        "profile": profile,
        "mode": mode,
        "capabilities": {"tools": tools, "shell": ["*"] if shell else []},
        "tool_allowlist": allowed,
        "tool_blocklist": blocked,
    }
    found = translated(settings, where="agent.toml")
    named = tools or dict(PROFILES).get(profile, ())
    has = found.agent.tools or ()
    assert set(has) <= set(ALL_TOOLS)
    for theirs, ours in TOOLS.items():
        left = (
            (theirs in named or "*" in named)
            and mode != "observe"
            and (mode == "full" or theirs in WATCHING)
            and (not allowed or theirs in allowed)
            and theirs not in blocked
        )
        if ours != "shell":
            assert (ours in has) == left
        else:
            assert ours not in has or left
    assert "search" not in has or {"read", "list"} <= set(has)


@given(
    st.dictionaries(st.sampled_from(sorted(ELSEWHERE)), st.sampled_from(("x", ["x"], {"x": "y"})), min_size=1)
)
def test_what_has_no_counterpart_is_named(settings: dict[str, Any]) -> None:
    found = translated({"profile": "minimal", **settings}, where="agent.toml")
    said = {line.partition(": ")[0] for line in found.left_out}
    assert {key for key in settings if ELSEWHERE[key]} <= said
