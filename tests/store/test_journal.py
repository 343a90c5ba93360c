"""Files of counts: what is read back is what was written, whatever befell the files."""

import pytest

from proxy.model.plan import NEVER_NS
from proxy.store.frames import COUNT, Frame, framed
from proxy.store.journal import Journal
from proxy.store.tokens import Tokens
from tests.store.plans import T0_S, S

TOKENS = Tokens(b"k" * 32)
NOW_NS = T0_S * S
END_NS = NOW_NS + 60 * S


def frame(position: int, *, end_ns: int = END_NS, **counts: int) -> Frame:
    packed = b"".join(COUNT.pack(TOKENS.of(name), count) for name, count in counts.items())
    return Frame("log-1", position, NOW_NS, fixed={end_ns: packed})


def whole(position: int, **counts: int) -> Frame:
    made = frame(position, **counts)
    made.whole = True
    return made


def written(directory, *files):
    journal = Journal(directory)
    for frames in files:
        journal.begin()
        for one in frames:
            journal.append(one)
    journal.abandon()
    return sorted(directory.iterdir())


def read(directory, *names: str, at_ns: int = NOW_NS, end_ns: int = END_NS):
    left = Journal(directory).load(TOKENS, at_ns)
    return left.position, [left.restored.claim_fixed(end_ns, name) for name in names], left.damage


def test_the_last_count_that_was_written_is_right(tmp_path):
    written(tmp_path, [whole(1, a=1, b=2), frame(2, a=3), frame(3, c=4)])
    assert read(tmp_path, "a", "b", "c") == (3, [3, 2, 4], ())


def test_a_tail_that_was_cut_off_anywhere_leaves_what_was_before_it(tmp_path):
    first, second = framed(whole(1, a=1)), framed(frame(2, a=2))
    for size in range(len(second)):
        (tmp_path / "000000000001.counts").write_bytes(first + second[:size])
        assert read(tmp_path, "a") == (1, [1], ()), size


def test_a_tail_of_zeros_is_what_a_power_cut_leaves(tmp_path):
    (tmp_path / "000000000001.counts").write_bytes(framed(whole(1, a=1)) + bytes(4096))
    assert read(tmp_path, "a") == (1, [1], ())


@pytest.mark.parametrize("at", range(0, 60, 3))
def test_damage_in_the_middle_keeps_what_was_before_and_moves_the_file_aside(tmp_path, at):
    first, second = framed(whole(1, a=1)), framed(frame(2, a=2))
    data = bytearray(first + second + framed(frame(3, a=3)))
    data[len(first) + at] ^= 0x20
    (tmp_path / "000000000001.counts").write_bytes(data)
    position, counts, damage = read(tmp_path, "a")
    assert (position, counts) == (1, [1])
    if 4 <= at < 8:  # the length: it may pass for a frame that was cut off
        return
    assert damage == ("000000000001.counts",)
    assert [path.name for path in tmp_path.iterdir()] == ["000000000001.counts.damaged"]


def test_a_file_that_continues_another_is_read_after_it(tmp_path):
    going_on = Frame("log-1", 3, NOW_NS, continues=True)
    written(tmp_path, [whole(1, a=1, b=1), frame(2, a=2)], [going_on, frame(4, b=5)])
    assert read(tmp_path, "a", "b") == (4, [2, 5], ())


def test_a_file_that_stands_alone_and_was_never_finished_is_left_out(tmp_path):
    written(tmp_path, [whole(1, a=1)], [frame(9, a=9)])
    assert read(tmp_path, "a") == (1, [1], ())


def test_a_finished_file_needs_none_before_it_and_they_are_removed(tmp_path):
    journal = Journal(tmp_path)
    journal.begin()
    journal.append(whole(1, a=1, old=1))
    journal.begin()
    journal.append(whole(2, a=2))
    journal.finish()
    journal.abandon()
    assert [path.name for path in tmp_path.iterdir()] == ["000000000002.counts"]
    assert read(tmp_path, "a", "old") == (2, [2, None], ())


def test_windows_that_have_long_ended_are_left_out_and_budgets_never(tmp_path):
    written(tmp_path, [whole(1, a=1), frame(2, end_ns=NEVER_NS, life=7)])
    later_ns = NOW_NS + 86_400 * S
    assert read(tmp_path, "a", at_ns=later_ns)[1] == [None]
    assert read(tmp_path, "life", at_ns=later_ns, end_ns=NEVER_NS)[1] == [7]


def test_a_directory_that_is_not_there_holds_nothing(tmp_path):
    assert read(tmp_path / "none", "a") == (0, [None], ())
