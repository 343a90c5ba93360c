import json

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.wire.jsontext import (
    RepeatedNameError,
    count_members,
    members,
    mend_surrogates,
    outline,
    repeated_name,
    written_plainly,
)

SCALARS = st.none() | st.booleans() | st.integers() | st.text(max_size=8)
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=10,
)
# Names that decode to the same string from different spellings, and values that are prefixes.
SPELLED = st.sampled_from([(b'"a"', "a"), (rb'"\u0061"', "a"), (b'"b"', "b"), (b'"\\""', '"')])
TEXTS = st.sampled_from([b"1", b"12", b'"x"', b'"x\\""', b"null", b"[1]", b"[1,2]", b"{}"])


def depth_of(value):
    if isinstance(value, dict):
        return 1 + max(map(depth_of, value.values()), default=0)
    if isinstance(value, list):
        return 1 + max(map(depth_of, value), default=0)
    return 0


@settings(max_examples=150, deadline=None)
@given(st.dictionaries(st.text(max_size=4), VALUES, max_size=5), st.booleans())
def test_the_spans_of_members_hold_exactly_their_values(value, indented):
    text = json.dumps(value, indent=2 if indented else None).encode()
    found = members(text)
    assert [member.name for member in found] == list(value)
    for member, wanted in zip(found, value.values(), strict=True):
        assert json.loads(text[member.start : member.end]) == wanted


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(SPELLED, TEXTS), max_size=4))
def test_a_name_that_occurs_twice_is_always_found(pairs):
    text = b"{" + b", ".join(name + b" : " + value for (name, _), value in pairs) + b"}"
    names = [name for (_, name), _ in pairs]
    if len(set(names)) == len(names):
        assert [member.name for member in members(text)] == names
    else:
        with pytest.raises(RepeatedNameError) as caught:
            members(text)
        assert names.count(caught.value.name) > 1


@pytest.mark.parametrize("text", [b"", b"[]", b"1", b'{"a":}', b'{"a":1', b'{"a":1} x', b'{"a" 1}'])
def test_what_is_not_a_json_object_is_refused(text):
    with pytest.raises(msgspec.DecodeError):
        members(text)


@settings(max_examples=150, deadline=None)
@given(st.dictionaries(st.text(max_size=4), VALUES, max_size=5), st.integers(1, 8), st.booleans())
def test_members_and_depth_are_counted_by_what_stands_outside_strings(value, limit, escaped):
    text = json.dumps(value | {'[[{"\\:': "}:,"}, ensure_ascii=escaped).encode()
    count = len(value) + 1 - ('[[{"\\:' in value)
    wanted = None if depth_of(value) > limit else count
    assert count_members(outline(text), max_depth=limit) == wanted


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(SPELLED, TEXTS), max_size=4))
def test_a_name_that_occurs_twice_is_told_by_the_number_of_members(pairs):
    text = b"{" + b", ".join(name + b" : " + value for (name, _), value in pairs) + b"}"
    names = [name for (_, name), _ in pairs]
    count = count_members(outline(text), max_depth=9)
    assert count == len(names)
    twice = repeated_name(text, count)
    assert (twice is None) == (len(set(names)) == len(names))
    assert twice is None or names.count(twice) > 1


def test_an_outline_keeps_what_is_not_in_strings():
    assert outline(rb'{"a\"[,":[1,"\\"],"b":"}"}') == b"{:[1,],:}"


@pytest.mark.parametrize(
    ("text", "mended"),
    [
        (rb'"\ud800"', rb'"\ufffd"'),
        (rb'"\udc00\ud800"', rb'"\ufffd\ufffd"'),
        (rb'"\uD83D\uDE00"', rb'"\uD83D\uDE00"'),
        (rb'"\ud800\ud83d\ude00"', rb'"\ufffd\ud83d\ude00"'),
        (rb'"\\ud800"', rb'"\\ud800"'),
        (rb'"\\\ud800"', rb'"\\\ufffd"'),
        (rb'"\u0041"', rb'"\u0041"'),
    ],
)
def test_only_lone_surrogates_are_mended(text, mended):
    assert mend_surrogates(text) == mended


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.sampled_from(["\\ud800", "\\udfff", "\\\\", '\\"', "\\n", "x", "\\u0041", "ud800"]))
)
def test_mended_text_has_the_same_length_and_decodes_to_unicode(pieces):
    text = ('"' + "".join(pieces) + '"').encode()
    mended = mend_surrogates(text)
    assert len(mended) == len(text)
    decoded = msgspec.json.decode(mended, type=str)
    wanted = json.loads(text).encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    assert decoded == wanted


@settings(max_examples=100, deadline=None)
@given(st.dictionaries(st.text("az\u00fc", max_size=3), VALUES, max_size=4))
def test_what_encoders_write_is_written_plainly(value):
    assert written_plainly(json.dumps(value, ensure_ascii=False).encode())
    assert written_plainly(msgspec.json.encode(value))


@settings(max_examples=300, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from([b'"a"', b'"b"', rb'"\u0061"', rb'"a\":1,\"b"', b'"c": 1, "d"']),
            st.sampled_from([b":", b": ", b" : "]),
            st.sampled_from([b"1", b"11", b'"a"', b'{"a":1}', rb'"\",\"a\":1"']),
            st.sampled_from([b",", b", ", b" ,"]),
        ),
        max_size=4,
    )
)
def test_nothing_that_is_written_plainly_names_a_member_twice(pairs):
    written = b"".join(name + colon + value + comma for name, colon, value, comma in pairs)
    text = b"{" + written.rstrip(b" ").rstrip(b",").rstrip(b" ") + b"}"
    try:
        plain = written_plainly(text)
    except msgspec.DecodeError:
        return
    if plain:
        members(text)  # which raises where a name is there twice
