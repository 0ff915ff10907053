"""Bounds on what a tool says: a model's context is paid for on every turn after it."""

from __future__ import annotations

LIMIT = 30_000  # characters


def bounded(text: str, limit: int = LIMIT) -> str:
    """`text` with its middle left out, and saying so, when it is longer than `limit` characters."""
    if len(text) <= limit:
        return text
    head, tail = limit * 2 // 3, limit // 3
    return f"{text[:head]}\n[… {len(text) - head - tail} characters left out …]\n{text[-tail:]}"


class Tail:
    """Collects a stream of bytes in bounded memory: its beginning and its end."""

    def __init__(self, limit: int = LIMIT) -> None:
        self._room = limit * 2 // 3
        self._keep = limit // 3
        self._head = bytearray()
        self._tail = bytearray()
        self._dropped = 0

    def add(self, data: bytes) -> None:
        """Take the next bytes."""
        taken = self._room - len(self._head)
        self._head += data[:taken] if taken > 0 else b""
        self._tail += data[taken:] if taken > 0 else data
        surplus = len(self._tail) - self._keep
        # Trimmed in strides, so that a flood of small pieces does not copy the end each time.
        if surplus > self._keep:
            del self._tail[:surplus]
            self._dropped += surplus

    def text(self) -> str:
        """What was kept, with a note about what was not."""
        surplus = max(0, len(self._tail) - self._keep)
        dropped = self._dropped + surplus
        head, tail = bytes(self._head), bytes(self._tail[surplus:])
        if not dropped:
            return (head + tail).decode("utf-8", "replace")
        note = f"\n[… {dropped} bytes left out …]\n"
        return head.decode("utf-8", "replace") + note + tail.decode("utf-8", "replace")
