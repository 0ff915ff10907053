"""Documents: what is wrong is said with its place."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from agentos.automation.cron import Jobs
from agentos.automation.document import Document
from agentos.automation.trigger import Triggers
from agentos.automation.workflow import Workflow, read
from agentos.errors import AgentOSError, UsageError
from agentos.home import Home

JOBS = """\
name = "n"

[[jobs]]
name = "one"
every = "1m"
program = "true"

[[jobs]]
name = "two"
"""


def document(folder: Path, text: str, suffix: str = ".toml") -> Document:
    path = folder / f"doc{suffix}"
    path.write_text(text)
    return Document(path)


@pytest.mark.parametrize(
    ("text", "suffix", "line", "said"),
    [
        (JOBS + "every = 5\n", ".toml", 10, "expected `str"),
        (JOBS + "evry = '5m'\n", ".toml", 10, "unknown field `evry`"),
        (JOBS + "every = [\n", ".toml", 10, "not TOML"),
        ("jobs = 3\n", ".toml", 1, "expected `array`"),
        ("nmae = 'x'\njobs = []\n", ".toml", 1, "unknown field `nmae`"),
        ("", ".toml", 1, "missing required field `jobs`"),
        ("jobs:\n- name: x\n  name: y\n", ".yaml", 3, "stands twice"),
        ("jobs:\n- name: x\n  evry: 5m\n", ".yaml", 3, "unknown field `evry`"),
        ("jobs: [\n", ".yaml", 2, "not YAML"),
        ("- a\n- b\n", ".yaml", 1, "not a set of keys"),
        ("jobs:\n- name: x\n  catch_up: never\n", ".yml", 3, "invalid enum value"),
    ],
)
def test_the_line_of_a_mistake_is_named(tmp_path: Path, text: str, suffix: str, line: int, said: str) -> None:
    with pytest.raises(UsageError) as refused:
        document(tmp_path, text, suffix).convert(Jobs)
    assert said in refused.value.message, refused.value.message
    assert (refused.value.where or "").startswith(f"{tmp_path}/doc{suffix}:{line}"), refused.value.where


def test_toml_and_yaml_say_the_same(tmp_path: Path) -> None:
    toml = document(tmp_path, '[[triggers]]\nname = "t"\non = "run"\nmax_fires = 3\nprogram = "true"\n')
    yaml = document(tmp_path, "triggers:\n- {name: t, on: run, max_fires: 3, program: true}\n", ".yaml")
    assert toml.convert(Triggers) == yaml.convert(Triggers)


def test_a_date_of_toml_is_the_text_that_it_is(tmp_path: Path) -> None:
    text = '[[jobs]]\nname = "j"\nat = 2027-01-01T00:00:00Z\nprogram = "true"\n'
    assert document(tmp_path, text).convert(Jobs).jobs[0].at == "2027-01-01T00:00:00+00:00"


@pytest.mark.parametrize("name", ["doc.json", "doc"])
def test_other_files_are_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("{}")
    with pytest.raises(UsageError, match=r"ends in \.toml"):
        Document(tmp_path / name)


def test_what_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read"):
        Document(tmp_path / "none.toml")
    (tmp_path / "bytes.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(UsageError, match="not UTF-8"):
        Document(tmp_path / "bytes.toml")
    (tmp_path / "large.toml").write_bytes(b"#" * ((1 << 20) + 1))
    with pytest.raises(UsageError, match="larger"):
        Document(tmp_path / "large.toml")
    (tmp_path / "deep.yaml").write_text("a: " + "[" * 5_000 + "]" * 5_000)
    with pytest.raises(UsageError, match="deep"):
        Document(tmp_path / "deep.yaml")


@pytest.mark.parametrize(
    ("steps", "place", "said"),
    [
        ("[]", "", "0 steps"),
        ("[{name: a}]", "steps[0]", "does nothing"),
        ("[{name: a, program: x, task: y}]", "steps[0]", "several things (program, task)"),
        ("[{name: a, program: x, loop: [{name: b, program: y}]}]", "steps[0]", "several things"),
        ("[{name: a, program: x}, {name: a, program: y}]", "steps[1]", "`a` is taken"),
        ("[{name: input, program: x}]", "steps[0]", "`input` is taken"),
        ("[{name: a/b, program: x}]", "steps[0]", "contains '/'"),
        ("[{name: a, fan_out: []}]", "steps[0]", "has no steps"),
        ("[{name: a, program: x, until: y}]", "steps[0]", "for a loop"),
        ("[{name: a, loop: [{name: b, program: x}], max_iterations: 0}]", "steps[0]", "1 to 1000"),
        ("[{name: a, program: x, max_retries: 21}]", "steps[0]", "0 to 20"),
        ("[{name: a, program: x, backoff: 0s}]", "steps[0]", "1 to 86400"),
        ("[{name: a, program: x, timeout: 2d}]", "steps[0]", "1 to 86400"),
        ("[{name: a, sequence: [{name: b, program: x}], timeout: 5s}]", "steps[0]", "do work themselves"),
        ("[{name: a, sequence: [{name: b, program: ' '}]}]", "steps[0].sequence[0]", "program is empty"),
        ("[{name: a, program: x, budget: '1'}]", "steps[0]", "`budget` says nothing about a program"),
        ("[{name: a, workflow: x, read: [y]}]", "steps[0]", "`read` says nothing about a workflow"),
        ("[{name: a, program: x, folder: nowhere}]", "steps[0]", "no such folder"),
        ("[{name: a, program: x, read: [nothing]}]", "steps[0]", "there is no nothing"),
        ("[{name: a, batch: none.yaml}]", "steps[0]", "cannot be read"),
        ("[{name: a, task: x, agent: nobody}]", "steps[0]", "no agent `nobody`"),
        ("[{name: a, task: x, model: what/ever}]", "steps[0]", "names no model"),
    ],
)
def test_steps_that_make_no_sense_are_refused_at_their_place(
    tmp_path: Path, steps: str, place: str, said: str
) -> None:
    path = tmp_path / "project" / "flow.yaml"
    path.parent.mkdir()
    path.write_text(f"steps: {steps}\n")
    with pytest.raises(AgentOSError) as refused:
        read(path, Home(tmp_path / "home"), {})
    assert said in refused.value.message, refused.value.message
    assert (refused.value.where or "").startswith(str(path))
    assert place in (refused.value.where or ""), refused.value.where


def test_steps_lie_only_so_deep(tmp_path: Path) -> None:
    path = tmp_path / "flow.yaml"
    inner = "{name: s, program: x}"
    for _ in range(8):
        inner = f"{{name: s, sequence: [{inner}]}}"
    path.write_text(f"steps: [{inner}]\n")
    assert Document(path).convert(Workflow).steps
    with pytest.raises(UsageError, match="more than 8 deep"):
        read(path, Home(tmp_path / "home"), {})


def test_the_examples_of_the_documentation_are_documents(tmp_path: Path) -> None:
    page = (Path(__file__).parents[3] / "docs" / "automation.md").read_text()
    blocks = re.findall(r"^```(toml|yaml)\n# ([\w.]+):[^\n]*\n(.*?)^```$", page, re.M | re.S)
    assert [name for _, name, _ in blocks] == ["nightly.toml", "watch.toml", "release.yaml"]
    made: list[object] = []
    for (suffix, _, text), wanted in zip(blocks, (Jobs, Triggers, Workflow), strict=True):
        made.append(document(tmp_path, text, f".{suffix}").convert(wanted))
    jobs, triggers, workflow = made
    assert isinstance(jobs, Jobs) and isinstance(triggers, Triggers) and isinstance(workflow, Workflow)
    for job in jobs.jobs:
        job.check()
        job.check_times(0)
    for trigger in triggers.triggers:
        trigger.check()
        trigger.check_event()
    assert [step.form for step in workflow.steps] == ["work", "work", "fan_out", "loop", "work"]
