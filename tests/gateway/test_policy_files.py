"""Policy files that are read while somebody changes them, and who says to have changed them."""

import os
from pathlib import Path

import pytest

from proxy.gateway.policy_files import (
    COMMITTER_CHARACTERS,
    TRIES,
    ChangingError,
    Named,
    named_in,
    read_whole,
    signature,
)
from proxy.policy.load import read


@pytest.fixture
def files(tmp_path: Path) -> Path:
    for name in ("a.yaml", "b.yaml"):
        (tmp_path / name).write_text("old")
    return tmp_path


def texts(directory: Path, *given):
    return [text for _, text in read_whole(directory, *given).texts]


def test_files_that_hold_still_are_read_once(files):
    calls = []

    def counting(directory):
        calls.append(directory)
        return read(directory)

    assert texts(files, counting) == [b"old", b"old"]
    assert calls == [files]


def test_a_set_that_changes_between_two_files_is_read_again_and_never_taken_half(files):
    paused = []

    def between(directory):
        found = read(directory)
        if not paused:
            (files / "b.yaml").write_text("new!")
            return [found[0][0], ("b.yaml", b"new!")], found[1]
        return found

    def pause(seconds):
        (files / "a.yaml").write_text("new!")
        paused.append(seconds)

    assert texts(files, between, pause) == [b"new!", b"new!"]
    assert len(paused) == 1


def test_files_that_never_hold_still_are_not_taken(files):
    calls = []

    def restless(directory):
        calls.append(directory)
        (files / "b.yaml").write_text("x" * len(calls))
        return read(directory)

    with pytest.raises(ChangingError, match="change while they are read"):
        read_whole(files, restless, lambda _: None)
    assert len(calls) == TRIES


def test_a_directory_that_is_gone_for_a_moment_is_read_when_it_is_back(files, tmp_path):
    away = tmp_path.with_name("away")

    def swapped(directory):
        directory.rename(away)
        return read(directory)

    def pause(_):
        away.rename(files)

    reads = [read, swapped]

    def then_still(directory):
        return reads.pop()(directory)

    assert texts(files, then_still, pause) == [b"old", b"old"]


@pytest.mark.parametrize(
    "change",
    [
        lambda d: (d / "c.yaml").write_text("more"),
        lambda d: (d / "a.yaml").unlink(),
        lambda d: (d / "a.yaml").write_text("longer"),
        lambda d: os.utime(d / "a.yaml", (1, 1)),
        lambda d: (d / "a.yaml").rename(d / "z.yaml"),
        lambda d: (d / ".committer").write_text("Ada"),
    ],
)
def test_every_change_of_a_file_shows(files, change):
    before = signature(files)
    change(files)
    assert signature(files) != before


def test_what_is_no_policy_file_does_not_show(files):
    before = signature(files)
    (files / "README.md").write_text("words")
    (files / ".a.yaml.swp").write_text("an editor's")
    (files / ".#a.yaml").symlink_to("somebody@host.1234:1")  # a lock, as Emacs makes them
    assert signature(files) == before


def test_the_committer_is_the_first_line(files):
    (files / ".committer").write_text("Ada Lovelace <ada@example.org>\nsha 0123\n")
    assert read_whole(files).named.committer == "Ada Lovelace <ada@example.org>"


def test_without_the_file_nobody_is_named(files):
    assert named_in(files / ".committer") == Named("unknown", "", "")


@pytest.mark.parametrize(
    ("written", "why"),
    [
        (b"", "its first line must be"),
        (b"  \nAda\n", "its first line must be"),
        (b"Ada\x1b[31m\n", "its first line must be"),
        ("Ada\u202e\n".encode(), "its first line must be"),
        (b"a" * (COMMITTER_CHARACTERS + 1), "its first line must be"),
        (b"a" * 10**6, "its first line must be"),
        (b"\xff\xfe\n", "cannot be read"),
    ],
)
def test_what_cannot_be_a_name_is_unknown_and_says_why(files, written, why):
    (files / ".committer").write_bytes(written)
    named = named_in(files / ".committer")
    assert named.committer == "unknown"
    assert why in named.note


def test_a_committer_that_is_no_file_is_unknown_and_holds_nothing_up(files):
    os.mkfifo(files / ".committer")
    assert "not a regular file" in named_in(files / ".committer").note


def test_each_writing_of_a_committer_has_its_own_mark(files):
    path = files / ".committer"
    path.write_text("Ada")
    first = named_in(path).mark
    assert named_in(path).mark == first
    os.utime(path, ns=(1, 1))
    second = named_in(path).mark
    path.write_text("Eva")
    os.utime(path, ns=(1, 1))
    assert len({first, second, named_in(path).mark}) == 3
