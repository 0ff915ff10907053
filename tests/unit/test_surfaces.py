"""The three surfaces (trio, blocking, asyncio) have the same names and signatures; importing stays cheap."""

from __future__ import annotations

import inspect
import subprocess
import sys
from typing import Any

import pytest

import agentos
from agentos import aio, blocking

KINDS = ("System", "Agent", "Events", "Batches", "Memory", "Audit")


def members(kind: type) -> dict[str, Any]:
    return {name: member for name, member in inspect.getmembers(kind) if not name.startswith("_")}


def parameters(function: Any) -> list[inspect.Parameter]:
    return list(inspect.signature(function).parameters.values())


@pytest.mark.parametrize("surface", [blocking, aio])
@pytest.mark.parametrize("name", KINDS)
def test_a_class_has_the_same_members_on_every_surface(surface: Any, name: str) -> None:
    ours, theirs = members(getattr(agentos, name)), members(getattr(surface, name))
    assert ours.keys() == theirs.keys() and ours
    for member, original in ours.items():
        mirrored = theirs[member]
        assert inspect.getdoc(original) == inspect.getdoc(mirrored) and inspect.getdoc(original)
        assert isinstance(original, property) == isinstance(mirrored, property)
        if not isinstance(original, property):
            assert parameters(original) == parameters(mirrored), member
            awaited = inspect.iscoroutinefunction(original) and surface is aio
            assert inspect.iscoroutinefunction(mirrored) == awaited, member


@pytest.mark.parametrize("surface", [blocking, aio])
def test_systems_are_opened_alike(surface: Any) -> None:
    def shape(function: Any) -> list[tuple[str, Any, Any]]:
        return [(it.name, it.kind, it.default) for it in parameters(function)]

    assert shape(surface.open) == shape(agentos.open)


def test_every_public_name_is_there_and_says_what_it_is() -> None:
    for name in agentos.__all__:
        value = getattr(agentos, name)
        if name not in ("__version__", "Event"):
            assert inspect.getdoc(value), name
    assert set(agentos.__all__) <= set(dir(agentos))
    with pytest.raises(AttributeError, match="no attribute 'vault'"):
        agentos.vault  # type: ignore[attr-defined]  # noqa: B018


def test_nothing_of_it_is_loaded_before_it_is_used() -> None:
    code = "import sys, agentos; agentos.Denied; print(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    loaded = set(run.stdout.split())
    assert "agentos.errors" in loaded
    assert loaded & {"trio", "msgspec", "asyncio", "agentos.testing", "agentos.embedding"} == set()
    code = "import sys, agentos.blocking; print(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert "agentos.testing" not in run.stdout.split()
