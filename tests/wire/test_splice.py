import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.wire.splice import ask_for_stream_usage, set_member

NAMES = st.one_of(
    st.sampled_from(["stream_options", "max_tokens", "stream", "model", 'a"b', "é", "\\", ""]),
    st.text(max_size=5),
)
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(max_size=12)
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=12,
)


BODIES = st.builds(
    lambda value, ascii_, style, lead: (
        lead + json.dumps(value, ensure_ascii=ascii_, **style)
    ).encode(),
    st.dictionaries(NAMES, VALUES, max_size=6),
    st.booleans(),
    st.sampled_from([{}, {"separators": (",", ":")}, {"indent": 1}, {"indent": "\t"}]),
    st.sampled_from(["", " ", "\r\n\t"]),
)


def is_one_splice(before, after):
    """Whether `after` is `before` with one contiguous run of bytes replaced by a short one."""
    start = 0
    while start < min(len(before), len(after)) and before[start] == after[start]:
        start += 1
    tail = 0
    while tail < min(len(before), len(after)) - start and before[-1 - tail] == after[-1 - tail]:
        tail += 1
    return len(after) - start - tail <= 45


@settings(max_examples=100, deadline=None)
@given(BODIES)
def test_asking_for_usage_changes_that_member_and_no_other_byte(body):
    asked = ask_for_stream_usage(body)
    before, after = json.loads(body), json.loads(asked)
    options = before.get("stream_options")
    kept = options if isinstance(options, dict) else {}
    assert after == before | {"stream_options": kept | {"include_usage": True}}
    assert is_one_splice(body, asked)


@settings(max_examples=100, deadline=None)
@given(BODIES, st.integers(0, 10**9))
def test_setting_a_member_changes_that_member_and_no_other_byte(body, n):
    changed = set_member(body, "max_tokens", b"%d" % n)
    assert json.loads(changed) == json.loads(body) | {"max_tokens": n}
    assert is_one_splice(body, changed)


@pytest.mark.parametrize(
    ("body", "spliced"),
    [
        (b"{}", b'{"stream_options":{"include_usage":true}}'),
        (b" { } ", b' {"stream_options":{"include_usage":true} } '),
        (b'{ "a" : 1 }', b'{"stream_options":{"include_usage":true}, "a" : 1 }'),
        (b'{"stream_options":null}', b'{"stream_options":{"include_usage":true}}'),
        (b'{"stream_options":{}}', b'{"stream_options":{"include_usage":true}}'),
        (
            b'{"stream_options" : { "include_usage" : false , "x":1}}',
            b'{"stream_options" : { "include_usage" : true , "x":1}}',
        ),
        (
            b'{"stream_options":{"include_obfuscation":false}}',
            b'{"stream_options":{"include_usage":true,"include_obfuscation":false}}',
        ),
        (
            rb'{"stre\u0061m_options":{"include\u005fusage":false}}',
            rb'{"stre\u0061m_options":{"include\u005fusage":true}}',
        ),
        (
            b'{"x":"\\"stream_options\\":{}","y":{"stream_options":{}}}',
            b'{"stream_options":{"include_usage":true},'
            b'"x":"\\"stream_options\\":{}","y":{"stream_options":{}}}',
        ),
        (
            b'{"stream_options":{"include_usage":false,"include_usage":false}}',
            b'{"stream_options":{"include_usage":true}}',
        ),
    ],
)
def test_usage_is_asked_for_in_place(body, spliced):
    assert ask_for_stream_usage(body) == spliced


def test_a_body_that_asks_already_stays_as_it_is():
    body = b'{"stream_options": {"include_usage": true}}'
    assert ask_for_stream_usage(body) == body


def test_a_lone_surrogate_elsewhere_stays_as_the_client_wrote_it():
    body = rb'{"messages":[{"content":"\ud800 \uDFFF"}],"max_tokens":5}'
    assert set_member(body, "max_tokens", b"7") == body.replace(b":5}", b":7}")


def test_white_space_and_odd_numbers_stay():
    body = b'\n{\t"temperature" : 1E0 ,\r\n"max_tokens"  :  4096  , "seed": 1.50}\n'
    wanted = b'\n{\t"temperature" : 1E0 ,\r\n"max_tokens"  :  12  , "seed": 1.50}\n'
    assert set_member(body, "max_tokens", b"12") == wanted
