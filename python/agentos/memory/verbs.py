"""What the daemon does for memory: it hands out the tickets. The work itself is the client's."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentos.memory.ticket import ACTING as ACTING

if TYPE_CHECKING:
    from agentos.runtime.system import Reading

READING: dict[str, Reading] = {}
