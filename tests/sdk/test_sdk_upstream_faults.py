"""What goes wrong behind the gateway reaches the caller as the SDK's own exceptions."""

import asyncio
from typing import Any

import anthropic
import openai
import pytest

pytestmark = pytest.mark.asyncio(loop_scope="session")

HELLO = [{"role": "user", "content": "How strong is it?"}]


def chat(client: Any, model: str, **more: Any) -> Any:
    return client.chat.completions.create(model=model, messages=HELLO, **more)


def message(client: Any, model: str, **more: Any) -> Any:
    return client.messages.create(model=model, messages=HELLO, max_tokens=99, **more)


async def drain(stream: Any, into: list[Any]) -> None:
    """Gather what comes; what came before an error stays gathered."""
    async for one in stream:
        into.append(one)  # noqa: PERF401 (a comprehension would lose them)


@pytest.mark.parametrize(
    ("model", "kind", "status"),
    [
        ("fault-400", "BadRequestError", 400),
        ("fault-403", "PermissionDeniedError", 403),
        ("fault-404", "NotFoundError", 404),
        ("fault-429", "RateLimitError", 429),
        ("fault-500", "InternalServerError", 500),
        ("fault-503", "InternalServerError", 503),
        ("fault-529", "InternalServerError", 529),
        ("fault-reset", "InternalServerError", 502),
    ],
)
async def test_an_upstream_error_is_the_same_exception_as_without_a_gateway(
    oai, ant, model, kind, status
):
    with pytest.raises(getattr(openai, kind)) as raised:
        await chat(oai().sdk, model)
    assert raised.value.status_code == status
    with pytest.raises(getattr(anthropic, kind)) as raised:
        await message(ant().sdk, model)
    assert raised.value.status_code == status


async def test_an_upstream_that_never_answers_is_a_timeout_of_the_gateway(oai, ant):
    raised = await asyncio.gather(
        chat(oai().sdk, "fault-silent"),
        message(ant().sdk, "fault-silent"),
        return_exceptions=True,
    )
    assert isinstance(raised[0], openai.InternalServerError)
    assert isinstance(raised[1], anthropic.InternalServerError)
    assert [error.status_code for error in raised] == [504, 504]


async def test_a_429_of_the_upstream_that_passes_is_survived_by_retrying(oai, ant, seen):
    client = oai(max_retries=2)
    assert (await chat(client.sdk, "fault-429-once")).choices
    other = ant(max_retries=2)
    assert (await message(other.sdk, "fault-429-once")).content
    assert (len(client.sent), len(other.sent), len(seen())) == (2, 2, 4)


async def test_a_429_of_the_upstream_that_stays_is_not_retried(oai, ant, seen):
    with pytest.raises(openai.RateLimitError):
        await chat(oai(max_retries=3).sdk, "fault-429-stay")
    with pytest.raises(anthropic.RateLimitError):
        await message(ant(max_retries=3).sdk, "fault-429-stay")
    assert len(seen()) == 2


async def test_a_reset_before_an_answer_is_retried_by_the_sdk_not_by_the_gateway(oai, seen):
    client = oai(max_retries=1)
    with pytest.raises(openai.InternalServerError):
        await chat(client.sdk, "fault-reset")
    assert len(seen()) == len(client.sent) == 2


@pytest.mark.parametrize("model", ["fault-truncated", "fault-reset-mid"])
async def test_a_stream_that_breaks_ends_with_an_error_event_of_the_dialect(oai, ant, model):
    with pytest.raises(openai.APIError):
        await drain(await chat(oai().sdk, model, stream=True), [])
    with pytest.raises(anthropic.APIStatusError):
        await drain(await message(ant().sdk, model, stream=True), [])
    with pytest.raises(openai.APIError):
        await drain(await oai().sdk.responses.create(model=model, input="hi", stream=True), [])


async def test_a_stream_that_falls_silent_ends_with_an_error_after_what_had_come(oai, ant):
    chunks: list[Any] = []
    events: list[Any] = []
    chat_stream = await chat(oai().sdk, "fault-idle", stream=True)
    message_stream = await message(ant().sdk, "fault-idle", stream=True)
    raised = await asyncio.gather(
        drain(chat_stream, chunks), drain(message_stream, events), return_exceptions=True
    )
    assert isinstance(raised[0], openai.APIError)
    assert isinstance(raised[1], anthropic.APIStatusError)
    assert chunks[0].choices
    assert events[0].type == "message_start"


async def test_an_error_event_of_the_upstream_passes_through(oai, ant):
    with pytest.raises(openai.APIError, match="Overloaded"):
        _ = [chunk async for chunk in await chat(oai().sdk, "fault-event", stream=True)]
    with pytest.raises(anthropic.APIStatusError, match="overloaded_error"):
        _ = [event async for event in await message(ant().sdk, "fault-event", stream=True)]


@pytest.mark.parametrize("model", ["fault-truncated", "fault-reset-mid"])
async def test_a_json_answer_that_breaks_is_never_taken_for_whole(oai, ant, model):
    with pytest.raises(openai.APIError):
        await chat(oai().sdk, model)
    with pytest.raises(anthropic.APIError):
        await message(ant().sdk, model)


@pytest.mark.parametrize("model", ["fault-slow", "fault-idle"])
async def test_closing_a_stream_early_cancels_the_request_upstream(oai, ant, gateway, seen, model):
    """Whether the model API is still sending or has fallen silent."""
    stream = await chat(oai().sdk, model, stream=True)
    async for _ in stream:
        break
    await stream.close()
    async with ant().sdk.messages.stream(model=model, max_tokens=99, messages=HELLO) as messages:
        async for _ in messages:
            break
    before = len(gateway.emulator.seen) - 2
    await gateway.emulator.until(
        lambda every: all(request.disconnected for request in every[before:])
    )
    assert [request.done for request in seen()] == [False, False]


async def test_the_first_words_arrive_while_the_model_api_has_not_ended(oai, seen):
    stream = await chat(oai().sdk, "fault-idle", stream=True)
    async for chunk in stream:
        if chunk.choices[0].delta.content:
            break
    assert not seen()[0].done
    await stream.close()
