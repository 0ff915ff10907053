"""A web handler: each request gets an agent of its own, with a budget, and ends with its client.

    python web.py 8080
    curl --data 'What is the refund policy?' http://127.0.0.1:8080/

The agents know one function, and nothing else of the machine. Loopback only: put a server in front of it that
knows who may ask.
"""

from __future__ import annotations

import asyncio
import json
import sys
from contextlib import suppress
from functools import partial
from http import HTTPStatus

import agentos

BUDGET = "0.05"  # USD a request
AT_ONCE = 8
LONGEST = 16 << 10  # bytes of a question
SECONDS = 120

POLICIES = {"refund": "Within 30 days, with the receipt.", "delivery": "Two working days."}


class Answer(dict[str, object]):
    """A status and a JSON body."""

    def __init__(self, status: HTTPStatus, **body: object) -> None:
        super().__init__(body)
        self.status = status


@agentos.pure
def policy(topic: str) -> str:
    """The shop's policy on a topic: refund or delivery."""
    return POLICIES[topic]


async def answer(system: agentos.System, question: str) -> Answer:
    """Runs one agent on `question`."""
    try:
        agent = await system.spawn("clerk", tools=[policy], budget=BUDGET, max_tokens=1_000)
        async with asyncio.timeout(SECONDS):
            result = await agent.run(question)
    except agentos.BudgetExceeded:
        return Answer(HTTPStatus.PAYMENT_REQUIRED, error=f"the answer would cost more than {BUDGET} USD")
    except TimeoutError:
        return Answer(HTTPStatus.GATEWAY_TIMEOUT, error=f"no answer within {SECONDS} seconds")
    except agentos.AgentOSError as error:
        print(f"web: {error.message}", file=sys.stderr)
        return Answer(HTTPStatus.BAD_GATEWAY, error="the model did not answer")
    return Answer(HTTPStatus.OK, answer=result.text, spent_usd=result.spent_usd)


async def read_question(reader: asyncio.StreamReader) -> str | Answer:
    """The body of a POST request, or what is wrong with the request."""
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        headers = dict(line.lower().split(": ", 1) for line in head[1:] if ": " in line)
        size = int(headers.get("content-length", ""))
    except (ValueError, asyncio.LimitOverrunError):
        return Answer(HTTPStatus.BAD_REQUEST, error="send the question as the body of a POST request")
    if not head[0].startswith("POST "):
        return Answer(HTTPStatus.METHOD_NOT_ALLOWED, error="POST the question")
    if not 0 < size <= LONGEST:
        return Answer(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, error=f"a question has 1 to {LONGEST} bytes")
    return (await reader.readexactly(size)).decode("utf-8", "replace")


async def handle(
    system: agentos.System,
    places: asyncio.Semaphore,
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
) -> None:
    """Serves one connection: one request, one agent."""
    with suppress(ConnectionError, asyncio.IncompleteReadError):
        found = await read_question(reader)
        if isinstance(found, str):
            async with places:
                work = asyncio.ensure_future(answer(system, found))
                gone = asyncio.ensure_future(reader.read(1))
                await asyncio.wait([work, gone], return_when=asyncio.FIRST_COMPLETED)
                # A client that has left pays for nothing more.
                (gone if work.done() else work).cancel()
                await asyncio.wait([work, gone])
            if work.cancelled():
                writer.close()
                return
            found = work.result()
        body = json.dumps(found).encode()
        head = f"HTTP/1.1 {found.status.value} {found.status.phrase}\r\nContent-Length: {len(body)}\r\n"
        writer.write(head.encode() + b"Content-Type: application/json\r\nConnection: close\r\n\r\n" + body)
        await writer.drain()
    writer.close()


async def main(port: int) -> None:
    """Serves until it is interrupted. Port 0 is any free one."""
    async with agentos.aio.open() as system:
        serve = partial(handle, system, asyncio.Semaphore(AT_ONCE))
        server = await asyncio.start_server(serve, "127.0.0.1", port)
        print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/", flush=True)
        async with server:
            await server.serve_forever()


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        asyncio.run(main(int(sys.argv[1])))
