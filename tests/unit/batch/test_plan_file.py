"""Plan files: what they mean, and each mistake with its line."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest

from agentos.batch import plan, plan_file
from agentos.errors import AgentOSError, MissingMechanism, UsageError

WHOLE = """\
version: 1
name: modernise
base: main
units: {from: files, glob: "src/**/*.py", group: 10, allow: ["CHANGELOG.md"]}
agent: {program: "ruff check --fix {paths}"}
verify: {run: "pytest -q {tests}"}
limits: {concurrency: 8, budget_usd: 5.00, unit_budget_usd: "0.50", timeout: 1h30m, attempts: 2}
workspace: {isolation: auto, include: [.env.test], env: {DEBUG: no, LEVEL: 1.10}, pass_env: [TOKEN]}
deliver: {as: patch, forge: auto, sign: false}
"""


def test_a_whole_plan_is_read() -> None:
    read = plan_file.loads(WHOLE)
    assert read.slicing.group == 10
    assert read.limits.budget_micros == 5_000_000
    assert read.limits.unit_budget_micros == 500_000
    assert read.limits.timeout_us == 5400 * plan.SECOND_US
    assert read.deliver.as_ == "patch"
    # What the plan wants as text is the text, whatever YAML would make of it.
    assert read.workspace.env == {"DEBUG": "no", "LEVEL": "1.10"}


def test_a_plan_survives_being_written() -> None:
    read = plan_file.loads(WHOLE)
    assert plan_file.loads(plan.to_yaml(read)) == read
    assert plan_file.from_data(json.loads(json.dumps(plan.to_data(read)))) == read


def test_an_explicit_list_is_read(tmp_path: Path) -> None:
    file = tmp_path / "plan.json"
    units = [
        {"id": "one", "paths": ["a/"], "prompt": "\U0001f600 tidy"},
        {"id": "two", "paths": ["b/"], "after": ["one"]},
    ]
    file.write_text(json.dumps({"version": 1, "units": units, "agent": {"program": "true"}}, indent="\t"))
    items = plan_file.load(file).slicing.list or ()
    assert [item.id for item in items if isinstance(item, plan.Item)] == ["one", "two"]
    assert isinstance(items[0], plan.Item) and items[0].prompt == "\U0001f600 tidy"


BASE = 'agent: {program: "true"}\n'


@pytest.mark.parametrize(
    ("text", "line", "message", "hint"),
    [
        (BASE + "units: {from: files, glob: a}\nverfy: {run: x}\n", 3, "unknown key `verfy`", "verify"),
        (BASE + "units: {glob: a}\nlimits:\n  attempts: 2\n  budget: 1\n", 5, "`budget`", "budget_usd"),
        (BASE + "units: {glob: a}\nlimits: {timeout: 10}\n", 3, "limits.timeout", "10m"),
        (BASE + "units: {glob: a}\nlimits: {timeout: 0s}\n", 3, "not a duration", "10m"),
        (BASE + "units: {glob: a}\nlimits:\n  concurrency: many\n", 4, "limits.concurrency", None),
        (BASE + "units: {glob: a}\nlimits:\n  budget_usd: lots\n", 4, "limits.budget_usd", "2.50"),
        (BASE + "units: {glob: a}\nversion: 2\n", 3, "version", "version 1"),
        (BASE + "units: {glob: ../a}\n", 2, "leaves the repository", None),
        (BASE + "units: {glob: /a}\n", 2, "absolute", None),
        (BASE + "units: {glob: a, allow: [.git/x]}\n", 2, "names a `.git`", None),
        (BASE + "units: {glob: a}\nunits: {glob: b}\n", 3, "stands twice", None),
        (BASE + "units: {from: files}\n", 2, "needs a `glob`", None),
        (BASE + "units: []\n", 2, "lists no unit", None),
        (BASE + "units:\n- paths: [a]\n- paths: [../b]\n", 4, "leaves the repository", None),
        (BASE + "units:\n- {id: x, paths: [a]}\n- {id: X, paths: [b]}\n", 4, "two units are called", None),
        (BASE + "units:\n- {id: a..b, paths: [a]}\n", 3, "units[0].id", None),
        (BASE + "units:\n- {id: x, paths: [a], after: [y]}\n", 3, "`after` names `y`", None),
        ("units: {glob: a}\n", 1, "lacks `agent`", "program"),
        ("units: {glob: a\n", 2, "not YAML", None),
    ],
)  # fmt: skip
def test_a_mistake_is_named_with_its_line(
    text: str, line: int, message: str, hint: str | None, tmp_path: Path
) -> None:
    file = tmp_path / "plan.yaml"
    file.write_text(text)
    with pytest.raises(UsageError) as caught:
        plan_file.load(file)
    assert message in caught.value.message
    assert str(caught.value.where).startswith(f"{file}:{line}")
    assert hint is None or hint in str(caught.value.hint)


def test_units_that_share_a_path_are_both_named() -> None:
    text = BASE + "units:\n- {id: one, paths: [src/]}\n- {id: two, paths: [other, src/deep/a.py]}\n"
    with pytest.raises(UsageError, match=r"units `one` and `two` both own `src/deep/a\.py`") as caught:
        plan_file.loads(text, name="p.yaml")
    assert str(caught.value.where).startswith("p.yaml:4 ")


def test_units_that_wait_in_a_circle_are_refused() -> None:
    text = BASE + "units:\n- {id: a, paths: [a], after: [b]}\n- {id: b, paths: [b], after: [a]}\n"
    with pytest.raises(UsageError, match="circle: a, b"):
        plan_file.loads(text)


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("agent: {model: gpt}\nunits: {glob: a}\n", "agent.model"),
        ('agent: {command: "claude -p {prompt}", auth: login}\nunits: {glob: a}\n', "agent.command"),
        (BASE + "units: {from: model}\n", "units.from"),
        (BASE + 'units: {glob: a}\nworkspace: {net: ["127.0.0.1:5432"]}\n', "workspace.net"),
        (BASE + "units: {glob: a}\nworkspace: {isolation: overlay}\n", "workspace.isolation"),
        (BASE + "units: {glob: a}\ndeliver: {as: pull_request}\n", "deliver.as"),
        (BASE + "units: {glob: a}\ndeliver: {sign: true}\n", "deliver.sign"),
    ],
)
def test_what_is_not_there_yet_is_named(text: str, key: str) -> None:
    with pytest.raises(MissingMechanism) as caught:
        plan_file.loads(text, name="plan.yaml")
    assert f"`{key}" in caught.value.message
    assert caught.value.exit_code == 7


@pytest.mark.parametrize(
    "text",
    [
        "",
        "just words",
        "[1, 2]",
        "a: b\n---\nc: d\n",
        "- " * 5000,
        "x: &a [*a]\n",
        "units: !!python/object:os.system x\n",
        "? [a, b]\n: c\n",
        "<<: {a: b}\n",
        "a: &b {c: *b}\n",
    ],
)
def test_what_is_no_plan_is_bad_input(text: str) -> None:
    with pytest.raises(AgentOSError) as caught:
        plan_file.loads(text, name="plan.yaml")
    assert caught.value.exit_code == 2


def test_a_document_that_multiplies_itself_is_refused() -> None:
    rows = ["  - &a0 [x]"] + [f"  - &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 10)]
    with pytest.raises(UsageError, match="too large"):
        plan_file.loads(BASE + "units:\n" + "\n".join(rows))


def test_flags_make_the_plan_of_a_file() -> None:
    made = plan.from_flags(units="src/*/", program="true {paths}", verify="make test", budget="2.5")
    text = (
        'units: {from: dirs, glob: "src/*/"}\nagent: {program: "true {paths}"}\n'
        'verify: {run: make test}\nlimits: {budget_usd: "2.5"}\n'
    )
    assert made == plan_file.loads(text)
    with pytest.raises(UsageError, match="concurrency"):
        plan.override(made, concurrency=0)
    with pytest.raises(MissingMechanism):
        plan.override(made, deliver="merge")


def test_the_published_schema_is_the_plans() -> None:
    published = Path(plan.__file__).with_name("plan.schema.json")
    assert json.loads(published.read_text()) == msgspec.json.decode(msgspec.json.encode(plan.schema()))
