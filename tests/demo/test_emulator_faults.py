"""The emulator misbehaves as the model's name asks, and tells what it saw."""

import asyncio
import gzip
import json
import sys

import aiohttp
import anthropic
import openai
import pytest
import yarl

from proxy.demo.emulator import Emulator
from proxy.demo.upstream.faults import BEHAVIOURS

AUTH = {"Authorization": "Bearer upstream-key"}


def chat(model: str, **more: object) -> dict[str, object]:
    return {"model": model, "messages": [{"role": "user", "content": "hi"}], **more}


@pytest.mark.parametrize(
    ("model", "error"),
    [
        ("fault-400", openai.BadRequestError),
        ("fault-403", openai.PermissionDeniedError),
        ("fault-404", openai.NotFoundError),
        ("fault-429", openai.RateLimitError),
        ("fault-429-stay", openai.RateLimitError),
        ("fault-500", openai.InternalServerError),
        ("fault-503", openai.InternalServerError),
        ("fault-529", openai.InternalServerError),
        ("fault-event", openai.InternalServerError),
        ("fault-reset", openai.APIConnectionError),
        ("fault-reset-mid", openai.APIConnectionError),
        ("fault-truncated", openai.APIConnectionError),
        ("fault-bad-json", json.JSONDecodeError),
        ("fault-no-end", json.JSONDecodeError),
    ],
)
async def test_a_fault_raises_its_error_in_the_openai_sdk(oai, model, error):
    with pytest.raises(error):
        await oai.chat.completions.create(**chat(model))


@pytest.mark.parametrize(
    ("model", "error"),
    [
        ("fault-400", anthropic.BadRequestError),
        ("fault-403", anthropic.PermissionDeniedError),
        ("fault-404", anthropic.NotFoundError),
        ("fault-429", anthropic.RateLimitError),
        ("fault-503", anthropic.InternalServerError),
        ("fault-529", anthropic.InternalServerError),
        ("fault-reset", anthropic.APIConnectionError),
        ("fault-truncated", anthropic.APIConnectionError),
    ],
)
async def test_a_fault_raises_its_error_in_the_anthropic_sdk(ant, model, error):
    with pytest.raises(error):
        await ant.messages.create(max_tokens=9, **chat(model))


async def test_a_429_that_passes_is_survived_by_retrying(emulator: Emulator, oai):
    patient = oai.with_options(max_retries=1)
    answer = await patient.chat.completions.create(**chat("fault-429-once"))
    assert answer.choices[0].finish_reason == "stop"
    assert len(emulator.seen) == 2


async def test_a_429_that_stays_is_not_retried(emulator: Emulator, oai):
    with pytest.raises(openai.RateLimitError):
        await oai.with_options(max_retries=3).chat.completions.create(**chat("fault-429-stay"))
    assert len(emulator.seen) == 1


async def test_an_error_event_ends_a_stream_in_each_dialect(oai, ant):
    with pytest.raises(openai.APIError, match="Overloaded"):
        _ = [c async for c in await oai.chat.completions.create(**chat("fault-event", stream=True))]
    asked = chat("fault-event", stream=True, max_tokens=99)
    with pytest.raises(anthropic.APIStatusError, match="overloaded_error"):
        _ = [event async for event in await ant.messages.create(**asked)]


async def test_a_truncated_stream_breaks_inside_the_chunked_body(emulator: Emulator):
    async with aiohttp.ClientSession(headers=AUTH) as session:
        url = f"{emulator.url}/v1/chat/completions"
        async with session.post(url, json=chat("fault-truncated", stream=True)) as response:
            with pytest.raises(aiohttp.ClientPayloadError):
                await response.read()


async def test_a_stream_without_an_end_is_shorter_and_has_no_terminal_event(emulator: Emulator):
    async with aiohttp.ClientSession(headers=AUTH) as session:
        url = f"{emulator.url}/v1/chat/completions"
        async with session.post(url, json=chat("fault-no-end", stream=True)) as response:
            text = await response.text()
    assert text.startswith("data: {")
    assert "[DONE]" not in text


async def test_a_slow_answer_is_whole(oai):
    stream = await oai.chat.completions.create(**chat("fault-slow", max_tokens=3, stream=True))
    assert [chunk async for chunk in stream][-1].choices[0].finish_reason == "length"


async def test_a_huge_answer_has_eight_mebibytes(ant):
    asked = chat("fault-huge", max_tokens=4000, stream=True)
    events = [event async for event in await ant.messages.create(**asked)]
    text = [event.delta.text for event in events if event.type == "content_block_delta"]
    assert sum(map(len, text)) == 8 * 2**20


@pytest.mark.parametrize("encoding", ["gzip", "br"])
@pytest.mark.parametrize("stream", [True, False])
async def test_an_encoded_answer_reads_the_same(emulator: Emulator, encoding: str, stream: bool):
    headers = AUTH | {"Accept-Encoding": encoding}
    async with aiohttp.ClientSession(headers=headers) as session:
        url = f"{emulator.url}/v1/chat/completions"
        async with session.post(url, json=chat(f"encoded-{encoding}", stream=stream)) as response:
            assert response.headers["Content-Encoding"] == encoding
            assert '"finish_reason":"stop"' in await response.text()


async def test_an_answer_can_leave_its_usage_out(oai, ant):
    assert (await oai.chat.completions.create(**chat("no-usage"))).usage is None
    asked = chat("no-usage", stream=True, stream_options={"include_usage": True})
    chunks = [chunk async for chunk in await oai.chat.completions.create(**asked)]
    assert all(chunk.usage is None for chunk in chunks)
    raw = await ant.messages.with_raw_response.create(max_tokens=9, **chat("no-usage"))
    assert "stop_reason" in await raw.text()


@pytest.mark.parametrize("model", ["fault-silent", "fault-idle"])
async def test_a_client_that_leaves_is_noticed_at_once(emulator: Emulator, model: str):
    async with aiohttp.ClientSession(headers=AUTH) as session:
        url = f"{emulator.url}/v1/chat/completions"
        waiting = asyncio.ensure_future(session.post(url, json=chat(model, stream=True)))
        await emulator.until(lambda seen: bool(seen and seen[0].model))
        if model == "fault-idle":
            (await waiting).close()
        waiting.cancel()
        await emulator.until(lambda seen: seen[0].disconnected)
    assert not emulator.seen[0].done


async def test_what_was_received_is_kept_byte_for_byte(emulator: Emulator):
    plain = json.dumps(chat("m-small")).encode()
    body = gzip.compress(plain)
    headers = AUTH | {"X-Odd-CASE": "é", "Content-Encoding": "gzip"}
    async with aiohttp.ClientSession() as session:
        url = yarl.URL(f"{emulator.url}/v1/chat/completions?a=%2F&b", encoded=True)
        async with session.post(url, data=body, headers=headers) as response:
            assert response.status == 200
    (seen,) = emulator.seen
    assert (seen.method, seen.path, seen.query) == ("POST", "/v1/chat/completions", "a=%2F&b")
    assert seen.body == body
    assert (b"X-Odd-CASE", "é".encode()) in seen.headers
    assert seen.done


async def test_an_unreadable_body_is_refused(emulator: Emulator):
    async with aiohttp.ClientSession(headers=AUTH) as session:
        url = f"{emulator.url}/v1/chat/completions"
        for body in (b"[]", b"{", b"\xff"):
            async with session.post(url, data=body) as response:
                assert response.status == 400
        async with session.post(url, data=b"x", headers={"Content-Encoding": "br"}) as response:
            assert response.status == 400


async def test_the_command_prints_its_address_and_stops_on_sigterm():
    command = (sys.executable, "-m", "proxy.demo.emulator", "--port", "0", "--key", "k")
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    assert process.stdout
    url = (await process.stdout.readline()).decode().strip()
    headers = {"Authorization": "Bearer k"}
    async with aiohttp.request("GET", f"{url}/v1/models", headers=headers) as response:
        assert response.status == 200
    process.terminate()
    await process.communicate()
    assert process.returncode == 0


def test_every_behaviour_has_a_description():
    assert all(BEHAVIOURS.values())
