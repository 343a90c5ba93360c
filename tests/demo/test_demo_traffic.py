"""The demo's traffic is what it claims to be; sent here to a model API that takes any key."""

from collections import Counter

from proxy.demo.emulator import Emulator
from proxy.demo.traffic import HASTY_REQUESTS, HYDRA_REQUESTS, STRANGER_REQUESTS, Traffic
from proxy.demo.world import HASTY, HYDRA, ISLANDER, ORDINARY


async def test_every_party_sends_its_share_with_its_own_key_and_address():
    async with Emulator(key=None) as emulator:
        traffic = Traffic(emulator.url, seconds=0.5)
        await traffic.run()
    counts = Counter(request.header("x-forwarded-for") for request in emulator.seen)
    assert counts[HASTY.address] == HASTY_REQUESTS
    assert counts[ISLANDER.address] > 0
    assert {counts[head.address] for head in HYDRA} == {HYDRA_REQUESTS}
    assert all(counts[party.address] >= 4 for party in ORDINARY)
    assert sum(counts.values()) == len(emulator.seen) == traffic.sent
    assert traffic.raised == {}
    keys = Counter(
        request.header("x-api-key") or (request.header("authorization") or "")[7:]
        for request in emulator.seen
    )
    assert keys[HASTY.key] == HASTY_REQUESTS
    assert keys["demo-stranger"] == STRANGER_REQUESTS


async def test_what_the_sdks_raise_is_counted_by_account():
    async with Emulator(key="demo-ada") as emulator:
        traffic = Traffic(emulator.url, seconds=0.5)
        await traffic.run()
    assert "ada" not in traffic.raised
    assert traffic.raised["hasty"] == {"openai.AuthenticationError": HASTY_REQUESTS}
    assert set(traffic.raised["hydra-01"]) == {
        "openai.AuthenticationError",
        "anthropic.AuthenticationError",
    }
