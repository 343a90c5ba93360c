import gzip
import json
import zlib
from itertools import pairwise

import brotli
import httpx2
import openai
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.model.exchange import Asked
from proxy.model.usage import Usage
from proxy.wire.response import ResponseReader
from proxy.wire.surfaces import find

CHAT, COMPLETIONS = "/v1/chat/completions", "/v1/completions"
RESPONSES, MESSAGES = "/v1/responses", "/v1/messages"


def compact(value):
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()


def data(value, name=None, end=b"\n"):
    event = b"" if name is None else b"event: " + name.encode() + end
    return event + b"data: " + compact(value) + end + end


def chunk(delta=None, usage=None, choices=None, **more):
    """A chunk of a chat stream that was asked for its usage."""
    if choices is None:
        choices = [{"index": 0, "delta": delta, "finish_reason": None}]
    return {
        "id": "c-1",
        "object": "chat.completion.chunk",
        "choices": choices,
        "usage": usage,
    } | more


TOTAL = {
    "prompt_tokens": 12,
    "completion_tokens": 5,
    "total_tokens": 17,
    "prompt_tokens_details": {"cached_tokens": 4},
}
DONE = b"data: [DONE]\n\n"
FIRST = data(chunk({"role": "assistant", "content": ""}))
HELLO = data(chunk({"content": 'Hëllo "wörld" 語😀'}))
TOOL = data(chunk({"tool_calls": [{"index": 0, "function": {"arguments": '{"a":'}}]}))
USAGE = data(chunk(choices=[], usage=TOTAL))
CHAT_PARTS = [FIRST, b": ping\n\n", HELLO, TOOL, USAGE, DONE]
CHAT_STREAM = b"".join(CHAT_PARTS)

MESSAGES_STREAM = b"".join(
    [
        data(
            {
                "type": "message_start",
                "message": {
                    "id": "m",
                    "usage": {
                        "input_tokens": 10,
                        "cache_read_input_tokens": 90,
                        "cache_creation_input_tokens": 5,
                        "output_tokens": 1,
                    },
                },
            },
            "message_start",
        ),
        data({"type": "ping"}, "ping"),
        data(
            {
                "type": "content_block_start",
                "index": 0,
                "content_block": {"type": "text", "text": ""},
            }
        ),
        data({"type": "content_block_delta", "delta": {"type": "text_delta", "text": "Hällo"}}),
        data(
            {"type": "content_block_delta", "delta": {"type": "thinking_delta", "thinking": "hm"}}
        ),
        data(
            {
                "type": "content_block_delta",
                "delta": {"type": "input_json_delta", "partial_json": "{}"},
            }
        ),
        data(
            {"type": "message_delta", "delta": {}, "usage": {"output_tokens": 8}}, "message_delta"
        ),
        data(
            {"type": "message_delta", "delta": {}, "usage": {"output_tokens": 20}}, "message_delta"
        ),
        data({"type": "message_stop"}, "message_stop"),
    ]
)
RESPONSES_STREAM = b"".join(
    [
        data({"type": "response.created", "response": {"id": "r", "error": None, "usage": None}}),
        data(
            {"type": "response.output_text.delta", "delta": "Hi there"},
            "response.output_text.delta",
        ),
        data({"type": "response.function_call_arguments.delta", "delta": '{"x"'}),
        data({"type": "response.audio.delta", "delta": "QUJD" * 100}),
        data(
            {
                "type": "response.completed",
                "response": {
                    "output": [{"content": [{"text": 'say "usage":{ and \\'}]}],
                    "usage": {
                        "input_tokens": 30,
                        "input_tokens_details": {"cached_tokens": 10},
                        "output_tokens": 6,
                        "output_tokens_details": {"reasoning_tokens": 2},
                    },
                },
            },
            "response.completed",
        ),
    ]
)
STREAMS = {
    CHAT: CHAT_STREAM,
    COMPLETIONS: data({"choices": [{"text": "abc"}], "usage": TOTAL}) + DONE,
    RESPONSES: RESPONSES_STREAM,
    MESSAGES: MESSAGES_STREAM,
}


def run(reader, stream, cuts=()):
    """Feed a stream cut at some places; what went on to the client."""
    edges = [0, *sorted(cuts), len(stream)]
    out = b"".join(reader.feed(stream[start:end]) for start, end in pairwise(edges))
    return out + reader.finish()


def result(reader):
    return reader.usage, reader.delivered_output_tokens, reader.complete, reader.error_event


def reader_of(path, *, hide_usage=False, **options):
    surface = find("POST", path, ())
    assert surface is not None
    settings = {"content_type": "text/event-stream; charset=utf-8", "content_encoding": None}
    return ResponseReader(surface, Asked(stream=True), hide_usage=hide_usage, **settings | options)


@pytest.mark.parametrize(
    ("path", "usage", "tokens"),
    [
        (CHAT, Usage(12, 4, 0, 5, 0), 14),  # Hëllo "wörld" 語😀{"a":
        (COMPLETIONS, Usage(12, 4, 0, 5, 0), 1),  # abc
        (RESPONSES, Usage(30, 10, 0, 6, 2), 5),  # Hi there{"x"
        (MESSAGES, Usage(105, 90, 5, 20, 0), 3),  # Hällohm{}
    ],
)
def test_usage_text_and_end_of_each_kind_of_stream_are_read(path, usage, tokens):
    reader = reader_of(path)
    assert run(reader, STREAMS[path]) == STREAMS[path]
    assert result(reader) == (usage, tokens, True, False)
    assert not reader.gave_up


@settings(max_examples=120, deadline=None)
@given(
    st.sampled_from(sorted(STREAMS)),
    st.sampled_from([b"\n", b"\r\n", b"\r"]),
    st.booleans(),
    st.data(),
)
def test_any_chunking_gives_the_same_bytes_and_the_same_reading(path, end, hide_usage, draw):
    stream = b"\xef\xbb\xbf" + STREAMS[path].replace(b"\n", end)
    cuts = draw.draw(st.lists(st.integers(0, len(stream)), max_size=12))
    whole, cut = (reader_of(path, hide_usage=hide_usage) for _ in range(2))
    assert run(cut, stream, cuts) == run(whole, stream)
    assert result(cut) == result(whole)
    assert whole.usage is not None


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
def test_byte_by_byte_the_usage_chunk_is_hidden_all_the_same(end):
    stream = CHAT_STREAM.replace(b"\n", end)
    reader = reader_of(CHAT, hide_usage=True)
    out = run(reader, stream, range(1, len(stream)))
    assert out == b"".join(part for part in CHAT_PARTS if part is not USAGE).replace(b"\n", end)
    assert reader.usage == Usage(12, 4, 0, 5, 0)


PARTS = st.sampled_from(
    [
        FIRST,
        HELLO,
        TOOL,
        USAGE,
        DONE,
        b": ping\n",
        b"\n",
        b"\r\n",
        b"\r",
        b"data: {",
        b"data: x\r\n\r",
        USAGE.replace(b"\n", b"\r"),
        USAGE.replace(b"\n", b"\r\n"),
        b"data: ",
        b"x" * 9000,
        data(chunk(choices=[], usage=TOTAL, pad="y" * 9000)),
        data({"error": {"message": "no"}}),
    ]
)


@settings(max_examples=300, deadline=None)
@given(st.lists(PARTS, max_size=8), st.booleans(), st.data())
def test_even_a_mangled_stream_is_passed_on_alike_in_any_chunks(parts, hide_usage, draw):
    stream = b"".join(parts)
    cuts = draw.draw(st.lists(st.integers(0, len(stream)), max_size=10))
    whole, cut = (reader_of(CHAT, hide_usage=hide_usage, max_read_bytes=12_000) for _ in range(2))
    passed = run(whole, stream)
    assert run(cut, stream, cuts) == passed
    assert result(cut) == result(whole)
    if not hide_usage:
        assert passed == stream


def test_without_hiding_every_chunk_goes_on_as_it_came():
    reader = reader_of(CHAT)
    for start in range(0, len(CHAT_STREAM), 11):
        piece = CHAT_STREAM[start : start + 11]
        assert reader.feed(piece) == piece


def test_whole_events_go_on_at_once_while_usage_is_hidden():
    reader = reader_of(CHAT, hide_usage=True)
    for part in CHAT_PARTS:
        assert reader.feed(part) == (b"" if part is USAGE else part)


def test_a_ping_goes_on_at_once_also_without_its_blank_line():
    reader = reader_of(CHAT, hide_usage=True)
    assert reader.feed(b": pi") == b": pi"
    assert reader.feed(b"ng\n") == b"ng\n"
    assert reader.feed(b"\n") == b"\n"


def test_an_unfinished_event_goes_on_as_soon_as_it_names_a_choice():
    reader = reader_of(CHAT, hide_usage=True)
    assert reader.feed(b'data: {"id":"c","choices":[') == b""
    assert not reader.mid_event
    assert reader.feed(b'{"delta"') == b'data: {"id":"c","choices":[{"delta"'
    assert reader.mid_event
    assert reader.feed(b":{}}]}\n") == b":{}}]}\n"
    assert reader.feed(b"\n") == b"\n"
    assert not reader.mid_event


def test_an_event_too_large_to_be_the_usage_chunk_is_not_held():
    reader = reader_of(CHAT, hide_usage=True)
    held = b"data: " + b"x" * 8000
    assert reader.feed(held) == b""
    assert reader.feed(b"y" * 1000) == held + b"y" * 1000


@pytest.mark.parametrize(
    "kept",
    [
        chunk({"content": "x"}, usage=TOTAL),
        chunk(choices=[], usage=None),
        chunk(choices=[], prompt_filter_results=[{"prompt_index": 0}]),
        {"error": {"message": "no"}, "usage": TOTAL},
        {"choices": [], "usage": 5},
    ],
)
def test_only_a_chunk_with_usage_and_without_choices_is_hidden(kept):
    reader = reader_of(CHAT, hide_usage=True)
    assert run(reader, data(kept)) == data(kept)


def test_the_openai_sdk_reads_a_stream_whose_usage_is_hidden():
    body = run(reader_of(CHAT, hide_usage=True), CHAT_STREAM, range(0, len(CHAT_STREAM), 9))
    transport = httpx2.MockTransport(
        lambda request: httpx2.Response(
            200, headers={"content-type": "text/event-stream"}, content=body
        )
    )
    http = openai.DefaultHttpxClient(transport=transport)
    with openai.OpenAI(api_key="k", base_url="http://api.test/v1", http_client=http) as client:
        chunks = list(client.chat.completions.create(model="m", messages=[], stream=True))
    assert [chunk.usage for chunk in chunks] == [None] * 3
    assert chunks[1].choices[0].delta.content == 'Hëllo "wörld" 語😀'


def test_a_client_that_asked_for_usage_gets_it():
    reader = reader_of(CHAT)
    assert USAGE in run(reader, CHAT_STREAM)


def test_an_event_may_spread_its_json_over_several_data_lines():
    lines = json.dumps(chunk(choices=[], usage=TOTAL), indent=1).splitlines()
    event = "".join(f"data: {line}\n" for line in lines).encode() + b"\n"
    reader = reader_of(CHAT, hide_usage=True)
    assert run(reader, HELLO + event + DONE, range(0, len(event), 5)) == HELLO + DONE
    assert reader.usage == Usage(12, 4, 0, 5, 0)


def test_a_last_event_without_its_blank_line_still_counts():
    reader = reader_of(CHAT, hide_usage=True)
    stream = HELLO + USAGE + b"data: [DONE]"
    assert run(reader, stream) == HELLO + b"data: [DONE]"
    assert reader.complete
    hidden = reader_of(CHAT, hide_usage=True)
    assert run(hidden, HELLO + USAGE.rstrip()) == HELLO
    assert hidden.usage is not None


@pytest.mark.parametrize("path", STREAMS)
def test_a_stream_that_breaks_is_not_complete(path):
    stream = STREAMS[path]
    reader = reader_of(path)
    reader.feed(stream[:-30])
    assert not reader.complete


def test_a_broken_anthropic_stream_keeps_the_usage_it_began_with():
    reader = reader_of(MESSAGES)
    reader.feed(MESSAGES_STREAM[: MESSAGES_STREAM.index(b"event: message_delta")])
    assert reader.usage == Usage(105, 90, 5, 1, 0)
    assert not reader.complete


@pytest.mark.parametrize(
    ("path", "event"),
    [
        (CHAT, data({"error": {"message": "overloaded", "code": "x"}})),
        (MESSAGES, data({"type": "error", "error": {"type": "overloaded_error"}}, "error")),
        (RESPONSES, data({"type": "error", "code": "x", "message": "no", "param": None}, "error")),
        (RESPONSES, data({"type": "response.failed", "response": {"error": {"code": "x"}}})),
    ],
)
def test_an_error_inside_a_stream_is_remembered(path, event):
    reader = reader_of(path)
    assert run(reader, event) == event
    assert reader.error_event


@pytest.mark.parametrize(
    "word", ["[DONE]", "message_stop", "error", "usage", '"usage":{', "data: [DONE]\n\n"]
)
def test_text_that_looks_like_an_event_is_only_text(word):
    for path, event in (
        (CHAT, data(chunk({"content": word}))),
        (MESSAGES, data({"type": "content_block_delta", "delta": {"text": word}})),
        (RESPONSES, data({"type": "response.output_text.delta", "delta": word})),
    ):
        reader = reader_of(path)
        reader.feed(event)
        assert (reader.usage, reader.complete, reader.error_event) == (None, False, False)
        assert reader.delivered_output_tokens > 0


@pytest.mark.parametrize(
    "event",
    [
        b'data: {"usage":{"prompt_tokens":-5,"completion_tokens":1}}\n\n',
        b'data: {"usage":{"prompt_tokens":1e99,"completion_tokens":1}}\n\n',
        b'data: {"usage":{"prompt_tokens":"many"}}\n\n',
        b'data: {"usage":{\n\n',
        b'data: {"usage":{"prompt_tokens":1},"choices":\xff}\n\n',
        b'data: {"choices":[],"usage":{"a":' + b"[" * 100_000 + b"\n\n",
        b'data: {"message":5,"usage":{}}\n\n',
    ],
)
def test_nonsense_from_an_upstream_is_passed_on_and_not_believed(event):
    for path in STREAMS:
        reader = reader_of(path, hide_usage=path == CHAT)
        assert run(reader, event) == event
        assert reader.usage is None


def test_a_lone_surrogate_in_the_last_event_does_not_lose_its_usage():
    event = (
        rb'data: {"type":"response.completed","response":{"output":"\ud83d",'
        rb'"usage":{"input_tokens":3,"output_tokens":2}}}' + b"\n\n"
    )
    reader = reader_of(RESPONSES)
    assert run(reader, event) == event
    assert reader.usage == Usage(3, 0, 0, 2, 0)


@pytest.mark.parametrize("hide_usage", [False, True])
def test_an_event_without_end_is_passed_on_and_no_longer_read(hide_usage):
    reader = reader_of(CHAT, hide_usage=hide_usage, max_read_bytes=50_000)
    sent = [b"data: " + b"x" * 9_000] + [b"x" * 9_000] * 9
    assert b"".join(map(reader.feed, sent)) == b"".join(sent)
    assert reader.gave_up
    assert reader.feed(b"\n\n" + USAGE) == b"\n\n" + USAGE
    assert reader.usage is None


@pytest.mark.parametrize(
    ("coding", "encode"),
    [
        ("gzip", gzip.compress),
        ("deflate", zlib.compress),
        ("br", brotli.compress),
        ("zstd", zstandard.compress),
    ],
)
def test_a_compressed_stream_is_read_aside_and_goes_on_as_it_came(coding, encode):
    encoded = encode(CHAT_STREAM)
    for hide_usage in (False, True):
        reader = reader_of(CHAT, hide_usage=hide_usage, content_encoding=coding)
        assert run(reader, encoded, range(1, len(encoded))) == encoded
        assert reader.usage == Usage(12, 4, 0, 5, 0)
        assert reader.complete


@pytest.mark.parametrize("coding", ["gzip", "br", "zstd", "compress", "gzip, br"])
def test_a_stream_in_a_coding_that_cannot_be_read_still_goes_on(coding):
    reader = reader_of(CHAT, hide_usage=True, content_encoding=coding)
    assert run(reader, b"not compressed", [3]) == b"not compressed"
    assert reader.gave_up
    assert reader.usage is None


@pytest.mark.parametrize(
    ("path", "event"),
    [
        ("/v1/images/generations", {"type": "image_generation.completed", "b64_json": "QUJD"}),
        ("/v1/audio/speech", {"type": "speech.audio.done"}),
        ("/v1/audio/transcriptions", {"type": "transcript.text.done", "text": "hi"}),
    ],
)
def test_media_streams_end_and_report_their_usage(path, event):
    reader = reader_of(path)
    run(reader, data(event | {"usage": {"input_tokens": 7, "output_tokens": 9}}))
    assert reader.complete
    assert reader.usage == Usage(7, 0, 0, 9, 0, images=int("image" in path))


def test_each_image_of_a_stream_reports_its_own_usage():
    reader = reader_of("/v1/images/generations")
    partial = data({"type": "image_generation.partial_image", "b64_json": "QUJD"})
    image = {"type": "image_generation.completed", "b64_json": "QUJD"}
    usage = {"input_tokens": 7, "output_tokens": 9}
    run(reader, partial + data(image | {"usage": usage}) + partial + data(image | {"usage": usage}))
    assert reader.usage == Usage(14, 0, 0, 18, 0, images=2)
    reader = reader_of("/v1/images/edits")
    run(reader, data(image | {"type": "image_edit.completed"}))
    assert (reader.usage, reader.complete) == (Usage(images=1), True)
