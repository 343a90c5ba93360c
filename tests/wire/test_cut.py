"""Streams that are ended on their way, as the real SDKs read them."""

import json

import openai
import pytest

from proxy.model.exchange import Asked
from tests.wire.streams import (
    CHAT,
    COMPLETIONS,
    MESSAGES,
    PARTS,
    RESPONSES,
    RESPONSES_PARTS,
    STREAMS,
    altering,
    anthropic_client,
    chunk,
    data,
    numbered,
    openai_client,
    run,
    typed,
)

HELLO = [{"role": "user", "content": "hi"}]
USAGE = Asked(stream=True, stream_usage=True, input_tokens_estimate=12)
WORDS = [f"word {number:04} " for number in range(20)]  # 10 bytes each, about 3.5 tokens


def cut(path, stream, cut_after, **options):
    reader = altering(path, (), cut_after, **options)
    body = b"".join(reader.feed(stream[at : at + 50]) for at in range(0, len(stream), 50))
    assert reader.cut
    assert not reader.complete
    assert reader.feed(b"data: more\n\n") == reader.finish() == b""
    return reader, body


def chats(*indexes):
    begun = [chunk({"role": "assistant", "content": ""}, index) for index in indexes]
    return b"".join([*begun, *(chunk({"content": w}, i) for w in WORDS for i in indexes)])


def test_a_chat_stream_ends_by_length():
    reader, body = cut(CHAT, chats(0), 20)
    with openai_client(body) as client:
        chunks = list(client.chat.completions.create(model="m", messages=HELLO, stream=True))
    text = "".join(c.choices[0].delta.content or "" for c in chunks)
    assert "".join(WORDS).startswith(text)
    assert 50 < len(text) <= 60  # the event that passes the bound is the last one
    assert chunks[-1].choices[0].finish_reason == "length"
    assert (chunks[-1].id, chunks[-1].usage) == ("c", None)
    assert body.endswith(b"data: [DONE]\n\n")
    assert 20 < reader.delivered_output_tokens <= 24


def test_every_choice_that_is_open_ends_and_no_other():
    stream = chats(0) + chunk({}, 0, finish_reason="stop") + chats(2, 1)
    _, body = cut(CHAT, stream, 150)
    with openai_client(body) as client:
        chunks = list(client.chat.completions.create(model="m", messages=HELLO, stream=True))
    ended = [(c.choices[0].index, c.choices[0].finish_reason) for c in chunks]
    assert [one for one in ended if one[1]] == [(0, "stop"), (1, "length"), (2, "length")]


def test_a_client_that_asked_for_usage_is_told_an_estimate():
    reader, body = cut(CHAT, chats(0), 20, asked=USAGE)
    with openai_client(body) as client:
        chunks = list(client.chat.completions.create(model="m", messages=HELLO, stream=True))
    delivered = reader.delivered_output_tokens
    assert chunks[-1].choices == []
    assert (chunks[-1].usage.prompt_tokens, chunks[-1].usage.completion_tokens) == (12, delivered)
    assert chunks[-1].usage.total_tokens == 12 + delivered
    assert chunks[-2].usage is None


def test_the_sdks_own_helper_says_that_the_length_was_reached():
    _, body = cut(CHAT, chats(0), 20)
    with openai_client(body) as client:
        manager = client.chat.completions.stream(model="m", messages=HELLO)
        with manager as stream, pytest.raises(openai.LengthFinishReasonError) as reached:
            stream.get_final_completion()
    assert "".join(WORDS).startswith(reached.value.completion.choices[0].message.content)


def test_older_completions_end_by_length():
    stream = b"".join(data({"id": "c", "choices": [{"index": 0, "text": w}]}) for w in WORDS)
    _, body = cut(COMPLETIONS, stream, 20)
    with openai_client(body) as client:
        chunks = list(client.completions.create(model="m", prompt="x", stream=True))
    assert (chunks[-1].choices[0].text, chunks[-1].choices[0].finish_reason) == ("", "length")


def message_stream():
    block = {"type": "content_block_start", "index": 0, "content_block": {"type": "text"}}
    yield PARTS[MESSAGES][0]
    yield typed(block | {"content_block": {"type": "text", "text": ""}})
    for word in WORDS:
        delta = {"type": "text_delta", "text": word}
        yield typed({"type": "content_block_delta", "index": 0, "delta": delta})


def test_a_message_ends_by_max_tokens():
    reader, body = cut(MESSAGES, b"".join(message_stream()), 20)
    asked = {"model": "m", "max_tokens": 900, "messages": HELLO}
    with anthropic_client(body) as client, client.messages.stream(**asked) as stream:
        kinds = [event.type for event in stream]
        message = stream.get_final_message()
    assert message.stop_reason == "max_tokens"
    assert message.usage.output_tokens == reader.delivered_output_tokens == 21
    assert message.usage.input_tokens == 10
    assert kinds[-3:] == ["content_block_stop", "message_delta", "message_stop"]
    assert reader.usage.output_tokens == 1  # what was reported; what was delivered is more


def test_a_message_whose_blocks_have_ended_gets_no_second_end():
    stop = typed({"type": "content_block_stop", "index": 0})
    block = {"type": "content_block_start", "index": 1}
    again = typed(block | {"content_block": {"type": "text", "text": "word " * 40}})
    stream = b"".join([*message_stream(), stop, again])
    delta = {"type": "text_delta", "text": "word " * 40}
    stream += typed({"type": "content_block_delta", "index": 1, "delta": delta})
    _, body = cut(MESSAGES, stream, 110)
    stops = [json.loads(line[6:]) for line in body.split(b"\n") if b'"content_block_stop"' in line]
    assert [one["index"] for one in stops if isinstance(one, dict)] == [0, 1]


def response_stream(words=WORDS):
    place = {"item_id": "msg", "output_index": 1, "content_index": 0}
    events = [json.loads(part.split(b"\ndata: ")[1]) for part in RESPONSES_PARTS[:9]]
    events += [
        {"type": "response.output_text.delta", **place, "delta": word, "logprobs": []}
        for word in words
    ]
    return b"".join(numbered(events))


def test_a_response_ends_incomplete_with_the_text_so_far():
    reader, body = cut(RESPONSES, response_stream(), 20, asked=USAGE)
    with openai_client(body) as client, client.responses.stream(model="m", input="x") as stream:
        events = list(stream)
    done, ended = events[-2:]
    assert (done.type, ended.type) == ("response.output_item.done", "response.incomplete")
    response = ended.response
    assert (response.id, response.status) == ("r", "incomplete")
    assert response.incomplete_details.reason == "max_output_tokens"
    thought, message = response.output
    assert thought.summary[0].text == "secret"
    assert message.status == "incomplete"
    text = "".join(e.delta for e in events if e.type == "response.output_text.delta")
    assert message.content[0].text == text == done.item.content[0].text
    assert "".join(WORDS).startswith(text)
    assert response.usage.output_tokens == reader.delivered_output_tokens
    assert response.usage.input_tokens == 12
    numbers = [event.sequence_number for event in events]
    assert numbers == list(range(len(numbers)))
    assert response.temperature == 1.0


def test_a_tool_call_that_was_open_ends_with_its_arguments_so_far():
    item = {"id": "fc", "type": "function_call", "status": "in_progress", "arguments": ""}
    item |= {"call_id": "c", "name": "n"}
    piece = {"type": "response.function_call_arguments.delta", "item_id": "fc", "output_index": 0}
    stream = b"".join(
        numbered(
            [
                json.loads(RESPONSES_PARTS[0].split(b"\ndata: ")[1]),
                {"type": "response.output_item.added", "output_index": 0, "item": item},
                *({**piece, "delta": word} for word in WORDS),
            ]
        )
    )
    _, body = cut(RESPONSES, stream, 20)
    with openai_client(body) as client:
        *_, last = client.responses.create(model="m", input="x", stream=True)
    call = last.response.output[0]
    assert call.status == "incomplete"
    assert "".join(WORDS).startswith(call.arguments)
    assert len(call.arguments) > 50


@pytest.mark.parametrize("path", STREAMS)
def test_a_stream_that_stays_within_the_bound_is_passed_on_as_it_is(path):
    reader = altering(path, (), 1000)
    assert run(reader, STREAMS[path]) == STREAMS[path]
    assert reader.complete
    assert not reader.cut


def test_text_that_was_left_out_was_not_delivered():
    long = chunk({"reasoning_content": "hm " * 400})
    reader = altering(CHAT, ("reasoning",), 20)
    run(reader, long + chats(0)[:2000])
    assert reader.delivered_output_tokens <= 23


@pytest.mark.parametrize(
    "event",
    [
        {"type": "response.output_text.delta", "output_index": 9, "delta": "x" * 100},
        {"type": "response.output_item.added", "output_index": 3, "item": ["odd"]},
        {"type": "response.content_part.added", "output_index": 7, "part": {}},
        {"type": "response.created", "response": 5},
        {"type": 5},
    ],
)
def test_events_that_make_no_sense_open_nothing(event):
    reader, body = cut(RESPONSES, data(event) + response_stream(), 20)
    assert reader.cut
    assert b"response.incomplete" in body
