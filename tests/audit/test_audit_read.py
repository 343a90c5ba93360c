import pytest

from proxy.audit.errors import AuditDamaged
from proxy.audit.format import segments
from proxy.audit.read import entries


def test_records_come_back_as_they_went_in(tmp_path, write_log, record):
    found = list(entries(write_log(tmp_path / "log", 5), types={"decision"}))
    assert [(entry.id, entry.at_ns, entry.fields) for entry in found] == [
        (record(n).exchange, record(n).at_ns, record(n).fields) for n in range(5)
    ]
    assert [entry.seq for entry in found] == [3, 4, 5, 6, 7]
    assert {len(entry.hash) for entry in found} == {64}


def test_one_exchange_is_found_among_others(tmp_path, write_log):
    log = write_log(tmp_path / "log", 30, segment_lines=7)
    assert [entry.seq for entry in entries(log, exchange="ex_1")] == [4]
    assert list(entries(log, exchange="ex_none")) == []


def test_reading_goes_on_after_a_position(tmp_path, write_log):
    log = write_log(tmp_path / "log", 30, segment_lines=7)
    for after in range(34):
        assert [entry.seq for entry in entries(log, after=after)] == list(range(after + 1, 34))


def test_reading_after_a_position_leaves_earlier_segments_alone(tmp_path, write_log):
    log = write_log(tmp_path / "log", 30, segment_lines=7)
    segments(log)[0].write_bytes(b"?\n")
    assert next(entries(log, after=20)).seq == 21


def test_an_unfinished_last_line_is_left_out(tmp_path, write_log):
    log = write_log(tmp_path / "log", 3)
    with segments(log)[0].open("ab") as file:
        file.write(b'{"seq":7')
    assert [entry.seq for entry in entries(log)] == [1, 2, 3, 4, 5, 6]


@pytest.mark.parametrize("line", [b"[]", b"{}", b'{"seq":"1"}', b"\xff", b"[" * 9000])
def test_a_line_that_cannot_be_read_is_named(tmp_path, write_log, line):
    log = write_log(tmp_path / "log", 3)
    with segments(log)[0].open("ab") as file:
        file.write(line + b"\n")
    with pytest.raises(AuditDamaged, match=r"0001\.jsonl:7: not a line of an audit log"):
        list(entries(log))


def test_digests_are_read_as_entries_without_id(tmp_path, write_log):
    log = write_log(tmp_path / "log", 3, digests=True)
    entry = next(entries(log, types={"decision"}))
    assert (entry.id, entry.at_ns, list(entry.fields)) == ("", 0, ["digest"])
