"""The detector's keys in a shared store: values in pieces, while the store fails and forgets."""

import asyncio

import pytest
import pytest_asyncio
from structlog.testing import capture_logs

from bench.servers.engines import VALKEY
from proxy.gateway.detecting import relay as relay_module
from proxy.gateway.detecting import shared as shared_module
from proxy.gateway.detecting.box import Box
from proxy.gateway.detecting.relay import Fetched, shared_of
from proxy.gateway.detecting.shared import PieceGone
from proxy.settings.load import load
from proxy.settings.secrets import ensured
from proxy.store.errors import StoreUnavailable
from tests.gateway.test_detect_shared import detecting, said, shared

pytestmark = [
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.parametrize("store_engine", [VALKEY], indirect=True),
]


@pytest_asyncio.fixture(loop_scope="session")
async def detector(tmp_path, store_server, monkeypatch):
    """Holds the lease, and writes pieces of ten bytes."""
    monkeypatch.setattr(shared_module, "PIECE_BYTES", 10)
    directory = shared(store_server, tmp_path / "here", "http://127.0.0.1:9")
    settings = load(directory / "gauger.yaml", {}, upstreams=False)
    made = shared_of(settings, ensured(settings))
    assert await made.hold()
    yield made
    await made.close()


async def lives_ms(detector, name):
    """How long the pieces of a value that is being written still live, by their numbers."""
    found = [await detector._command(piece, "PTTL") for piece in name]
    return [ttl for ttl in found if ttl != -2]


async def test_the_pieces_of_a_value_that_was_not_written_whole_go_away(detector, monkeypatch):
    await detector.put_whole("state", b"the state before, in pieces")
    tried, put = [], detector.put

    async def full(name, data):
        tried.append(name)
        if len(tried) == 3:
            raise StoreUnavailable("OOM command not allowed")
        await put(name, data)

    with monkeypatch.context() as patched:
        patched.setattr(detector, "put", full)
        with pytest.raises(StoreUnavailable, match="OOM"):
            await detector.put_whole("state", b"another state, of more pieces than that")
    lives = await lives_ms(detector, tried)
    assert len(lives) == 2
    assert max(lives) <= shared_module.LEAVING_MS
    assert await detector.get_whole("state") == b"the state before, in pieces"


async def test_a_detector_whose_state_the_store_threw_out_in_part_begins_anew(
    detector, store_server, tmp_path
):
    await detector.put_whole("state", b"a state, sealed and in pieces")
    piece = (await detector._pieces("state"))[1]
    await detector._command(piece, "DEL")
    with pytest.raises(PieceGone):
        await detector.get_whole("state")
    await detector.release()
    async with detecting(tmp_path / "here") as process, asyncio.timeout(20):
        await said(process, "the detector begins anew: its state is of no use")
        await said(process, "active")


async def test_where_nobody_detects_the_log_says_so_once(detector, tmp_path, monkeypatch):
    monkeypatch.setattr(relay_module, "ALONE_LOOKS", 3)
    fetched = Fetched(detector, Box(b"k" * 32), tmp_path)
    with capture_logs() as logs:
        for _ in range(4):
            await fetched.look()
        assert logs == []
        await detector._command("lease", "DEL")
        for _ in range(7):
            await fetched.look()
    assert [one["event"] for one in logs] == [
        "nobody reads the sightings: no `gauger detect` is active"
    ]
