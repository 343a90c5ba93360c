import gzip
import json

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.model.batch import BatchUsage, UsedPart
from proxy.model.exchange import Dialect
from proxy.model.usage import Usage
from proxy.wire.batch_results import ResultCounter
from tests.wire.uploads import PLACES, cuts


def summed(*chunks, dialect=Dialect.OPENAI, ended=True, **options) -> BatchUsage:
    counter = ResultCounter(dialect, **options)
    for chunk in chunks:
        counter.feed(chunk)
    if ended:
        counter.finish()
    return counter.used()


def written(value) -> bytes:
    return json.dumps(value).encode() + b"\n"


def done(body, status=200) -> bytes:
    response = {"status_code": status, "request_id": "r", "body": body}
    return written({"id": "b", "custom_id": "c", "response": response, "error": None})


def message(model, usage) -> bytes:
    answer = {"id": "msg", "type": "message", "content": [], "model": model, "usage": usage}
    return written({"custom_id": "c", "result": {"type": "succeeded", "message": answer}})


CHAT = done(
    {
        "object": "chat.completion",
        "model": "a",
        "choices": [{"message": {"content": 'said "usage": {'}}],
        "usage": {
            "prompt_tokens": 10,
            "completion_tokens": 5,
            "prompt_tokens_details": {"cached_tokens": 4},
        },
    }
)
RESPONSE = done({"object": "response", "model": "b", "usage": {"input_tokens": 7}})
EMBEDDINGS = done({"object": "list", "model": "e", "data": [{}, {}], "usage": {"prompt_tokens": 8}})
IMAGES = done({"created": 1, "data": [{"b64_json": "x"}, {}], "usage": {"input_tokens": 3}})
MODERATION = done({"id": "modr-1", "model": "m", "results": []})
REFUSED = done({"error": {"message": "no"}}, status=400)
EXPIRED = written({"id": "b", "custom_id": "c", "response": None, "error": {"code": "expired"}})
OPENAI = [CHAT, CHAT, RESPONSE, EMBEDDINGS, IMAGES, MODERATION, REFUSED, EXPIRED]

MESSAGE = message("a", {"input_tokens": 10, "cache_read_input_tokens": 5, "output_tokens": 7})
OTHERS = [
    written({"custom_id": "c", "result": {"type": kind}}) for kind in ("canceled", "expired")
] + [written({"custom_id": "c", "result": {"type": "errored", "error": {"type": "error"}}})]


def test_openai_results_are_summed_by_model():
    assert summed(*OPENAI) == BatchUsage(
        (
            UsedPart(None, 1, Usage(3, images=2)),
            UsedPart("a", 2, Usage(20, 8, 0, 10)),
            UsedPart("b", 1, Usage(7)),
            UsedPart("e", 1, Usage(8)),
        ),
        succeeded=6,
        failed=2,
    )
    assert summed(*OPENAI).usage == Usage(38, 8, 0, 10, images=2)


def test_anthropic_results_are_summed_by_model():
    used = summed(MESSAGE, MESSAGE, *OTHERS, dialect=Dialect.ANTHROPIC)
    assert used == BatchUsage((UsedPart("a", 2, Usage(30, 10, 0, 14)),), succeeded=2, failed=3)


@pytest.mark.parametrize(
    ("dialect", "text"),
    [
        (Dialect.OPENAI, b"{\n"),
        (Dialect.OPENAI, b"7\n"),
        (Dialect.OPENAI, b"\xff\n"),
        (Dialect.OPENAI, b'{"response":' + b"[" * 5000 + b"\n"),
        (Dialect.OPENAI, b'{"response":null,"error":null}\n'),
        (Dialect.OPENAI, b'{"response":{"status_code":"200","body":{}}}\n'),
        (Dialect.OPENAI, done("text")),
        (Dialect.OPENAI, done({"object": "chat.completion", "model": "a"})),
        (Dialect.OPENAI, done({"usage": {"prompt_tokens": -1}})),
        (Dialect.OPENAI, MESSAGE),
        (Dialect.ANTHROPIC, CHAT),
        (Dialect.ANTHROPIC, message("a", None)),
        (Dialect.ANTHROPIC, b'{"result":{"type":"succeeded"}}\n'),
        (Dialect.ANTHROPIC, b'{"result":{"type":7}}\n'),
    ],
)
def test_results_whose_usage_cannot_be_read_are_not_whole(dialect, text):
    used = summed(text, dialect=dialect)
    assert (used.unread_lines, used.succeeded, used.failed, used.whole) == (1, 0, 0, False)


def test_results_are_whole_once_they_have_ended():
    assert summed(CHAT).whole
    assert not summed(CHAT, ended=False).whole
    cut_off = summed(CHAT, CHAT[:-20])
    assert (cut_off.succeeded, cut_off.whole) == (1, False)


def test_a_lone_surrogate_does_not_lose_a_usage():
    assert summed(CHAT.replace(b"said", rb"\ud800")).usage == Usage(10, 4, 0, 5)


def test_a_line_that_is_too_long_is_not_read():
    used = summed(CHAT, MODERATION, max_line_bytes=len(MODERATION))
    assert (used.succeeded, used.unread_lines, used.whole) == (1, 1, False)


def test_compressed_results_are_read_aside():
    assert summed(gzip.compress(CHAT), content_encoding="gzip") == summed(CHAT)
    assert not summed(b"no gzip", CHAT, content_encoding="gzip").whole
    assert not summed(CHAT, content_encoding="rot13").whole


def test_models_beyond_a_bound_are_one_that_nobody_knows():
    lines = [message(f"m-{n}", {"input_tokens": 1}) for n in range(99)]
    used = summed(*lines, dialect=Dialect.ANTHROPIC)
    assert len(used.parts) == 65
    assert used.parts[0] == UsedPart(None, 35, Usage(35))
    assert used.usage == Usage(99)


def test_sums_can_be_remembered():
    used = summed(*OPENAI)
    assert msgspec.json.decode(msgspec.json.encode(used), type=BatchUsage) == used


@settings(max_examples=100, deadline=None)
@given(st.lists(st.sampled_from([*OPENAI, b"broken\n"]), max_size=6).map(b"".join), PLACES)
def test_any_chunking_gives_the_same_sums(data, places):
    assert summed(*cuts(data, places), max_line_bytes=250) == summed(data, max_line_bytes=250)
