"""Answers that are changed on their way: any chunking, any coding, and failing closed."""

import gzip
import json

import brotli
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.model.exchange import Asked
from proxy.model.usage import Usage
from proxy.wire.response import ResponseReader
from tests.wire.streams import (
    BOTH,
    CHAT,
    CHAT_PARTS,
    DONE,
    EVENTS,
    MESSAGES,
    PARTS,
    RESPONSES,
    STREAMS,
    altering,
    chunk,
    data,
    run,
)

JSON = "application/json"
SECRET = b'{"choices":[{"message":{"content":"Hi","reasoning_content":"secret"}}]}'


def result(reader):
    return (
        reader.usage,
        reader.delivered_output_tokens,
        reader.complete,
        reader.cut,
        reader.broken,
    )


@settings(max_examples=120, deadline=None)
@given(
    st.sampled_from(sorted(STREAMS)),
    st.sampled_from([b"\n", b"\r\n", b"\r"]),
    st.sampled_from([(), ("logprobs",), ("reasoning",), BOTH]),
    st.sampled_from([None, 0, 1, 2, 5]),
    st.booleans(),
    st.data(),
)
def test_any_chunking_gives_the_same_bytes_and_the_same_reading(
    path, end, strip, cut_after, hide_usage, draw
):
    stream = b"\xef\xbb\xbf" + STREAMS[path].replace(b"\n", end)
    cuts = draw.draw(st.lists(st.integers(0, len(stream)), max_size=12))
    whole, cut, bytewise = (
        altering(path, strip, cut_after, hide_usage=hide_usage) for _ in range(3)
    )
    passed = run(whole, stream)
    assert run(cut, stream, cuts) == passed
    assert run(bytewise, stream, range(1, len(stream))) == passed
    assert result(cut) == result(bytewise) == result(whole)
    if "reasoning" in strip:
        assert b"secret" not in passed
    if not strip and cut_after is None and not hide_usage:
        assert passed == stream


MANGLED = st.sampled_from(
    [
        *(part for parts in PARTS.values() for part in parts),
        b": ping\n",
        b"\n",
        b"\r",
        b"data: {",
        b"data: x\r\n\r",
        b'data: {"choices":[{"reasoning":"secret"',
        b'data: {"delta":"secret","type":"response.reasoning_text.delta"}\r\r',
        b'data: {"choices":[{"delta":{"r\\u0065asoning":"secret"}}]}\n\n',
        b"x" * 9000,
    ]
)


@settings(max_examples=120, deadline=None)
@given(st.sampled_from(sorted(STREAMS)), st.lists(MANGLED, max_size=8), st.booleans(), st.data())
def test_even_a_mangled_stream_is_changed_alike_in_any_chunks(path, parts, cuts_too, draw):
    stream = b"".join(parts)
    cuts = draw.draw(st.lists(st.integers(0, len(stream)), max_size=10))
    bound = 3 if cuts_too else None
    whole, cut = (altering(path, BOTH, bound, max_read_bytes=8000) for _ in range(2))
    passed = run(whole, stream)
    assert run(cut, stream, cuts) == passed
    assert result(cut) == result(whole)


@pytest.mark.parametrize("path", STREAMS)
def test_events_that_carry_nothing_of_the_kind_go_on_at_once_and_byte_for_byte(path):
    reader = altering(path, BOTH, 10_000)
    passed = [reader.feed(part) for part in PARTS[path]]
    changed = [part for part, out in zip(PARTS[path], passed, strict=True) if out != part]
    carrying = [
        part
        for part in PARTS[path]
        if any(sign in part for sign in (b"secret", b"-0.5", b'"tokens"', b'"thinking"'))
        or b'"response.reasoning' in part
    ]
    # Behind a block that was left out, the numbers of blocks close up.
    closed_up = [p for p in PARTS[path] if b'"index":' in p] if path == MESSAGES else []
    assert [part for part in changed if part not in closed_up] == [
        part for part in carrying if part not in closed_up
    ]
    assert changed


def test_a_ping_goes_on_at_once():
    reader = altering(CHAT, BOTH)
    assert reader.feed(CHAT_PARTS[0]) == CHAT_PARTS[0]
    assert reader.feed(b": ping\n") == b": ping\n"
    assert reader.feed(b"\n") == b"\n"


def test_the_usage_chunk_is_hidden_all_the_same():
    usage = next(part for part in CHAT_PARTS if b"prompt_tokens" in part)
    reader = altering(CHAT, ("logprobs",), hide_usage=True)
    assert usage not in run(reader, STREAMS[CHAT])
    assert reader.usage == Usage(7, 0, 0, 9, 0)


@pytest.mark.parametrize("coding", ["gzip", "br", "zstd", "identity", None])
def test_a_compressed_answer_is_changed_and_goes_on_in_plain(coding):
    encode = {"gzip": gzip.compress, "br": brotli.compress, "zstd": zstandard.compress}
    stream, plain = STREAMS[MESSAGES], altering(MESSAGES, BOTH)
    encoded = encode.get(coding, bytes)(stream)
    reader = altering(MESSAGES, BOTH, coding=coding)
    assert run(reader, encoded, range(0, len(encoded), 7)) == run(plain, stream)
    assert reader.complete


@pytest.mark.parametrize("coding", ["compress", "gzip, br"])
def test_an_answer_in_a_coding_that_cannot_be_read_does_not_go_on(coding):
    reader = altering(CHAT, BOTH, coding=coding)
    assert reader.broken
    assert run(reader, STREAMS[CHAT]) == b""


def test_damaged_compressed_data_does_not_go_on():
    reader = altering(CHAT, BOTH, coding="gzip")
    assert run(reader, b"no gzip at all") == b""
    assert reader.broken


@pytest.mark.parametrize(
    ("path", "event"),
    [
        (CHAT, b'data: {"choices":[{"delta":{"reasoning":"secret"}]\n\n'),
        (CHAT, b'data: {"choices":[{"delta":{"reasoning":"a","reasoning":"secret"}}]}\n\n'),
        (CHAT, b'data: {"choices":[{"delta":{"reasoning":"secret"' + b"[" * 5000 + b"\n\n"),
        (CHAT, b'data: "reasoning": "secret"\n\n'),
        (RESPONSES, b'data: {"type":"response.reasoning_text.delta","delta":"secret"\n\n'),
        (MESSAGES, b'data: {"type":"content_block_start","content_block":{"type":"thinking"\n\n'),
    ],
)
def test_an_event_that_may_carry_a_part_and_cannot_be_read_ends_the_stream(path, event):
    reader = altering(path, BOTH)
    first = PARTS[path][0]
    assert run(reader, first + event + first) == first
    assert reader.broken
    assert not reader.complete


def test_an_event_that_cannot_be_read_and_carries_nothing_goes_on():
    event = b'data: {"broken": \n\n'
    assert run(altering(CHAT, BOTH), event + DONE) == event + DONE


def test_an_event_that_never_ends_does_not_go_on():
    reader = altering(CHAT, BOTH, max_read_bytes=1000)
    assert reader.feed(b"data: " + b"x" * 900) == b""
    assert reader.feed(b"x" * 900) == b""
    assert reader.broken


def test_an_event_that_the_end_of_the_stream_cut_off_is_changed_too():
    reader = altering(CHAT, BOTH)
    got = run(reader, chunk({"reasoning": "secret", "content": "Hi"}).rstrip())
    assert json.loads(got.removeprefix(b"data: "))["choices"][0]["delta"] == {"content": "Hi"}


def test_an_event_may_spread_its_json_over_several_data_lines():
    value = {"choices": [{"delta": {"content": "x", "reasoning": "secret"}}]}
    lines = json.dumps(value, indent=1).splitlines()
    event = "id: 7\n" + "".join(f"data:{line}\n" for line in lines) + "retry: 5\n\n"
    head, written, tail = run(altering(CHAT, BOTH), event.encode()).split(b"\n", 2)
    assert (head, tail) == (b"id: 7", b"retry: 5\n\n")
    assert json.loads(written.removeprefix(b"data: ")) == {"choices": [{"delta": {"content": "x"}}]}


# -- JSON ----------------------------------------------------------------------------------------


def test_a_json_answer_waits_until_it_is_whole():
    reader = altering(CHAT, BOTH, content_type=JSON)
    assert reader.held
    assert reader.feed(SECRET) == b""
    assert reader.finish() == b'{"choices":[{"message":{"content":"Hi"}}]}'
    assert reader.complete
    assert reader.delivered_output_tokens == 1


def test_a_json_answer_still_tells_its_usage():
    usage = b',"usage":{"prompt_tokens":3,"completion_tokens":9}}'
    reader = altering(CHAT, BOTH, content_type=JSON)
    run(reader, SECRET[:-1] + usage, range(0, 90, 7))
    assert reader.usage == Usage(3, 0, 0, 9, 0)


@pytest.mark.parametrize(
    ("body", "content_type", "status", "passed", "broken"),
    [
        (SECRET[:-4], JSON, 200, b"", True),
        (b'{"broken": ', JSON, 200, b'{"broken": ', False),
        (SECRET[:-4], JSON, 500, SECRET[:-4], False),
        (b"<html>", "text/html", 502, b"<html>", False),
        (SECRET, "text/plain", 200, b'{"choices":[{"message":{"content":"Hi"}}]}', False),
        (b"", JSON, 200, b"", False),
        (SECRET + b" " * 2000, JSON, 200, b"", True),
    ],
)
def test_a_whole_answer_that_cannot_be_read_goes_on_only_where_it_carries_nothing(
    body, content_type, status, passed, broken
):
    reader = altering(CHAT, BOTH, content_type=content_type, status=status, max_read_bytes=1500)
    assert run(reader, body) == passed
    assert reader.broken is broken


def test_an_error_in_place_of_an_answer_is_passed_on_as_it_is():
    error = b'{"error": {"message": "no", "type": "x"}}'
    reader = altering(CHAT, BOTH, content_type=JSON, status=400)
    assert run(reader, error) == error


def line(content):
    result = {"type": "succeeded", "message": {"content": content, "usage": {}}}
    return json.dumps({"custom_id": "a", "result": result}).encode()


def test_the_results_of_a_batch_are_changed_line_by_line():
    path, kind = "/v1/messages/batches/b-1/results", "application/x-jsonl"
    text = {"type": "text", "text": "Hi"}
    thought = {"type": "thinking", "thinking": "secret"}
    lines = [line([thought, text]), line([text])]
    wanted = line([text]) + b"\n" + line([text])
    for step in (1, 5, 10_000):
        reader = altering(path, BOTH, method="GET", content_type=kind)
        stream = b"\n".join(lines)
        assert run(reader, stream, range(0, len(stream), step)) == wanted
        assert reader.complete


def test_a_line_that_cannot_be_read_ends_the_results_of_a_batch():
    path, kind = "/v1/messages/batches/b-1/results", "application/x-jsonl"
    for step in (1, 10_000):
        reader = altering(path, BOTH, method="GET", content_type=kind)
        stream = line([]) + b'\n{"type":"thinking"\n' + line([])
        assert run(reader, stream, range(0, len(stream), step)) == line([]) + b"\n"
        assert reader.broken


# -- which answers are changed -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "strip", "cut_after", "content_type", "changes"),
    [
        (CHAT, (), 5, EVENTS, True),
        (CHAT, (), 5, JSON, False),
        (CHAT, ("reasoning",), None, JSON, True),
        (MESSAGES, ("logprobs",), None, JSON, False),
        ("/v1/embeddings", BOTH, 5, JSON, False),
        ("/v1/audio/speech", BOTH, 5, "audio/mpeg", False),
        ("/v1/audio/transcriptions", BOTH, None, JSON, True),
        ("/v1/models", BOTH, 5, JSON, False),
    ],
)
def test_only_answers_that_are_concerned_are_changed(path, strip, cut_after, content_type, changes):
    reader = altering(path, strip, cut_after, content_type=content_type)
    assert isinstance(reader, ResponseReader) is not changes


def test_a_stored_answer_that_is_fetched_is_changed_and_reports_no_usage_again():
    stored = b'{"output":[{"type":"reasoning","summary":["secret"]}],"usage":{"input_tokens":1}}'
    reader = altering("/v1/responses/r-1", BOTH, method="GET", content_type=JSON)
    assert b"secret" not in run(reader, stored)
    assert reader.usage is None
    streamed = altering("/v1/responses/r-1", BOTH, method="GET")
    assert b"secret" not in run(streamed, STREAMS[RESPONSES])
    assert (streamed.usage, streamed.complete) == (None, True)


def test_the_kind_of_an_answer_without_a_type_is_what_was_asked_for():
    assert not altering(CHAT, (), 5, content_type=None).held
    whole = altering(CHAT, BOTH, content_type=None, asked=Asked())
    assert whole.held


def test_transcriptions_lose_their_log_probabilities():
    path = "/v1/audio/transcriptions"
    reader = altering(path, BOTH, content_type=JSON)
    assert run(reader, b'{"text":"Hi","logprobs":[{"token":"Hi"}]}') == b'{"text":"Hi"}'
    event = {"type": "transcript.text.delta", "delta": "Hi"}
    assert run(altering(path, BOTH), data(event | {"logprobs": [1]})) == data(event)
