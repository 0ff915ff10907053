"""A program's own functions as tools of an agent: the schema comes from their type hints.

A call is checked against the hints before the function runs; what it returns goes to the model as text, or
else as JSON; what it raises goes there as an error. Synchronous functions run in a thread.
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar, get_type_hints

import msgspec

from agentos.errors import UsageError
from agentos.messages import Recovery
from agentos.runtime.agent import Function

Anything = TypeVar("Anything", bound=Callable[..., Any])

_RECOVERY = "__agentos_recovery__"


def recovery(kind: Recovery) -> Callable[[Anything], Anything]:
    """Declares what is right after a call that was cut off: `pure` (it changes nothing), `repeatable` (doing
    it again does no harm), `keyed` (the far side knows whether it was done), `once` (the default)."""

    def declare(function: Anything) -> Anything:
        setattr(function, _RECOVERY, kind)
        return function

    return declare


def pure(function: Anything) -> Anything:
    """Declares that a function changes nothing: a call of it that was cut off is forgotten."""
    return recovery("pure")(function)


class FunctionTool:
    """One function. Raises UsageError where its signature cannot be a tool's."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.call: Callable[..., Any] = function
        self.arguments = _arguments(function)
        description = inspect.getdoc(function) or ""
        self.spec = Function(
            name=_name(function),
            description=description,
            parameters=object_schema(self.arguments),
            recovery=getattr(function, _RECOVERY, "once"),
        )

    async def perform(self, given: dict[str, Any], run: Run) -> tuple[str, bool]:
        """What a call came to, as text, and whether that is an error."""
        try:
            arguments = msgspec.convert(given, self.arguments)
        except msgspec.ValidationError as error:
            return f"wrong arguments: {error}", True
        values = {name: getattr(arguments, name) for name in arguments.__struct_fields__}
        try:
            found = await run(self.call, **values)
            return (found, False) if isinstance(found, str) else (_json(found), False)
        except Exception as error:
            return f"{type(error).__name__}: {error}", True


Run = Callable[..., Awaitable[Any]]
"""How functions of the program are called: `run(function, *arguments, **arguments)`."""


async def in_trio(function: Callable[..., Any], /, *arguments: Any, **named: Any) -> Any:
    """Calls an async function here, another one in a thread: it may block."""
    import trio

    if inspect.iscoroutinefunction(function):
        return await function(*arguments, **named)
    return await trio.to_thread.run_sync(lambda: function(*arguments, **named))


def object_schema(kind: Any) -> dict[str, Any]:
    """The JSON Schema of a type, itself at the top and what it refers to in `$defs`."""
    schema = msgspec.json.schema(kind)
    named = schema.get("$ref", "").removeprefix("#/$defs/")
    if not named:
        return schema
    own: dict[str, Any] = schema["$defs"].pop(named)
    text = msgspec.json.encode([own, schema["$defs"]]).decode()
    if f'"#/$defs/{named}"' in text:
        # It refers to itself.
        schema["$defs"][named] = own
    return own | ({"$defs": schema["$defs"]} if schema["$defs"] else {})


def _name(function: Callable[..., Any]) -> str:
    name = getattr(function, "__name__", "")
    if not name.isascii() or not name.isidentifier() or name.startswith("_") or len(name) > 64:
        raise UsageError(f"{function!r} has no name that a tool can have", hint="write it as `def name(…)`")
    return name


def _arguments(function: Callable[..., Any]) -> type[msgspec.Struct]:
    """A struct of the function's parameters."""
    name = _name(function)
    try:
        hints = get_type_hints(function, include_extras=True)
        signature = inspect.signature(function)
    except Exception as error:  # hints may be any expression
        raise UsageError(f"the type hints of `{name}` cannot be read: {error}") from None
    fields: list[Any] = []
    for parameter in signature.parameters.values():
        if parameter.kind not in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY):
            raise UsageError(
                f"`{name}` takes {parameter}, which no model can give", hint="name each parameter"
            )
        if parameter.name not in hints:
            raise UsageError(f"`{name}` does not say of which type `{parameter.name}` is")
        field = (parameter.name, hints[parameter.name])
        fields.append(
            field if parameter.default is parameter.empty else (*field, _default(parameter.default))
        )
    try:
        made = msgspec.defstruct(name, fields, kw_only=True, forbid_unknown_fields=True, frozen=True)
        object_schema(made)
    except Exception as error:  # a type may be anything, and its hints any expression
        raise UsageError(f"a type of `{name}` has no JSON form: {error}") from None
    return made


def _default(value: Any) -> Any:
    """A default that calls do not share: a model is told of plain ones, others are copied for each call."""
    if value is None or isinstance(value, str | int | float | tuple):
        return value
    return msgspec.field(default_factory=lambda: copy.deepcopy(value))


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()
