"""Who may be a client: a process of the same user that is confined no further than the daemon.

An agent that found its way to `kernel.sock` could approve itself; so a peer in other namespaces, or under
seccomp or no-new-privileges that the daemon is not under, is refused.
"""

from __future__ import annotations

import os
import socket
import struct
from pathlib import Path

_NAMESPACES = ("pid", "user", "mnt", "net")
_FIELDS = ("Seccomp", "NoNewPrivs", "Seccomp_filters")


def refusal(peer: socket.socket) -> str | None:
    """Why this peer is not served, or None."""
    credentials = peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    pid, uid, _ = struct.unpack("3i", credentials)
    if uid != os.geteuid():
        return f"this home belongs to user {os.geteuid()}, and you are user {uid}"
    if pid <= 0:
        return "the client lives in another pid namespace"
    try:
        for name in _NAMESPACES:
            if _namespace(pid, name) != _namespace("self", name):
                return f"the client lives in another {name} namespace than the daemon"
        ours, theirs = _confinement("self"), _confinement(pid)
    except OSError:
        return "the client's confinement cannot be read"
    for name in _FIELDS:
        if theirs.get(name, 0) > ours.get(name, 0):
            return f"the client is confined ({name} {theirs[name]}) and the daemon is not"
    return None


def _namespace(pid: int | str, name: str) -> str:
    return str(Path(f"/proc/{pid}/ns/{name}").readlink())


def _confinement(pid: int | str) -> dict[str, int]:
    found = {}
    for line in Path(f"/proc/{pid}/status").read_text(errors="replace").splitlines():
        name, _, value = line.partition(":")
        if name in _FIELDS:
            found[name] = int(value)
    return found
