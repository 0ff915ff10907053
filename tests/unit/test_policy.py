"""Policy files: their form, their examples, and actions in words."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from agentos import policy
from agentos.errors import UsageError
from agentos.messages import (
    ConnectAction,
    EndorseAction,
    ModelAction,
    PublishAction,
    ReadAction,
    UseSecretAction,
)
from meta import project

EXAMPLE = re.search(r"```toml\n(.*?)```", (project.ROOT / "docs" / "policy.md").read_text(), re.S)


def test_the_documentation_s_example_is_a_policy(tmp_path: Path) -> None:
    assert EXAMPLE is not None
    path = tmp_path / "policy.toml"
    path.write_text(EXAMPLE[1])
    loaded = policy.load(path)
    assert [(rule.name, rule.effect) for rule in loaded.rules] == [
        ("main-is-for-people", "ask"),
        ("secret-stays-with-its-host", "deny"),
    ]
    assert loaded.rules[1].unless[0].host == ["api.example.org"]
    assert policy.load(tmp_path / "none.toml") == policy.NO_RULES


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("version = 1\n[[rule", "no TOML"),
        ("[[rule]]", "version None"),
        ("version = 2", "version 2"),
        ("version = 1\nrules = []", "unknown key `rules`"),
        ('version = 1\n[[rule]]\nname = "x"', "effect"),
        ('version = 1\n[[rule]]\nname = "x"\neffect = "go"\nreason = "r"', "go"),
        ('version = 1\n[[rule]]\nname = "x"\neffect = "deny"\nreason = "r"\nwhen = {hosts = []}', "hosts"),
    ],
)
def test_a_wrong_form_is_named_with_its_file(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "policy.toml"
    path.write_text(text)
    with pytest.raises(UsageError, match=re.escape(words)) as raised:
        policy.load(path)
    assert str(path) in (raised.value.where or "")


def test_actions_in_words() -> None:
    assert policy.action("read /a b") == ReadAction(path="/a b")
    assert policy.action("connect example.org") == ConnectAction(host="example.org", port=443)
    assert policy.action("connect [::1]:80") == ConnectAction(host="[::1]", port=80)
    assert policy.action("use_secret x") == UseSecretAction(name="x")
    assert policy.action("publish /my repo refs/heads/x") == PublishAction(
        repository="/my repo", reference="refs/heads/x"
    )
    assert policy.action("model m@h:1") == ModelAction(model="m", host="h", port=1)
    assert policy.action("endorse") == EndorseAction()
    assert policy.action('{"type":"read","path":"/x"}') == ReadAction(path="/x")


@pytest.mark.parametrize("words", ["", "fly", "read", "connect x:y", "publish /repo", '{"type":"fly"}'])
def test_what_is_no_action_says_how_one_looks(words: str) -> None:
    with pytest.raises(UsageError, match="is no action"):
        policy.action(words)
