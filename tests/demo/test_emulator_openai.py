"""The real OpenAI SDK understands everything that the emulator says."""

import asyncio
import json

import openai
import pytest

from proxy.demo.emulator import Emulator
from proxy.demo.upstream.generation import input_tokens

HELLO = [{"role": "user", "content": "How strong is it?"}]
TOOL = {
    "type": "function",
    "function": {
        "name": "measure",
        "parameters": {
            "type": "object",
            "properties": {"place": {"type": "string"}, "litres": {"type": "integer"}},
        },
    },
}


async def test_the_same_request_gives_the_same_answer_streamed_or_not(oai):
    whole = await oai.chat.completions.create(model="m-small", messages=HELLO)
    again = await oai.chat.completions.create(model="m-small", messages=HELLO)
    chunks = [
        chunk
        async for chunk in await oai.chat.completions.create(
            model="m-small", messages=HELLO, stream=True
        )
    ]
    assert whole == again
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
    assert text == whole.choices[0].message.content
    assert {chunk.id for chunk in chunks} == {whole.id}


async def test_usage_counts_one_token_for_each_word_and_four_bytes_of_input(oai):
    answer = await oai.chat.completions.create(model="words-9", messages=HELLO)
    assert answer.usage.completion_tokens == 9 == len(answer.choices[0].message.content.split())
    # 3 for the message, 1 for its role, 5 for its 17 bytes
    assert answer.usage.prompt_tokens == 9 == input_tokens({"messages": HELLO})
    assert answer.usage.total_tokens == 18


async def test_an_answer_stops_at_the_output_limit(oai):
    answer = await oai.chat.completions.create(
        model="words-9", messages=HELLO, max_completion_tokens=4
    )
    assert answer.usage.completion_tokens == 4
    assert answer.choices[0].finish_reason == "length"


async def test_reasoning_and_cached_tokens_stand_inside_the_counts(oai):
    answer = await oai.chat.completions.create(model="m-reason-cached", messages=HELLO)
    assert answer.usage.completion_tokens_details.reasoning_tokens == 16
    assert answer.usage.prompt_tokens_details.cached_tokens == answer.usage.prompt_tokens // 2
    words = len(answer.choices[0].message.content.split())
    assert answer.usage.completion_tokens == words + 16


async def test_a_stream_tells_usage_only_when_asked_and_then_null_elsewhere(oai):
    async def raw(**more: object) -> list[str]:
        stream = oai.chat.completions.with_streaming_response.create(
            model="m-small", messages=HELLO, stream=True, **more
        )
        async with stream as response:
            return [line async for line in response.iter_lines() if line.startswith("data: {")]

    silent = [json.loads(line[6:]) for line in await raw()]
    assert not any("usage" in chunk for chunk in silent)
    told = [json.loads(line[6:]) for line in await raw(stream_options={"include_usage": True})]
    assert len(told) == len(silent) + 1
    assert [chunk["usage"] for chunk in told[:-1]] == [None] * len(silent)
    assert told[-1]["choices"] == []
    assert told[-1]["usage"]["completion_tokens"] > 0


async def test_several_choices_come_whole_and_interleaved(oai):
    whole = await oai.chat.completions.create(model="m-small", messages=HELLO, n=3)
    stream = await oai.chat.completions.create(model="m-small", messages=HELLO, n=3, stream=True)
    texts = ["", "", ""]
    async for chunk in stream:
        for choice in chunk.choices:
            texts[choice.index] += choice.delta.content or ""
    assert texts == [choice.message.content for choice in whole.choices]
    assert len(set(texts)) == 3


async def test_a_declared_tool_is_called_and_its_result_is_answered(oai):
    asked = {"model": "m-small", "tools": [TOOL]}
    called = await oai.chat.completions.create(messages=HELLO, **asked)
    call = called.choices[0].message.tool_calls[0]
    assert called.choices[0].finish_reason == "tool_calls"
    assert json.loads(call.function.arguments) == {"place": "Leith", "litres": 7}

    async with oai.chat.completions.stream(messages=HELLO, **asked) as stream:
        streamed = await stream.get_final_completion()
    assert streamed.choices[0].message.tool_calls[0].function.arguments == call.function.arguments

    turns = [
        *HELLO,
        called.choices[0].message.model_dump(exclude_none=True),
        {"role": "tool", "tool_call_id": call.id, "content": "strong"},
    ]
    answered = await oai.chat.completions.create(messages=turns, **asked)
    assert answered.choices[0].finish_reason == "stop"


async def test_an_image_counts_the_same_whatever_its_size(oai):
    async def tokens(data: str) -> int:
        url = f"data:image/png;base64,{data}"
        parts = [{"type": "image_url", "image_url": {"url": url}}]
        turn = {"role": "user", "content": parts}
        answer = await oai.chat.completions.create(model="m-small", messages=[turn])
        return answer.usage.prompt_tokens

    assert await tokens("AAAA") == await tokens("A" * 4000)


async def test_responses_stream_every_event_and_end_with_usage(oai):
    whole = await oai.responses.create(model="m-small", input="How strong?")
    async with oai.responses.stream(model="m-small", input="How strong?") as stream:
        kinds = [event.type async for event in stream]
        final = await stream.get_final_response()
    assert kinds[0] == "response.created"
    assert kinds[-1] == "response.completed"
    assert final.output_text == whole.output_text
    assert final.usage == whole.usage
    assert (await oai.responses.retrieve(whole.id)).output_text == whole.output_text


async def test_responses_that_reach_their_limit_are_incomplete(oai):
    whole = await oai.responses.create(model="words-9", input="hi", max_output_tokens=3)
    assert whole.status == "incomplete"
    assert whole.incomplete_details.reason == "max_output_tokens"
    stream = await oai.responses.create(
        model="words-9", input="hi", max_output_tokens=3, stream=True
    )
    last = [event async for event in stream][-1]
    assert last.type == "response.incomplete"
    assert last.response.usage.output_tokens == 3


async def test_responses_call_a_function(oai):
    tool = {"type": "function", **TOOL["function"], "strict": False}
    whole = await oai.responses.create(model="m-small", input="hi", tools=[tool])
    assert whole.output[0].type == "function_call"
    stream = await oai.responses.create(model="m-small", input="hi", tools=[tool], stream=True)
    deltas = [event.delta async for event in stream if event.type.endswith("arguments.delta")]
    assert "".join(deltas) == whole.output[0].arguments


async def test_older_completions_have_sixteen_tokens_unless_told(oai):
    whole = await oai.completions.create(model="words-40", prompt=["a", "b"])
    assert [len(choice.text.split()) for choice in whole.choices] == [16, 16]
    stream = await oai.completions.create(model="words-40", prompt=["a", "b"], stream=True)
    streamed = [chunk.choices[0] async for chunk in stream]
    text = "".join(choice.text for choice in streamed if choice.index == 0)
    assert text == whole.choices[0].text


async def test_embeddings_are_the_same_as_floats_and_as_base64(oai):
    base64 = await oai.embeddings.create(model="embed-small", input=["a", "b"], dimensions=8)
    floats = await oai.embeddings.create(
        model="embed-small", input=["a", "b"], dimensions=8, encoding_format="float"
    )
    assert [list(one.embedding) for one in base64.data] == [one.embedding for one in floats.data]
    assert len(base64.data[1].embedding) == 8


async def test_models_moderations_images_and_audio_answer(oai):
    names = [model.id for model in (await oai.models.list()).data]
    assert (await oai.models.retrieve(names[0])).id == names[0]
    moderated = await oai.moderations.create(input=["moonshine", "tea"])
    assert [result.flagged for result in moderated.results] == [True, False]
    drawn = await oai.images.generate(model="m-image", prompt="a still", n=2)
    assert len(drawn.data) == 2
    assert drawn.data[0].b64_json
    edited = await oai.images.edit(image=("a.png", b"\x89PNG\r\n\r\n--x", "image/png"), prompt="b")
    assert edited.data[0].b64_json
    heard = await oai.audio.transcriptions.create(model="m-ear", file=("a.mp3", b"ID3"))
    assert heard.text == "barley and malt"
    spoken = await oai.audio.speech.create(model="m-voice", voice="alloy", input="hi")
    assert spoken.content.startswith(b"ID3")


async def test_a_batch_runs_the_lines_of_an_uploaded_file(oai):
    body = {"model": "words-5", "messages": HELLO}
    line = {"custom_id": "one", "method": "POST", "url": "/v1/chat/completions", "body": body}
    content = json.dumps(line).encode() + b"\r\n"
    upload = await oai.files.create(file=("in.jsonl", content), purpose="batch")
    assert (await oai.files.content(upload.id)).content == content
    batch = await oai.batches.create(
        input_file_id=upload.id, endpoint="/v1/chat/completions", completion_window="24h"
    )
    assert (await oai.batches.retrieve(batch.id)).status == "completed"
    result = json.loads((await oai.files.content(batch.output_file_id)).text)
    assert result["custom_id"] == "one"
    assert result["response"]["body"]["usage"]["completion_tokens"] == 5
    assert (await oai.files.delete(upload.id)).deleted
    with pytest.raises(openai.NotFoundError):
        await oai.files.retrieve(upload.id)


async def test_the_synchronous_client_works_too(emulator: Emulator):
    def run() -> tuple[str, str]:
        url = f"{emulator.url}/v1"
        with openai.OpenAI(api_key="upstream-key", base_url=url) as client:
            whole = client.chat.completions.create(model="m-small", messages=HELLO)
            stream = client.chat.completions.create(model="m-small", messages=HELLO, stream=True)
            text = "".join(chunk.choices[0].delta.content or "" for chunk in stream)
        return whole.choices[0].message.content, text

    whole, streamed = await asyncio.to_thread(run)
    assert whole == streamed


async def test_another_key_is_refused_as_the_real_api_refuses_it(emulator: Emulator):
    url = f"{emulator.url}/v1"
    async with openai.AsyncOpenAI(api_key="wrong", base_url=url) as client:
        with pytest.raises(openai.AuthenticationError) as refused:
            await client.models.list()
    assert refused.value.code == "invalid_api_key"


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"messages": []}, "model"),
        ({"model": "m"}, "messages"),
        ({"model": "m", "messages": [], "max_tokens": 0}, "max_tokens"),
        ({"model": "m", "messages": [], "n": "2"}, "n"),
    ],
)
async def test_a_faulty_request_names_the_parameter(oai, body: dict, param: str):
    with pytest.raises(openai.BadRequestError) as refused:
        await oai.post("/chat/completions", body=body, cast_to=object)
    assert refused.value.param == param


async def test_an_unknown_path_is_not_found(oai):
    with pytest.raises(openai.NotFoundError):
        await oai.get("/nothing", cast_to=object)
