"""A loopback relay between a client and a server whose faults are switched while it runs.

It knows no protocol. It delays, stalls, refuses and cuts, and it loses what a network loses: a
request that never arrives, or the reply to a request that was executed. A connection that has lost
something never carries anything again, as TCP would not: it stays silent, or it is cut.

With `tls` the relay is the TLS server, for engines that have none; the faults then act on the
plain text inside. For faults of the encrypted bytes, and of the handshake, put a second relay
without `tls` in front of the first.
"""

import asyncio
import ssl
from typing import Self

from bench.servers.link import Faults, Link, Loss
from bench.servers.ports import HOST, free_port


class FaultRelay(Faults):
    """An asynchronous context manager; clients connect to `port`, the server listens on `to_port`.

    May be set at any time: `to_port` (for new connections), `request_delay_s` and `reply_delay_s`
    (for what comes from now on; a delay takes no throughput).

    Counts: `accepted` and `open` connections; `lost` requests and replies; `round_trips`, in which
    commands that were sent together count once.
    """

    def __init__(self, to_port: int, *, tls: ssl.SSLContext | None = None) -> None:
        super().__init__(to_port)
        self.port = free_port()
        self._tls = tls
        self._listener: asyncio.Server | None = None

    async def __aenter__(self) -> Self:
        await self.listen()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.refuse()
        links = tuple(self.links)
        self.cut()
        for link in links:
            await link.gone()

    @property
    def open(self) -> int:
        """How many connections of clients are open now."""
        return sum(not link.client.is_closed for link in self.links)

    def url(self, who: str = "") -> str:
        """Its URL; `who` is `name:password@` where the server wants that."""
        return f"{'rediss' if self._tls else 'redis'}://{who}{HOST}:{self.port}"

    async def listen(self) -> None:
        """Accept connections, again after `refuse`, on the same port."""
        loop = asyncio.get_running_loop()
        self._listener = await loop.create_server(
            lambda: Link(self).client, HOST, self.port, ssl=self._tls
        )

    async def refuse(self) -> None:
        """Refuse new connections; those that are open go on."""
        if self._listener is not None:
            self._listener.close()
            self._listener = None
            await asyncio.sleep(0)  # the loop lets go of the socket in its next round

    def cut(self) -> None:
        """Reset all open connections at once."""
        for link in tuple(self.links):
            link.reset()

    def stall(self) -> None:
        """Hold everything in both directions, ends of connections too, until `flow`."""
        self.stalled = True

    def flow(self) -> None:
        """End a stall: what was held goes on its way, in order."""
        self.stalled = False
        for link in tuple(self.links):
            link.pump()

    def lose_replies(self, count: int | None = None, *, to: bytes = b"", cut: bool = True) -> None:
        """Let requests be executed, but lose the reply on `count` connections (None: on all).

        Only replies to requests that hold `to`, in any case, are lost: `to=b"EVALSHA"` spares the
        greetings of a new connection. The client finds its connection reset; with `cut=False` it
        waits for an answer that never comes.
        """
        self.replies_lost = Loss(count, to, cut)

    def lose_requests(self, count: int | None = None, *, to: bytes = b"", cut: bool = True) -> None:
        """The same for requests: the server never sees them."""
        self.requests_lost = Loss(count, to, cut)

    def lose_nothing(self) -> None:
        """Lose no more; connections that have lost something stay dumb until they are closed."""
        self.requests_lost = self.replies_lost = None
