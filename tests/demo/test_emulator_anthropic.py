"""The real Anthropic SDK understands everything that the emulator says."""

import asyncio

import anthropic
import pytest

from proxy.demo.emulator import Emulator

HELLO = [{"role": "user", "content": "How strong is it?"}]
TOOL = {
    "name": "measure",
    "input_schema": {"type": "object", "properties": {"place": {"type": "string"}}},
}


async def test_a_stream_adds_up_to_the_whole_message(ant):
    asked = {"model": "m-small", "max_tokens": 100, "messages": HELLO}
    whole = await ant.messages.create(**asked)
    async with ant.messages.stream(**asked) as stream:
        streamed = await stream.get_final_message()
    assert streamed.content[0].text == whole.content[0].text
    assert streamed.usage.output_tokens == whole.usage.output_tokens
    assert streamed.stop_reason == "end_turn"


async def test_a_stream_begins_with_usage_pings_and_counts_cumulatively(ant):
    stream = ant.messages.with_streaming_response.create(
        model="two-deltas", max_tokens=100, messages=HELLO, stream=True
    )
    async with stream as response:
        names = [line[7:] async for line in response.iter_lines() if line.startswith("event: ")]
    assert names[:3] == ["message_start", "content_block_start", "ping"]
    assert names[-3:] == ["message_delta", "message_delta", "message_stop"]

    events = [
        event
        async for event in await ant.messages.create(
            model="two-deltas", max_tokens=100, messages=HELLO, stream=True
        )
    ]
    counts = [event.usage.output_tokens for event in events if event.type == "message_delta"]
    words = sum(event.type == "content_block_delta" for event in events)
    assert counts == [words // 2, words]


async def test_a_message_stops_at_its_output_limit(ant):
    message = await ant.messages.create(model="words-9", max_tokens=4, messages=HELLO)
    assert message.stop_reason == "max_tokens"
    assert message.usage.output_tokens == 4


async def test_the_three_input_counts_add_up_to_the_whole_input(ant):
    plain = await ant.messages.create(model="m-small", max_tokens=4, messages=HELLO)
    cached = await ant.messages.create(model="m-cached", max_tokens=4, messages=HELLO)
    usage = cached.usage
    assert usage.cache_read_input_tokens == plain.usage.input_tokens // 2
    assert plain.usage.input_tokens == (
        usage.input_tokens + usage.cache_read_input_tokens + usage.cache_creation_input_tokens
    )


async def test_thinking_comes_first_and_counts_as_output(ant):
    asked = {"model": "m-reason", "max_tokens": 100, "messages": HELLO}
    whole = await ant.messages.create(**asked)
    assert [block.type for block in whole.content] == ["thinking", "text"]
    assert whole.usage.output_tokens == 16 + len(whole.content[1].text.split())
    async with ant.messages.stream(**asked) as stream:
        assert (await stream.get_final_message()).content[1].text == whole.content[1].text


async def test_a_declared_tool_is_called_and_its_result_is_answered(ant):
    asked = {"model": "m-small", "max_tokens": 100, "tools": [TOOL]}
    called = await ant.messages.create(messages=HELLO, **asked)
    assert called.stop_reason == "tool_use"
    assert called.content[0].input == {"place": "Leith"}
    async with ant.messages.stream(messages=HELLO, **asked) as stream:
        assert (await stream.get_final_message()).content[0].input == {"place": "Leith"}
    result = {"type": "tool_result", "tool_use_id": called.content[0].id, "content": "strong"}
    turns = [
        *HELLO,
        {"role": "assistant", "content": [called.content[0].model_dump(exclude_none=True)]},
        {"role": "user", "content": [result]},
    ]
    answered = await ant.messages.create(messages=turns, **asked)
    assert answered.stop_reason == "end_turn"


async def test_counting_tokens_agrees_with_the_usage_of_the_message(ant):
    counted = await ant.messages.count_tokens(model="m-small", messages=HELLO, system="Be brief")
    message = await ant.messages.create(
        model="m-small", max_tokens=9, messages=HELLO, system="Be brief"
    )
    assert counted.input_tokens == message.usage.input_tokens


async def test_a_message_batch_ends_at_once_with_a_result_for_each_request(ant):
    good = {"model": "words-5", "max_tokens": 50, "messages": HELLO}
    batch = await ant.messages.batches.create(
        requests=[
            {"custom_id": "good", "params": good},
            {"custom_id": "bad", "params": {"model": "m", "messages": HELLO}},
        ]
    )
    assert (await ant.messages.batches.retrieve(batch.id)).processing_status == "ended"
    results = [one async for one in await ant.messages.batches.results(batch.id)]
    assert [one.result.type for one in results] == ["succeeded", "errored"]
    assert [one.id async for one in ant.messages.batches.list()] == [batch.id]
    assert (await ant.messages.batches.delete(batch.id)).id == batch.id


async def test_models_and_files_speak_this_dialect_too(ant):
    names = [model.id async for model in ant.models.list()]
    assert (await ant.models.retrieve(names[0])).display_name == names[0]
    upload = await ant.beta.files.upload(file=("a.txt", b"peat", "text/plain"))
    assert upload.size_bytes == 4
    assert [one.id async for one in ant.beta.files.list()] == [upload.id]


async def test_the_synchronous_client_works_too(emulator: Emulator):
    def run() -> tuple[str, str]:
        with anthropic.Anthropic(api_key="upstream-key", base_url=emulator.url) as client:
            asked = {"model": "m-small", "max_tokens": 100, "messages": HELLO}
            whole = client.messages.create(**asked)
            with client.messages.stream(**asked) as stream:
                text = "".join(stream.text_stream)
        return whole.content[0].text, text

    whole, streamed = await asyncio.to_thread(run)
    assert whole == streamed


async def test_another_key_is_refused_as_the_real_api_refuses_it(emulator: Emulator):
    async with anthropic.AsyncAnthropic(api_key="wrong", base_url=emulator.url) as client:
        with pytest.raises(anthropic.AuthenticationError) as refused:
            await client.models.list()
    assert refused.value.body["error"]["type"] == "authentication_error"


async def test_a_message_needs_an_output_limit(ant):
    with pytest.raises(anthropic.BadRequestError, match="max_tokens"):
        await ant.post("/v1/messages", body={"model": "m", "messages": []}, cast_to=object)
