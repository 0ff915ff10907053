"""OpenFang's behaviour as cases: where ours is the same, and where it is deliberately another.

Each file in `openfang/` is about one module of theirs (the reference is OpenFang 0.6.9), in our own words:

    module = "loop_guard"          # the file's name
    adapter = "loop_guard"         # conformance/adapters/….py, `run(input) -> outcome`; default: `module`
    section = "…"                  # where the behaviour is described

    [[cases]]
    name = "…"                     # a sentence, once in a file
    verdict = "same"               # or "different": then `why` ours is better, and `theirs`, what they do
    input = { … }                  # what the adapter takes
    expected = { … }               # what has to come of it; the outcome may say more than is expected
"""

from __future__ import annotations

from importlib import import_module

import pytest
from tests.conformance.cases import Case, modules

LEAST = {"loop_guard": 18, "session_repair": 22, "metering": 40}
"""How many assertions a module's own tests make that have a counterpart here."""

MODULES = modules()


@pytest.mark.parametrize(
    ("module", "case"),
    [
        pytest.param(name, case, id=f"{name}: {case.name}")
        for name, module in MODULES.items()
        for case in module.cases
    ],
)
def test_case(module: str, case: Case) -> None:
    adapter = import_module(f"tests.conformance.adapters.{MODULES[module].adapter or module}")
    outcome = adapter.run(case.input)
    assert {key: outcome.get(key) for key in case.expected} == case.expected


def test_no_module_is_missing() -> None:
    assert set(LEAST) <= set(MODULES)


@pytest.mark.parametrize("name", MODULES)
def test_files_say_what_they_are_about(name: str) -> None:
    module = MODULES[name]
    assert module.module == name
    assert len({case.name for case in module.cases}) == len(module.cases) >= LEAST.get(name, 1)
    for case in module.cases:
        assert case.expected, case.name
        if case.verdict == "different":
            assert case.why and case.theirs is not None, case.name
            assert any(case.expected.get(key) != value for key, value in case.theirs.items()), case.name
        else:
            assert not case.why and case.theirs is None, case.name
