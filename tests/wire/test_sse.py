from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.wire.sse import EventSplitter, event_data

PIECES = st.sampled_from(
    [b"\n", b"\r", b"\r\n", b":", b": ping", b"data: ", b"data:x", b"event: e", "é".encode(), b"x"]
)


def units_of(stream, cuts=()):
    splitter = EventSplitter()
    units = []
    edges = [0, *sorted(cuts), len(stream)]
    for start, end in pairwise(edges):
        units += splitter.feed(stream[start:end])
    return units, bytes(splitter.pending)


def events_of(stream, cuts=()):
    units, rest = units_of(stream, cuts)
    return [unit.strip(b"\r\n") for unit in units if unit.strip(b"\r\n")], rest.strip(b"\r\n")


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
def test_events_end_at_a_blank_line_of_any_kind(end):
    first = b"event: a" + end + b"data: 1" + end + end
    second = b"data: 2" + end + end
    assert units_of(first + second + b"data: 3" + end) == ([first, second], b"data: 3" + end)


@pytest.mark.parametrize("end", [b"\n\r\n", b"\r\n\n", b"\n\r", b"\r\r\n"])
def test_line_ends_may_be_mixed(end):
    assert units_of(b"data: 1" + end + b"data: 2\n\n")[0][0] == b"data: 1" + end


def test_a_single_crlf_is_no_blank_line_wherever_it_is_cut():
    assert units_of(b"data: 1\r\ndata: 2") == ([], b"data: 1\r\ndata: 2")
    assert units_of(b"data: 1\r\ndata: 2", [8]) == ([], b"data: 1\r\ndata: 2")
    assert units_of(b"data: 1\r\ndata: 2", range(16)) == ([], b"data: 1\r\ndata: 2")


def test_a_comment_in_front_of_an_event_comes_out_at_once():
    assert units_of(b": ping\ndata: 1") == ([b": ping\n"], b"data: 1")
    assert units_of(b": ping\n\ndata: 1") == ([b": ping\n", b"\n"], b"data: 1")


def test_an_event_that_ends_in_a_cr_is_not_waited_with():
    assert units_of(b"data: 1\r\n\r") == ([b"data: 1\r\n\r"], b"")
    assert units_of(b"data: 1\r\n\r\ndata", [10]) == ([b"data: 1\r\n\r", b"\n"], b"data")


@settings(max_examples=300, deadline=None)
@given(st.lists(PIECES, max_size=25), st.data())
def test_the_units_of_any_stream_in_any_chunks_add_up_to_it_and_hold_the_same_events(pieces, data):
    stream = b"".join(pieces)
    cuts = data.draw(st.lists(st.integers(0, len(stream)), max_size=8))
    units, rest = units_of(stream, cuts)
    assert b"".join(units) + rest == stream
    assert events_of(stream, cuts) == events_of(stream)


def test_a_large_event_in_small_chunks_is_searched_once():
    event = b"data: " + b"x" * 200_000 + b"\n\n"
    assert units_of(event, range(0, len(event), 7))[0] == [event]


def test_nothing_is_held_between_events():
    splitter = EventSplitter()
    for _ in range(100):
        assert splitter.feed(b"data: x\n\n") == [b"data: x\n\n"]
        assert not splitter.pending


@pytest.mark.parametrize(
    ("unit", "data"),
    [
        (b"data: x\n\n", b"x"),
        (b"data:x\r\n\r\n", b"x"),
        (b"data:  x\r\r", b" x"),
        (b"event: e\nid: 1\ndata: a\ndata: b\n\n", b"a\nb"),
        (b"data\ndata: x\n\n", b"\nx"),
        (b"\xef\xbb\xbfdata: x\n\n", b"x"),
        (b": comment\n", b""),
        (b"\n", b""),
        (b"database: x\n\n", b""),
        (b"data: a\n:c\ndata: b\n\n", b"a\nb"),
    ],
)
def test_the_data_of_an_event_is_that_of_its_data_lines(unit, data):
    assert event_data(unit) == data
