"""What rules change in an exchange, as the real SDKs see it."""

import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import anthropic
import httpx2
import openai
import pytest
import pytest_asyncio

pytestmark = pytest.mark.asyncio(loop_scope="session")

UPSTREAM_KEY = "the-upstream-credential"
HELLO = [{"role": "user", "content": "How strong is it?"}]
ALOUD = "m-reason-aloud-telling"  # tells its thoughts and log probabilities unasked


@pytest_asyncio.fixture(loop_scope="session")
async def direct(gateway) -> AsyncIterator[tuple[Any, Any]]:
    """The two SDKs with the model API itself."""
    url = gateway.emulator.url
    async with AsyncExitStack() as stack:
        oai = openai.AsyncOpenAI(api_key=UPSTREAM_KEY, base_url=f"{url}/v1")
        ant = anthropic.AsyncAnthropic(api_key=UPSTREAM_KEY, base_url=url)
        yield await stack.enter_async_context(oai), await stack.enter_async_context(ant)


def body(seen: Any) -> dict[str, Any]:
    """The one request that reached the model API."""
    (request,) = seen()
    return json.loads(request.body)


# -- step_up and warn ----------------------------------------------------------------------------


async def test_who_must_verify_himself_first_gets_a_permission_error_and_is_not_forwarded(
    oai, ant, seen
):
    client = oai("unverified", max_retries=2)
    with pytest.raises(openai.PermissionDeniedError, match="Verify your organization") as refused:
        await client.sdk.chat.completions.create(model="m-small", messages=HELLO)
    assert (refused.value.type, refused.value.code) == ("invalid_request_error", "step_up_required")
    assert refused.value.param is None
    other = ant("unverified", max_retries=2)
    with pytest.raises(
        anthropic.PermissionDeniedError, match="Verify your organization"
    ) as refused:
        await other.sdk.messages.create(model="m-small", messages=HELLO, max_tokens=9)
    assert refused.value.body["error"]["type"] == "permission_error"
    assert refused.value.response.headers["x-should-retry"] == "false"
    assert (len(client.sent), len(other.sent), seen()) == (1, 1, [])


async def test_who_is_warned_is_served_and_told_in_a_header(oai):
    raw = await oai("told").sdk.chat.completions.with_raw_response.create(
        model="m-small", messages=HELLO
    )
    assert raw.headers.get_list("x-gauger-warning") == ["This tier closes in May."]
    assert raw.parse().choices


# -- strip ---------------------------------------------------------------------------------------


async def test_a_chat_loses_thoughts_and_log_probabilities_and_nothing_else(oai, direct, seen):
    asked = {"model": ALOUD, "messages": HELLO, "n": 2}
    without = await direct[0].chat.completions.create(**asked)
    assert without.choices[0].message.reasoning_content
    got = await oai("trimmed").sdk.chat.completions.create(**asked, logprobs=True, top_logprobs=2)
    assert "logprobs" not in json.loads(seen()[-1].body)
    wanted = without.model_dump()
    for choice in wanted["choices"]:
        choice["logprobs"] = None
        del choice["message"]["reasoning_content"]
    assert got.model_dump() == wanted


async def test_a_chat_stream_loses_them_too_and_keeps_its_text_and_usage(oai, direct):
    asked = {
        "model": ALOUD,
        "messages": HELLO,
        "stream": True,
        "stream_options": {"include_usage": True},
    }

    async def read(client: Any) -> tuple[str, Any, list[Any], str]:
        chunks = [chunk async for chunk in await client.chat.completions.create(**asked)]
        choices = [choice for chunk in chunks for choice in chunk.choices]
        text = "".join(choice.delta.content or "" for choice in choices)
        told = [c.logprobs for c in choices if c.logprobs]
        return text, chunks[-1].usage, told, str([c.model_dump() for c in chunks])

    text, usage, told, _ = await read(direct[0])
    assert told
    got_text, got_usage, got_told, everything = await read(oai("trimmed").sdk)
    assert (got_text, got_usage, got_told) == (text, usage, [])
    assert "hm " not in everything


async def test_older_completions_lose_their_log_probabilities(oai, seen):
    got = await oai("trimmed").sdk.completions.create(
        model=ALOUD, prompt="How", logprobs=3, max_tokens=40
    )
    assert "logprobs" not in body(seen)
    assert got.choices[0].logprobs is None
    assert got.choices[0].text


@pytest.mark.parametrize("stream", [False, True])
async def test_a_response_keeps_the_shell_of_a_thought_alone(oai, seen, stream):
    asked = {
        "model": ALOUD,
        "input": "How strong?",
        "include": ["reasoning.encrypted_content", "message.output_text.logprobs"],
        "reasoning": {"summary": "auto", "effort": "low"},
    }
    client = oai("trimmed").sdk
    if stream:
        async with client.responses.stream(**asked) as events:
            response = await events.get_final_response()
    else:
        response = await client.responses.create(**asked)
    sent = body(seen)
    assert (sent["include"], sent["reasoning"]) == ([], {"effort": "low"})
    thought, message = response.output
    assert (thought.type, thought.summary, thought.encrypted_content) == ("reasoning", [], None)
    assert message.content[0].text
    assert message.content[0].logprobs == []
    assert response.usage.output_tokens_details.reasoning_tokens == 16


@pytest.mark.parametrize("stream", [False, True])
async def test_a_message_loses_its_blocks_of_thinking(ant, direct, seen, stream):
    asked = {"model": ALOUD, "messages": HELLO, "max_tokens": 99}
    without = await direct[1].messages.create(**asked)
    assert [block.type for block in without.content] == ["redacted_thinking", "thinking", "text"]
    client = ant("trimmed").sdk
    thinking = {"type": "adaptive"}
    if stream:
        async with client.messages.stream(**asked, thinking=thinking) as events:
            message = await events.get_final_message()
    else:
        message = await client.messages.create(**asked, thinking=thinking)
    assert "thinking" not in json.loads(seen()[-1].body)
    (block,) = message.content
    assert (block.type, block.text) == ("text", without.content[2].text)
    assert message.usage.output_tokens == without.usage.output_tokens


async def test_the_results_of_a_batch_lose_their_thoughts(ant):
    client = ant("trimmed").sdk
    params = {"model": ALOUD, "max_tokens": 50, "messages": HELLO}
    batch = await client.messages.batches.create(requests=[{"custom_id": "a", "params": params}])
    path = f"/v1/messages/batches/{batch.id}/results"
    results = await client.get(path, cast_to=httpx2.Response)
    message = json.loads(results.text)["result"]["message"]
    assert [block["type"] for block in message["content"]] == ["text"]


async def test_a_compressed_answer_is_changed_too(oai):
    got = await oai("trimmed").sdk.chat.completions.create(model="encoded-gzip", messages=HELLO)
    assert got.choices[0].message.content


# -- reroute, clamp, cut -------------------------------------------------------------------------


async def test_another_model_answers(oai, ant, seen):
    chat = await oai("rerouted").sdk.chat.completions.create(model="m-large", messages=HELLO)
    message = await ant("rerouted").sdk.messages.create(
        model="m-large", messages=HELLO, max_tokens=50
    )
    assert (chat.model, message.model) == ("words-7", "words-7")
    assert [request.model for request in seen()] == ["words-7", "words-7"]
    assert chat.usage.completion_tokens == message.usage.output_tokens == 7
    kept = await oai("rerouted").sdk.chat.completions.create(model="m-small", messages=HELLO)
    assert kept.model == "m-small"


async def test_a_request_that_cannot_be_sent_to_another_model_is_not_permitted(oai, ant, seen):
    client = oai("trimmed", max_retries=2)
    line = {"custom_id": "a", "method": "POST", "url": "/v1/chat/completions"}
    line["body"] = {"model": "m-small", "messages": HELLO}
    content = json.dumps(line).encode()
    file = await client.sdk.files.create(file=("in.jsonl", content), purpose="batch")
    with pytest.raises(openai.PermissionDeniedError, match="not permitted in this form"):
        await client.sdk.batches.create(
            input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h"
        )
    assert (len(client.sent), len(seen())) == (2, 1)


async def test_an_answer_is_no_longer_than_the_bound(oai, ant, seen):
    client, other = oai("clamped").sdk, ant("clamped").sdk
    chat = await client.chat.completions.create(model="words-90", messages=HELLO, max_tokens=80)
    assert (chat.choices[0].finish_reason, chat.usage.completion_tokens) == ("length", 20)
    response = await client.responses.create(model="words-90", input="How strong?")
    assert response.incomplete_details.reason == "max_output_tokens"
    assert response.usage.output_tokens == 20
    message = await other.messages.create(model="words-90", messages=HELLO, max_tokens=80)
    assert (message.stop_reason, message.usage.output_tokens) == ("max_tokens", 20)
    bounds = [json.loads(request.body) for request in seen()]
    assert [one.get("max_tokens", one.get("max_output_tokens")) for one in bounds] == [20] * 3


async def test_a_chat_stream_is_cut_as_if_its_length_was_reached(oai):
    stream = await oai("cut").sdk.chat.completions.create(
        model="words-5000",
        messages=HELLO,
        stream=True,
        n=2,
        stream_options={"include_usage": True},
    )
    chunks = [chunk async for chunk in stream]
    choices = [choice for chunk in chunks for choice in chunk.choices]
    ended = {c.index: c.finish_reason for c in choices if c.finish_reason}
    assert ended == {0: "length", 1: "length"}
    text = "".join(choice.delta.content or "" for choice in choices)
    assert 120 < len(text.encode()) < 140
    assert 30 <= chunks[-1].usage.completion_tokens < 35


async def test_a_message_stream_is_cut_as_if_max_tokens_was_reached(ant):
    asked = {"model": "words-5000", "messages": HELLO, "max_tokens": 6000}
    async with ant("cut").sdk.messages.stream(**asked) as stream:
        message = await stream.get_final_message()
    assert message.stop_reason == "max_tokens"
    assert 120 < len(message.content[0].text.encode()) < 140
    assert 30 <= message.usage.output_tokens < 35


async def test_a_responses_stream_is_cut_as_incomplete(oai):
    async with oai("cut").sdk.responses.stream(model="words-5000", input="How?") as stream:
        events = [event async for event in stream]
    response = events[-1].response
    assert (events[-1].type, response.status) == ("response.incomplete", "incomplete")
    assert 120 < len(response.output_text.encode()) < 140


async def test_an_answer_that_comes_whole_is_bounded_instead(oai, seen):
    got = await oai("cut").sdk.chat.completions.create(model="words-90", messages=HELLO, n=2)
    assert body(seen)["max_completion_tokens"] == 15
    assert got.usage.completion_tokens == 30
