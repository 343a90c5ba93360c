"""The logs of several workers in one directory."""

import pytest

from proxy.audit.errors import AuditError
from proxy.audit.workers import log_of, logs_in, missing_from
from proxy.cli.audit import verified


def verdict(directory):
    return verified(directory, lambda *_: None)


def test_the_logs_of_workers_are_found_by_number_after_the_directorys_own(tmp_path, write_log):
    write_log(tmp_path)
    for worker in (10, 9, 0):
        write_log(log_of(tmp_path, worker))
    (tmp_path / "worker-01").mkdir()  # no worker has such a name
    workers = [tmp_path / name for name in ("worker-0", "worker-9", "worker-10")]
    assert logs_in(tmp_path) == [tmp_path, *workers]


def test_a_directory_without_logs_is_taken_for_one(tmp_path):
    assert logs_in(tmp_path) == [tmp_path]
    with pytest.raises(AuditError, match="there is no audit log here"):
        verdict(tmp_path)


def test_all_logs_are_verified_and_each_is_told(tmp_path, write_log):
    for worker in (0, 1):
        write_log(log_of(tmp_path, worker), count=3)
    well, lines = verdict(tmp_path)
    assert well
    told = [line for line in lines if "verified" in line]
    assert told == [
        f"{tmp_path}/worker-0: verified, 6 entries, 0 faults",
        f"{tmp_path}/worker-1: verified, 6 entries, 0 faults",
        f"{tmp_path}: verified, 2 logs, 0 with faults",
    ]


def test_one_changed_entry_of_one_worker_fails_all_and_says_where(tmp_path, write_log):
    for worker in (0, 1):
        write_log(log_of(tmp_path, worker), count=3)
    (segment,) = log_of(tmp_path, 1).glob("*.jsonl")
    segment.write_bytes(segment.read_bytes().replace(b'"n":[1,', b'"n":[7,'))
    well, lines = verdict(tmp_path)
    assert not well
    assert any(line.startswith(f"worker-1/{segment.name}:4: seq 4 was altered") for line in lines)
    assert lines[-1] == f"{tmp_path}: NOT VERIFIED, 2 logs, 1 with faults"


def test_a_log_between_others_that_is_gone_or_empty_fails_all(tmp_path, write_log):
    for worker in (0, 3):
        write_log(log_of(tmp_path, worker))
    log_of(tmp_path, 1).mkdir()
    well, lines = verdict(tmp_path)
    assert not well
    assert missing_from(tmp_path, logs_in(tmp_path)) == [log_of(tmp_path, 2)]
    assert any(line.startswith(f"{tmp_path}/worker-1: NOT VERIFIED, ") for line in lines)
    gone = f"{tmp_path}/worker-2: NOT VERIFIED, it is missing"
    assert any(line.startswith(gone) for line in lines)
    assert lines[-1] == f"{tmp_path}: NOT VERIFIED, 4 logs, 2 with faults"


def test_the_log_of_the_time_with_one_process_is_verified_with_those_of_workers(
    tmp_path, write_log
):
    write_log(tmp_path, count=3)
    write_log(log_of(tmp_path, 0), count=3)
    assert verdict(tmp_path)[0]
    next(tmp_path.glob("*.jsonl")).unlink()  # its head still says that it was there
    assert not verdict(tmp_path)[0]


def test_one_workers_log_alone_is_a_log(tmp_path, write_log):
    well, lines = verdict(write_log(log_of(tmp_path, 3)))
    assert (well, len(lines)) == (True, 2)
