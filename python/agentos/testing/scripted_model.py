"""A model server that follows a script: real HTTP/1.1 on loopback, in both wire formats.

`POST …/messages` is answered as Anthropic Messages, `POST …/chat/completions` as OpenAI chat completions,
streamed when the request asks for it. A reply says what the model answers; its `Framing` says how the bytes
travel, down to where they are cut.

    with ScriptedModel([Reply(text="hello")]) as server:
        call(server.url, …)
        assert server.requests[0].body["model"] == "m"
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from agentos.testing.loopback import Framing, Loopback, Request
from agentos.testing.scripted_wire import Reply, render

Script = Sequence[Reply] | Callable[[Request], Reply]


class ScriptedModel(Loopback):
    """Serves `script` on 127.0.0.1 until the `with` block ends.

    A sequence is answered in order, one reply a request, and a request beyond its end gets status 500; a
    callable is asked for each request. `tls` serves HTTPS with that context.
    """

    def __init__(self, script: Script = (), *, tls: ssl.SSLContext | None = None) -> None:
        super().__init__(tls=tls)
        self._script = script

    @property
    def openai_url(self) -> str:
        """The URL with `/v1`: what OPENAI_BASE_URL takes."""
        return f"{self.url}/v1"

    def environment(self, key: str = "test-key") -> dict[str, str]:
        """The variables that make a client use this server in both wire formats."""
        return {
            "ANTHROPIC_API_KEY": key,
            "ANTHROPIC_BASE_URL": self.url,
            "OPENAI_API_KEY": key,
            "OPENAI_BASE_URL": self.openai_url,
        }

    def answer(self, request: Request) -> tuple[bytes, Framing]:
        """What the script has for `request`."""
        reply = self._next(request)
        return render(reply, request), reply.framing

    def _next(self, request: Request) -> Reply:
        if callable(self._script):
            return self._script(request)
        if request.number < len(self._script):
            return self._script[request.number]
        return Reply(status=500, error="the script has no more replies", error_type="api_error")


def tool_results(request: Request) -> list[Any]:
    """The tool results that a request carries, in either wire format, as their contents."""
    found: list[Any] = []
    for message in request.body.get("messages", []):
        if message.get("role") == "tool":
            found.append(message.get("content"))
        content = message.get("content")
        if isinstance(content, list):
            found += [block.get("content") for block in content if _is_result(block)]
    return found


def _is_result(block: object) -> bool:
    return isinstance(block, Mapping) and block.get("type") == "tool_result"
