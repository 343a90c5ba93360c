"""What is remembered between exchanges: for a month, once, and sealed."""

import asyncio

import pytest

from proxy.store.redis.connect import Reach, route
from proxy.store.redis.remembered import InRedis
from proxy.store.remembered import KEPT_S, OnDisk
from proxy.store.sealed import Sealed

KEY = b"k" * 32
SECRET = b"account.id=acc-1"


class Clock:
    now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


async def test_a_value_is_there_until_it_is_taken_and_of_two_takers_one_gets_it(tmp_path):
    memory = OnDisk(tmp_path / "m.sqlite")
    await memory.put("a", b"1")
    await memory.put("a", b"2")
    assert await memory.get("a") == b"2"
    taken = await asyncio.gather(memory.take("a"), memory.take("a"))
    assert set(taken) == {None, b"2"}
    assert await memory.get("a") is None
    await memory.close()


async def test_it_outlives_the_process_and_is_forgotten_after_a_month(tmp_path):
    clock = Clock()
    first = OnDisk(tmp_path / "m.sqlite", clock)
    await first.put("a", b"1")
    await first.close()
    second = OnDisk(tmp_path / "m.sqlite", clock)
    assert await second.get("a") == b"1"
    clock.now += KEPT_S + 1
    await second.put("b", b"2")
    assert await second.get("a") is None
    await second.close()


async def test_the_file_does_not_say_who(tmp_path):
    memory = Sealed(OnDisk(tmp_path / "m.sqlite"), KEY)
    await memory.put("batch:b", SECRET)
    assert await memory.get("batch:b") == SECRET
    assert await memory.take("batch:b") == SECRET
    await memory.put("batch:b", SECRET)
    await memory.close()
    held = b"".join(file.read_bytes() for file in tmp_path.iterdir())
    assert held
    assert SECRET not in held
    assert (tmp_path / "m.sqlite").stat().st_mode & 0o077 == 0


async def test_what_another_key_sealed_is_not_opened(tmp_path):
    behind = OnDisk(tmp_path / "m.sqlite")
    await Sealed(behind, KEY).put("a", b"1")
    assert await Sealed(behind, b"other" * 8).get("a") is None
    await behind.close()


@pytest.mark.parametrize("sealed", [False, True])
async def test_replicas_share_it_in_redis(store_server, sealed):
    ways = [route(Reach(address=store_server.address)) for _ in range(2)]
    first, second = (InRedis(way, KEY, "g") for way in ways)
    if sealed:
        first, second = Sealed(first, KEY), Sealed(second, KEY)
    await first.put("batch:b", SECRET)
    assert await second.get("batch:b") == SECRET
    assert await second.take("batch:b") == SECRET
    assert await first.get("batch:b") is None
    for way in ways:
        await way.close()
