import json

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.wire.jsontext import RepeatedNameError
from proxy.wire.rewrite import in_each, in_member, in_object, items, rewritten, without

NAMES = st.sampled_from(["a", "b", "c", 'q"', "é", ""])
VALUES = st.recursive(
    st.none() | st.integers() | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=8,
)
STYLES = st.sampled_from([{}, {"separators": (",", ":")}, {"indent": 2}])


@settings(max_examples=80, deadline=None)
@given(st.dictionaries(NAMES, VALUES, max_size=6), st.sets(NAMES), STYLES)
def test_members_go_and_the_others_stay_as_they_were(value, unwanted, style):
    text = json.dumps(value, **style).encode()
    left = without(text, *unwanted)
    assert json.loads(left) == {name: it for name, it in value.items() if name not in unwanted}
    if not unwanted & value.keys():
        assert left is text


@settings(max_examples=80, deadline=None)
@given(st.lists(VALUES, max_size=6), STYLES, st.data())
def test_elements_change_and_go_and_the_others_stay(values, style, draw):
    text = json.dumps(values, **style).encode()
    fates = draw.draw(st.lists(st.sampled_from("kdc"), min_size=len(values), max_size=len(values)))
    left = iter(fates)
    fate = {"k": lambda value: value, "d": lambda _: None, "c": lambda _: b'"new"'}
    changed = rewritten(text, lambda _name, value: fate[next(left)](value))
    wanted = [
        "new" if fate == "c" else value
        for value, fate in zip(values, fates, strict=True)
        if fate != "d"
    ]
    assert json.loads(changed) == wanted


@pytest.mark.parametrize(
    ("text", "left"),
    [
        (b'{"a":1}', b"{}"),
        (b'{ "a" : 1 , "b" : 2 }', b'{ "b" : 2 }'),
        (b'{"b":2, "a":1}', b'{"b":2}'),
        (b'{"b":2,\n "a":1,\n "c":3}', b'{"b":2,\n "c":3}'),
        (rb'{"\u0061":1,"b":"\ud800"}', rb'{"b":"\ud800"}'),
        (b'{"b":[1.50,1E2]}', b'{"b":[1.50,1E2]}'),
    ],
)
def test_what_is_left_keeps_its_bytes(text, left):
    assert without(text, "a") == left


def test_a_change_inside_touches_nothing_else():
    text = b' {"x": [ {"k":1} , 7, {"k" : 2 } ], "y":1.0 }'
    inner = in_each(in_object(lambda one: in_member(one, "k", lambda _: b"0")))
    assert in_member(text, "x", inner) == b' {"x": [ {"k":0} , 7, {"k" : 0 } ], "y":1.0 }'
    assert in_member(text, "z", inner) is text
    assert in_each(inner)(b"5") == b"5"


def test_an_object_inside_that_names_a_member_twice_goes():
    drop = in_object(lambda one: without(one, "k"))
    assert drop(b'{"k":1,"k":2}') is None
    assert drop(b"3") == b"3"


def test_arrays_in_arrays_are_told_apart():
    assert [item.start for item in items(b"[[1], [ ],2]")] == [1, 6, 10]
    assert items(b"[]") == ()


@pytest.mark.parametrize("text", [b"", b"5", b"{", b'{"a":1', b"[1,"])
def test_what_is_neither_object_nor_array_is_an_error(text):
    with pytest.raises(msgspec.DecodeError):
        items(text)


def test_a_member_named_twice_is_an_error():
    with pytest.raises(RepeatedNameError):
        rewritten(b'{"a":1,"a":2}', lambda _name, value: value)
