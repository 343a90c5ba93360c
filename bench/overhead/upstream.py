"""A fake model API that costs next to nothing, in a process of its own.

`python -m bench.overhead.upstream PORT` serves until it is terminated. What it answers depends on
the request's text: with `"m-stream"` in it twelve events five milliseconds apart, each with the
nanosecond at which it left; with `"m-dribble"` one event at once and one every five seconds, for
as long as the client stays; else 0.4 KB of JSON at once.
"""

import asyncio
import sys
import time
from typing import cast

import uvloop

from bench.overhead.http1 import LAST_CHUNK, Message, begin, chunk

EVENTS = 12
EVENT_GAP_S = 0.005
DRIBBLE_S = 5.0

_TEXT = "The gauger measured the wash, wrote the figure in his book and went on to the next still. "
_BODY = (
    '{"id":"chatcmpl-bench","object":"chat.completion","created":1776816000,"model":"m-large",'
    '"choices":[{"index":0,"message":{"role":"assistant","content":"' + _TEXT + '"},'
    '"finish_reason":"stop"}],"usage":{"prompt_tokens":270,"completion_tokens":21,'
    '"total_tokens":291,"prompt_tokens_details":{"cached_tokens":0}}}'
).encode()
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (
    len(_BODY),
    _BODY,
)
STREAM_HEAD = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
)
_EVENT = (
    b'data: {"id":"chatcmpl-bench","object":"chat.completion.chunk","created":1776816000,'
    b'"model":"m-large","choices":[{"index":0,"delta":{"content":"still "},"finish_reason":null}],'
    b'"left_ns":%d}\n\n'
)
_USAGE = (
    b'data: {"id":"chatcmpl-bench","object":"chat.completion.chunk","created":1776816000,'
    b'"model":"m-large","choices":[],"usage":{"prompt_tokens":270,"completion_tokens":12,'
    b'"total_tokens":282}}\n\ndata: [DONE]\n\n'
)


def event() -> bytes:
    """One event of a stream, as a chunk, with the time at which it leaves."""
    return chunk(_EVENT % time.monotonic_ns())


class Upstream(asyncio.Protocol):
    """One connection: an answer for each request, one after another."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._pending = b""
        self._message: Message | None = None
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remember where to answer."""
        self._transport = cast("asyncio.Transport", transport)

    def connection_lost(self, _exc: Exception | None) -> None:
        """Stop what was being streamed."""
        if self._timer is not None:
            self._timer.cancel()
        self._transport = None

    def data_received(self, data: bytes) -> None:
        """Gather a request and answer it when it is whole."""
        if self._message is not None:
            self._message.body += data
        else:
            self._pending += data
            self._message = begin(self._pending)
        if self._message is not None and self._message.complete:
            body = self._message.body
            self._message, self._pending = None, b""
            self._answer(body)

    def _answer(self, body: bytes) -> None:
        if b'"m-stream"' in body:
            self._write(STREAM_HEAD)
            self._stream(EVENTS)
        elif b'"m-dribble"' in body:
            self._write(STREAM_HEAD)
            self._dribble()
        else:
            self._write(ANSWER)

    def _stream(self, left: int) -> None:
        if left == 0:
            self._write(chunk(_USAGE) + LAST_CHUNK)
            return
        self._write(event())
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(EVENT_GAP_S, self._stream, left - 1)

    def _dribble(self) -> None:
        self._write(event())
        self._timer = asyncio.get_running_loop().call_later(DRIBBLE_S, self._dribble)

    def _write(self, data: bytes) -> None:
        if self._transport is not None:
            self._transport.write(data)


async def serve(port: int) -> None:
    """Serve on the loopback address until cancelled."""
    server = await asyncio.get_running_loop().create_server(
        Upstream, "127.0.0.1", port, backlog=4096
    )
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1])))
