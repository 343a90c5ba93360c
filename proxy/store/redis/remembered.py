"""What is remembered between exchanges, where several replicas share a store."""

from base64 import b64decode, b64encode
from typing import Any

from proxy.store.redis.lane import CONNECT_S
from proxy.store.redis.names import Names
from proxy.store.redis.route import Route, Word, now_s, raise_if_unavailable
from proxy.store.remembered import KEPT_S


class InRedis:
    """Values by name, under the prefix and key of the counters, which close the route."""

    def __init__(self, route: Route, key: bytes, prefix: str) -> None:
        self._route = route
        self._names = Names(key, prefix)

    async def put(self, name: str, value: bytes) -> None:
        """Remember a value, in place of the one before. Raises StoreUnavailable."""
        await self._do(name, "SET", b64encode(value), "EX", KEPT_S)

    async def get(self, name: str) -> bytes | None:
        """The value, or None. Raises StoreUnavailable."""
        found = await self._do(name, "GET")
        return None if found is None else b64decode(found)

    async def take(self, name: str) -> bytes | None:
        """The value, which is forgotten with it. Raises StoreUnavailable."""
        found = await self._do(name, "GETDEL")
        return None if found is None else b64decode(found)

    async def close(self) -> None:
        """Nothing: the counters close the route."""

    async def _do(self, name: str, verb: str, *words: Word) -> Any:
        key = f"{self._names.slot(name)}:remembered"
        reply = await self._route.command(key, (verb, key, *words), now_s() + CONNECT_S)
        raise_if_unavailable(reply)
        return reply
