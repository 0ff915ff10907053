"""Leases of loopback ports: ten for each unit under way, never the same to two at once."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

PORTS_EACH = 10
FIRST = 21_000
LAST = 31_000


class PortLeases:
    """Blocks of ten ports below the range that the system hands out by itself."""

    def __init__(self) -> None:
        self._taken: set[int] = set()

    @contextlib.contextmanager
    def lease(self) -> Iterator[range]:
        """Ten ports for as long as the context lasts.

        Raises: RuntimeError when a thousand units hold theirs at once.
        """
        block = next((at for at in range(FIRST, LAST, PORTS_EACH) if at not in self._taken), None)
        if block is None:
            raise RuntimeError("every block of ports is leased")
        self._taken.add(block)
        try:
            yield range(block, block + PORTS_EACH)
        finally:
            self._taken.discard(block)
