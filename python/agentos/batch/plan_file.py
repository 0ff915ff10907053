"""Reads plan files: YAML or JSON, each error with its file and line.

The document is read along the plan's own types: where the plan wants text, what stands in the file is the
text (`budget_usd: 5.00`, `env: {DEBUG: no}`), whatever YAML would make of it.
"""

from __future__ import annotations

import difflib
import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import yaml
from msgspec import inspect

from agentos.batch.ownership import check_units
from agentos.batch.plan import Plan, Units, duration_us
from agentos.errors import MissingMechanism, UsageError

MAXIMUM_BYTES = 4 << 20
_MAXIMUM_VALUES = 200_000

# Keys and values of the contract that are not there yet, by the key's place in the plan.
_LATER_KEYS = {
    "agent": {"model", "prompt", "acp", "command", "auth", "sessions"},
    "workspace": {"net", "services"},
}
_LATER_VALUES: dict[str, set[str]] = {
    "units.from": {"spec", "model"},
    "workspace.isolation": {"overlay", "snapshot", "sparse"},
    "deliver.as": {"review", "pull_request", "merge"},
    "deliver.forge": {"github", "gitlab", "gitea"},
    "deliver.sign": {"true"},
}
_AT = re.compile(r" - at `(?:key in )?\$\.?(.*?)`$")


def load(path: str | os.PathLike[str]) -> Plan:
    """The plan in a file ending in .yaml, .yml or .json.

    Raises: UsageError with file and line for anything that is not a plan; MissingMechanism for a key that
    names what this version does not have.
    """
    return loads(_read(Path(path)), name=str(path))


def loads(text: str, *, name: str = "plan") -> Plan:
    """The plan in `text`, YAML or JSON; `name` is what errors call the file."""
    reader = _Reader(name)
    return _checked(reader.document(text), reader)


def from_data(data: dict[str, Any], *, name: str = "plan") -> Plan:
    """The plan that JSON-able data stands for, with the checks of a file."""
    return loads(json.dumps(data), name=name) if name != "plan" else _checked_data(data)


def _checked_data(data: dict[str, Any]) -> Plan:
    reader = _Reader("")
    return _checked(reader.document(json.dumps(data)), reader)


class _Reader:
    """One document: its nodes turned into data, and where each key stood."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.lines: dict[str, int] = {}
        self._values = 0

    def where(self, key: str) -> str:
        """File, line and key of a value, or of the nearest one around it."""
        outer = key
        while outer not in self.lines and outer:
            outer = re.sub(r"(^|\.)[^.\[]*$|\[\d+\]$", "", outer)
        if not self.name:
            return key or "plan"
        return f"{self.name}:{self.lines.get(outer, 1)}" + (f" ({key})" if key else "")

    def document(self, text: str) -> Any:
        """The data of a document."""
        if self.name.endswith(".json"):
            # YAML forbids the tabs that JSON allows between values; inside a JSON string there are none.
            text = text.replace("\t", " ")
            self._check_json(text)
        try:
            nodes = list(yaml.compose_all(text, Loader=yaml.SafeLoader))
        except yaml.YAMLError as error:
            raise self._not_yaml(error) from error
        except RecursionError as error:
            raise UsageError("the plan is nested too deeply", where=self.name) from error
        if len(nodes) != 1:
            what = "is empty" if not nodes else "holds more than one document"
            raise UsageError(f"the plan {what}", where=self.name or None)
        return self.build(nodes[0], inspect.type_info(Plan), "")

    def build(self, node: yaml.Node, wanted: inspect.Type, key: str) -> Any:
        """The data of `node`, read as what `wanted` (a type of the plan) says it should be."""
        self.lines.setdefault(key, node.start_mark.line + 1)
        self._values += 1
        if self._values > _MAXIMUM_VALUES:
            raise UsageError("the plan is too large", where=self.where(key))
        choices = list(_choices(wanted))
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, choices, key)
        if isinstance(node, yaml.SequenceNode):
            return [
                self.build(inner, _element(choices), f"{key}[{number}]")
                for number, inner in enumerate(node.value)
            ]
        return self._scalar(node, choices, key)

    def _mapping(self, node: yaml.MappingNode, choices: list[inspect.Type], key: str) -> dict[str, Any]:
        struct = next((choice for choice in choices if isinstance(choice, inspect.StructType)), None)
        entry = next((choice.value_type for choice in choices if isinstance(choice, inspect.DictType)), None)
        known = {field.encode_name: field.type for field in struct.fields} if struct else {}
        result: dict[str, Any] = {}
        for key_node, value_node in node.value:
            name = key_node.value if isinstance(key_node, yaml.ScalarNode) else None
            place = f"{key}.{name}".lstrip(".")
            self.lines[place] = key_node.start_mark.line + 1
            if not isinstance(name, str) or key_node.tag == "tag:yaml.org,2002:merge":
                raise UsageError("a key must be plain text", where=self.where(place))
            if name in result:
                raise UsageError(f"the key `{name}` stands twice", where=self.where(place))
            if struct is not None and name not in known:
                raise self._unknown(name, key, list(known))
            self._refuse_later(key, name, value_node)
            result[name] = self.build(value_node, known.get(name) or entry or inspect.AnyType(), place)
        return result

    def _scalar(self, node: yaml.Node, choices: list[inspect.Type], key: str) -> Any:
        plain = yaml.SafeLoader("")
        texts = any(isinstance(choice, inspect.StrType | inspect.LiteralType) for choice in choices)
        null = node.tag == "tag:yaml.org,2002:null"
        if isinstance(node.value, str) and any(0xD800 <= ord(c) <= 0xDFFF for c in node.value):
            # JSON writes what lies beyond U+FFFF as two escapes, which YAML's reader leaves apart.
            node.value = node.value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        numbers = any(isinstance(c, inspect.LiteralType) and isinstance(c.values[0], int) for c in choices)
        if texts and not null and not numbers:
            return node.value
        try:
            return plain.construct_object(node)
        except (yaml.YAMLError, ValueError) as error:
            raise UsageError(f"`{node.value}` cannot be read", where=self.where(key)) from error
        finally:
            plain.dispose()

    def _unknown(self, name: str, key: str, known: list[str]) -> UsageError | MissingMechanism:
        place = f"{key}.{name}".lstrip(".")
        if name in _LATER_KEYS.get(key, ()):
            return MissingMechanism(
                f"the plan's key `{place}` names what this version does not have",
                where=self.where(place),
                hint="use `agent: {program: …}`" if key == "agent" else f"leave `{place}` out",
            )
        near = difflib.get_close_matches(name, known, 1, 0.5)
        return UsageError(
            f"unknown key `{name}`" + (f" in `{key}`" if key else ""),
            where=self.where(place),
            hint=f"did you mean `{near[0]}`?" if near else f"known here: {', '.join(sorted(known))}",
        )

    def _refuse_later(self, key: str, name: str, node: yaml.Node) -> None:
        place = f"{key}.{name}".lstrip(".")
        value = node.value.lower() if isinstance(node.value, str) else ""
        if value in _LATER_VALUES.get(place, ()):
            raise MissingMechanism(
                f"the plan's `{place}: {node.value}` names what this version does not have",
                where=self.where(place),
                hint=f"leave `{place}` out",
            )

    def _check_json(self, text: str) -> None:
        try:
            json.loads(text)
        except json.JSONDecodeError as error:
            where = f"{self.name}:{error.lineno}:{error.colno}"
            raise UsageError(f"this is not JSON: {error.msg}", where=where) from error
        except RecursionError as error:
            raise UsageError("the plan is nested too deeply", where=self.name) from error

    def _not_yaml(self, error: yaml.YAMLError) -> UsageError:
        mark = getattr(error, "problem_mark", None)
        where = f"{self.name}:{mark.line + 1}:{mark.column + 1}" if mark else self.name
        return UsageError(
            f"this is not YAML: {getattr(error, 'problem', None) or error}",
            where=where or None,
            hint="quote text that contains `: `, `{` or `#`",
        )


def _choices(wanted: inspect.Type) -> Iterator[inspect.Type]:
    if isinstance(wanted, inspect.Metadata):
        yield from _choices(wanted.type)
    elif isinstance(wanted, inspect.UnionType):
        for inner in wanted.types:
            yield from _choices(inner)
    else:
        yield wanted


def _element(choices: list[inspect.Type]) -> inspect.Type:
    for choice in choices:
        if isinstance(choice, inspect.VarTupleType | inspect.ListType):
            return choice.item_type
    return inspect.AnyType()


def _read(path: Path) -> str:
    if path.suffix == ".md":
        raise MissingMechanism(
            "a plan made of a document needs a model, which this version does not use for planning",
            where=str(path),
            hint="write a plan file, or use --units and --program",
        )
    try:
        if path.stat().st_size > MAXIMUM_BYTES:
            raise UsageError("the plan is too large", where=str(path), hint="at most 4 MiB")
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise UsageError(f"the plan cannot be read: {error.strerror}", where=str(path)) from error
    except UnicodeDecodeError as error:
        raise UsageError(
            "the plan is not UTF-8 text", where=f"{path}, byte {error.start}", hint="save it as UTF-8"
        ) from error


def _checked(data: Any, reader: _Reader) -> Plan:
    if not isinstance(data, dict):
        raise UsageError(
            "the plan is not a set of keys", where=reader.name or None, hint="it starts with `version: 1`"
        )
    try:
        plan = msgspec.convert(data, Plan, strict=True)
    except msgspec.ValidationError as error:
        raise _invalid(str(error), reader) from error
    duration_us(plan.limits.timeout, where=reader.where("limits.timeout"))
    check_units(plan.slicing, "units.list" if isinstance(plan.units, Units) else "units", reader.where)
    return plan


def _invalid(message: str, reader: _Reader) -> UsageError:
    found = _AT.search(message)
    key = found.group(1) if found else ""
    text = _AT.sub("", message)
    missing = re.match(r"Object missing required field `(.*)`", text)
    if missing:
        name = f"{key}.{missing.group(1)}".lstrip(".")
        return UsageError(f"the plan lacks `{name}`", where=reader.where(key), hint=_EXAMPLES.get(name))
    return UsageError(
        f"`{key or 'plan'}`: {text[:1].lower()}{text[1:]}", where=reader.where(key), hint=_EXAMPLES.get(key)
    )


_EXAMPLES = {
    "units": 'units: {from: dirs, glob: "src/*/"}',
    "agent": 'agent: {program: "ruff check --fix {paths}"}',
    "agent.program": 'agent: {program: "ruff check --fix {paths}"}',
    "verify": 'verify: {run: "pytest -q"}',
    "verify.run": 'verify: {run: "pytest -q"}',
    "limits.timeout": "write for example 90s, 10m or 1h30m",
    "limits.budget_usd": 'write a decimal such as "2.50"',
    "limits.unit_budget_usd": 'write a decimal such as "2.50"',
    "version": "this version reads plans of version 1",
}
