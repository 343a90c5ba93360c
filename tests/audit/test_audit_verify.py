import io
import shutil
import tempfile
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.audit.errors import AuditError
from proxy.audit.format import MAX_LINE_BYTES, SLOT_BYTES, Head, encode_head, segments
from proxy.audit.verify import MAX_FAULTS, read_lines, verify


@pytest.fixture(scope="module")
def original(tmp_path_factory, write_log):
    return write_log(tmp_path_factory.mktemp("original") / "log", 24, segment_lines=6)


@contextmanager
def copy_of(directory):
    with tempfile.TemporaryDirectory() as parent:
        yield Path(shutil.copytree(directory, Path(parent) / "log"))


def lines_of(directory):
    """Every line with its newline, as (path, number, bytes)."""
    return [
        (path, number, line)
        for path in segments(directory)
        for number, line in enumerate(path.read_bytes().splitlines(keepends=True), 1)
    ]


def rewrite(path, change):
    lines = path.read_bytes().split(b"\n")[:-1]
    change(lines)
    path.write_bytes(b"".join(line + b"\n" for line in lines))


def places(directory, report):
    """Faults as indexes of lines counted over the whole log, as it is now."""
    before, starts = 0, {}
    for path in segments(directory):
        starts[path.name] = before
        before += path.read_bytes().count(b"\n")
    return [starts[fault.file] + fault.line - 1 for fault in report.faults]


def test_an_untouched_log_is_ok(original):
    report = verify(original)
    assert report.ok
    assert report.faults == report.warnings == ()
    assert report.entries == report.last_seq == 24 + 3
    assert report.segments == len(segments(original)) > 3
    assert report.log_id == "1f" * 16


def test_a_log_of_digests_is_ok(tmp_path, write_log):
    report = verify(write_log(tmp_path / "log", 20, digests=True))
    assert report.ok
    assert report.entries == 23


@given(data=st.data())
@settings(max_examples=150, deadline=None)
def test_any_changed_byte_is_found_and_laid_to_its_line(original, data):
    with copy_of(original) as log:
        lines = lines_of(log)
        index = data.draw(st.integers(0, len(lines) - 1))
        path, number, line = lines[index]
        at = data.draw(st.integers(0, len(line) - 1))
        new = data.draw(st.integers(0, 255).filter(lambda byte: byte != line[at]))
        content = bytearray(path.read_bytes())
        start = sum(len(other) for _, n, other in lines_of_file(path) if n < number)
        content[start + at] = new
        path.write_bytes(content)
        report = verify(log)
        assert not report.ok
        found = places(log, report)
        assert len(found) <= 2
        assert all(abs(place - index) <= 1 for place in found)


def lines_of_file(path):
    return [entry for entry in lines_of(path.parent) if entry[0] == path]


@given(data=st.data())
@settings(max_examples=40, deadline=None)
def test_any_deleted_line_is_found_where_it_is_missing(original, data):
    with copy_of(original) as log:
        lines = lines_of(log)
        index = data.draw(st.integers(0, len(lines) - 1))
        path, number, _ = lines[index]
        rewrite(path, lambda kept: kept.pop(number - 1))
        report = verify(log)
        assert not report.ok
        assert report.fault_count <= 2
        assert report.faults[0].seq == index + 1
        assert abs(places(log, report)[0] - index) <= 1


@given(data=st.data())
@settings(max_examples=40, deadline=None)
def test_any_two_swapped_lines_are_found(original, data):
    with copy_of(original) as log:
        path = data.draw(st.sampled_from([p for p in segments(log) if p.stat().st_size > 800]))
        count = len(lines_of_file(path))
        first = data.draw(st.integers(0, count - 2))
        second = data.draw(st.integers(first + 1, count - 1))

        def swap(lines):
            lines[first], lines[second] = lines[second], lines[first]

        base = lines_of(log).index(lines_of_file(path)[0])
        rewrite(path, swap)
        report = verify(log)
        found = places(log, report)
        assert base + first in found
        assert len(found) <= 5
        assert all(
            min(abs(place - base - first), abs(place - base - second)) <= 1 for place in found
        )


@given(data=st.data())
@settings(max_examples=40, deadline=None)
def test_a_line_repeated_anywhere_is_found_there(original, data):
    with copy_of(original) as log:
        lines = lines_of(log)
        source = data.draw(st.integers(0, len(lines) - 1))
        index = data.draw(st.integers(0, len(lines) - 1))
        path, number, _ = lines[index]
        rewrite(path, lambda kept: kept.insert(number, lines[source][2][:-1]))
        report = verify(log)
        assert report.fault_count in {1, 2}
        assert all(abs(place - index - 1) <= 1 for place in places(log, report))


@given(data=st.data(), inserted=st.binary(max_size=40).filter(lambda line: b"\n" not in line))
@settings(max_examples=40, deadline=None)
def test_a_foreign_line_is_found_there(original, data, inserted):
    with copy_of(original) as log:
        lines = lines_of(log)
        index = data.draw(st.integers(0, len(lines) - 1))
        path, number, _ = lines[index]
        rewrite(path, lambda kept: kept.insert(number - 1, inserted))
        assert places(log, verify(log)) == [index]


@given(data=st.data())
@settings(max_examples=40, deadline=None)
def test_a_tail_cut_off_at_any_byte_is_found(original, data):
    with copy_of(original) as log:
        files = segments(log)
        gone = data.draw(st.integers(0, len(files) - 1))
        for path in files[len(files) - gone :]:
            path.unlink()
        last = files[len(files) - gone - 1]
        size = data.draw(st.integers(0, last.stat().st_size - (0 if gone else 1)))
        last.write_bytes(last.read_bytes()[:size])
        report = verify(log)
        assert not report.ok
        assert "cut off" in report.faults[-1].what
        assert report.faults[-1].file == last.name


def test_one_changed_line_is_one_fault_that_names_file_line_and_seq(tmp_path, write_log):
    log = write_log(tmp_path / "log", 100)
    path = segments(log)[0]
    rewrite(path, lambda lines: lines.__setitem__(49, lines[49].replace(b"ex_47", b"ex_48")))
    (fault,) = verify(log).faults
    assert (fault.file, fault.line, fault.seq) == (path.name, 50, 50)
    assert str(fault).startswith(f"{path.name}:50: seq 50 was altered")


def test_two_changes_far_apart_are_two_faults(tmp_path, write_log):
    log = write_log(tmp_path / "log", 100)
    for line in (20, 80):
        rewrite(
            segments(log)[0], lambda lines, at=line: lines.__setitem__(at - 1, lines[at - 1][:-9])
        )
    assert [fault.line for fault in verify(log).faults] == [20, 80]


def test_a_missing_segment_is_found_with_the_number_of_records(original):
    with copy_of(original) as log:
        files = segments(log)
        files[1].unlink()
        (fault,) = verify(log).faults
        assert (fault.file, fault.line) == (files[2].name, 1)
        assert "record(s) are missing here" in fault.what


def test_the_first_segment_missing_is_found(original):
    with copy_of(original) as log:
        segments(log)[0].unlink()
        assert "seq 9 where 1 is due: 8 record(s) are missing" in verify(log).faults[0].what


def test_a_segment_under_another_name_is_found(original):
    with copy_of(original) as log:
        last = segments(log)[-1]
        last.rename(last.with_name(f"{99:020d}.jsonl"))
        (fault,) = verify(log).faults
        assert "named for seq 99" in fault.what


def test_a_foreign_segment_is_found_and_other_files_are_warned_of(original):
    with copy_of(original) as log:
        (log / "copy.jsonl").write_bytes(segments(log)[0].read_bytes())
        (log / "notes.txt").write_text("x")
        (log / "x.torn").write_text("x")
        report = verify(log)
        assert [fault.file for fault in report.faults] == ["copy.jsonl"]
        assert [warning.file for warning in report.warnings] == ["notes.txt"]


def test_an_emptied_segment_in_the_middle_is_found(original):
    with copy_of(original) as log:
        segments(log)[1].write_bytes(b"")
        assert verify(log).faults[0].file == segments(log)[1].name


def test_a_missing_or_unreadable_head_is_a_fault(original):
    with copy_of(original) as log:
        (log / "head").write_bytes(b"?" * 512)
        assert [fault.file for fault in verify(log).faults] == ["head"]
        (log / "head").unlink()
        assert [fault.file for fault in verify(log).faults] == ["head"]


def test_a_rewritten_tail_is_found_by_the_head(original, write_log, tmp_path):
    other = write_log(tmp_path / "other", 24)
    with copy_of(original) as log:
        last_seq = verify(log).last_seq
        (log / "head").write_bytes(encode_head(Head(last_seq, b"0" * 64, "")) * 2)
        assert "another hash" in verify(log).faults[0].what
    assert verify(other).last_hash == verify(original).last_hash


def test_an_unfinished_last_line_is_only_a_warning(original):
    with copy_of(original) as log:
        with segments(log)[-1].open("ab") as file:
            file.write(b'{"seq":28,"type":"dec')
        report = verify(log)
        assert report.ok
        assert report.entries == 27
        (warning,) = report.warnings
        assert warning.what.startswith("torn")
        assert warning.seq == 28


def test_a_first_record_of_another_format_is_a_fault(tmp_path, write_log, monkeypatch):
    monkeypatch.setattr("proxy.audit.format.FORMAT_VERSION", 2)
    log = write_log(tmp_path / "log")
    assert "no log record of gauger-audit version 1" in verify(log).faults[0].what


def test_faults_are_listed_up_to_a_bound_and_all_counted(tmp_path, write_log):
    log = write_log(tmp_path / "log", 3)
    with segments(log)[0].open("ab") as file:
        file.write(b"x\n" * (MAX_FAULTS + 10))
    report = verify(log)
    assert report.fault_count == MAX_FAULTS + 10
    assert len(report.faults) == MAX_FAULTS


def test_an_endless_line_is_read_in_pieces_and_is_one_fault(tmp_path, write_log):
    log = write_log(tmp_path / "log", 3)
    path = segments(log)[0]
    rewrite(path, lambda lines: lines.insert(2, b"x" * (3 * MAX_LINE_BYTES)))
    assert [fault.line for fault in verify(log).faults] == [3]
    with path.open("rb") as file:
        assert max(len(line) for line in read_lines(file, path.stat().st_size)) < MAX_LINE_BYTES


def test_lines_end_where_the_snapshot_ends():
    assert list(read_lines(io.BytesIO(b"one\ntwo\nthree\n"), 6)) == [b"one\n", b"tw"]


def test_progress_counts_up_to_all_bytes(original):
    seen = []
    report = verify(original, lambda done, total: seen.append((done, total)))
    assert seen[-1] == (report.bytes, report.bytes)


def test_a_directory_without_a_log_is_an_error(tmp_path):
    with pytest.raises(AuditError, match="no audit log here"):
        verify(tmp_path)


def test_one_slot_of_the_head_torn_changes_nothing(original):
    with copy_of(original) as log:
        slots = (log / "head").read_bytes()
        (log / "head").write_bytes(b"\0" * 100 + slots[100:SLOT_BYTES] + slots[SLOT_BYTES:])
        assert verify(log).ok


@pytest.mark.parametrize(
    "line",
    [
        b'{"seq":' + b"9" * 6000 + b',"type":"x"',
        b'{"seq":-1,"type":"x"',
        b'{"seq":1e3,"type":"x"',
        b'{"seq":true,"type":"x"',
        b'{"seq":28,"type":"\xff"',
        b'{"seq":28,"x":' + b"[" * 9000,
        b"",
    ],
    ids=["huge", "negative", "float", "bool", "no UTF-8", "deep", "nothing"],
)
def test_hostile_lines_are_faults_and_never_errors(original, line):
    with copy_of(original) as log:
        with segments(log)[-1].open("ab") as file:
            file.write(line + b',"hash":"' + b"0" * 64 + b'"}\n')
        assert verify(log).fault_count == 1
