import gzip
import json

import pytest

from proxy.model.exchange import Asked
from proxy.model.usage import Usage
from proxy.wire.response import ResponseReader
from proxy.wire.surfaces import find


def send(reader, value, step=13):
    body = value if isinstance(value, bytes) else json.dumps(value).encode()
    out = b"".join(reader.feed(body[i : i + step]) for i in range(0, len(body), step))
    assert out + reader.finish() == body
    return reader


@pytest.mark.parametrize(
    ("path", "usage", "wanted"),
    [
        (
            "/v1/chat/completions",
            {"prompt_tokens": 5, "completion_tokens": 7, "total_tokens": 12},
            Usage(5, 0, 0, 7, 0),
        ),
        ("/v1/completions", {"prompt_tokens": 5, "completion_tokens": 7}, Usage(5, 0, 0, 7, 0)),
        ("/v1/embeddings", {"prompt_tokens": 5, "total_tokens": 5}, Usage(5)),
        ("/v1/responses", {"input_tokens": 5, "output_tokens": 7}, Usage(5, 0, 0, 7, 0)),
        (
            "/v1/messages",
            {"input_tokens": 5, "cache_read_input_tokens": 2, "output_tokens": 7},
            Usage(7, 2, 0, 7, 0),
        ),
        ("/v1/images/generations", {"input_tokens": 5, "output_tokens": 7}, Usage(5, 0, 0, 7, 0)),
        ("/v1/audio/transcriptions", {"type": "duration", "seconds": 3}, Usage(seconds=3)),
        (
            "/v1/audio/transcriptions",
            {"type": "tokens", "input_tokens": 5, "output_tokens": 7},
            Usage(5, 0, 0, 7, 0),
        ),
    ],
)
def test_the_usage_of_each_kind_of_answer_is_read(json_reader, path, usage, wanted):
    reader = send(json_reader(path), {"id": "x", "choices": [{"a": 1}], "usage": usage})
    assert reader.usage == wanted
    assert reader.complete
    assert not reader.gave_up


@pytest.mark.parametrize(
    ("path", "answer", "wanted"),
    [
        (
            "/v1/images/generations",
            {"data": [{}, {}], "usage": {"input_tokens": 5, "output_tokens": 7}},
            Usage(5, 0, 0, 7, 0, images=2),
        ),
        ("/v1/images/edits", {"data": [{"url": "x"}]}, Usage(images=1)),
        (
            "/v1/images/generations",
            {
                "data": [{}],
                "usage": {"input_tokens": 5, "output_tokens": 7},
                "svg_usage": {"model": "s", "input_tokens": 1, "output_tokens": 2},
            },
            Usage(6, 0, 0, 9, 0, images=1),
        ),
        ("/v1/images/generations", {"data": "odd", "usage": {"input_tokens": 5}}, Usage(5)),
        ("/v1/images/generations", {"error": {"message": "no"}}, None),
        ("/v1/audio/transcriptions", {"text": "hi", "duration": 2.5}, Usage(seconds=2.5)),
        ("/v1/audio/translations", {"text": "hi", "duration": "2.5"}, Usage(seconds=2.5)),
        ("/v1/audio/transcriptions", {"text": "hi"}, None),
        ("/v1/embeddings", {"data": [{}], "usage": {"prompt_tokens": 5}}, Usage(5)),
    ],
)
def test_images_and_recordings_are_measured_in_their_own_units(json_reader, path, answer, wanted):
    reader = send(json_reader(path), answer)
    assert reader.usage == wanted
    assert reader.complete


def test_every_chunk_goes_on_as_it_came(json_reader):
    reader = json_reader("/v1/messages")
    assert reader.feed(b'{"usage"') == b'{"usage"'
    assert reader.feed(b"") == b""


def test_an_answer_that_is_cut_off_is_not_complete_and_its_text_is_estimated(json_reader):
    reader = json_reader("/v1/chat/completions")
    reader.feed(b'{"choices":[{"message":{"content":"twelve chars"}},{"mess')
    assert not reader.complete
    assert reader.usage is None
    assert reader.delivered_output_tokens == 3
    reader.finish()
    assert not reader.complete


@pytest.mark.parametrize("body", [b'{"error":{"message":"no"}}', b"[1]", b"null", b'{"usage":[]}'])
def test_json_without_usage_is_complete_all_the_same(json_reader, body):
    reader = send(json_reader("/v1/messages"), body)
    assert reader.complete
    assert reader.usage is None


@pytest.mark.parametrize("body", [b"<html>", b"{", b'{"a":"\xff', b"[" * 100_000])
def test_what_is_not_json_is_passed_on_and_not_complete(json_reader, body):
    reader = send(json_reader("/v1/messages"), body, step=1000)
    assert not reader.complete
    assert reader.usage is None


def test_a_lone_surrogate_in_an_answer_does_not_lose_its_usage(json_reader):
    body = rb'{"content":"\ud800","usage":{"input_tokens":1,"output_tokens":2}}'
    assert send(json_reader("/v1/messages"), body).usage == Usage(1, 0, 0, 2, 0)


def test_an_answer_too_large_to_hold_is_passed_on_unread(json_reader):
    reader = json_reader("/v1/embeddings", max_read_bytes=1000)
    body = {"data": ["x" * 2000], "usage": {"prompt_tokens": 5}}
    send(reader, body, step=100)
    assert reader.gave_up
    assert reader.usage is None
    assert reader.delivered_output_tokens == 0
    assert reader.complete


def test_a_compressed_answer_is_read_aside(json_reader):
    body = gzip.compress(json.dumps({"usage": {"input_tokens": 1, "output_tokens": 2}}).encode())
    reader = send(json_reader("/v1/messages", content_encoding="gzip"), body, step=3)
    assert reader.usage == Usage(1, 0, 0, 2, 0)


def test_an_answer_that_expands_beyond_reason_is_passed_on_unread(json_reader):
    body = gzip.compress(b" " * 20_000_000)
    reader = send(json_reader("/v1/messages", content_encoding="gzip"), body, step=100_000)
    assert reader.gave_up


@pytest.mark.parametrize("content_type", ["audio/mpeg", "application/x-jsonl", "text/plain"])
def test_other_kinds_of_answer_are_whole_when_their_body_ends(json_reader, content_type):
    reader = json_reader("/v1/audio/speech", content_type=content_type)
    reader.feed(b'{"usage":{"input_tokens":5}}')
    assert not reader.complete
    reader.finish()
    assert reader.complete
    assert reader.usage is None


def test_an_answer_that_generated_nothing_has_no_usage():
    for method, path in (("GET", "/v1/responses/r-1"), ("POST", "/v1/messages/count_tokens")):
        surface = find(method, path, ())
        assert surface is not None
        reader = ResponseReader(
            surface, Asked(), content_type="application/json", content_encoding=None
        )
        send(reader, {"usage": {"input_tokens": 5, "output_tokens": 5}})
        assert reader.usage is None
        assert reader.complete


@pytest.mark.parametrize(
    ("stream", "body"),
    [(True, b'data: {"usage":{"prompt_tokens":2}}\n\n'), (False, b'{"usage":{"prompt_tokens":2}}')],
)
def test_an_answer_without_a_content_type_is_taken_for_what_was_asked(surface, stream, body):
    reader = ResponseReader(
        surface("/v1/chat/completions"),
        Asked(stream=stream),
        content_type=None,
        content_encoding=None,
    )
    assert send(reader, body).usage == Usage(2)
