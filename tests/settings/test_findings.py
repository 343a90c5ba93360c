"""Findings: lines that are whole, whoever crashed while writing before."""

from pathlib import Path

import pytest

from proxy.model.finding import Action, Finding
from proxy.policy.problem import ProblemsError
from proxy.settings.findings import NAME, append_finding, findings_after


def finding(cluster: str) -> Finding:
    return Finding(1_776_816_000.5, "Ann", Action.CONFIRM, cluster)


def test_a_reader_goes_on_where_it_was(tmp_path: Path):
    append_finding(tmp_path / "new", finding("c-1"))
    first, place = findings_after(tmp_path / "new")
    append_finding(tmp_path / "new", finding("c-2"))
    then, end = findings_after(tmp_path / "new", place)
    assert (first, then) == ((finding("c-1"),), (finding("c-2"),))
    assert findings_after(tmp_path / "new", end) == ((), end)


def test_nothing_was_said_where_there_is_no_file(tmp_path: Path):
    assert findings_after(tmp_path) == ((), 0)


def test_a_file_that_was_emptied_is_read_from_its_beginning(tmp_path: Path):
    append_finding(tmp_path, finding("c-1"))
    _, place = findings_after(tmp_path)
    (tmp_path / NAME).write_bytes(b"")
    assert findings_after(tmp_path, place) == ((), 0)
    (tmp_path / NAME).write_bytes(b"")
    append_finding(tmp_path, Finding(0, "A", Action.ADD, "c-2"))
    assert [one.cluster for one in findings_after(tmp_path, place)[0]] == ["c-2"]


@pytest.mark.parametrize("torn", [b'{"at":99', b"x" * 9000])
def test_an_unfinished_line_counts_for_nobody_and_makes_room_for_the_next(
    tmp_path: Path, torn: bytes
):
    append_finding(tmp_path, finding("c-1"))
    file = tmp_path / NAME
    with file.open("ab") as broken:
        broken.write(torn)
    assert [one.cluster for one in findings_after(tmp_path)[0]] == ["c-1"]
    append_finding(tmp_path, finding("c-2"))
    assert [one.cluster for one in findings_after(tmp_path)[0]] == ["c-1", "c-2"]
    assert torn not in file.read_bytes()


def test_a_file_that_holds_nothing_but_an_unfinished_line_begins_anew(tmp_path: Path):
    (tmp_path / NAME).write_bytes(b'{"at"')
    append_finding(tmp_path, finding("c-1"))
    assert [one.cluster for one in findings_after(tmp_path)[0]] == ["c-1"]


def test_a_line_that_is_no_finding_is_told_with_its_place(tmp_path: Path):
    append_finding(tmp_path, finding("c-1"))
    with (tmp_path / NAME).open("ab") as file:
        file.write(b'{"at":1,"who":"x","action":"shout","cluster":"c-1"}\n')
    with pytest.raises(ProblemsError, match=r"findings\.jsonl:2:1: not a finding"):
        findings_after(tmp_path)


def test_a_directory_that_cannot_be_written_is_told(tmp_path: Path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ProblemsError, match="what was found cannot be written"):
        append_finding(tmp_path / "file", finding("c-1"))
