import json

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.model.batch import BatchCount, BatchPart
from proxy.wire.asked import BYTES_PER_TOKEN
from proxy.wire.batch_lines import (
    NOT_A_REQUEST,
    TOO_LONG,
    TOO_MANY,
    UNKNOWN_URL,
    UNREADABLE_BODY,
    LineCounter,
    count_requests,
)
from proxy.wire.request import read
from tests.wire.uploads import PLACES, chat, cuts, line


def counted(*chunks: bytes, **options: int) -> BatchCount:
    counter = LineCounter(**options)
    for chunk in chunks:
        counter.feed(chunk)
    counter.finish()
    return counter.count()


def estimate(surface, body, path="/v1/chat/completions"):
    return read(surface(path), json.dumps(body).encode()).input_tokens_estimate


def test_requests_are_summed_by_model_and_surface(surface):
    hello, more = chat("a", max_tokens=10), chat("a", "Hello again, and more", n=3)
    other = chat("b", max_completion_tokens=7, n=2)
    embed = {"model": "e", "input": ["one two three", "four"]}
    count = counted(
        line(hello), line(more), line(other), line(embed, "/v1/embeddings"), line(hello)
    )
    tokens = [estimate(surface, body) for body in (hello, more, other)]
    assert count.parts == (
        BatchPart("chat.completions", "a", 3, 2 * tokens[0] + tokens[1], 20, 3),
        BatchPart("chat.completions", "b", 1, tokens[2], 14, 0),
        BatchPart("embeddings", "e", 1, estimate(surface, embed, "/v1/embeddings")),
    )
    assert (count.requests, count.max_output_tokens, count.unbounded) == (5, 34, 3)
    assert count.input_tokens == sum(part.input_tokens for part in count.parts)
    assert count.model is None


def test_images_are_counted_and_write_no_text():
    body = {"model": "i", "prompt": "a cat", "n": 4}
    count = counted(line(body, "/v1/images/generations"), line(body, "/v1/images/edits"))
    (part,) = count.parts
    assert (part.surface, part.model, part.requests) == ("images", "i", 2)
    assert (count.images, count.unbounded) == (8, 0)


@pytest.mark.parametrize(
    ("url", "body", "most"),
    [
        ("/v1/responses", {"model": "m", "input": "hello", "max_output_tokens": 5}, 5),
        ("/v1/completions", {"model": "m", "prompt": "hello", "max_tokens": 5, "best_of": 2}, 10),
        ("/v1/moderations", {"model": "m", "input": "hello"}, 0),
    ],
)
def test_lines_are_read_as_requests_of_their_url(url, body, most):
    count = counted(line(body, url))
    assert (count.model, count.max_output_tokens, count.unbounded) == ("m", most, 0)
    assert count.input_tokens > 0


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (b"{", NOT_A_REQUEST),
        (b"[]", NOT_A_REQUEST),
        (b"\xff\xfe{\x00}\x00", NOT_A_REQUEST),
        (b'{"url":"/v1/chat/completions"}', NOT_A_REQUEST),
        (b'{"body":{}}', NOT_A_REQUEST),
        (line(chat())[:-1] + line(chat()), NOT_A_REQUEST),
        (b'{"url":"/v1/chat/completions","body":{},"body":{}}', NOT_A_REQUEST),
        (b'{"url":"/v1/chat/completions", "body":{} ,"body" : {}}', NOT_A_REQUEST),
        (b'{"a":' + b"[" * 5000, NOT_A_REQUEST),
        (line(chat(), "/v1/videos"), UNKNOWN_URL),
        (line(chat(), "/v1/files"), UNKNOWN_URL),
        (line(chat(), "/v1/batches"), UNKNOWN_URL),
        (line(chat(), "/v1/chat/../chat/completions"), UNKNOWN_URL),
        (b'{"url":7,"body":{}}', UNKNOWN_URL),
        (b'{"url":"/v1/chat/completions","body":7}', UNREADABLE_BODY),
        (b'{"url":"/v1/chat/completions","body":{"n":1,"n":2}}', UNREADABLE_BODY),
        (line(chat(n=0)), UNREADABLE_BODY),
        (line(chat(max_tokens="many")), UNREADABLE_BODY),
        (line(chat(text="x" * 5000)), TOO_LONG),
        (line({"messages": [{}] * 10_001}, separators=(",", ":")), TOO_LONG),
    ],
)
def test_a_line_that_cannot_be_read_is_counted_by_its_bytes(text, why):
    text = text.rstrip(b"\n")
    longest = max(len(text), 1000) if why != TOO_LONG or b"[{}" in text else 1000
    count = counted(line(chat("a")), text + b"\n", line(chat("a")), max_line_bytes=longest)
    assert (count.unread_lines, count.unread_bytes) == (1, len(text))
    assert count.unread_tokens == -(-len(text) // BYTES_PER_TOKEN)
    assert (count.first_unread, count.why_unread) == (2, why)
    assert (count.requests, count.unbounded, count.model) == (3, 3, None)
    assert count.input_tokens == count.parts[0].input_tokens + count.unread_tokens


def test_braces_in_a_text_are_no_objects():
    assert counted(line(chat(text='{"{' * 20_000))).unread_lines == 0


def test_the_last_line_needs_no_end():
    assert counted(line(chat())[:-1]).requests == 1


def test_models_beyond_a_bound_are_one_that_nobody_knows():
    count = counted(*(line(chat(f"m-{number}", max_tokens=1)) for number in range(500)))
    assert len(count.parts) == 65
    assert count.parts[0].model is None
    assert (count.parts[0].requests, count.requests) == (436, 500)
    assert count.max_output_tokens == 500


def test_lines_beyond_a_bound_count_by_their_bytes():
    count = counted(*[line(chat("a"))] * 3, b"\n", b"x\n" * 5, max_lines=4)
    assert (count.parts[0].requests, count.unread_lines, count.unread_bytes) == (3, 5, 10)
    assert (count.first_unread, count.why_unread) == (5, TOO_MANY)


def test_sums_stay_within_what_can_be_written():
    count = counted(*[line(chat(max_tokens=10**9, n=10**5))] * 20)
    assert count.max_output_tokens == 10**15
    assert msgspec.json.decode(msgspec.json.encode(count), type=BatchCount) == count


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.sampled_from(
            [
                line(chat()),
                line(chat("ü", "größer\ud800"), indent=1).replace(b"\n", b"\r") + b"\n",
                line(chat(n=2), separators=(",", ":"), ensure_ascii=False),
                b"broken\n",
                b"\n",
                line(chat(text="x" * 2000)),
            ]
        ),
        max_size=6,
    ).map(b"".join),
    PLACES,
)
def test_any_chunking_gives_the_same_counts(data, places):
    whole = counted(data, max_line_bytes=1000, max_lines=4)
    assert counted(*cuts(data, places), max_line_bytes=1000, max_lines=4) == whole


def test_requests_inside_a_message_batch_are_summed_by_model(surface):
    def entry(model, most):
        params = {"model": model, "max_tokens": most, "messages": chat()["messages"]}
        return {"custom_id": "r", "params": params}

    body = json.dumps({"requests": [entry("a", 5), entry("b", 7), entry("a", 11)]}).encode()
    count = count_requests(body)
    asked = read(surface("/v1/messages/batches"), body)
    assert [(part.model, part.requests, part.max_output_tokens) for part in count.parts] == [
        ("a", 2, 16),
        ("b", 1, 7),
    ]
    assert count.input_tokens == asked.input_tokens_estimate
    assert count.max_output_tokens == asked.max_output_tokens


def test_a_message_batch_that_may_fall_back_is_of_a_model_that_nobody_knows():
    params = {"model": "a", "max_tokens": 1, "messages": [], "fallbacks": [{"model": "b"}]}
    count = count_requests(json.dumps({"requests": [{"params": params}]}).encode())
    assert [part.model for part in count.parts] == [None]


def test_a_message_batch_that_cannot_be_read_counts_by_its_bytes():
    assert count_requests(b'{"requests":7}').unread_bytes == 14
    assert count_requests(b"{}") == BatchCount()
