"""The clients of a daemon: their sessions, and the keys that each new broker asks them for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentos.daemon.session import ClientSession

if TYPE_CHECKING:
    import trio

    from agentos.runtime.system import System


class Clients:
    """Everybody who is connected to `system`."""

    def __init__(self, system: System) -> None:
        self._system = system
        self._sessions: dict[str, ClientSession] = {}
        system.broker.on_restart = self._ask_keys_again

    def __len__(self) -> int:
        return len(self._sessions)

    async def serve(self, stream: trio.SocketStream, id: str) -> None:
        """Serves one client, under the session `id`, until it is gone."""
        session = self._sessions[id] = ClientSession(self._system, stream, id)
        try:
            await session.serve()
        finally:
            del self._sessions[id]

    def _ask_keys_again(self, sessions: frozenset[str]) -> None:
        for id in sessions & self._sessions.keys():
            self._sessions[id].ask_keys_again()
