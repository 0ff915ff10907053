"""The page on OpenFang is what the cases say, and says it of each module once."""

from __future__ import annotations

from tests.conformance.cases import listed, modules
from tests.conformance.page import PAGE, text

LEAST_CASES = 400


def test_the_page_is_current() -> None:
    assert PAGE.read_text() == text(), "write it anew: make parity"


def test_there_are_enough_cases() -> None:
    assert sum(len(module.cases) for module in modules().values()) >= LEAST_CASES


def test_what_is_listed_has_no_cases() -> None:
    sections = " ".join(module.section for module in modules().values())
    names = [one.module for one in listed()]
    assert len(set(names)) == len(names)
    for one in listed():
        assert one.theirs > 0 and one.why
        assert one.module not in sections
