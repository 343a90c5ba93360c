"""One client's connection through a relay: two sockets, two queues, and the faults between them.

Bytes of one direction always leave in the order in which they came, whatever the delays were; the
end of a connection queues behind them like one more chunk.
"""

import asyncio
import socket
import struct
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import cast

from bench.servers.ports import HOST

_RESET_ON_CLOSE = struct.pack("ii", 1, 0)
_TICK_S = 0.001  # a loop's clock may be this coarse
_SEARCHED_BYTES = 4096  # of a request, for what shall be lost


@dataclass(slots=True)
class Loss:
    """What shall be lost: `left` more (None: all) whose request holds the bytes `to`."""

    left: int | None
    to: bytes
    cut: bool

    def takes(self, request: bytes) -> bool:
        """Whether this one is lost; counts down if so."""
        if self.left == 0 or self.to.upper() not in request.upper():
            return False
        self.left = None if self.left is None else self.left - 1
        return True


@dataclass(eq=False)
class Faults:
    """What a relay does to all its connections, and what it counted."""

    to_port: int
    request_delay_s: float = 0.0
    reply_delay_s: float = 0.0
    stalled: bool = False
    requests_lost: Loss | None = None
    replies_lost: Loss | None = None
    accepted: int = 0
    lost: int = 0
    round_trips: int = 0
    links: "set[Link]" = field(default_factory=set)


class Link:
    """The connection of a client (`client`) and the one behind it to the server."""

    def __init__(self, faults: Faults) -> None:
        self.client = _End(self._from_client, self._client_came, self._client_went)
        self._server = _End(self._from_server, self.pump, self._server_went)
        self._faults = faults
        self._requests = _Way(self._server, self.pump)
        self._replies = _Way(self.client, self.pump)
        self._asked = b""
        self._deaf = False
        self._dialling: asyncio.Task[None] | None = None

    def pump(self) -> None:
        """Send what is due, unless the relay stalls."""
        if not self._faults.stalled:
            self._requests.pump()
            self._replies.pump()

    def reset(self) -> None:
        """Reset both connections; what was under way is gone."""
        self._deaf = True
        self._requests.drop()
        self._replies.drop()
        if self._dialling is not None:
            self._dialling.cancel()
        self.client.reset()
        self._server.reset()

    async def gone(self) -> None:
        """Wait, after `reset`, until the loop holds nothing of it any more."""
        if self._dialling is not None:
            with suppress(asyncio.CancelledError):
                await self._dialling
        await self.client.closed.wait()
        await self._server.closed.wait()

    def _client_came(self) -> None:
        self._faults.links.add(self)
        self._faults.accepted += 1
        self._dialling = asyncio.get_running_loop().create_task(self._dial())
        self._dialling.add_done_callback(lambda _: self._forget_if_over())

    async def _dial(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            await loop.create_connection(lambda: self._server, HOST, self._faults.to_port)
        except OSError:
            self.client.reset()

    def _from_client(self, data: bytes) -> None:
        self._asked = (self._asked + data)[:_SEARCHED_BYTES]
        if not self._deaf and not self._loses(self._faults.requests_lost):
            self._requests.add(data, self._faults.request_delay_s)
            self.pump()

    def _from_server(self, data: bytes) -> None:
        if self._deaf:
            return
        self._faults.round_trips += bool(self._asked)
        if not self._loses(self._faults.replies_lost):
            self._asked = b""
            self._replies.add(data, self._faults.reply_delay_s)
            self.pump()

    def _loses(self, loss: Loss | None) -> bool:
        if loss is None or not self._asked or not loss.takes(self._asked):
            return False
        self._faults.lost += 1
        self._deaf = True
        if loss.cut:
            self.reset()
        return True

    def _client_went(self) -> None:
        self._requests.add(None, self._faults.request_delay_s)
        self.pump()
        self._forget_if_over()

    def _server_went(self) -> None:
        self._replies.add(None, self._faults.reply_delay_s)
        self.pump()
        self._forget_if_over()

    def _forget_if_over(self) -> None:
        dialled = self._dialling is not None and self._dialling.done()
        if dialled and self.client.is_closed and self._server.is_closed:
            self._faults.links.discard(self)


class _End(asyncio.Protocol):
    """One of the two sockets."""

    def __init__(
        self,
        got: Callable[[bytes], None],
        came: Callable[[], None],
        went: Callable[[], None],
    ) -> None:
        self._got, self._came, self._went = got, came, went
        self.transport: asyncio.Transport | None = None
        self.closed = asyncio.Event()
        self.closed.set()

    @property
    def is_closed(self) -> bool:
        return self.closed.is_set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self.closed.clear()
        self._came()

    def data_received(self, data: bytes) -> None:
        self._got(data)

    def connection_lost(self, _: Exception | None) -> None:
        self.closed.set()
        self._went()

    def send(self, data: bytes | None) -> None:
        """Send bytes, or close in order after them with None."""
        assert self.transport is not None
        if self.transport.is_closing():
            return
        if data is None:
            self.transport.close()
        else:
            self.transport.write(data)

    def reset(self) -> None:
        """Close with a TCP reset, so that the other side sees an error and not an orderly end."""
        if self.transport is None or self.is_closed:
            return
        wire = self.transport.get_extra_info("socket")
        with suppress(OSError, AttributeError):
            wire.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        self.transport.abort()


class _Way:
    """One direction: chunks with the time at which each is due, and None for the end."""

    def __init__(self, sink: _End, due: Callable[[], None]) -> None:
        self._sink, self._due = sink, due
        self._waiting: deque[tuple[float, bytes | None]] = deque()
        self._timer: asyncio.TimerHandle | None = None

    def add(self, data: bytes | None, delay_s: float) -> None:
        """Queue a chunk."""
        self._waiting.append((asyncio.get_running_loop().time() + delay_s, data))

    def drop(self) -> None:
        """Forget all that waits."""
        self._waiting.clear()
        self._set_timer()

    def pump(self) -> None:
        """Send what is due and ask `due` to come back for the rest; nothing before the sink is."""
        if self._sink.transport is None:
            return
        now = asyncio.get_running_loop().time() + _TICK_S
        while self._waiting and self._waiting[0][0] <= now:
            self._sink.send(self._waiting.popleft()[1])
        self._set_timer()

    def _set_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        loop = asyncio.get_running_loop()
        self._timer = loop.call_at(self._waiting[0][0], self._due) if self._waiting else None
