"""Redis Cluster: which node holds which slot, learned from the nodes and kept current.

The map is renewed beside the calls, never in front of them, so that a node that hangs takes
no others with it. Redirections (MOVED, ASK) are followed at once. Source of the protocol:
https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/
"""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from redis.crc import REDIS_CLUSTER_HASH_SLOTS, key_slot
from redis.exceptions import AskError, MovedError, NoScriptError

from proxy.store.errors import StoreUnavailable
from proxy.store.redis.lane import CONNECT_S, Lane
from proxy.store.redis.route import (
    Word,
    answer_of,
    by_sha,
    by_text,
    now_s,
    packed,
    raise_if_unavailable,
)
from proxy.store.redis.scripts import Script

HOPS = 4  # redirections and unknown scripts that one call follows
ASK_AGAIN_S = 0.2  # between two looks at the map, while nodes fail
ASKING = packed(("ASKING",))
SLOTS = packed(("CLUSTER", "SLOTS"))
PING = packed(("PING",))

Address = tuple[str, int]
Command = Callable[[bool], bytes]  # by whether the text of a script is to be sent


class Clustered:
    """The nodes of a cluster. `seed` is asked first; from then on any node is."""

    splits = True

    def __init__(self, seed: Address, lane_to: Callable[[Address], Lane]) -> None:
        self._lane_to = lane_to
        self._seed = seed
        self._lanes: dict[Address, Lane] = {}
        self._owners: list[Address | None] = [None] * REDIS_CLUSTER_HASH_SLOTS
        self._renewal: asyncio.Task[None] | None = None
        self._renewed_s = 0.0
        self._leaving: set[asyncio.Task[None]] = set()

    async def script(
        self, script: Script, keys: Sequence[str], args: Sequence[Word], deadline: float
    ) -> Any:
        """Run a script on the node that holds its keys, which must be of one slot."""
        choices = (by_sha, by_text)
        return await self._run(keys[0], lambda text: choices[text](script, keys, args), deadline)

    async def command(self, key: str, words: Sequence[Word], deadline: float) -> Any:
        """Run a command on the node that holds its key."""
        command = packed(words)
        return await self._run(key, lambda _: command, deadline)

    async def ping(self, deadline: float) -> None:
        """Raise StoreUnavailable unless every slot has an owner and every owner answers."""
        await self._renewed(deadline)
        owners = set(self._owners)
        if None in owners:
            raise StoreUnavailable("no node of the cluster told who holds all slots")
        replies = await asyncio.gather(
            *[self._lane(owner).call(PING, deadline) for owner in owners if owner]
        )
        for reply in replies:
            raise_if_unavailable(answer_of(reply))

    async def close(self) -> None:
        """Let go of all connections."""
        tasks = [*self._leaving, *([self._renewal] if self._renewal else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.gather(*[lane.close() for lane in self._lanes.values()])

    async def _run(self, key: str, command: Command, deadline: float) -> Any:
        slot = key_slot(key.encode())
        owner = self._owners[slot]
        if owner is None:
            await self._renewed(deadline)
            owner = self._owners[slot]
        if owner is None:
            return StoreUnavailable("no node of the cluster holds the slot")
        text, asking, reply = False, False, None
        for _ in range(HOPS):
            words = (ASKING if asking else b"") + command(text)
            reply = await self._lane(owner).call(words, deadline, 2 if asking else 1)
            match reply:
                case NoScriptError():
                    text = True
                    continue
                case MovedError():  # which is an AskError, and must be asked first
                    owner = self._owners[slot] = self._address(reply, owner)
                    asking = False
                    self._renew()
                case AskError():
                    owner, asking = self._address(reply, owner), True
                case _:
                    break
        if isinstance(reply, Exception):
            self._renew()
        return answer_of(reply)

    @staticmethod
    def _address(redirection: AskError, asked: Address) -> Address:
        """Where to; without a host it is the one that was asked, at another port."""
        host, port = redirection.node_addr
        return host or asked[0], port

    def _lane(self, address: Address) -> Lane:
        lane = self._lanes.get(address)
        if lane is None:
            lane = self._lanes[address] = self._lane_to(address)
        return lane

    async def _renewed(self, deadline: float) -> None:
        """Wait for a new map, but not past the deadline."""
        self._renew()
        if self._renewal is not None:
            await asyncio.wait({self._renewal}, timeout=max(0.0, deadline - now_s()))

    def _renew(self) -> None:
        """Begin to ask for the map, unless that is under way or was just done."""
        running = self._renewal is not None and not self._renewal.done()
        if not running and now_s() - self._renewed_s >= ASK_AGAIN_S:
            self._renewal = asyncio.get_running_loop().create_task(self._ask_all())

    async def _ask_all(self) -> None:
        """Ask every node that is known; the first good answer counts."""
        addresses = dict.fromkeys([*self._lanes, self._seed])
        asked = [asyncio.ensure_future(self._ask(address)) for address in addresses]
        try:
            for first in asyncio.as_completed(asked):
                ranges = await first
                if ranges:
                    self._take_over(ranges)
                    return
        finally:
            self._renewed_s = now_s()
            for other in asked:
                other.cancel()

    async def _ask(self, address: Address) -> list[tuple[int, int, Address]]:
        reply = await self._lane(address).call(SLOTS, now_s() + CONNECT_S)
        return [] if isinstance(reply, Exception) else list(_ranges(reply, address))

    def _take_over(self, ranges: Iterable[tuple[int, int, Address]]) -> None:
        owners: list[Address | None] = [None] * REDIS_CLUSTER_HASH_SLOTS
        for first, last, address in ranges:
            owners[first : last + 1] = [address] * (last + 1 - first)
        self._owners = owners
        for address in set(self._lanes) - set(owners) - {self._seed}:
            task = asyncio.get_running_loop().create_task(self._lanes.pop(address).close())
            self._leaving.add(task)
            task.add_done_callback(self._leaving.discard)


def _ranges(reply: Any, asked: Address) -> Iterable[tuple[int, int, Address]]:
    """(first slot, last slot, master) of a reply to CLUSTER SLOTS."""
    for first, last, (host, port, *_), *_ in reply:
        yield first, last, ((host or b"").decode() or asked[0], port)
