"""The transcript of an agent: append-only, durable, one entry for each message.

Entries are blobs, each naming the one before it; the newest is named by the agent's record. So an entry is
there exactly when the record that names it is, and a run that was cut off goes on after its last one. The
chain of records covers what was said without holding it: blobs can be deleted, the chain still verifies.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import msgspec

from agentos.errors import Failed
from agentos.kernel import Kernel, ReadOnlyKernel
from agentos.models.conversation import Message, ToolUse, Usage, said
from agentos.runtime.agent import Record

VERSION = 1


class Entry(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One message with what it cost. `stop` is why the model stopped, `previous` the entry before."""

    turn: int
    at: str
    message: Message
    previous: str | None = None
    usage: Usage | None = None
    cost_micros: int = 0
    stop: str | None = None
    version: int = VERSION


class Transcript:
    """An agent's messages, in memory and on disk alike."""

    def __init__(self, kernel: Kernel, record: Record) -> None:
        self._kernel = kernel
        self._record = record
        self._entries = list(entries(kernel, record.head))

    @property
    def last(self) -> Entry:
        """The newest entry; there is one as soon as the agent has heard a task."""
        return self._entries[-1]

    def open_calls(self) -> tuple[ToolUse, ...]:
        """The calls of tools that have no results yet."""
        return self.last.message.tool_uses() if self._entries else ()

    def messages(self) -> list[Message]:
        """The conversation, oldest first."""
        return [entry.message for entry in self._entries]

    def measured(self) -> tuple[int, list[Message]]:
        """The tokens of the longest beginning of the conversation whose size the provider has told (0:
        none yet), reply included, and the messages after it."""
        for at in range(len(self._entries) - 1, -1, -1):
            usage = self._entries[at].usage
            if usage is not None and usage.total_tokens:
                return usage.total_tokens, self.messages()[at + 1 :]
        return 0, self.messages()

    async def hear(self) -> str | None:
        """Takes the oldest thing that the agent was told into the conversation; None where there is none."""
        texts = unheard(self._kernel, self._record)
        if not texts:
            return None
        await self.add(said(texts[0]), heard=True)
        return texts[0]

    async def add(
        self,
        message: Message,
        *,
        usage: Usage | None = None,
        cost_micros: int = 0,
        stop: str | None = None,
        heard: bool = False,
    ) -> None:
        """Appends a message; durable, with the record as it now is, when this returns. `heard`: it is the
        oldest thing that the agent was told."""
        turn = self._record.turns + 1 if message.role == "assistant" else self._record.turns
        entry = Entry(
            turn=turn,
            at=now(),
            message=message,
            previous=self._record.head,
            usage=usage,
            cost_micros=cost_micros,
            stop=stop,
        )
        head = await self._kernel.blob_put(msgspec.json.encode(entry))
        if heard:
            await change_unheard(self._kernel, self._record, lambda texts: texts[1:])
        self._record.head = head
        self._record.turns = turn
        self._record.usage = self._record.usage.plus(usage or Usage())
        self._entries.append(entry)
        await save(self._kernel, self._record)


def unheard(kernel: ReadOnlyKernel, record: Record) -> list[str]:
    """What the agent was told and has not taken into its transcript, oldest first."""
    if record.unheard is None:
        return []
    data = kernel.blob(record.unheard)
    if data is None:
        raise Failed("a part of the transcript was deleted", where=record.unheard)
    return msgspec.json.decode(data, type=list[str])


async def change_unheard(kernel: Kernel, record: Record, change: Callable[[list[str]], list[str]]) -> None:
    """Changes what waits to be heard; durable with the record."""
    while True:
        before = record.unheard
        texts = change(unheard(kernel, record))
        after = await kernel.blob_put(msgspec.json.encode(texts)) if texts else None
        # Storing may wait for the disk, and somebody else may say something meanwhile.
        if record.unheard == before:
            record.unheard = after
            return


def cut(text: str, most: int) -> str:
    """The beginning of `text` that takes at most `most` bytes of a record."""
    while len(msgspec.json.encode(text)) > most:
        text = text[: len(text) * 7 // 8]
    return text


async def save(kernel: Kernel, record: Record) -> None:
    """Writes the agent's record durably."""
    body: dict[str, Any] = msgspec.to_builtins(record)
    await kernel.put("agent", record.id, body)


def entries(kernel: ReadOnlyKernel, head: str | None) -> Iterator[Entry]:
    """The entries that lead to `head`, oldest first. Failed where one of them is gone."""
    found: list[Entry] = []
    while head is not None:
        data = kernel.blob(head)
        if data is None:
            raise Failed("a part of the transcript was deleted", where=head)
        entry = msgspec.json.decode(data, type=Entry)
        found.append(entry)
        head = entry.previous
    yield from reversed(found)


def now() -> str:
    """UTC, ISO 8601."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
