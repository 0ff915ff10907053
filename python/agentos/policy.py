"""Policy files: the rules of the gate as a person writes them, and actions in words.

A file is TOML with `version = 1` and `[[rule]]` tables in the shape of `messages.Rule`; the kernel checks
each rule against its own examples. The format is described in `docs/policy.md`.
"""

from __future__ import annotations

import hashlib
import json
import tomllib
from pathlib import Path
from typing import Any, Literal

import msgspec

from agentos.errors import UsageError
from agentos.messages import (
    AnyAction,
    CallAction,
    ConnectAction,
    DeclassifyAction,
    EndorseAction,
    ExecAction,
    Labels,
    ModelAction,
    PublishAction,
    ReadAction,
    RecallAction,
    RememberAction,
    Rule,
    SendAction,
    UseSecretAction,
    WriteAction,
)
from agentos.printable import printable_line

VERSION = 1


class Policy(msgspec.Struct, frozen=True):
    """The rules of a file, and a digest that names this set of them."""

    rules: list[Rule]
    digest: str


class Case(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A question to a policy with its expected answer: `rule` is the one that must decide, if given."""

    action: AnyAction
    expect: Literal["go", "ask", "deny"]
    rule: str | None = None
    process: str = "agent"
    labels: Labels = Labels()
    history: list[AnyAction] = []


NO_RULES = Policy(rules=[], digest="")


def load(path: Path) -> Policy:
    """The policy in the file at `path`; a missing file is no rules. Raises UsageError for a wrong form."""
    try:
        text = path.read_bytes()
    except FileNotFoundError:
        return NO_RULES
    data = _parsed(text, path)
    rules = _converted(data, "rule", list[Rule], path)
    return Policy(rules=rules, digest=hashlib.sha256(text).hexdigest())


def cases(path: Path) -> list[Case]:
    """The `[[case]]` tables of a test file. Raises UsageError for a wrong form or none at all."""
    try:
        found: list[Case] = _converted(_parsed(path.read_bytes(), path), "case", list[Case], path)
    except OSError as error:
        raise UsageError(f"the file cannot be read: {error.strerror}", where=str(path)) from None
    if not found:
        raise UsageError("there is no case in it", where=str(path), hint="add a [[case]] table")
    return found


def _parsed(text: bytes, path: Path) -> dict[str, Any]:
    try:
        data = tomllib.loads(text.decode())
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UsageError(f"this is no TOML: {error}", where=str(path)) from None
    version = data.pop("version", None)
    if version != VERSION:
        raise UsageError(
            f"the file is of version {version}",
            where=str(path),
            hint=f"write `version = {VERSION}` at its top",
        )
    return data


def _converted(data: dict[str, Any], key: str, kind: Any, path: Path) -> Any:
    unknown = set(data) - {key}
    if unknown:
        raise UsageError(f"unknown key `{min(unknown)}`", where=str(path), hint=f"known: version, [[{key}]]")
    try:
        return msgspec.convert(data.get(key, []), kind)
    except msgspec.ValidationError as error:
        raise UsageError(str(error), where=f"{path}: {key}", hint="see docs/policy.md") from None


_NAMED: dict[str, Any] = {
    "read": lambda name: ReadAction(path=name),
    "write": lambda name: WriteAction(path=name),
    "exec": lambda name: ExecAction(command=name, mandate=[]),
    "send": lambda name: SendAction(mailbox=name),
    "use_secret": lambda name: UseSecretAction(name=name),
    "remember": lambda name: RememberAction(space=name),
    "recall": lambda name: RecallAction(space=name),
    "call": lambda name: CallAction(tool=name),
}


def action(words: str) -> AnyAction:
    """An action in words (`connect example.org:443`, `read /etc/hosts`, `publish /repo refs/heads/main`) or
    as JSON. Raises UsageError."""
    kind, _, rest = words.strip().partition(" ")
    try:
        if words.lstrip().startswith("{"):
            found: AnyAction = msgspec.json.decode(words, type=AnyAction)
            return found
        if kind in ("endorse", "declassify") and not rest:
            return EndorseAction() if kind == "endorse" else DeclassifyAction()
        if kind in _NAMED and rest:
            named: AnyAction = _NAMED[kind](rest)
            return named
        if kind == "publish":
            repository, reference = rest.rsplit(" ", 1)
            return PublishAction(repository=repository, reference=reference)
        if kind in ("connect", "model"):
            name, _, address = rest.partition("@") if kind == "model" else ("", "", rest)
            host, _, port = (address or "localhost").rpartition(":")
            place = (host, int(port)) if host else (port, 443)
            if kind == "model":
                return ModelAction(model=name, host=place[0], port=place[1])
            return ConnectAction(host=place[0], port=place[1])
    except (ValueError, msgspec.DecodeError):
        pass
    raise UsageError(
        f"`{words}` is no action",
        hint="for example: `read /etc/hosts`, `connect example.org:443`, `publish /repo refs/heads/main`, "
        "`use_secret NAME`, `call TOOL`, or an action as JSON",
    )


def in_words(action: dict[str, Any]) -> str:
    """An action, as JSON has it, on one line for a person."""
    parts = [
        printable_line(value) if isinstance(value, str) else json.dumps(value)
        for key, value in action.items()
        if key != "type"
    ]
    return " ".join([action["type"].replace("_", " "), *parts])
