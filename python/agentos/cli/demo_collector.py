"""The demo's listener: what an attacker would send its finds to, here on loopback, counting its visitors."""

from __future__ import annotations

import socket
import threading
from types import TracebackType
from typing import Self


class Collector:
    """Listens on a free loopback port while entered, and counts who connects."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._visits = 0
        self._thread = threading.Thread(target=self._serve, daemon=True)
        host, port = self._listener.getsockname()
        self.address = f"{host}:{port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        # Closing alone does not wake a thread that waits in accept.
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()

    def visit(self) -> None:
        """Connects as anybody on this machine could; returns once the visit is counted."""
        host, _, port = self.address.rpartition(":")
        with socket.create_connection((host, int(port))) as connection:
            connection.recv(1)

    def visits(self) -> int:
        """How many have connected so far."""
        return self._visits

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self._visits += 1
            connection.close()
