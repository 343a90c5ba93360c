"""Batches of both dialects through the real SDKs: counted, charged, held, and settled."""

import io
import json

import anthropic
import openai
import pytest
import pytest_asyncio

from proxy.demo.emulator import Emulator
from tests.gateway.conftest import UPSTREAM_KEY, eventually, opened

pytestmark = pytest.mark.asyncio(loop_scope="session")

POLICY = """
quotas:
  - {id: day, mode: enforce, limit: {requests: 100, tokens: 100000, concurrent: 5}, window: 1w}
"""


def line(number: int, **body: object) -> bytes:
    asked = {"model": "m-small", "messages": [{"role": "user", "content": "Say a few words."}]}
    said = {"custom_id": f"r{number}", "method": "POST", "url": "/v1/chat/completions"}
    return json.dumps(said | {"body": asked | body}).encode() + b"\n"


@pytest_asyncio.fixture(loop_scope="session", scope="module")
async def batching():
    """An emulated model API that answers batches at once."""
    async with Emulator(key=UPSTREAM_KEY) as emulator:
        yield emulator


@pytest_asyncio.fixture(loop_scope="session", scope="module")
async def gate(tmp_path_factory, _upstream, batching, _environment):
    directory = tmp_path_factory.mktemp("batches") / "world"
    async with opened(directory, _upstream, url=batching.url, policy=POLICY) as one:
        yield one
        one.hang_up()


@pytest_asyncio.fixture(loop_scope="session")
async def client(gate):
    async with openai.AsyncOpenAI(
        api_key=gate.key(), base_url=f"http://{gate.server.address}/v1", max_retries=0
    ) as one:
        yield one


def counts(gate, key):
    """What the store has counted for the account of a key: by unit."""
    account = key.replace("sk-", "acc-")
    found = {}
    windows = gate.server.gateway.store.memory.fixed.values()
    for part in (part for window in windows for part in window):
        for counter, n in part.items():
            if f"account.id={account}|" in counter:
                found[counter.split("|")[1]] = n
    return found


async def submitted(client, *lines: bytes):
    file = await client.files.create(
        file=("in.jsonl", io.BytesIO(b"".join(lines))), purpose="batch"
    )
    return await client.batches.create(
        input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h"
    )


async def test_a_batch_is_charged_by_its_lines_and_settled_by_its_results(gate, client):
    batch = await submitted(client, *(line(n, max_tokens=1000) for n in range(20)))
    key = client.api_key
    held = counts(gate, key)
    assert held["requests"] == 2 + 20 - 1  # the upload, and each line
    assert held["tokens"] > 20_000
    content = await client.files.content(batch.output_file_id)
    answers = [json.loads(one) for one in content.text.splitlines()]
    used = sum(one["response"]["body"]["usage"]["total_tokens"] for one in answers)
    await eventually(lambda: counts(gate, key)["tokens"] == used)
    (settled,) = await gate.records("settlement")
    assert settled.fields["succeeded"] == 20
    assert settled.fields["corrections"] == [["day", "tokens", used - held["tokens"]]]
    again = await client.files.content(batch.output_file_id)
    assert again.text == content.text
    await gate.idle()
    assert counts(gate, key)["tokens"] == used
    assert len(gate.server.gateway.store.memory._leases) == 0


async def test_a_batch_that_asks_for_more_than_is_left_is_refused(gate, client):
    with pytest.raises(openai.RateLimitError) as refused:
        await submitted(client, *(line(n, max_tokens=1) for n in range(101)))
    assert "102 requests" not in refused.value.message
    assert "100 requests" in refused.value.message


async def test_a_file_that_nobody_counted_is_not_submitted(gate, client):
    with pytest.raises(openai.BadRequestError, match="upload it through this API") as refused:
        await client.batches.create(
            input_file_id="file-elsewhere", endpoint="/v1/chat/completions", completion_window="24h"
        )
    assert refused.value.param == "input_file_id"


async def test_a_file_with_a_line_that_cannot_be_read_is_not_submitted(gate, client):
    with pytest.raises(openai.BadRequestError, match="Line 2 of the input file cannot be read"):
        await submitted(client, line(1), b"{broken\n", line(3))


async def test_a_count_outlives_the_gateway_that_made_it(tmp_path, upstream, batching):
    directory = tmp_path / "world"
    given = {"url": batching.url, "policy": POLICY}
    async with opened(directory, upstream, **given) as first:
        key = first.key()
        base = f"http://{first.server.address}/v1"
        async with openai.AsyncOpenAI(api_key=key, base_url=base, max_retries=0) as one:
            file = await one.files.create(
                file=("in.jsonl", io.BytesIO(line(1, max_tokens=700))), purpose="batch"
            )
    async with opened(directory, upstream, **given) as second:
        base = f"http://{second.server.address}/v1"
        async with openai.AsyncOpenAI(api_key=key, base_url=base, max_retries=0) as one:
            await one.batches.create(
                input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h"
            )
        await second.idle()


async def test_a_message_batch_is_charged_by_its_requests_and_its_results_come_through_here(gate):
    key = gate.key()
    asked = {"model": "m-small", "max_tokens": 1000}
    asked["messages"] = [{"role": "user", "content": "Say a few words."}]
    base = f"http://{gate.server.address}"
    async with anthropic.AsyncAnthropic(api_key=key, base_url=base, max_retries=0) as client:
        batch = await client.messages.batches.create(
            requests=[{"custom_id": f"r{n}", "params": asked} for n in range(10)]
        )
        await gate.idle()
        held = counts(gate, key)
        assert held["requests"] == 10
        assert held["tokens"] > 10_000
        assert batch.results_url.startswith(base + "/v1/messages/batches/")
        results = [one async for one in await client.messages.batches.results(batch.id)]
    usages = [one.result.message.usage for one in results]
    used = sum(usage.input_tokens + usage.output_tokens for usage in usages)
    await eventually(lambda: counts(gate, key)["tokens"] == used)
