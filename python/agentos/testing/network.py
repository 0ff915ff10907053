"""Hosts that are not there: a proxy on loopback that answers for them from a script and keeps what was asked.

    with FakeNetwork({"api.example.org": lambda request: HttpReply(body='{"ok": true}')}) as network:
        …  # with network.environment() set, urllib and most other clients ask the network
        assert network.asked("api.example.org")[0].path == "/status"

Plain HTTP alone: for HTTPS a client wants a certificate of the real host, which no fake can have.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from urllib.parse import urlsplit

from agentos.testing.loopback import Framing, Loopback, Request, framed


@dataclass(frozen=True)
class HttpReply:
    """One reply; `body` as text is sent as UTF-8."""

    status: int = 200
    body: str | bytes = ""
    headers: Mapping[str, str] = field(default_factory=dict)


HttpScript = Sequence[HttpReply] | Callable[[Request], HttpReply]


class FakeNetwork(Loopback):
    """Answers for `hosts` until the `with` block ends; a host that is not scripted cannot be reached (502).

    Each host has a sequence, answered in order (beyond its end: 502), or a callable that is asked for each
    request. In a recorded request `headers["host"]` is the host and `path` the path at it.
    """

    def __init__(self, hosts: Mapping[str, HttpScript] | None = None) -> None:
        super().__init__()
        self._hosts = dict(hosts or {})
        self._answered: dict[str, int] = {}

    def environment(self) -> dict[str, str]:
        """The variables that make clients of plain HTTP, and those that try HTTPS, come here."""
        proxies = ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY")
        return dict.fromkeys(proxies, self.url) | {"no_proxy": "", "NO_PROXY": ""}

    def asked(self, host: str) -> list[Request]:
        """The requests that were made to `host`, in order."""
        return [request for request in self.requests if request.headers["host"] == host]

    def answer(self, request: Request) -> tuple[bytes, Framing]:
        """What the script of the request's host has for it."""
        target = urlsplit(request.path if "://" in request.path else f"//{request.headers.get('host', '')}")
        host = target.hostname or request.path.partition(":")[0]
        request.headers["host"] = host
        if "://" in request.path:
            request.path = target._replace(scheme="", netloc="").geturl() or "/"
        reply = self._scripted(host, request)
        body = reply.body.encode() if isinstance(reply.body, str) else reply.body
        headers = [f"{name}: {value}" for name, value in reply.headers.items()]
        framing = Framing(body="length")
        return framed(f"{reply.status} {HTTPStatus(reply.status).phrase}", headers, body, framing), framing

    def _scripted(self, host: str, request: Request) -> HttpReply:
        if request.method == "CONNECT":
            return HttpReply(501, f"the fake network has no HTTPS; ask {host} over http")
        script = self._hosts.get(host, ())
        if callable(script):
            return script(replace(request))
        number = self._answered.get(host, 0)
        self._answered[host] = number + 1
        if number < len(script):
            return script[number]
        why = "has no more replies" if script else "is not in the fake network"
        return HttpReply(502, f"{host} {why}")
