"""A batch's plan: the data of a plan file, as the contract's section "Batch" has it.

The structs are the file's format and its published JSON Schema (`plan.schema.json`). `plan_file.load` reads
a file with line numbers; `from_flags` makes a plan of a command line's flags.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, field

from agentos.errors import UsageError
from agentos.money import micros

SECOND_US = 1_000_000
_UNITS_US = {"s": SECOND_US, "m": 60 * SECOND_US, "h": 3600 * SECOND_US, "d": 86_400 * SECOND_US}
_DURATION = r"^([0-9]+[dhms])+$"

Duration = Annotated[str, Meta(pattern=_DURATION, description="a duration such as `90s`, `10m` or `1h30m`")]
Usd = Annotated[str, Meta(pattern=r"^\$?[0-9]+(\.[0-9]{1,6})?$", description='US dollars, such as "2.50"')]
UnitId = Annotated[str, Meta(pattern=r"^[A-Za-z0-9]([A-Za-z0-9_-]|\.(?!\.|$|lock$)){0,63}$")]
Name = Annotated[str, Meta(min_length=1, max_length=80, pattern=r"^[^\x00-\x1f\x7f]+$")]
VariableName = Annotated[str, Meta(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]
Text = Annotated[str, Meta(min_length=1)]


class Item(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """One unit of an explicit list. `paths` is what it may change; `after` names units that go first."""

    id: UnitId | None = None
    title: Name | None = None
    paths: Annotated[tuple[Text, ...], Meta(min_length=1)]
    prompt: str | None = None
    after: tuple[UnitId, ...] = ()


class Units(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Where units come from. `glob` is matched against the base commit, a trailing `/` meaning folders;
    `group` puts that many matches into one unit; `allow` is what every unit may change as well."""

    from_: Literal["files", "dirs", "list"] | None = field(default=None, name="from")
    glob: Text | tuple[Text, ...] | None = None
    list: tuple[Item | Text, ...] | None = None
    group: Annotated[int, Meta(ge=1, le=10_000)] = 1
    allow: tuple[Text, ...] = ()


class Agent(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Who does the work: a program of the user's, run by `sh -c` in the unit's workspace."""

    program: Text


class Verify(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """The command that decides whether a unit's change stands; exit code 0 is yes."""

    run: Text


class Limits(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Bounds of the batch, of each unit, and of each attempt (`timeout`)."""

    concurrency: Annotated[int, Meta(ge=1, le=1000)] | None = None
    budget_usd: Usd = "5.00"
    unit_budget_usd: Usd | None = None
    timeout: Duration = "30m"
    attempts: Annotated[int, Meta(ge=1, le=20)] = 2

    @property
    def budget_micros(self) -> int:
        """The batch's budget in micro-dollars."""
        return micros(self.budget_usd)

    @property
    def unit_budget_micros(self) -> int:
        """A unit's budget in micro-dollars: its own limit, within the batch's."""
        whole = self.budget_micros
        return whole if self.unit_budget_usd is None else min(whole, micros(self.unit_budget_usd))

    @property
    def timeout_us(self) -> int:
        """How long an attempt may take, in microseconds."""
        return duration_us(self.timeout)


class Workspace(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A unit's surroundings. `include` brings ignored files of the checkout in; `read` is readable at its
    own place; `setup` runs before the agent and again before verification, `teardown` at the end."""

    isolation: Literal["auto", "worktree"] = "auto"
    include: tuple[Text, ...] = ()
    env: dict[VariableName, str] = {}
    pass_env: tuple[VariableName, ...] = ()
    read: tuple[Text, ...] = ()
    setup: tuple[Text, ...] = ()
    teardown: tuple[Text, ...] = ()


class Deliver(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """How a unit's work is handed over: a branch `agentos/<batch>/<unit>`, or that and a patch file."""

    as_: Literal["branch", "patch"] = field(default="branch", name="as")
    forge: Literal["auto", "local"] = "auto"
    sign: Literal[False] | bool = False


class Plan(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """The whole plan. `base` is a branch, tag or commit; `allow_empty` lets a unit land without a change."""

    version: Literal[1] = 1
    name: Name | None = None
    base: Text = "HEAD"
    units: Units | tuple[Item, ...]
    agent: Agent
    verify: Verify | None = None
    limits: Limits = Limits()
    workspace: Workspace = Workspace()
    deliver: Deliver = Deliver()
    allow_empty: bool = False

    @property
    def slicing(self) -> Units:
        """`units` in its one form: an explicit list is `from: list`."""
        if isinstance(self.units, Units):
            return self.units
        return Units(from_="list", list=self.units)

    @property
    def title(self) -> str:
        """The plan's name, or one made of the agent's program."""
        if self.name:
            return self.name
        words = re.findall(r"[A-Za-z0-9][A-Za-z0-9_.-]*", self.agent.program)
        return "-".join(words[:2])[:40] or "batch"


def duration_us(text: str, *, where: str | None = None) -> int:
    """`"1h30m"` as microseconds. Raises UsageError for anything else."""
    parts = re.findall(r"([0-9]+)([dhms])", text)
    total = sum(int(number) * _UNITS_US[unit] for number, unit in parts)
    if not re.match(_DURATION, text) or not 0 < total <= 365 * _UNITS_US["d"]:
        raise UsageError(
            f"`{text}` is not a duration", where=where, hint="write for example 90s, 10m or 1h30m"
        )
    return total


def from_flags(
    *,
    units: str,
    program: str,
    verify: str | None = None,
    name: str | None = None,
    base: str | None = None,
    concurrency: int | None = None,
    budget: str | None = None,
    deliver: str | None = None,
    group: int | None = None,
    allow: Sequence[str] = (),
) -> Plan:
    """The plan that `batch run --units GLOB --program CMD …` stands for.

    Raises: UsageError or MissingMechanism as for a plan file, with the key's name in `where`.
    """
    from agentos.batch.plan_file import from_data

    data: dict[str, Any] = {
        "units": {"from": "dirs" if units.endswith("/") else "files", "glob": units, "allow": [*allow]},
        "agent": {"program": program},
    }
    if group is not None:
        data["units"]["group"] = group
    if verify is not None:
        data["verify"] = {"run": verify}
    return override(
        from_data(data), name=name, base=base, concurrency=concurrency, budget=budget, deliver=deliver
    )


def override(
    plan: Plan,
    *,
    name: str | None = None,
    base: str | None = None,
    concurrency: int | None = None,
    budget: str | None = None,
    deliver: str | None = None,
    verify: str | None = None,
) -> Plan:
    """`plan` with the command line's flags over it; None leaves what the plan says.

    Raises: UsageError or MissingMechanism as for a plan file.
    """
    from agentos.batch.plan_file import from_data

    data = to_data(plan)
    limits, handing = data.setdefault("limits", {}), data.setdefault("deliver", {})
    for target, key, value in (
        (data, "name", name),
        (data, "base", base),
        (limits, "concurrency", concurrency),
        (limits, "budget_usd", budget),
        (handing, "as", deliver),
    ):
        if value is not None:
            target[key] = value
    if verify is not None:
        data["verify"] = {"run": verify}
    return from_data({key: value for key, value in data.items() if value != {}})


def to_data(plan: Plan) -> dict[str, Any]:
    """The plan as JSON-able data, defaults left out; what `plan_file.from_data` reads back."""
    data: dict[str, Any] = {"version": plan.version, **msgspec.to_builtins(plan)}
    return data


def to_yaml(plan: Plan) -> str:
    """The plan as a plan file."""
    import yaml

    data = to_data(plan)
    order = [name for name in (f.encode_name for f in msgspec.structs.fields(Plan)) if name in data]
    text: str = yaml.safe_dump(
        {name: _plain(data[name]) for name in order}, sort_keys=False, allow_unicode=True, width=110
    )
    return text


def schema() -> dict[str, Any]:
    """The JSON Schema of a plan file; `plan.schema.json` beside this module is the published copy."""
    made = msgspec.json.schema(Plan)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "AgentOS batch plan", **made}


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    return value
