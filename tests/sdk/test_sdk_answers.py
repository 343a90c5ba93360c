"""Through the gateway the real SDKs get what the model API itself answers, call by call."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import anthropic
import openai
import pytest
import pytest_asyncio

pytestmark = pytest.mark.asyncio(loop_scope="session")

UPSTREAM_KEY = "the-upstream-credential"
HELLO = [{"role": "user", "content": "How strong is it?"}]
SCHEMA = {"type": "object", "properties": {"place": {"type": "string"}}}
PIXEL = "R0lGODlhAQABAAAAACH5BAEKAAEALAAAAAABAAEAAAICTAEAOw=="
OPENAI_TOOL = {"type": "function", "function": {"name": "measure", "parameters": SCHEMA}}
ANTHROPIC_TOOL = {"name": "measure", "input_schema": SCHEMA}
OPENAI_IMAGE = {"type": "image_url", "image_url": {"url": f"data:image/gif;base64,{PIXEL}"}}
ANTHROPIC_IMAGE = {
    "type": "image",
    "source": {"type": "base64", "media_type": "image/gif", "data": PIXEL},
}


@pytest_asyncio.fixture(loop_scope="session")
async def direct(gateway) -> AsyncIterator[tuple[Any, Any]]:
    """The two SDKs with the model API itself."""
    url = gateway.emulator.url
    async with AsyncExitStack() as stack:
        oai = openai.AsyncOpenAI(api_key=UPSTREAM_KEY, base_url=f"{url}/v1")
        ant = anthropic.AsyncAnthropic(api_key=UPSTREAM_KEY, base_url=url)
        yield await stack.enter_async_context(oai), await stack.enter_async_context(ant)


def turn(*parts: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"role": "user", "content": [*parts, {"type": "text", "text": "What is it?"}]}]


OPENAI_CALLS = {
    "chat": lambda c: c.chat.completions.create(model="m-small", messages=HELLO),
    "several choices": lambda c: c.chat.completions.create(model="m-small", messages=HELLO, n=3),
    "tools": lambda c: c.chat.completions.create(
        model="m-small", messages=HELLO, tools=[OPENAI_TOOL]
    ),
    "an image": lambda c: c.chat.completions.create(model="m-small", messages=turn(OPENAI_IMAGE)),
    "responses": lambda c: c.responses.create(model="m-small", input="How strong?"),
    "older completions": lambda c: c.completions.create(model="m-small", prompt="How strong"),
    "embeddings": lambda c: c.embeddings.create(model="embed-small", input=["a", "b"]),
    "moderations": lambda c: c.moderations.create(input="moonshine"),
    "pictures": lambda c: c.images.generate(model="m-image", prompt="a still"),
    "picture edits": lambda c: c.images.edit(
        image=("a.png", b"\x89PNG\r\n\r\n", "image/png"), prompt="b"
    ),
    "transcription": lambda c: c.audio.transcriptions.create(
        model="m-ear", file=("a.mp3", b"ID3\r\n--")
    ),
    "models": lambda c: c.models.list(),
    "one model": lambda c: c.models.retrieve("m-small"),
}
ANTHROPIC_CALLS = {
    "message": lambda c: c.messages.create(model="m-small", max_tokens=99, messages=HELLO),
    "tools": lambda c: c.messages.create(
        model="m-small", max_tokens=99, messages=HELLO, tools=[ANTHROPIC_TOOL]
    ),
    "an image": lambda c: c.messages.create(
        model="m-small", max_tokens=99, messages=turn(ANTHROPIC_IMAGE)
    ),
    "thinking": lambda c: c.messages.create(model="m-reason", max_tokens=99, messages=HELLO),
    "token count": lambda c: c.messages.count_tokens(model="m-small", messages=HELLO),
    "one model": lambda c: c.models.retrieve("m-small"),
}


@pytest.mark.parametrize("name", OPENAI_CALLS)
async def test_an_openai_call_gets_the_same_answer_as_without_a_gateway(oai, direct, name):
    call = OPENAI_CALLS[name]
    through, without = await call(oai().sdk), await call(direct[0])
    assert through.model_dump() == without.model_dump()


@pytest.mark.parametrize("name", ANTHROPIC_CALLS)
async def test_an_anthropic_call_gets_the_same_answer_as_without_a_gateway(ant, direct, name):
    call = ANTHROPIC_CALLS[name]
    through, without = await call(ant().sdk), await call(direct[1])
    assert through.model_dump() == without.model_dump()


async def chat_text(client: Any, **more: Any) -> list[Any]:
    stream = await client.chat.completions.create(
        model="m-small", messages=HELLO, stream=True, **more
    )
    return [chunk.model_dump(exclude_unset=True) async for chunk in stream]


async def test_a_chat_stream_tells_usage_only_to_a_client_that_asked(oai, direct, seen):
    hidden = await chat_text(oai().sdk)
    (request,) = seen()
    assert json.loads(request.body)["stream_options"] == {"include_usage": True}
    asked = await chat_text(oai().sdk, stream_options={"include_usage": True})
    assert asked == await chat_text(direct[0], stream_options={"include_usage": True})
    assert len(hidden) == len(asked) - 1
    assert all(chunk["choices"] for chunk in hidden)
    assert not any(chunk.get("usage") for chunk in hidden)
    assert [chunk["choices"] for chunk in hidden] == [chunk["choices"] for chunk in asked[:-1]]


async def test_a_streamed_tool_call_arrives_whole(oai, ant):
    async with oai().sdk.chat.completions.stream(
        model="m-small", messages=HELLO, tools=[OPENAI_TOOL]
    ) as stream:
        call = (await stream.get_final_completion()).choices[0].message.tool_calls[0]
    assert json.loads(call.function.arguments) == {"place": "Leith"}
    async with ant().sdk.messages.stream(
        model="m-small", max_tokens=99, messages=HELLO, tools=[ANTHROPIC_TOOL]
    ) as stream:
        assert (await stream.get_final_message()).content[0].input == {"place": "Leith"}


async def test_a_responses_stream_is_the_same_as_without_a_gateway(oai, direct):
    async def events(client: Any) -> list[Any]:
        stream = await client.responses.create(model="m-small", input="How strong?", stream=True)
        return [event.model_dump() async for event in stream]

    through = await events(oai().sdk)
    assert through == await events(direct[0])
    assert through[-1]["type"] == "response.completed"


async def test_a_message_stream_is_the_same_as_without_a_gateway(ant, direct):
    async def lines(client: Any) -> list[str]:
        """Raw lines: the SDK itself swallows pings."""
        asked = {"model": "two-deltas", "max_tokens": 99, "messages": HELLO, "stream": True}
        async with client.messages.with_streaming_response.create(**asked) as response:
            return [line async for line in response.iter_lines()]

    through = await lines(ant().sdk)
    assert through == await lines(direct[1])
    assert "event: ping" in through


async def test_a_file_goes_up_runs_as_a_batch_and_comes_down_byte_for_byte(oai):
    client = oai().sdk
    body = {"model": "words-5", "messages": HELLO}
    line = {"custom_id": "one", "method": "POST", "url": "/v1/chat/completions", "body": body}
    content = json.dumps(line).encode() + b"\r\n"
    upload = await client.files.create(file=("in.jsonl", content), purpose="batch")
    assert (await client.files.content(upload.id)).content == content
    batch = await client.batches.create(
        input_file_id=upload.id, endpoint="/v1/chat/completions", completion_window="24h"
    )
    result = json.loads((await client.files.content(batch.output_file_id)).text)
    assert result["response"]["body"]["usage"]["completion_tokens"] == 5
    assert (await client.files.delete(upload.id)).deleted


async def test_a_message_batch_is_made_looked_at_and_deleted(ant):
    client = ant().sdk
    params = {"model": "words-5", "max_tokens": 50, "messages": HELLO}
    batch = await client.messages.batches.create(requests=[{"custom_id": "a", "params": params}])
    assert (await client.messages.batches.retrieve(batch.id)).processing_status == "ended"
    assert (await client.messages.batches.delete(batch.id)).id == batch.id


async def test_the_synchronous_clients_work_too(gateway):
    def run() -> tuple[str, str, str, str]:
        with (
            openai.OpenAI(api_key=gateway.key(), base_url=f"{gateway.url}/v1") as oai,
            anthropic.Anthropic(api_key=gateway.key(), base_url=gateway.url) as ant,
        ):
            asked: dict[str, Any] = {"model": "m-small", "messages": HELLO, "max_tokens": 99}
            whole = oai.chat.completions.create(**asked)
            chunks = oai.chat.completions.create(**asked, stream=True)
            streamed = "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
            message = ant.messages.create(**asked)
            with ant.messages.stream(**asked) as stream:
                text = "".join(stream.text_stream)
        return whole.choices[0].message.content, streamed, message.content[0].text, text

    chat, chat_streamed, message, message_streamed = await asyncio.to_thread(run)
    assert chat == chat_streamed
    assert message == message_streamed


@pytest.mark.parametrize("encoding", ["encoded-gzip", "encoded-br", "encoded-zstd"])
async def test_a_compressed_stream_reads_as_ever(oai, ant, encoding):
    stream = await oai().sdk.chat.completions.create(model=encoding, messages=HELLO, stream=True)
    chunks = [chunk async for chunk in stream]
    assert chunks[-1].choices[0].finish_reason == "stop"
    asked = {"model": encoding, "max_tokens": 99, "messages": HELLO}
    assert (await ant().sdk.messages.create(**asked)).stop_reason == "end_turn"


async def test_an_answer_of_eight_mebibytes_arrives_whole(ant):
    async with ant().sdk.messages.stream(
        model="fault-huge", max_tokens=4000, messages=HELLO
    ) as stream:
        message = await stream.get_final_message()
    assert len(message.content[0].text) == 8 * 2**20


async def test_the_callers_key_never_reaches_the_model_api_but_his_other_headers_do(oai, ant, seen):
    await oai(organization="org-mine", project="proj-mine").sdk.models.list(
        extra_headers={"Idempotency-Key": "abc", "X-Trace": "1"}
    )
    await ant().sdk.messages.create(
        model="m-small", max_tokens=9, messages=HELLO, extra_headers={"anthropic-beta": "x-1"}
    )
    first, second = seen()
    for request in (first, second):
        values = b"\n".join(value for _, value in request.headers)
        assert b"sk-free" not in values
        assert UPSTREAM_KEY.encode() in values
    assert first.header("openai-organization") == "org-mine"
    assert first.header("openai-project") == "proj-mine"
    assert (first.header("idempotency-key"), first.header("x-trace")) == ("abc", "1")
    assert second.header("anthropic-beta") == "x-1"
    assert second.header("anthropic-version")
