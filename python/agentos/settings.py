"""Settings and where they come from; the first that names a key wins, and a command's flags come before all.

`AGENTOS_*` variables, the home's config.toml, the repository's agentos.toml, what is built in. A repository's
file comes along with somebody else's code, so it may only narrow what is built in; all else is an error.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

from agentos.errors import UsageError
from agentos.home import Home

_LEVELS = ("none", "standard", "strict")
_DURATION = re.compile(r"(\d+)(s|m|h)")
_SECONDS = {"s": 1, "m": 60, "h": 3600}


@dataclass(frozen=True)
class Setting:
    """One key: the variable that overrides it, what is built in, what it means.

    `kind` is `level`, `usd` (a decimal string), `count`, `duration` (`90s`, `10m`, `2h`) or `text`.
    """

    key: str
    variable: str
    kind: str
    built_in: str
    meaning: str


SETTINGS = (
    Setting("level", "AGENTOS_LEVEL", "level", "auto", "confinement: strict, standard, none, or auto"),
    Setting("model", "AGENTOS_MODEL", "text", "", "the model of agents that name none"),
    Setting("run.budget_usd", "AGENTOS_BUDGET", "usd", "1.00", "what `agentos run` may spend"),
    Setting("batch.budget_usd", "AGENTOS_BATCH_BUDGET", "usd", "5.00", "what one batch may spend"),
    Setting(
        "batch.concurrency", "AGENTOS_CONCURRENCY", "count", "auto", "units at a time; auto: cores, at most 8"
    ),
    Setting("batch.attempts", "AGENTOS_ATTEMPTS", "count", "2", "tries a unit gets"),
    Setting("batch.timeout", "AGENTOS_TIMEOUT", "duration", "30m", "time a unit gets"),
    *(
        Setting(
            f"usage.{window}_usd",
            f"AGENTOS_USAGE_{window.upper()}",
            "usd",
            "0",
            f"`models usage` warns when agents spend 80 % of it in {length}; 0: never",
        )
        for window, length in (("hour", "60 minutes"), ("day", "24 hours"), ("month", "30 days"))
    ),
)
KEYS = {setting.key: setting for setting in SETTINGS}
# What a repository may set: only what can be compared with the built-in value and found narrower.
NARROWING = frozenset({"level", "run.budget_usd", "batch.budget_usd"})


@dataclass(frozen=True)
class Value:
    """A setting's value in force, and its origin: a variable's name, a file, or `built-in`."""

    setting: Setting
    value: str
    origin: str


def find(key: str) -> Setting:
    """The setting called `key`; raises UsageError for an unknown one."""
    if key not in KEYS:
        raise UsageError(f"there is no setting `{key}`", hint=f"known: {', '.join(KEYS)}")
    return KEYS[key]


def values(
    home: Home, repository: Path | None = None, environment: Mapping[str, str] = os.environ
) -> dict[str, Value]:
    """Every setting's value in force for `home` and, where given, the repository's root folder."""
    own = _load(home.root / "config.toml")
    shared = _load(repository / "agentos.toml") if repository else {}
    for key, value in shared.items():
        _check_narrower(find(key), value, str(repository))
    found = {}
    for setting in SETTINGS:
        if environment.get(setting.variable):
            value = checked(setting, environment[setting.variable], setting.variable)
            found[setting.key] = Value(setting, value, setting.variable)
        elif setting.key in own:
            found[setting.key] = Value(setting, own[setting.key], str(home.root / "config.toml"))
        elif setting.key in shared:
            found[setting.key] = Value(setting, shared[setting.key], f"{repository}/agentos.toml")
        else:
            found[setting.key] = Value(setting, setting.built_in, "built-in")
    return found


def value(key: str, home: Home, folder: Path | None = None) -> str:
    """The value in force of one setting for a command that runs in `folder` (default: the current one)."""
    return values(home, repository_of(folder or Path.cwd()))[find(key).key].value


def repository_of(folder: Path) -> Path | None:
    """The nearest folder upwards that is a repository's root; None outside of one."""
    return next((place for place in (folder, *folder.parents) if (place / ".git").exists()), None)


def store(home: Home, key: str, text: str) -> Path:
    """Writes one key into the home's config.toml, keeping what else stands there; returns the file."""
    setting = find(key)
    line = f'{key} = "{checked(setting, text, key)}"\n'
    path = home.root / "config.toml"
    before = path.read_text() if path.exists() else ""
    pattern = re.compile(rf"^{re.escape(key)}\s*=.*\n?", re.M)
    after = pattern.sub(lambda _: line, before, count=1) if pattern.search(before) else line + before
    if _flat(_parsed(after, path)).get(key) is None:
        raise UsageError(
            f"cannot set `{key}` without disturbing the file", where=str(path), hint="edit it by hand"
        )
    home.create()
    fresh = path.with_suffix(".new")
    fresh.touch(mode=0o600)
    fresh.write_text(after)
    fresh.replace(path)
    return path


def checked(setting: Setting, text: str, where: str) -> str:
    """`text` if it is a value of this setting, else a UsageError that says what one looks like."""
    wanted = {
        "level": text in (*_LEVELS, "auto"),
        "usd": _is_money(text),
        "count": text == setting.built_in or (text.isdecimal() and 0 < int(text) <= 10_000),
        "duration": _DURATION.fullmatch(text) is not None,
        "text": '"' not in text and "\\" not in text and text.isprintable(),
    }
    if not wanted[setting.kind]:
        looks = {
            "level": "strict, standard, none or auto",
            "usd": 'a decimal number of US dollars, such as "2.50"',
            "count": "a whole number from 1",
            "duration": 'a duration such as "90s", "10m" or "2h"',
            "text": "a line of text without quotes",
        }
        raise UsageError(f"`{text}` is no value of `{setting.key}`", where=where, hint=looks[setting.kind])
    return text


def seconds(duration: str) -> int:
    """`90s`, `10m` or `2h` in seconds."""
    match = _DURATION.fullmatch(duration)
    if match is None:
        raise UsageError(f"`{duration}` is no duration", hint='such as "90s", "10m" or "2h"')
    return int(match[1]) * _SECONDS[match[2]]


def _is_money(text: str) -> bool:
    try:
        amount = Decimal(text)
    except InvalidOperation:
        return False
    return amount.is_finite() and amount >= 0


def _check_narrower(setting: Setting, text: str, where: str) -> None:
    if setting.key not in NARROWING:
        raise UsageError(
            f"a repository may not set `{setting.key}`",
            where=f"{where}/agentos.toml",
            hint=f"it may narrow {', '.join(sorted(NARROWING))}",
        )
    levels = setting.kind == "level"
    narrower = text == "strict" if levels else Decimal(text) <= Decimal(setting.built_in)
    if not narrower:
        raise UsageError(
            f"a repository may only narrow `{setting.key}`, and `{text}` is wider than `{setting.built_in}`",
            where=f"{where}/agentos.toml",
            hint="set it in your own config.toml if you want it: agentos config set",
        )


def _load(path: Path) -> dict[str, str]:
    """The file's settings, checked; empty where there is none."""
    try:
        text = path.read_text()
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"the settings cannot be read: {error}", where=str(path)) from error
    return {key: checked(find(key), value, str(path)) for key, value in _flat(_parsed(text, path)).items()}


def _parsed(text: str, path: Path) -> dict[str, Any]:
    import tomllib

    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"not valid TOML: {error}", where=str(path)) from error


def _flat(table: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    found: dict[str, str] = {}
    for key, value in table.items():
        if isinstance(value, dict):
            found |= _flat(value, f"{prefix}{key}.")
        else:
            found[prefix + key] = str(value)
    return found
