"""The output of one phase of an attempt: into its stream, bounded, with its end kept at hand."""

from __future__ import annotations

from typing import Protocol

LOG_BYTES = 4 << 20
"""Bytes of output that are kept from the beginning; of what follows, only the end."""

TAIL_BYTES = 64 << 10


class Streams(Protocol):
    """The part of the kernel that output goes to."""

    async def stream_append(self, stream: str, data: bytes) -> None: ...


class Readable(Protocol):
    """The part of the kernel that output comes from."""

    def stream(self, name: str, offset: int = 0, limit: int = 1 << 20) -> bytes: ...


class Log:
    """Writes output to the stream `name`. A program that never stops talking fills no disk."""

    def __init__(self, kernel: Streams, name: str) -> None:
        self._kernel = kernel
        self._name = name
        self._kept = 0
        self._left_out = 0
        self._tail = bytearray()

    async def write(self, data: bytes) -> None:
        """Appends output as it comes."""
        head = data[: max(0, LOG_BYTES - self._kept)]
        if head:
            self._kept += len(head)
            await self._kernel.stream_append(self._name, head)
        self._left_out += len(data) - len(head)
        self._tail += data
        del self._tail[:-TAIL_BYTES]

    async def close(self) -> None:
        """Adds the end of output that was left out."""
        if self._left_out:
            end = bytes(self._tail[-min(self._left_out, TAIL_BYTES) :])
            note = f"\n… {self._left_out - len(end)} bytes left out …\n".encode()
            await self._kernel.stream_append(self._name, note + end)
            self._left_out = 0

    @property
    def end(self) -> str:
        """The last of the output, as text."""
        return self._tail.decode("utf-8", "replace")


def whole(kernel: Readable, name: str) -> bytes:
    """All that a stream holds."""
    parts: list[bytes] = []
    offset = 0
    while part := kernel.stream(name, offset):
        parts.append(part)
        offset += len(part)
    return b"".join(parts)
