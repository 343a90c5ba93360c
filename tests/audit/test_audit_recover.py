import errno
import subprocess
import sys

import pytest

from proxy.audit.errors import AuditDamaged, AuditInUse, AuditUnavailable
from proxy.audit.format import segments
from proxy.audit.log import AuditLog
from proxy.audit.read import entries
from proxy.audit.sync_log import SyncAuditLog
from proxy.audit.verify import verify


def reopen(directory):
    AuditLog.open(directory).close()


@pytest.mark.parametrize(
    "torn",
    [b"{", b'{"seq":14,"type":"decision","id":"x"', b"\0" * 9000, b'\0\0\0"}\n', b"half}\n"],
    ids=["start", "middle", "zeros", "zeros with an end", "no JSON"],
)
def test_an_unfinished_last_line_is_cut_off_kept_and_recorded(tmp_path, write_log, torn):
    log = write_log(tmp_path / "log")
    path = segments(log)[0]
    good = path.read_bytes()
    path.write_bytes(good + torn)
    reopen(log)
    (kept,) = log.glob("*.torn")
    assert kept.read_bytes() == torn
    (recovered,) = entries(log, types={"recovered"})
    assert recovered.fields == {
        "segment": path.name,
        "torn_bytes": len(torn),
        "kept_as": kept.name,
    }
    assert path.read_bytes().startswith(good)
    report = verify(log)
    assert report.ok
    assert report.warnings == ()


def test_a_torn_first_line_of_a_new_segment_is_recovered(tmp_path, write_log):
    log = write_log(tmp_path / "log")
    following = log / f"{14:020d}.jsonl"
    following.write_bytes(b'{"seq":14,')
    reopen(log)
    assert next(entries(log, after=13)).type == "recovered"
    assert segments(log)[-1] == following
    assert verify(log).ok


def test_an_empty_last_segment_is_gone_on_with(tmp_path, write_log):
    log = write_log(tmp_path / "log")
    (log / f"{14:020d}.jsonl").write_bytes(b"")
    reopen(log)
    assert verify(log).ok
    assert len(segments(log)) == 2


def test_a_log_torn_in_its_very_first_line_begins_anew(tmp_path):
    log = tmp_path / "log"
    reopen(log)
    path = segments(log)[0]
    path.write_bytes(path.read_bytes()[:40])
    (log / "head").unlink()
    with pytest.raises(AuditDamaged, match="head: the file is missing"):
        reopen(log)
    new = tmp_path / "new"
    new.mkdir()
    (new / "head").write_bytes(b"")
    (new / path.name).write_bytes(path.read_bytes())
    with pytest.raises(AuditDamaged, match="neither slot"):
        reopen(new)


def test_a_log_whose_very_first_group_was_torn_begins_anew(tmp_path, disk):
    log = tmp_path / "log"
    disk.failing["write"] = errno.ENOSPC
    with pytest.raises(AuditUnavailable, match=f"{log} cannot be written: .*No space left"):
        AuditLog.open(log, disk=disk)
    reopen(log)
    assert [entry.type for entry in entries(log)] == ["log", "recovered", "start", "stop"]
    assert verify(log).ok


def test_a_directory_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(AuditUnavailable, match=r"file/log cannot be written: .*Not a directory"):
        AuditLog.open(tmp_path / "file" / "log")
    with pytest.raises(AuditUnavailable, match="Not a directory"):
        SyncAuditLog.create(tmp_path / "file" / "log", log_id="l", at_ns=1)


def altered(line):
    return line[:30] + b"9" + line[31:]


@pytest.mark.parametrize(
    ("change", "place"),
    [
        (lambda lines: [*lines[:-1], altered(lines[-1])], "jsonl:13: the hash of seq 13"),
        (lambda lines: [*lines[:-1], b"{}"], "jsonl:13: this line was seq 13"),
        (lambda lines: [*lines[:-2], b"{}", lines[-1]], "jsonl:12: this line cannot be read"),
        (lambda lines: [*lines[:-2], lines[-1]], "jsonl:12: seq 13 does not follow"),
        (lambda lines: lines[:-1], r"head: records were durable up to seq 13.*: 1 are missing"),
    ],
    ids=["altered", "not JSON", "one before last", "deleted", "cut"],
)
def test_damage_at_the_end_is_refused_and_left_as_it_is(tmp_path, write_log, change, place):
    log = write_log(tmp_path / "log")
    path = segments(log)[0]
    lines = path.read_bytes().split(b"\n")[:-1]
    path.write_bytes(b"\n".join(change(lines)) + b"\n")
    before = {file.name: file.read_bytes() for file in log.iterdir() if file.name != "lock"}
    with pytest.raises(AuditDamaged, match=place) as caught:
        reopen(log)
    assert "move that directory aside" in str(caught.value)
    assert before == {file.name: file.read_bytes() for file in log.iterdir() if file.name != "lock"}


def test_a_segment_that_does_not_follow_is_refused(tmp_path, write_log):
    log = write_log(tmp_path / "log")
    (log / f"{20:020d}.jsonl").write_bytes(b"")
    with pytest.raises(AuditDamaged, match="should begin with seq 14"):
        reopen(log)


def test_all_segments_gone_is_refused(tmp_path, write_log):
    log = write_log(tmp_path / "log")
    segments(log)[0].unlink()
    with pytest.raises(AuditDamaged, match="13 are missing at its end"):
        reopen(log)


def test_another_hash_in_the_head_is_refused(tmp_path, write_log):
    log = write_log(tmp_path / "log")
    other = write_log(tmp_path / "other", 10, digests=True)
    (log / "head").write_bytes((other / "head").read_bytes())
    with pytest.raises(AuditDamaged, match="head: it knows seq 13 with another hash"):
        reopen(log)


def test_a_second_writer_is_refused_in_this_process_and_in_another(tmp_path):
    log = AuditLog.open(tmp_path)
    with pytest.raises(AuditInUse, match=r"another process \(pid \d+\) writes this audit log"):
        AuditLog.open(tmp_path)
    code = (
        "import sys; from pathlib import Path; from proxy.audit.log import AuditLog\n"
        "AuditLog.open(Path(sys.argv[1]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, tmp_path], capture_output=True, text=True, check=False
    )
    assert "AuditInUse" in done.stderr
    log.close()
    reopen(tmp_path)
    assert verify(tmp_path).ok


def test_a_refused_open_holds_no_lock(tmp_path, write_log):
    log = write_log(tmp_path / "log")
    head = (log / "head").read_bytes()
    (log / "head").unlink()
    with pytest.raises(AuditDamaged):
        reopen(log)
    (log / "head").write_bytes(head)
    reopen(log)
    assert verify(log).ok
