import errno

import pytest

from proxy.audit.errors import AuditInUse, AuditUnavailable
from proxy.audit.format import segments
from proxy.audit.read import entries
from proxy.audit.sync_log import SyncAuditLog
from proxy.audit.verify import verify


@pytest.mark.parametrize("digests", [False, True])
def test_the_same_records_give_the_same_bytes(tmp_path, write_log, digests):
    one, two = (
        write_log(tmp_path / name, 30, segment_lines=7, digests=digests) for name in ("one", "two")
    )
    assert {path.name: path.read_bytes() for path in segments(one)} == {
        path.name: path.read_bytes() for path in segments(two)
    }
    assert (one / "head").read_bytes() == (two / "head").read_bytes()


def test_segments_follow_each_other_at_their_size_by_themselves(tmp_path, record):
    with SyncAuditLog.create(tmp_path, log_id="l", at_ns=1, segment_bytes=1 << 20) as log:
        for number in range(20_000):
            log.append(record(number))
    assert len(segments(tmp_path)) > 2
    report = verify(tmp_path)
    assert report.ok
    assert report.entries == 20_003


def test_flushed_records_are_there_before_the_log_is_closed(tmp_path, record):
    log = SyncAuditLog.create(tmp_path, log_id="l", at_ns=1)
    assert log.append(record(1)) == 3
    log.flush()
    assert verify(tmp_path).last_seq == 3
    log.close()
    assert [entry.type for entry in entries(tmp_path)] == ["log", "start", "decision", "stop"]
    assert {entry.id for entry in entries(tmp_path, types={"log", "start", "stop"})} == {"l"}


def test_a_log_that_is_there_already_is_not_touched(tmp_path, write_log):
    log = write_log(tmp_path / "log")
    before = {path.name: path.read_bytes() for path in log.iterdir()}
    with pytest.raises(AuditInUse, match="there is an audit log already"):
        SyncAuditLog.create(log, log_id="l", at_ns=1)
    assert {path.name: path.read_bytes() for path in log.iterdir()} == before


@pytest.mark.parametrize("operation", ["write", "sync"])
def test_a_failed_disk_ends_the_log(tmp_path, record, disk, operation):
    log = SyncAuditLog.create(tmp_path, log_id="l", at_ns=1, disk=disk)
    disk.once[operation] = errno.ENOSPC
    log.append(record(1))
    with pytest.raises(AuditUnavailable, match="No space left on device"):
        log.flush()
    with pytest.raises(AuditUnavailable, match="closed"):
        log.append(record(2))
    log.close()


def test_a_closed_log_takes_nothing_more(tmp_path, record):
    log = SyncAuditLog.create(tmp_path, log_id="l", at_ns=1)
    log.close()
    log.close()
    with pytest.raises(AuditUnavailable, match="closed"):
        log.append(record(1))
