"""Lines that are appended whole or not at all, for whoever follows the file."""

import os
import resource
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from proxy.settings.appended import append_lines


@contextmanager
def small_disk() -> Iterator[None]:
    """Files of this process may have 100 bytes, as where a disk is full."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)


def test_lines_for_which_there_is_no_room_are_an_error_and_leave_nothing(tmp_path: Path):
    file = tmp_path / "lines"
    with small_disk():
        assert append_lines(file, b"x" * 59 + b"\n") == 60
        with pytest.raises(OSError, match="File too large"):
            append_lines(file, b"y" * 59 + b"\n")
        assert append_lines(file, b"z" * 39 + b"\n") == 100
    assert file.read_bytes() == b"x" * 59 + b"\n" + b"z" * 39 + b"\n"


def test_what_a_crash_left_unfinished_is_cut_off(tmp_path: Path):
    file = tmp_path / "lines"
    file.write_bytes(b"one\n" + b"t" * 9_000)
    assert append_lines(file, b"two\n") == 8
    assert file.read_bytes() == b"one\ntwo\n"


def test_a_new_file_belongs_to_whoever_has_the_directory(tmp_path: Path):
    if os.geteuid() == 0:
        os.chown(tmp_path, 65_534, 65_534)
    append_lines(tmp_path / "lines", b"one\n")
    made, directory = (tmp_path / "lines").stat(), tmp_path.stat()
    assert (made.st_uid, made.st_mode & 0o777) == (directory.st_uid, 0o600)
