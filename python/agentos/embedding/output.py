"""Structured output: an answer in JSON, checked against a type, with one chance to mend it."""

from __future__ import annotations

import re
from typing import Any

import msgspec

from agentos.embedding.functions import object_schema
from agentos.errors import UsageError

_FENCED = re.compile(r"\A\s*```(?:json)?\s*\n(.*)\n\s*```\s*\Z", re.DOTALL)


class Unfit(Exception):
    """The text is not of the type; the message says why, for the model."""


def schema(kind: Any) -> dict[str, Any]:
    """The JSON Schema of an output type. Raises UsageError where it has none."""
    try:
        return object_schema(kind)
    except Exception as error:  # a type may be anything, and its hints any expression
        raise UsageError(f"the output type has no JSON form: {error}") from None


def instructions(kind: Any) -> str:
    """What the model is told about its answer."""
    text = msgspec.json.encode(schema(kind)).decode()
    return f"Your last message is read by a program: it is one JSON value and nothing else, valid for\n{text}"


def parse(text: str, kind: Any) -> Any:
    """The value that `text` holds, alone or in a fenced block. Raises Unfit."""
    fenced = _FENCED.match(text)
    try:
        return msgspec.json.decode((fenced.group(1) if fenced else text).strip(), type=kind)
    except (msgspec.DecodeError, ValueError) as error:
        raise Unfit(str(error)) from None


def repair(why: Unfit) -> str:
    """What the model is asked for when its answer did not fit."""
    return f"That cannot be read: {why}. Answer again with the JSON value alone."
