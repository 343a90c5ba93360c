"""Counts over kill -9 under load: with the audit log none is lost, else a second's at most."""

import asyncio
import shutil
import time
from contextlib import suppress
from dataclasses import dataclass, field

import pytest

from proxy.audit.read import entries
from tests.gateway.test_serve_command import ended, serving

pytestmark = pytest.mark.asyncio(loop_scope="session")

LIMIT = 1000  # requests of a counted account in a week
CLIENTS = 8


@dataclass
class Caller:
    """A client of an account of its own that asks again as soon as it is answered."""

    key: str
    sent: int = 0
    answered_s: list[float] = field(default_factory=list)

    async def run(self, gate, address):
        client = await gate.connect(address=address)
        with suppress(ConnectionError, asyncio.IncompleteReadError, AssertionError):
            while True:
                self.sent += 1
                answer = await client.ask(gate.post(key=self.key))
                assert answer.status == 200
                self.answered_s.append(time.monotonic())

    def answered_before(self, at_s: float) -> int:
        return sum(one < at_s for one in self.answered_s)


async def killed_under_load(gate, config, eventually, for_s):
    """Callers that asked until the process was killed, and when that was.

    It is killed so long after each of them has been answered once.
    """
    callers = [Caller(gate.key("counted")) for _ in range(CLIENTS)]
    async with serving(config) as (process, where):
        tasks = [asyncio.create_task(one.run(gate, where["listen"])) for one in callers]
        await eventually(lambda: all(one.answered_s for one in callers))
        await asyncio.sleep(for_s)
        process.kill()
        killed_s = time.monotonic()
        await ended(process)
        await asyncio.gather(*tasks)
    return callers, killed_s


async def used(gate, callers):
    return [LIMIT - (await gate.remaining(one.key))[0] for one in callers]


async def test_after_kill_9_under_load_no_count_is_lost(
    gate, upstream, tmp_path, write_world, opened, eventually
):
    world = tmp_path / "world"
    config = write_world(world, upstream.url)
    callers, _ = await killed_under_load(gate, config, eventually, 1.0)
    logged = {}
    for entry in entries(world / "state" / "audit", types={"decision"}):
        account = entry.fields["account"]
        logged[account] = logged.get(account, 0) + entry.fields["taken"]
    async with opened(world, upstream) as again:
        counted = await used(again, callers)
    assert sorted(counted) == sorted(logged.values())
    assert all(
        len(one.answered_s) <= count <= one.sent
        for one, count in zip(callers, counted, strict=True)
    )


async def test_after_kill_9_without_the_log_no_more_than_a_second_is_lost(
    gate, upstream, tmp_path, write_world, opened, eventually
):
    world = tmp_path / "world"
    config = write_world(world, upstream.url)
    callers, killed_s = await killed_under_load(gate, config, eventually, 2.0)
    shutil.rmtree(world / "state" / "audit")
    async with opened(world, upstream) as again:
        counted = await used(again, callers)
    assert all(
        one.answered_before(killed_s - 1) <= count <= one.sent
        for one, count in zip(callers, counted, strict=True)
    )
    assert sum(one.answered_before(killed_s - 1) for one in callers) > 0


async def test_a_second_death_loses_no_more_than_the_first(
    gate, upstream, tmp_path, write_world, opened, eventually
):
    world = tmp_path / "world"
    config = write_world(world, upstream.url)
    first, _ = await killed_under_load(gate, config, eventually, 0.2)
    await killed_under_load(gate, config, eventually, 0.2)
    async with opened(world, upstream) as again:
        counted = await used(again, first)
    assert all(
        len(one.answered_s) <= count <= one.sent for one, count in zip(first, counted, strict=True)
    )


async def test_a_damaged_file_of_counts_is_moved_aside_and_the_log_fills_in(
    gate, upstream, tmp_path, write_world, opened, eventually
):
    world = tmp_path / "world"
    config = write_world(world, upstream.url)
    callers, _ = await killed_under_load(gate, config, eventually, 1.0)
    (file,) = (world / "state" / "counts").iterdir()
    data = bytearray(file.read_bytes())
    data[20] ^= 1  # in the first of its frames
    file.write_bytes(data)
    async with opened(world, upstream) as again:
        counted = await used(again, callers)
    assert all(
        len(one.answered_s) <= count <= one.sent
        for one, count in zip(callers, counted, strict=True)
    )
    names = [path.name for path in (world / "state" / "counts").iterdir()]
    assert f"{file.name}.damaged" in names


async def test_after_an_orderly_stop_every_count_is_there(gate, upstream, tmp_path, opened):
    key = gate.key("counted")
    for turn in range(3):
        async with opened(tmp_path / "world", upstream) as one:
            for _ in range(4):
                await one.ask(one.post(key=key))
            requests, _ = await one.remaining(key)
        assert requests == LIMIT - 4 * (turn + 1) - turn
