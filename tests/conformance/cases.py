"""The case files as data: what `test_openfang.py` plays and `page.py` tells of."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any, Literal

import msgspec

HERE = Path(__file__).parent


class Struct(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Base: immutable, unknown keys refused."""


class Case(Struct, frozen=True, kw_only=True):
    """One behaviour."""

    name: str
    verdict: Literal["same", "different"]
    input: dict[str, Any]
    expected: dict[str, Any]
    source: str = ""
    why: str = ""
    theirs: dict[str, Any] | None = None


class Module(Struct, frozen=True, kw_only=True):
    """One file."""

    module: str
    section: str
    adapter: str = ""
    cases: tuple[Case, ...]


class Listed(Struct, frozen=True, kw_only=True):
    """A module of theirs without a counterpart, and how many tests it has there."""

    module: str
    theirs: int
    why: str
    when: str = ""


class Defect(Struct, frozen=True, kw_only=True):
    """One of their security holes, and what stands against it here."""

    number: int
    title: str
    verdict: Literal["tested", "later", "listed"]
    why: str
    when: str = ""


def modules() -> dict[str, Module]:
    """Every file of `openfang/` by its name."""
    return {
        path.stem: msgspec.convert(tomllib.loads(path.read_text()), Module)
        for path in sorted((HERE / "openfang").glob("*.toml"))
    }


def listed() -> tuple[Listed, ...]:
    """What has no counterpart here, or none yet."""
    return msgspec.convert(tomllib.loads((HERE / "listed.toml").read_text())["listed"], tuple[Listed, ...])


def defects() -> tuple[Defect, ...]:
    """Their security holes, in order."""
    return msgspec.convert(tomllib.loads((HERE / "defects.toml").read_text())["defects"], tuple[Defect, ...])
