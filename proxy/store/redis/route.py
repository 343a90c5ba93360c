"""Where a script runs: on one server, or on the node of a cluster that holds the keys.

Replies are values: what the script answered, or `StoreUnavailable`.
"""

import asyncio
from collections.abc import Sequence
from typing import Any, Protocol

from hiredis import pack_command
from redis.exceptions import (
    ClusterCrossSlotError,
    MovedError,
    NoScriptError,
    ResponseError,
)

from proxy.store.errors import StoreUnavailable
from proxy.store.redis.lane import Lane
from proxy.store.redis.scripts import Script

Word = str | int | float | bytes


class Route(Protocol):
    """The way of commands to servers. `splits` says that slots may lie on different ones."""

    splits: bool

    async def script(
        self, script: Script, keys: Sequence[str], args: Sequence[Word], deadline: float
    ) -> Any:
        """Run a script; its reply, or StoreUnavailable as a value."""
        ...

    async def command(self, key: str, words: Sequence[Word], deadline: float) -> Any:
        """Run a command over one key; its reply, or StoreUnavailable as a value."""
        ...

    async def ping(self, deadline: float) -> None:
        """Raise StoreUnavailable unless all servers that hold keys answer."""
        ...

    async def close(self) -> None:
        """Let go of all connections."""
        ...


class Single:
    """One server, or the master that Sentinels name."""

    splits = False

    def __init__(self, lane: Lane) -> None:
        self._lane = lane

    async def script(
        self, script: Script, keys: Sequence[str], args: Sequence[Word], deadline: float
    ) -> Any:
        """Run a script, by its SHA; by its text where the server does not know it."""
        reply = await self._lane.call(by_sha(script, keys, args), deadline)
        if isinstance(reply, NoScriptError):
            reply = await self._lane.call(by_text(script, keys, args), deadline)
        return answer_of(reply)

    async def command(self, key: str, words: Sequence[Word], deadline: float) -> Any:  # noqa: ARG002 (one server has all keys)
        """Run a command."""
        return answer_of(await self._lane.call(packed(words), deadline))

    async def ping(self, deadline: float) -> None:
        """Raise StoreUnavailable unless the server answers."""
        raise_if_unavailable(await self.command("", ("PING",), deadline))

    async def close(self) -> None:
        """Let go of all connections."""
        await self._lane.close()


def packed(words: Sequence[Word]) -> bytes:
    """A command as it goes over the wire."""
    command: bytes = pack_command(tuple(words))  # type: ignore[arg-type]  # it takes any length
    return command


def by_sha(script: Script, keys: Sequence[str], args: Sequence[Word]) -> bytes:
    """The command that runs a script which the server knows."""
    return packed(("EVALSHA", script.sha, len(keys), *keys, *args))


def by_text(script: Script, keys: Sequence[str], args: Sequence[Word]) -> bytes:
    """The command that runs a script which the server does not know; it knows it from then on."""
    return packed(("EVAL", script.text, len(keys), *keys, *args))


def answer_of(reply: Any) -> Any:
    """A reply with every error as StoreUnavailable: which one is in its text."""
    if isinstance(reply, ClusterCrossSlotError | MovedError):
        return StoreUnavailable("the server is a node of a cluster: set store.redis.cluster: true")
    if isinstance(reply, ResponseError):
        code = getattr(reply, "status_code", None)
        return StoreUnavailable(f"{code} {reply}" if code else str(reply))
    return reply


def raise_if_unavailable(reply: Any) -> None:
    """Raise what was told as a value."""
    if isinstance(reply, StoreUnavailable):
        raise reply


def now_s() -> float:
    """The event loop's clock, which deadlines are of."""
    return asyncio.get_running_loop().time()
