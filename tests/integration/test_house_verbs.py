"""`agentos config`, `home`, `completion`, called as a person calls them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest


def agentos(home: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(home.parent), "AGENTOS_HOME": str(home), **variables}
    command = [sys.executable, "-m", "agentos", *arguments]
    return subprocess.run(
        command, env=environment, cwd=home.parent, stdin=subprocess.DEVNULL, capture_output=True, text=True
    )


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


def test_config_names_the_origin_of_each_setting(home: Path) -> None:
    assert agentos(home, "config", "set", "level", "strict").returncode == 0
    shown = json.loads(agentos(home, "config", "list", "--json", AGENTOS_MODEL="small").stdout)
    origins = {row["key"]: row["origin"] for row in shown}
    assert origins["level"] == str(home / "config.toml")
    assert origins["model"] == "AGENTOS_MODEL"
    assert origins["batch.attempts"] == "built-in"
    assert agentos(home, "config", "get", "level").stdout == "strict\n"


def test_config_refuses_what_it_does_not_know(home: Path) -> None:
    done = agentos(home, "config", "set", "colour", "red", "--json")
    assert done.returncode == 2
    assert json.loads(done.stdout)["error"]["code"] == "usage"
    assert not home.exists()


def test_home_lists_what_is_there_and_removes_it_after_a_yes(home: Path) -> None:
    assert json.loads(agentos(home, "home", "--json").stdout)["parts"] == []
    agentos(home, "config", "set", "level", "strict")
    before = json.loads(agentos(home, "home", "--json").stdout)
    assert str(home / "config.toml") in {part["path"] for part in before["parts"]}
    assert agentos(home, "home", "remove", "--dry-run").returncode == 0
    # Nobody to ask: nothing happens, and the exit code says that a person is needed.
    assert agentos(home, "home", "remove").returncode == 5
    assert (home / "config.toml").exists()
    assert agentos(home, "home", "remove", "--yes").returncode == 0
    assert not home.exists()


@pytest.mark.parametrize(("arguments", "code"), [(["configg", "--json"], 2), (["exec", "--json"], 125)])
def test_wrong_arguments_are_json_for_who_reads_json(home: Path, arguments: list[str], code: int) -> None:
    done = agentos(home, *arguments)
    assert done.returncode == code
    error = json.loads(done.stdout)["error"]
    assert error["code"] == "usage" and "--help" in error["hint"]
    assert error["message"] in done.stderr
    assert ("did you mean `config`?" in error["hint"]) == (code == 2)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_knows_verbs_and_their_flags(home: Path, shell: str) -> None:
    done = agentos(home, "completion", shell)
    assert done.returncode == 0
    assert "completion" in done.stdout and "config" in done.stdout and "json" in done.stdout


@pytest.mark.needs("bash")
def test_bash_completes_a_verb(home: Path) -> None:
    script = agentos(home, "completion", "bash").stdout
    ask = 'COMP_WORDS=(agentos conf); COMP_CWORD=1; _agentos; echo "${COMPREPLY[@]}"'
    done = subprocess.run(["bash", "-c", f"{script}\n{ask}"], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["config"]
