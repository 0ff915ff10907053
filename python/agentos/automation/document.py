"""Reads documents that people keep: TOML or YAML, each error with its file and line."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from datetime import date, datetime, time
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from agentos.automation.work import check_name
from agentos.errors import UsageError

LARGEST = 1 << 20
"""Bytes of a document at most."""

Wanted = TypeVar("Wanted")
_AT = re.compile(r" - at `(?:key in )?\$\.?(.*?)`$")


class Document:
    """A document's data, and where each of its keys stands."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._text = _read(path)
        self._lines: dict[str, int] = {}
        self._loose = path.suffix in (".yaml", ".yml")
        if path.suffix not in (".toml", ".yaml", ".yml"):
            raise UsageError("a document ends in .toml, .yaml or .yml", where=str(path))
        self.data = self._yaml() if self._loose else self._toml()

    def convert(self, wanted: type[Wanted]) -> Wanted:
        """The document as a `wanted`. Raises UsageError with the place of what is not as it should be."""
        try:
            # What YAML's plain text stands for is up to the type that is wanted.
            return msgspec.convert(self.data, wanted, strict=not self._loose)
        except msgspec.ValidationError as error:
            found = _AT.search(str(error))
            key = found.group(1).replace("[...]", "") if found else ""
            text = _AT.sub("", str(error))
            unknown = re.search(r"unknown field `(.*)`", text)
            if unknown:
                key = f"{key}.{unknown[1]}".lstrip(".")
            raise UsageError(f"{text[:1].lower()}{text[1:]}", where=self.where(key)) from None

    def name(self, given: str | None) -> str:
        """The document's name: `given` in it, else that of its file. Raises UsageError where it is none."""
        try:
            return check_name(self.path.stem if given is None else given)
        except UsageError as error:
            raise UsageError(error.message, where=self.where("name"), hint=error.hint) from None

    def where(self, key: str) -> str:
        """File, line and key, such as `jobs[1].cron`; of the nearest key around it where it is not there."""
        outer = key
        while outer and outer not in self._lines:
            outer = re.sub(r"(^|\.)[^.\[]*$|\[\d+\]$", "", outer)
        return f"{self.path}:{self._lines.get(outer, 1)}" + (f" ({key})" if key else "")

    def _toml(self) -> dict[str, Any]:
        try:
            data = tomllib.loads(self._text)
        except tomllib.TOMLDecodeError as error:
            place = re.search(r"line (\d+)", str(error))
            line = place[1] if place else str(len(self._text.splitlines()))
            raise UsageError(f"this is not TOML: {error}", where=f"{self.path}:{line}") from None
        self._lines = dict(_toml_lines(self._text))
        plain: dict[str, Any] = _plain(data)
        return plain

    def _yaml(self) -> dict[str, Any]:
        import yaml

        try:
            node = yaml.compose(self._text, Loader=yaml.BaseLoader)
        except yaml.YAMLError as error:
            mark = getattr(error, "problem_mark", None)
            line = mark.line + 1 if mark else 1
            said = getattr(error, "problem", None) or error
            raise UsageError(f"this is not YAML: {said}", where=f"{self.path}:{line}") from None
        except RecursionError:
            raise UsageError("the document is nested too deeply", where=str(self.path)) from None
        if not isinstance(node, yaml.MappingNode):
            raise UsageError("the document is not a set of keys", where=f"{self.path}:1")
        data: dict[str, Any] = self._build(node, "")
        return data

    def _build(self, node: Any, key: str) -> Any:
        self._lines.setdefault(key, node.start_mark.line + 1)
        if node.id == "scalar":
            return node.value
        if node.id == "sequence":
            return [self._build(inner, f"{key}[{number}]") for number, inner in enumerate(node.value)]
        found: dict[str, Any] = {}
        for name, inner in node.value:
            place = f"{key}.{name.value}".lstrip(".")
            if name.id != "scalar" or name.value in found:
                self._lines[place] = name.start_mark.line + 1
                raise UsageError(f"the key `{name.value}` stands twice", where=self.where(place))
            self._lines[place] = name.start_mark.line + 1
            found[name.value] = self._build(inner, place)
        return found


def _toml_lines(text: str) -> Iterator[tuple[str, int]]:
    """The line of each key of a TOML document, as far as they stand at the beginning of one."""
    counts: dict[str, int] = {}
    table = ""
    for number, line in enumerate(text.splitlines(), 1):
        header = re.match(r"\s*(\[\[?)\s*([\w.\"' -]+?)\s*\]", line)
        assigned = re.match(r"\s*([\w.-]+|\"[^\"]*\")\s*=", line)
        if header:
            table = header[2]
            for outer in sorted(counts, key=len):
                if table.startswith(f"{outer}."):
                    table = f"{outer}[{counts[outer]}]{table[len(outer) :]}"
            if header[1] == "[[":
                counts[table] = counts.get(table, -1) + 1
                table = f"{table}[{counts[table]}]"
            yield table, number
        elif assigned:
            yield f"{table}.{assigned[1].strip(chr(34))}".lstrip("."), number


def _plain(value: Any) -> Any:
    """TOML's dates as the text that they are."""
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_plain(inner) for inner in value]
    return value.isoformat() if isinstance(value, datetime | date | time) else value


def _read(path: Path) -> str:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UsageError(f"the document cannot be read: {error.strerror}", where=str(path)) from None
    if len(data) > LARGEST:
        raise UsageError("the document is larger than a mebibyte", where=str(path))
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        where = f"{path}, byte {error.start}"
        raise UsageError("the document is not UTF-8 text", where=where, hint="save it as UTF-8") from None
