import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.wire.lines import Line, LineSplitter
from tests.wire.uploads import PLACES, cuts


def split(chunks, most=10, lines=100):
    splitter = LineSplitter(most, lines)
    found = [line for chunk in chunks for line in splitter.feed(chunk)]
    return found + splitter.finish(), (splitter.rest_bytes, splitter.rest_lines)


def test_lines_end_with_lf_and_lose_the_white_space_around_them():
    lines, rest = split([b"ab\r\n c \n\n \r\nd"])
    assert lines == [Line(1, b"ab", 3), Line(2, b"c", 3), Line(5, b"d", 1)]
    assert rest == (0, 0)


def test_a_byte_order_mark_is_no_part_of_the_first_line_alone():
    bom = b"\xef\xbb\xbf"
    lines, _ = split([bom + b"a\n" + bom + b"b"])
    assert lines == [Line(1, b"a", 4), Line(2, bom + b"b", 4)]


def test_a_line_that_is_too_long_is_known_by_its_size():
    lines, _ = split([b"a" * 11 + b"\n" + b"b" * 10])
    assert lines == [Line(1, None, 11), Line(2, b"b" * 10, 10)]
    lines, _ = split([b"a" * 7, b"a" * 7, b"\nb"])
    assert lines == [Line(1, None, 14), Line(2, b"b", 1)]


def test_lines_beyond_a_bound_are_known_by_their_number_and_size():
    assert split([b"a\nb\n"], lines=2) == ([Line(1, b"a", 1), Line(2, b"b", 1)], (0, 0))
    assert split([b"a\n\nb\n", b"c\nd", b"d"], lines=1) == ([Line(1, b"a", 1)], (7, 4))


def test_what_is_held_of_a_long_line_is_bounded():
    splitter = LineSplitter(1000, 9)
    for _ in range(1000):
        splitter.feed(b"a" * 999)
        assert len(splitter._pending) <= 1000
    assert splitter.finish() == [Line(1, None, 999_000)]


@pytest.mark.parametrize("data", [b"", b"\n", b" \n\r\n"])
def test_blank_lines_are_none(data):
    assert split([data]) == ([], (0, 0))


@settings(max_examples=100, deadline=None)
@given(st.lists(st.sampled_from([b"a", b"\n", b"\r", b" ", b"bbbbbb"])).map(b"".join), PLACES)
def test_any_chunking_gives_the_same_lines(data, places):
    assert split(cuts(data, places), lines=4) == split([data], lines=4)
