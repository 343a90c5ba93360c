"""The detector's part of a shared store: the stream of sightings, the lease of the active one, its
state, and what it found.

All keys lie in one slot. Only the holder of the lease writes state and results, by scripts that
look at the lease first: one that was held up cannot overwrite what its successor did. Everything
is sealed.
"""

from collections.abc import Sequence
from contextlib import suppress
from hashlib import sha1
from typing import Any

from proxy.store.errors import StoreUnavailable
from proxy.store.redis.names import Names
from proxy.store.redis.route import Route, Word, now_s, raise_if_unavailable
from proxy.store.redis.scripts import Script

ANSWER_S = 5.0
LEASE_MS = 5_000
KEPT_MS = 30 * 86_400_000  # of what nobody renews
LEAVING_MS = 60_000  # a state that was replaced may still be read
PIECE_BYTES = 4 << 20
MOST_ENTRIES = 20_000  # of the stream, where nobody reads it

Entry = tuple[str, bytes]  # its place in the stream, and what it holds


def _script(text: str) -> Script:
    return Script(text, sha1(text.encode(), usedforsecurity=False).hexdigest())


# A batch of a source once, by the place of its last sighting; 0 has no place.
ADD = _script("""
local last = tonumber(ARGV[1])
if last > 0 and tonumber(redis.call('GET', KEYS[2]) or '0') >= last then return 0 end
redis.call('XADD', KEYS[1], 'MAXLEN', '~', ARGV[2], '*', 'b', ARGV[3])
if last > 0 then redis.call('SET', KEYS[2], ARGV[1], 'PX', ARGV[4]) end
return 1
""")
HOLD = _script("""
local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
""")
RELEASE = _script("""
if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('PEXPIRE', KEYS[1], 1) end
return 1
""")
PUT = _script("""
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[2], ARGV[2], 'PX', ARGV[3])
return 1
""")
TRIM = _script("""
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('XTRIM', KEYS[2], 'MINID', ARGV[2])
return 1
""")


class LeaseLost(Exception):  # noqa: N818 (a state of affairs)
    """Another process is the active one now."""


class PieceGone(StoreUnavailable):
    """A value has a piece that is not there: it was just replaced, or the store threw it out."""


class SharedDetector:
    """The keys of one deployment's detector. `me` names this process, where it asks for the lease.

    Raises StoreUnavailable where no answer comes.
    """

    def __init__(self, route: Route, key: bytes, prefix: str, me: str) -> None:
        self._route = route
        self._slot = Names(key, prefix).slot("detector")
        self._me = me

    async def sent(self, source: str) -> int | None:
        """The place of the last sighting of a source that is in the stream, or was."""
        found = await self._get(f"sent:{source}")
        return None if found is None else int(found)

    async def mark_sent(self, source: str, position: int) -> None:
        """A new source begins after this position."""
        await self._command(f"sent:{source}", "SET", position, "PX", KEPT_MS, "NX")

    async def add(self, source: str, last: int, data: bytes) -> None:
        """Put a batch into the stream, unless it is there; `last` is its last place, or 0."""
        keys = [self._key("sightings"), self._key(f"sent:{source}")]
        await self._run(ADD, keys, [last, MOST_ENTRIES, data, KEPT_MS])

    async def entries(self, after: str, count: int) -> list[Entry]:
        """The entries of the stream after a place."""
        key = self._key("sightings")
        words: Sequence[Word] = ("XRANGE", key, f"({after}", "+", "COUNT", count)
        found = await self._route.command(key, words, now_s() + ANSWER_S)
        raise_if_unavailable(found)
        return [(place.decode(), fields[1]) for place, fields in found or ()]

    async def hold(self) -> bool:
        """Take or renew the lease; False where another one has it."""
        return bool(await self._run(HOLD, [self._key("lease")], [self._me, LEASE_MS]))

    async def active(self) -> bool:
        """Whether somebody holds the lease."""
        return await self._get("lease") is not None

    async def release(self) -> None:
        """Give the lease back."""
        await self._run(RELEASE, [self._key("lease")], [self._me])

    async def put(self, name: str, data: bytes | str, kept_ms: int = KEPT_MS) -> None:
        """Write a value as the active one. Raises LeaseLost."""
        keys = [self._key("lease"), self._key(name)]
        if not await self._run(PUT, keys, [self._me, data, kept_ms]):
            raise LeaseLost

    async def trim(self, place: str) -> None:
        """Forget the stream before a place. Raises LeaseLost."""
        keys = [self._key("lease"), self._key("sightings")]
        if not await self._run(TRIM, keys, [self._me, place]):
            raise LeaseLost

    async def get(self, name: str) -> bytes | None:
        """A value, or None."""
        found: bytes | None = await self._get(name)
        return found

    async def put_whole(self, name: str, data: bytes) -> None:
        """Write a large value in pieces; whoever reads it sees the old one or the new one.

        Where it is not written whole, its pieces do not stay: it is tried again and again, and a
        store that is full would be filled with them.
        """
        before = await self._pieces(name)
        made = f"{name}:{self._me}:{now_s():.6f}"
        count = max(1, -(-len(data) // PIECE_BYTES))
        pieces = [f"{made}:{number}" for number in range(count)]
        try:
            for number, piece in enumerate(pieces):
                await self.put(piece, data[number * PIECE_BYTES : (number + 1) * PIECE_BYTES])
            await self.put(name, f"{made} {count}")
        except (LeaseLost, StoreUnavailable):
            with suppress(StoreUnavailable):
                await self._leave(pieces)
            raise
        await self._leave(before)

    async def get_whole(self, name: str) -> bytes | None:
        """A value that was written in pieces, or None. Raises PieceGone."""
        names = await self._pieces(name)
        found = [await self._get(piece_name) for piece_name in names]
        if None in found:
            raise PieceGone(f"a piece of the detector's {name} is not there")
        return b"".join(found) if names else None

    async def close(self) -> None:
        """Let go of the connection."""
        await self._route.close()

    async def _leave(self, pieces: Sequence[str]) -> None:
        """Let pieces go, once nobody can be reading them any more."""
        for piece in pieces:
            await self._command(piece, "PEXPIRE", LEAVING_MS)

    async def _pieces(self, name: str) -> list[str]:
        said = await self._get(name)
        if said is None:
            return []
        made, _, count = said.decode().rpartition(" ")
        return [f"{made}:{number}" for number in range(int(count))]

    def _key(self, name: str) -> str:
        return f"{self._slot}:detector:{name}"

    async def _get(self, name: str) -> Any:
        return await self._command(name, "GET")

    async def _command(self, name: str, verb: str, *words: Word) -> Any:
        key = self._key(name)
        reply = await self._route.command(key, (verb, key, *words), now_s() + ANSWER_S)
        raise_if_unavailable(reply)
        return reply

    async def _run(self, script: Script, keys: list[str], args: list[Word]) -> Any:
        reply = await self._route.script(script, keys, args, now_s() + ANSWER_S)
        raise_if_unavailable(reply)
        return reply
