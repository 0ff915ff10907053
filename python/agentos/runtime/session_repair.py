"""Makes of any conversation one that every provider accepts, and says what it mended.

What holds afterwards, for both wire formats: the first message is the user's, roles alternate, no message is
empty, every call has an id of its own and is answered once, in the message right behind it and before all
else there. A conversation for which all that holds comes back as it was, so a second repair changes nothing.

Pure: the transcript stays what it is, and each model call sends what this makes of it.

Deliberately different from OpenFang: words are never dropped to make the beginning fit, a line is put in
front instead; a result belongs to the nearest call of its id before it and a repeated id gets a new name,
where OpenFang takes the last call of an id for all of them; and nothing is taken for an attack by its
wording: a list of phrases stops nobody, labels do.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from agentos.models.conversation import Block, Message, Text, Thinking, ToolResult, ToolUse, said
from agentos.runtime.inline_data import strip_base64

LOST = "interrupted: the result of this call was lost, so its outcome is unknown."
BEGINNING = "[What was said before is missing.]"
NOTHING = "[Nothing was said.]"


class Report(msgspec.Struct, kw_only=True, omit_defaults=True):
    """What was repaired, in pieces.

    Results: `orphans` and `duplicates` were dropped, `moved` ones stood elsewhere, `synthesised` ones were
    missing, `stripped` counts runs of base64. Calls: `renamed` ones had an id that was taken, or none.
    Blocks: `foreign` ones cannot be said by their side or at their place. Messages: `merged` ones went into
    the one before, `emptied` ones said nothing and were left out, `filled` ones were put in.
    """

    orphans: int = 0
    duplicates: int = 0
    moved: int = 0
    synthesised: int = 0
    stripped: int = 0
    renamed: int = 0
    foreign: int = 0
    merged: int = 0
    emptied: int = 0
    filled: int = 0

    def __bool__(self) -> bool:
        return self != Report()

    @property
    def added_bytes(self) -> int:
        """A bound on what was put in: no line of it is longer than this, nor is a new name."""
        return 256 * (self.synthesised + self.filled + 2 * self.renamed)


class _Call:
    """A call, the id that it goes by, and its answer once found."""

    def __init__(self, at: int, use: ToolUse, id: str) -> None:
        self.at = at
        self.use = use
        self.id = id
        self.result: ToolResult | None = None
        self.found_at = at + 1


def repair(conversation: Sequence[Message]) -> tuple[list[Message], Report]:
    """The conversation as it can be sent, and what was mended. An empty one stays empty."""
    report = Report()
    calls = _calls(conversation, report)
    _pair(conversation, calls, report)
    turns = _merged(_turns(conversation, calls, report), report)
    if turns and turns[0].role == "assistant":
        turns.insert(0, said(BEGINNING))
        report.filled += 1
    if conversation and conversation[-1].role == "user" and (not turns or turns[-1].role == "assistant"):
        # The model is being asked: what it was asked has to stay a message, though it says nothing.
        turns.append(said(NOTHING))
        report.filled += 1
    return turns, report


def _calls(conversation: Sequence[Message], report: Report) -> list[list[_Call]]:
    """The calls of each message, every one with an id of its own."""
    taken: set[str] = set()
    found: list[list[_Call]] = []
    for at, message in enumerate(conversation):
        here: list[_Call] = []
        for use in message.tool_uses() if message.role == "assistant" else ():
            id, number = use.id, 1
            while not id or id in taken:
                number += 1
                id = f"{use.id or 'call'}_{number}"
            taken.add(id)
            report.renamed += id != use.id
            here.append(_Call(at, use, id))
        found.append(here)
    return found


def _pair(conversation: Sequence[Message], calls: list[list[_Call]], report: Report) -> None:
    """Gives each result to the call that it answers: of the calls of its id the nearest before it, or else,
    where there is none before it, the first after it that stays without an answer."""
    before: dict[str, list[_Call]] = {}
    early: list[tuple[int, ToolResult]] = []
    for at, message in enumerate(conversation):
        for made in calls[at]:
            before.setdefault(made.use.id, []).append(made)
        for block in message.content:
            if isinstance(block, ToolResult):
                known = before.get(block.id)
                if not known:
                    early.append((at, block))
                elif call := _open(known):
                    call.result, call.found_at = block, at
                else:
                    report.duplicates += 1
    for at, block in early:
        later = [call for call in before.get(block.id, []) if call.result is None]
        if later:
            later[0].result, later[0].found_at = block, at
        elif block.id in before:
            report.duplicates += 1
        else:
            report.orphans += 1


def _open(known: list[_Call]) -> _Call | None:
    """Of the calls without an answer the first of the newest message that has one."""
    waiting = [call for call in known if call.result is None]
    return next((call for call in waiting if call.at == waiting[-1].at), None)


def _turns(conversation: Sequence[Message], calls: list[list[_Call]], report: Report) -> Iterable[Message]:
    """The messages, each call's result right behind it; those that have nothing to say are left out."""
    answers: tuple[Block, ...] = ()
    for at, message in enumerate(conversation):
        if message.role == "assistant":
            if answers:
                yield Message(role="user", content=answers)
            content = _said(message, calls[at], report)
            answers = tuple(_answer(call, report) for call in calls[at])
        else:
            content = (*answers, *_asked(message, report))
            answers = ()
        if content:
            yield Message(role=message.role, content=content)
        elif not any(isinstance(block, ToolResult) for block in message.content):
            report.emptied += 1
    if answers:
        yield Message(role="user", content=answers)


def _asked(message: Message, report: Report) -> tuple[Block, ...]:
    """The user's words."""
    report.foreign += sum(isinstance(block, Thinking | ToolUse) for block in message.content)
    return tuple(block for block in message.content if isinstance(block, Text) and block.text.strip())


def _said(message: Message, calls: list[_Call], report: Report) -> tuple[Block, ...]:
    """What a model said. Thinking that leads to nothing is left out: providers refuse it at the end."""
    names = iter(calls)
    blocks: list[Block] = []
    for block in message.content:
        if isinstance(block, ToolUse):
            id = next(names).id
            blocks.append(block if id == block.id else msgspec.structs.replace(block, id=id))
        elif not isinstance(block, ToolResult):
            blocks.append(block)
    while blocks and not _stands_last(blocks[-1]):
        report.foreign += isinstance(blocks.pop(), Thinking)
    return tuple(blocks)


def _stands_last(block: Block) -> bool:
    return isinstance(block, ToolUse) or (isinstance(block, Text) and block.text.strip() != "")


def _answer(call: _Call, report: Report) -> ToolResult:
    result = call.result
    if result is None:
        report.synthesised += 1
        return ToolResult(id=call.id, text=LOST, error=True)
    report.moved += call.found_at != call.at + 1
    text, stripped = strip_base64(result.text)
    report.stripped += stripped
    if stripped or result.id != call.id:
        return ToolResult(id=call.id, text=text, error=result.error)
    return result


def _merged(turns: Iterable[Message], report: Report) -> list[Message]:
    """Neighbours of one role as one message."""
    found: list[Message] = []
    for turn in turns:
        if found and found[-1].role == turn.role:
            found[-1] = Message(role=turn.role, content=(*found[-1].content, *turn.content))
            report.merged += 1
        else:
            found.append(turn)
    return found
