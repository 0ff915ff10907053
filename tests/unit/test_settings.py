"""Settings: who wins, what is refused, and that writing one keeps the rest of the file."""

from __future__ import annotations

from pathlib import Path

import pytest

from agentos import settings
from agentos.errors import UsageError
from agentos.home import Home


@pytest.fixture
def home(tmp_path: Path) -> Home:
    home = Home(tmp_path / "home")
    home.create()
    return home


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    (tmp_path / "repository" / ".git").mkdir(parents=True)
    return tmp_path / "repository"


def test_the_variable_wins_over_the_home_and_the_home_over_the_repository(
    home: Home, repository: Path
) -> None:
    def origin(environment: dict[str, str]) -> tuple[str, str]:
        found = settings.values(home, repository, environment)["batch.budget_usd"]
        return found.value, found.origin

    assert origin({}) == ("5.00", "built-in")
    (repository / "agentos.toml").write_text('[batch]\nbudget_usd = "2.00"\n')
    assert origin({}) == ("2.00", f"{repository}/agentos.toml")
    settings.store(home, "batch.budget_usd", "7.00")
    assert origin({}) == ("7.00", str(home.root / "config.toml"))
    assert origin({"AGENTOS_BATCH_BUDGET": "9"}) == ("9", "AGENTOS_BATCH_BUDGET")


@pytest.mark.parametrize(
    "text",
    [
        'level = "none"',
        'level = "standard"',
        'batch.budget_usd = "5.01"',
        'model = "big"',
        'colour = "red"',
        "x = ",
    ],
)
def test_a_repository_may_only_narrow(home: Home, repository: Path, text: str) -> None:
    (repository / "agentos.toml").write_text(text + "\n")
    with pytest.raises(UsageError):
        settings.values(home, repository, {})


def test_a_repository_may_narrow_the_level(home: Home, repository: Path) -> None:
    (repository / "agentos.toml").write_text('level = "strict"\n')
    assert settings.values(home, repository, {})["level"].value == "strict"


def test_writing_one_setting_keeps_comments_and_other_settings(home: Home) -> None:
    path = home.root / "config.toml"
    path.write_text('# mine\nlevel = "strict"  # always\nbatch.attempts = 3\n')
    settings.store(home, "level", "standard")
    settings.store(home, "model", "small")
    assert path.read_text() == 'model = "small"\n# mine\nlevel = "standard"\nbatch.attempts = 3\n'
    assert path.stat().st_mode & 0o777 == 0o600
    assert settings.values(home, None, {})["batch.attempts"].value == "3"


@pytest.mark.parametrize(
    ("key", "text"),
    [
        ("level", "loose"),
        ("batch.budget_usd", "-1"),
        ("batch.budget_usd", "NaN"),
        ("batch.concurrency", "0"),
        ("batch.timeout", "soon"),
        ("model", 'a"b'),
        ("colour", "red"),
    ],
)
def test_a_wrong_value_is_refused_and_nothing_is_written(home: Home, key: str, text: str) -> None:
    with pytest.raises(UsageError):
        settings.store(home, key, text)
    assert not (home.root / "config.toml").exists()


def test_a_key_that_stands_in_a_table_is_not_written_twice(home: Home) -> None:
    path = home.root / "config.toml"
    path.write_text('[batch]\nbudget_usd = "1.00"\n')
    with pytest.raises(UsageError):
        settings.store(home, "batch.budget_usd", "2.00")
    assert path.read_text() == '[batch]\nbudget_usd = "1.00"\n'


def test_durations_are_read_in_seconds() -> None:
    assert [settings.seconds(text) for text in ("90s", "10m", "2h")] == [90, 600, 7200]


def test_the_nearest_repository_upwards_counts(repository: Path) -> None:
    below = repository / "a" / "b"
    below.mkdir(parents=True)
    assert settings.repository_of(below) == repository
