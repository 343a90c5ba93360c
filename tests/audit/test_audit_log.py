import asyncio
import errno
import json
import threading

import pytest

from proxy.audit.errors import AuditUnavailable, BadRecord
from proxy.audit.format import segments
from proxy.audit.log import AuditLog
from proxy.audit.read import entries
from proxy.audit.verify import verify
from proxy.model.record import Record


async def settle(condition):
    """Lets the other thread and the loop go on until something is so."""
    for _ in range(5000):
        if condition():
            return
        await asyncio.sleep(0.001)
    pytest.fail("it never came about")


async def test_records_are_numbered_in_order_and_durable_when_waited_for(tmp_path, record):
    log = AuditLog.open(tmp_path / "log")
    positions = [log.append(record(number)) for number in range(50)]
    await log.wait_durable(positions[-1])
    assert log.durable_position == positions[-1]
    assert log.lag == 0
    assert positions == list(range(3, 53))
    assert [entry.id for entry in entries(tmp_path / "log", types={"decision"})] == [
        f"ex_{number}" for number in range(50)
    ]
    log.close()
    assert verify(tmp_path / "log").ok


async def test_a_log_tells_when_processes_started_and_stopped(tmp_path, record):
    for number in range(2):
        log = AuditLog.open(tmp_path, clock=lambda: 77)
        log.append(record(number))
        log.close()
    found = list(entries(tmp_path))
    assert [entry.type for entry in found] == [
        *("log", "start", "decision", "stop"),
        *("start", "decision", "stop"),
    ]
    assert found[0].fields == {"format": "gauger-audit", "version": 1, "holds": "records"}
    assert found[1].fields == {"gauger": "0.1.0"}
    assert found[1].at_ns == 77
    assert found[1].id == found[3].id != found[4].id
    assert verify(tmp_path).ok


async def test_nobody_is_told_before_the_disk_has_it(tmp_path, record, disk):
    log = AuditLog.open(tmp_path, disk=disk)
    with disk.held():
        waiting = asyncio.create_task(log.wait_durable(log.append(record(1))))
        await settle(disk.writing.is_set)
        assert not waiting.done()
        assert log.lag == 1
    await waiting
    assert log.lag == 0
    log.close()


async def test_what_gathers_during_one_sync_is_one_group(tmp_path, record, disk):
    log = AuditLog.open(tmp_path, disk=disk, group_ms=0)
    with disk.held():
        log.append(record(0))
        await settle(disk.writing.is_set)
        waits = [
            asyncio.create_task(log.wait_durable(log.append(record(number))))
            for number in range(1, 200)
        ]
        await asyncio.sleep(0)
        disk.calls.clear()
    await asyncio.gather(*waits)
    assert disk.calls.count("commit") == 2
    log.close()


async def test_waiters_of_any_order_and_cancelled_ones_do_no_harm(tmp_path, record, disk):
    log = AuditLog.open(tmp_path, disk=disk)
    with disk.held():
        positions = [log.append(record(number)) for number in range(20)]
        waits = [asyncio.create_task(log.wait_durable(p)) for p in reversed(positions)]
        await asyncio.sleep(0)
        for wait in waits[::2]:
            wait.cancel()
    done = await asyncio.gather(*waits, return_exceptions=True)
    assert [type(result) for result in done] == [asyncio.CancelledError, type(None)] * 10
    log.close()


async def test_a_position_that_is_not_there_yet_is_an_error(tmp_path):
    log = AuditLog.open(tmp_path)
    with pytest.raises(ValueError, match="no record has position 99"):
        await log.wait_durable(99)
    log.close()


async def test_a_bad_record_is_its_callers_error_and_leaves_no_gap(tmp_path, record):
    log = AuditLog.open(tmp_path)
    with pytest.raises(BadRecord):
        log.append(Record("decision", "ex", 1, {"hash": "x"}))
    log.append(record(1))
    log.close()
    assert verify(tmp_path).ok


async def test_segments_follow_each_other_at_their_size(tmp_path, record):
    log = AuditLog.open(tmp_path, segment_bytes=2000, group_ms=0)
    for number in range(60):
        await log.wait_durable(log.append(record(number)))
    log.close()
    files = segments(tmp_path)
    assert len(files) > 5
    for path in files:
        assert json.loads(path.read_bytes().partition(b"\n")[0])["seq"] == int(path.stem)
        assert path.stat().st_size < 2500
    assert verify(tmp_path).ok


async def test_a_closed_log_takes_nothing_more(tmp_path, record):
    log = AuditLog.open(tmp_path)
    log.close()
    log.close()
    with pytest.raises(AuditUnavailable, match="closed"):
        log.append(record(1))


async def test_a_full_disk_refuses_waiters_keeps_records_and_recovers(tmp_path, record, disk):
    log = AuditLog.open(tmp_path, disk=disk, retry_s=0.01)
    disk.failing["write"] = errno.ENOSPC
    position = log.append(record(1))
    with pytest.raises(AuditUnavailable, match="No space left on device"):
        await log.wait_durable(position)
    assert isinstance(log.failed, AuditUnavailable)
    with pytest.raises(AuditUnavailable, match="No space left on device"):
        await log.wait_durable(position)
    last = log.append(record(2))
    assert log.lag == 2
    disk.failing.clear()
    await settle(lambda: log.failed is None)
    await log.wait_durable(last)
    log.close()
    assert [entry.id for entry in entries(tmp_path, types={"decision"})] == ["ex_1", "ex_2"]
    assert verify(tmp_path).ok


@pytest.mark.parametrize("operation", ["write", "commit"])
async def test_a_failed_group_is_cut_off_and_written_again_in_a_new_segment(
    tmp_path, record, disk, operation
):
    log = AuditLog.open(tmp_path, disk=disk, retry_s=0.01)
    await log.wait_durable(log.append(record(1)))
    before = segments(tmp_path)[0].read_bytes()
    disk.once[operation] = errno.EIO
    position = log.append(record(2))
    await settle(lambda: log.durable_position == position)
    assert [int(path.stem) for path in segments(tmp_path)] == [1, position]
    assert segments(tmp_path)[0].read_bytes() == before
    log.close()
    assert verify(tmp_path).ok


async def test_a_segment_whose_first_group_failed_is_made_anew(tmp_path, record, disk):
    log = AuditLog.open(tmp_path, disk=disk, retry_s=0.01, segment_bytes=1)
    disk.calls.clear()
    disk.once["write"] = errno.EIO
    position = log.append(record(1))
    await settle(lambda: log.durable_position == position)
    assert disk.calls.count("create") == 2
    log.close()
    assert verify(tmp_path).ok


async def test_nothing_is_written_while_a_failed_group_cannot_be_cut_off(tmp_path, record, disk):
    log = AuditLog.open(tmp_path, disk=disk, retry_s=0.01)
    disk.once["write"] = errno.EIO
    disk.failing["truncate"] = errno.EIO
    position = log.append(record(1))
    await settle(lambda: disk.calls.count("truncate") > 2)
    assert log.durable_position < position
    assert len(segments(tmp_path)) == 1
    disk.failing.clear()
    await settle(lambda: log.failed is None)
    log.close()
    assert verify(tmp_path).ok


async def test_a_head_that_cannot_be_written_is_tried_again_and_no_record_written_twice(
    tmp_path, record, disk
):
    log = AuditLog.open(tmp_path, disk=disk, retry_s=0.01)
    disk.failing["head"] = errno.EIO
    await log.wait_durable(log.append(record(1)))
    await settle(lambda: log.failed is not None)
    disk.failing.clear()
    await settle(lambda: log.failed is None)
    log.close()
    assert [entry.id for entry in entries(tmp_path, types={"decision"})] == ["ex_1"]
    assert verify(tmp_path).ok


async def test_a_defect_in_the_writer_is_told_and_nobody_waits_for_ever(
    tmp_path, record, disk, monkeypatch
):
    uncaught = []
    monkeypatch.setattr(threading, "excepthook", uncaught.append)
    log = AuditLog.open(tmp_path, disk=disk)
    monkeypatch.setattr(disk, "write", None)
    with pytest.raises(AuditUnavailable, match=r"writer stopped: TypeError.*restart"):
        await log.wait_durable(log.append(record(1)))
    assert log.failed is not None
    with pytest.raises(AuditUnavailable, match="2 audit records are lost"):
        log.close()
    assert uncaught[0].exc_type is TypeError


async def test_the_queue_has_a_bound(tmp_path, record, disk):
    log = AuditLog.open(tmp_path, disk=disk, max_queued=10)
    with disk.held():
        for number in range(10):
            log.append(record(number))
        with pytest.raises(AuditUnavailable, match="10 audit records wait for the disk"):
            log.append(record(10))
    await log.wait_durable(12)
    log.append(record(10))
    log.close()
    assert verify(tmp_path).entries == 2 + 11 + 1


async def test_closing_a_failed_log_says_how_much_is_lost(tmp_path, record, disk):
    log = AuditLog.open(tmp_path, disk=disk, retry_s=60)
    disk.failing["write"] = errno.ENOSPC
    log.append(record(1))
    await settle(lambda: log.failed is not None)
    with pytest.raises(AuditUnavailable, match=r"2 audit records are lost: .*No space left"):
        log.close()


async def test_closing_tries_once_more(tmp_path, record, disk):
    log = AuditLog.open(tmp_path, disk=disk, retry_s=60)
    disk.failing["write"] = errno.ENOSPC
    log.append(record(1))
    await settle(lambda: log.failed is not None)
    disk.failing.clear()
    log.close()
    assert verify(tmp_path).ok


async def test_a_stuck_disk_does_not_keep_the_process_from_ending(tmp_path, record, disk):
    log = AuditLog.open(tmp_path, disk=disk)
    with disk.held():
        log.append(record(1))
        with pytest.raises(AuditUnavailable, match="the disk is stuck: 2 audit records"):
            log.close(timeout_s=0.05)
    log._thread.join(10)
    assert verify(tmp_path).ok


async def test_a_log_is_verified_while_it_is_written(tmp_path, record):
    log = AuditLog.open(tmp_path, segment_bytes=20_000, group_ms=0)
    reports = []
    for number in range(300):
        log.append(record(number))
        if number % 30 == 0:
            reports.append(await asyncio.to_thread(verify, tmp_path))
    log.close()
    assert all(report.ok and not report.warnings for report in reports)
