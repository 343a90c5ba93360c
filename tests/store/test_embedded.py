"""The embedded store over a restart, over a disk that refuses, and over a new file."""

import asyncio
import errno

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.model.plan import Correction
from proxy.store import writer as writing
from proxy.store.embedded import EmbeddedStore
from proxy.store.journal import Journal
from proxy.store.tokens import Tokens
from tests.store.plans import T0_S, S, bucket, charge, lease, lifetime, plan, rolling

TOKENS = Tokens(b"k" * 32)


class Clock:
    at_s = 0.0

    def __call__(self) -> int:
        return int((T0_S + self.at_s) * S)


def opened(directory, **more) -> EmbeddedStore:
    return EmbeddedStore.open(directory, TOKENS, clock=Clock(), **more)


async def looked(store, *charges, at_s=0.0):
    found = await store.take(plan(*charges, at_s=at_s, take=False))
    return [reading.before for reading in found.readings]


KINDS = [charge, lifetime, rolling, bucket]


@pytest.mark.parametrize("kind", KINDS)
async def test_a_count_is_there_again_after_a_close(tmp_path, kind):
    one = kind(amount=2, limit=9)
    store = opened(tmp_path)
    await store.take(plan(one))
    await store.close()
    again = opened(tmp_path)
    assert await looked(again, one) == [2]
    await again.take(plan(one))
    await again.close()
    assert await looked(opened(tmp_path), one) == [4]


@pytest.mark.parametrize("kind", KINDS)
async def test_a_count_is_there_again_after_a_death_once_it_was_written(tmp_path, kind):
    store, one = opened(tmp_path), kind(amount=2, limit=9)
    taken = plan(one)
    readings = await store.take(taken)
    store.settle(taken, readings, (Correction(one, 1),))
    await store._writer.write()
    await store.take(plan(one))  # and dies
    assert await looked(opened(tmp_path), one) == [3]


async def test_nobody_finds_a_name_in_the_files(tmp_path):
    store = opened(tmp_path)
    await store.take(plan(charge("account.id=acc-secret"), rolling("acc-secret-too")))
    await store.close()
    for path in tmp_path.iterdir():
        assert b"secret" not in path.read_bytes()


async def test_another_key_finds_nothing(tmp_path):
    store = opened(tmp_path)
    await store.take(plan(charge()))
    await store.close()
    other = EmbeddedStore.open(tmp_path, Tokens(b"o" * 32), clock=Clock())
    assert await looked(other, charge()) == [0]


async def test_leases_end_with_the_process(tmp_path):
    store = opened(tmp_path)
    await store.take(plan(lease(limit=1)))
    await store.close()
    assert (await opened(tmp_path).take(plan(lease(limit=1)))).taken


async def test_what_an_earlier_process_left_can_be_inherited(tmp_path):
    store = opened(tmp_path)
    await store.take(plan(charge("parent", amount=2)))
    await store.close()
    assert await looked(opened(tmp_path), charge("heir", inherits=("parent",))) == [2]


def recounted(found):
    """A refill that only keeps what was left open."""
    return lambda left: found.update(left.restored.opened)


async def test_a_reservation_that_is_open_is_left_with_what_it_is_charged(tmp_path):
    one, found = charge("a", amount=3, limit=9), {}
    store = opened(tmp_path, floor=lambda wanted, _: (Correction(wanted.charges[0], -2),))
    young, renewed, over = (plan(one, id=name) for name in ("young", "renewed", "over"))
    readings = [await store.take(each) for each in (young, renewed, over)]
    store.renew(renewed, readings[1], (Correction(one, -1),))
    await store._writer.write()
    store.settle(over, readings[2], ())
    await store._writer.write()
    opened(tmp_path, refill=recounted(found))
    assert {name: one.floor for name, one in found.items()} == {"young": (-2,), "renewed": (-1,)}
    assert found["young"].charges[0].taken == 3


class FullDisk(Journal):
    full = False

    def append(self, frame):
        if FullDisk.full:
            raise OSError(errno.ENOSPC, "No space left on device")
        super().append(frame)


@pytest.fixture
def full_disk(monkeypatch):
    monkeypatch.setattr("proxy.store.embedded.Journal", FullDisk)
    monkeypatch.setattr(FullDisk, "full", True)

    def relieve():
        FullDisk.full = False

    return relieve


async def test_on_a_full_disk_counting_goes_on_and_all_is_written_once_there_is_room(
    tmp_path, full_disk
):
    store = opened(tmp_path)
    assert "No space left" in store.problem
    await store.take(plan(charge("a")))
    await store._writer.write()
    assert (store.problem is not None, await looked(store, charge("a"))) == (True, [1])
    full_disk()
    while store.problem or store._writer._copying:
        await store._writer.write()
    assert await looked(opened(tmp_path), charge("a")) == [1]
    assert len(list(tmp_path.iterdir())) == 1


async def test_a_file_begun_after_a_gap_does_not_count_before_it_is_whole(tmp_path, monkeypatch):
    store = opened(tmp_path)
    for number in range(50):
        await store.take(plan(charge(f"c{number}")))
    await store._writer.write()
    monkeypatch.setattr(writing, "COPIED_AT_ONCE", 10)
    store._writer._fails(OSError(errno.EIO, "once"))
    await store.take(plan(charge("c7")))
    await store._writer.write()
    assert store._writer._copying is not None
    assert await looked(opened(tmp_path), charge("c7"), charge("c8")) == [1, 1]


async def test_what_changes_while_another_file_is_begun_is_in_it(tmp_path, monkeypatch):
    monkeypatch.setattr(writing, "COPIED_AT_ONCE", 10)
    store = opened(tmp_path)
    for number in range(100):
        await store.take(plan(charge(f"c{number}")))
    await store._writer._begin_anew()
    late = 0
    while store._writer._copying is not None:
        await store.take(plan(charge(f"late-{late}")))
        await store._writer.write()
        late += 1
    looks = [charge(f"late-{number}") for number in range(late)]
    assert await looked(opened(tmp_path), *looks, charge("c99")) == [1] * (late + 1)
    assert late > 9


async def test_a_cancelled_write_loses_nothing(tmp_path):
    store = opened(tmp_path)
    for number in range(2000):
        await store.take(plan(charge(f"c{number}")))
    writes = asyncio.create_task(store._writer.write())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    writes.cancel()
    with pytest.raises(asyncio.CancelledError):
        await writes
    await store.close()
    assert opened(tmp_path).counters() == 2000


async def test_the_files_do_not_grow_without_end(tmp_path, monkeypatch):
    monkeypatch.setattr(writing, "GROWTH_BYTES", 10_000)
    store = opened(tmp_path)
    for number in range(2000):
        wanted = plan(charge(f"c{number % 30}", limit=10**6))
        store.settle(wanted, await store.take(wanted), ())
        await store._writer.write()
    while store._writer._copying is not None:
        await store._writer.write()
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) < 20_000
    assert await looked(opened(tmp_path), charge("c0"), charge("c29")) == [67, 66]


acts = st.lists(
    st.one_of(
        st.tuples(st.just("take"), st.integers(0, 7), st.integers(0, 3), st.integers(0, 3)),
        st.tuples(st.just("write")),
        st.tuples(st.just("anew")),
        st.tuples(st.just("look"), st.integers(0, 7), st.integers(0, 3)),
        st.tuples(st.just("restart")),
    ),
    max_size=40,
)


@settings(max_examples=60, deadline=None)
@given(acts=acts)
def test_after_any_history_a_death_leaves_the_counts_of_the_last_write(tmp_path_factory, acts):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(writing, "COPIED_AT_ONCE", 2)
        asyncio.run(_history(tmp_path_factory.mktemp("counts"), acts))


async def _history(directory, acts):
    store, counts, saved = opened(directory), {}, {}
    for act, *given_ in acts:
        if act == "take":
            number, kind, amount = given_
            readings = await store.take(plan(KINDS[kind](f"c{number}", amount, limit=10**6)))
            assert readings.taken
            counts[number, kind] = counts.get((number, kind), 0) + amount
        elif act == "look":
            number, kind = given_
            await looked(store, KINDS[kind](f"c{number}", limit=10**6))
        elif act == "restart":
            store, counts = opened(directory), dict(saved)
        else:
            if act == "anew" and store._writer._copying is None:
                await store._writer._begin_anew()
            await store._writer.write()
            saved = dict(counts)
    again = opened(directory)
    for (number, kind), count in saved.items():
        assert await looked(again, KINDS[kind](f"c{number}", limit=10**6)) == [count]
