"""What a run may be granted beside paths: nothing that has another way, or none."""

from __future__ import annotations

import pytest

from agentos.errors import UsageError
from agentos.messages import (
    ANY,
    AnyScope,
    Declassify,
    Endorse,
    Everything,
    Exec,
    Host,
    Mailbox,
    Memory,
    Model,
    Path,
    Process,
    Secret,
    Spawn,
)
from agentos.models.reference import resolve
from agentos.runtime.agent import Spec, check_scopes

MODEL = resolve("claude-sonnet-4-5", {})


def spec(*scopes: AnyScope) -> Spec:
    return Spec(name="a", model=MODEL, scopes=scopes)


def test_what_a_manifest_can_grant_is_taken() -> None:
    host, memory = Host(host=ANY, port=0), Memory(space=ANY, rights="read")
    check_scopes(spec(host, memory, Mailbox(name=ANY), Model(model=ANY), Spawn()))


@pytest.mark.parametrize(
    "scope",
    [
        Everything(),
        Path(path="/", rights="read"),
        Exec(),
        Secret(name=ANY),
        Process(name=ANY),
        Endorse(),
        Declassify(),
    ],
)
def test_all_else_is_refused(scope: AnyScope) -> None:
    with pytest.raises(UsageError, match=type(scope).__name__.lower()):
        check_scopes(spec(Spawn(), scope))
