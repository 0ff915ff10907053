"""A batch as a document to keep or to send: Markdown or a web page. Whatever came from an agent or a file
name is text in it and nothing else: no markup, no control sequences."""

from __future__ import annotations

import html as markup
import re
from typing import Any

from agentos.printable import printable_line

_MARKDOWN = re.compile(r"([\\`*_{}\[\]<>()#+!|~&-])")
_COLUMNS = ("unit", "state", "branch", "files", "verify", "review", "failure")


def markdown(status: dict[str, Any]) -> str:
    """The report of a status document as Markdown."""
    lines = [f"# {_escaped(status['name'])}", "", *(f"- {_escaped(line)}" for line in _facts(status)), ""]
    lines += ["| " + " | ".join(_COLUMNS) + " |", "|" + "---|" * len(_COLUMNS)]
    for unit in status["units"]:
        lines.append("| " + " | ".join(_escaped(cell) for cell in _cells(unit)) + " |")
    return "\n".join(lines) + "\n"


def html(status: dict[str, Any]) -> str:
    """The report of a status document as a page without scripts, styles from elsewhere or links."""
    facts = "".join(f"<li>{_plain(line)}</li>" for line in _facts(status))
    head = "".join(f"<th>{column}</th>" for column in _COLUMNS)
    rows = "".join(
        f"<tr class={unit['state']}>"
        + "".join(f"<td>{_plain(cell)}</td>" for cell in _cells(unit))
        + "</tr>\n"
        for unit in status["units"]
    )
    name = _plain(status["name"])
    return (
        "<!doctype html>\n<html lang=en><meta charset=utf-8>"
        "<meta http-equiv=Content-Security-Policy content=\"default-src 'none'; style-src 'unsafe-inline'\">"
        f"<title>{name}</title>\n<style>body{{font:15px sans-serif;margin:2em}}td,th{{padding:.3em .8em;"
        "text-align:left;border-bottom:1px solid #ccc}.failed,.cancelled{background:#fee}</style>\n"
        f"<h1>{name}</h1>\n<ul>{facts}</ul>\n<table><tr>{head}</tr>\n{rows}</table></html>\n"
    )


def _facts(status: dict[str, Any]) -> list[str]:
    landed = sum(unit["commit"] is not None for unit in status["units"])
    baseline = status["baseline"]
    told = "none" if baseline is None else f"exit code {baseline['exit_code']}"
    return [
        f"{status['batch']}: {status['state']}, {landed} of {len(status['units'])} landed",
        f"repository {status['repo']}, base {status['base']}",
        f"created {status['created']}, confined: {status['level']}",
        f"verification on the untouched base: {told}",
        f"spent {status['spent_usd']} of {status['budget_usd']} USD",
    ]


def _cells(unit: dict[str, Any]) -> list[str]:
    verify, failure = unit["verify"], unit["failure"]
    return [
        unit["title"],
        unit["state"],
        unit["branch"] if unit["commit"] else "",
        str(unit["files_changed"]),
        "" if verify is None else f"exit code {verify['exit_code']} in {verify['seconds']} s",
        "" if unit["review"] == "none" else unit["review"],
        "" if failure is None else f"{failure['kind']}: {failure['message']}",
    ]


def _escaped(text: str) -> str:
    return _MARKDOWN.sub(r"\\\1", printable_line(text))


def _plain(text: str) -> str:
    return markup.escape(printable_line(text))
