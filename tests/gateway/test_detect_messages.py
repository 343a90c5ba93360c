"""What goes to the detector's process, and the index that comes back: whole, bounded, in pieces."""

import asyncio
import os
import socket
from pathlib import Path

import msgspec
import pytest

from proxy.facts.sketch import sketch
from proxy.gateway.detecting import chunks, make, state
from proxy.gateway.detecting.beside import engine_of
from proxy.gateway.detecting.box import Box, SealError
from proxy.gateway.detecting.messages import (
    Greeting,
    Seen,
    bounded,
    frame,
    greeting,
    received,
    received_greeting,
)
from proxy.gateway.detecting.place import Place
from proxy.gateway.detecting.state import State
from proxy.model.exchange import Prompt
from proxy.model.sighting import Described, Sighting
from proxy.pipeline.records import MOST_TRAITS, traits_of, traits_text
from proxy.settings.schema import Settings
from proxy.settings.secrets import Keys
from tests.gateway.detect_standin import Detector

KEY = b"k" * 32
WHO = Described("acc-1", (("payment", 2**64 - 1),))


class Index(msgspec.Struct, frozen=True):
    version: str
    members: dict[str, tuple[int, float]] = {}
    none: dict[int, int] = {}


def words(count, salt):
    return " ".join(f"{salt}word{chr(97 + n % 26)}{chr(97 + n // 26 % 26)}" for n in range(count))


async def read_back(*frames):
    reader = asyncio.StreamReader()
    reader.feed_data(b"".join(frames))
    reader.feed_eof()
    return reader


@pytest.mark.parametrize("count", [10, 2_000, 50_000])
def test_a_bounded_prompt_has_the_sketches_of_the_whole_one(count):
    first, last, system = words(count, "a"), words(count, "b"), words(count, "c")
    prompt = Prompt(system, first, last, 3, tools=b"[" * 10_000)
    short = bounded(prompt)
    assert sketch(short, KEY) == sketch(prompt, KEY)
    assert max(map(len, (short.system, short.opening, short.latest))) < 21_000
    assert short.tools == b""


async def test_what_was_sent_is_received_and_lone_surrogates_become_question_marks():
    seen = Seen(WHO, Sighting(7, 8, "acc-1", (2**64 - 1,), True), Prompt("a", "b\udcff", "c", 1))
    reader = await read_back(greeting(Greeting("log", "/audit", 7)), frame([seen, seen]))
    assert await received_greeting(reader) == Greeting("log", "/audit", 7)
    expected = Seen(WHO, seen.sighting, Prompt("a", "b?", "c", 1))
    assert await received(reader) == [expected, expected]
    with pytest.raises(asyncio.IncompleteReadError):
        await received(reader)


@pytest.mark.parametrize("junk", [b"\xff\xff\xff\xff", b"\0\0\0\1\xc1", b"\0\0\0\1\x01"])
async def test_what_is_no_frame_is_an_error_and_takes_no_memory(junk):
    with pytest.raises(ValueError):  # noqa: PT011 (of several kinds)
        await received(await read_back(junk))


@pytest.mark.parametrize("count", [0, 1, 499, 500, 501, 2_345])
def test_an_index_in_pieces_is_the_whole_index(count):
    index = Index("7", {f"acc-{n}": (n, n / 7) for n in range(count)})
    aside = []
    assert chunks.unpacked(chunks.packed(index), Index, aside.append) == index
    assert len(aside) == max(0, -(-count // chunks.AT_ONCE) - 1)


@pytest.mark.parametrize("data", [b"", b"\xc1", msgspec.msgpack.encode({"version": []})])
def test_what_is_no_index_is_an_error(data):
    with pytest.raises(ValueError):  # noqa: PT011 (of several kinds)
        chunks.unpacked(data, Index)


def test_a_state_opens_with_its_own_key_only_and_not_under_another_name():
    saved = State(b"all", {"log": 7}, counted=9)
    data = state.packed(saved, Box(KEY))
    assert state.unpacked(data, Box(KEY)) == saved
    with pytest.raises(SealError):
        state.unpacked(data, Box(b"x" * 32))
    with pytest.raises(SealError):
        Box(KEY).open("index", data)
    with pytest.raises(SealError):
        Box(KEY).open("state", data[:-1] + os.urandom(1) + b"x")


def test_a_state_that_was_set_aside_survives_the_next_one(tmp_path):
    """A wrong key sets the good state aside; the right one must not put the other in its place."""
    good, box = state.packed(State(b"good"), Box(KEY)), Box(KEY)
    state.put(tmp_path / "state", good)
    assert state.read(tmp_path, Box(b"x" * 32)) is None
    state.put(tmp_path / "state", state.packed(State(b"other"), Box(b"x" * 32)))
    assert state.read(tmp_path, box) is None
    assert (tmp_path / "state.damaged").read_bytes() == good
    assert not (tmp_path / "state").exists()


def test_a_state_that_the_detector_does_not_take_is_set_aside(tmp_path, monkeypatch):
    class Picky(Detector):
        def load(self, data):
            raise ValueError("saved with steps of 900 s")

    monkeypatch.setattr(make, "detector_of", lambda settings, key: Picky())
    saved = State(b"all that was learned", published=7)
    settings = Settings.model_construct()
    assert engine_of(settings, Keys(KEY, KEY), saved, tmp_path).findings == 0
    kept = state.unpacked((tmp_path / "state.damaged").read_bytes(), Box(KEY))
    assert kept == saved


def test_a_file_is_replaced_at_once_and_for_its_owner_alone(tmp_path):
    path = tmp_path / "one"
    state.put(path, b"before")
    state.put(path, b"after")
    assert path.read_bytes() == b"after"
    assert path.stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.iterdir()) == [path]


def test_fingerprints_in_a_record_are_those_that_went_in_up_to_a_bound():
    tokens = tuple(range(2**64 - 60, 2**64))
    assert traits_of(traits_text(tokens[:20])) == tokens[:20]
    assert traits_of(traits_text(tokens)) == tokens[:MOST_TRAITS]
    assert traits_of(traits_text(())) == ()
    with pytest.raises(ValueError, match="no fingerprints"):
        traits_of("AAAA")


def test_a_socket_whose_path_is_too_long_is_put_elsewhere(tmp_path):
    place = Place.open(tmp_path / ("deep" * 30))
    assert len(place.address) < 100
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(place.address)
    place.close()
    assert not Path(place.address).parent.exists()
