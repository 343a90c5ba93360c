"""Who the master of a service is: all Sentinels are asked at once, and most of them decide.

So one that hangs delays nothing, and one that was cut off from the others does not mislead.
"""

import asyncio
from collections import Counter
from collections.abc import Sequence

from redis.asyncio.connection import AbstractConnection
from redis.exceptions import ConnectionError as NotConnected
from redis.exceptions import RedisError

SENTINEL_S = 1.0


async def master(service: str, sentinels: Sequence[AbstractConnection]) -> tuple[str, int]:
    """The master's address, asked over connections that are opened and closed here.

    The answer of a majority at once, or else the one that most have given once all have answered
    or failed. Raises redis.ConnectionError where nobody names one.
    """
    votes: Counter[tuple[str, int]] = Counter()
    asked = [asyncio.ensure_future(_ask(service, sentinel)) for sentinel in sentinels]
    try:
        for answer in asyncio.as_completed(asked):
            address = await answer
            if address is not None:
                votes[address] += 1
                if votes[address] > len(sentinels) // 2:
                    return address
    finally:
        for other in asked:
            other.cancel()
        await asyncio.gather(*asked, return_exceptions=True)
    if not votes:
        raise NotConnected("no Sentinel names a master of the service")
    return votes.most_common(1)[0][0]


async def _ask(service: str, sentinel: AbstractConnection) -> tuple[str, int] | None:
    try:
        async with asyncio.timeout(SENTINEL_S):
            await connected(sentinel)
            await sentinel.send_command("SENTINEL", "GET-MASTER-ADDR-BY-NAME", service)
            reply = await sentinel.read_response()
    except (RedisError, OSError, TimeoutError):
        return None
    finally:
        await closed(sentinel)
    return (reply[0].decode(), int(reply[1])) if reply else None


async def connected(connection: AbstractConnection) -> AbstractConnection:
    """A connection that was opened, or is closed again where that fails or is given up."""
    try:
        await connection.connect()  # type: ignore[no-untyped-call]  # the library's
    except BaseException:
        await closed(connection)
        raise
    return connection


async def closed(connection: AbstractConnection) -> None:
    """Close a connection; what it says to that does not matter."""
    try:
        await connection.disconnect(nowait=True)
    except (RedisError, OSError):
        return
