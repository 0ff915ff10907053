"""A unit's command lines: placeholders, and the environment that agents and verification get."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterable, Mapping

import msgspec

# `${paths}` is the shell's, not ours.
_PLACEHOLDER = re.compile(r"(?<!\$)\{(paths|tests|unit|title|prompt|prompt_file|failure)\}")

# Linux refuses a single argument of 128 KiB; what is longer goes through a script file.
ARGUMENT_BYTES = 120_000
FAILURE_CHARACTERS = 16_000


class Values(msgspec.Struct, frozen=True, kw_only=True):
    """What the placeholders of one unit stand for. Paths are bytes relative to the repository's root."""

    paths: tuple[bytes, ...] = ()
    tests: tuple[bytes, ...] = ()
    unit: str = ""
    title: str = ""
    prompt: str = ""
    prompt_file: str = ""
    failure: str = ""


def expand(command: str, values: Values) -> str:
    """`command` with its placeholders replaced, each value quoted for the shell.

    A path that starts with a dash becomes `./-…`, so that no program takes it for an option; bytes that are
    not UTF-8 become surrogates, as `os.fsdecode` makes them. Braces that name no placeholder stay.
    """
    words = {
        "paths": _paths(values.paths),
        "tests": _paths(values.tests),
        "unit": shlex.quote(values.unit),
        "title": shlex.quote(values.title),
        "prompt": shlex.quote(values.prompt),
        "prompt_file": shlex.quote(values.prompt_file),
        "failure": shlex.quote(tail(values.failure)),
    }
    return _PLACEHOLDER.sub(lambda found: words[found.group(1)], command)


def uses(command: str, placeholder: str) -> bool:
    """Whether `command` names `{placeholder}`."""
    return any(found == placeholder for found in _PLACEHOLDER.findall(command))


def tail(text: str) -> str:
    """The end of a log, short enough for a command line; it starts at a line's beginning if cut."""
    if len(text) <= FAILURE_CHARACTERS:
        return text
    cut = text[-FAILURE_CHARACTERS:]
    line = cut.find("\n")
    return cut[line + 1 :] if 0 <= line < FAILURE_CHARACTERS // 2 else cut


def slug(title: str) -> str:
    """A short name of a unit for folders and services: lower-case ASCII letters, digits and dashes."""
    words = re.findall(r"[a-z0-9]+", title.lower())
    return "-".join(words)[:40].strip("-") or "unit"


def environment(
    *,
    submission: Mapping[str, str],
    passed: Iterable[str],
    fixed: Mapping[str, str],
    unit: str,
    title: str,
    ports: range,
) -> dict[str, str]:
    """The whole environment of an agent or a verification but `HOME` and `TMPDIR`, which confinement sets.

    `submission` is the submitter's environment, of which `PATH`, `LANG`, `TERM` and the names in `passed`
    are taken; `fixed` are the plan's own settings, which win.
    """
    base = {
        "PATH": submission.get("PATH") or "/usr/local/bin:/usr/bin:/bin",
        "LANG": submission.get("LANG") or "C.UTF-8",
        "TERM": submission.get("TERM") or "dumb",
    }
    base |= {name: submission[name] for name in passed if name in submission}
    base |= fixed
    base |= {"AGENTOS_UNIT": unit, "AGENTOS_SLUG": slug(title)}
    return base | {f"AGENTOS_PORT_{index}": str(port) for index, port in enumerate(ports)}


def _paths(paths: Iterable[bytes]) -> str:
    names = (os.fsdecode(b"./" + path if path.startswith(b"-") else path) for path in paths)
    return " ".join(shlex.quote(name) for name in names)
