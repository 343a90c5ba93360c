import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest

from proxy.policy.archive import Archive, Current, write_whole
from proxy.policy.load import digest_of

TEXTS = [("/etc/p/a.yaml", b"one"), ("/etc/p/b.yaml", b"two")]
ONE, TWO = digest_of(TEXTS), digest_of([("a.yaml", b"three")])


def place(root: Path, digest: str) -> Path:
    return root / digest.removeprefix("sha256:")


def test_each_set_is_kept_by_its_digest_and_never_written_again(tmp_path: Path):
    archive = Archive(tmp_path / "policies")
    archive.keep(ONE, TEXTS)
    archive.keep(TWO, [("a.yaml", b"three")])
    archive.keep(ONE, [("a.yaml", b"this digest is kept already")])
    assert [text for _, text in archive.read(ONE)] == [b"one", b"two"]
    assert [text for _, text in archive.read(TWO)] == [b"three"]


def test_a_set_that_was_changed_in_the_archive_is_refused_and_mended_by_the_next_keeping(
    tmp_path: Path,
):
    archive = Archive(tmp_path)
    archive.keep(ONE, TEXTS)
    (place(tmp_path, ONE) / "a.yaml").write_bytes(b"won")
    with pytest.raises(ValueError, match=f"the archived files of {ONE} were changed"):
        archive.read(ONE)
    archive.keep(ONE, TEXTS)
    assert [text for _, text in archive.read(ONE)] == [b"one", b"two"]


def test_a_set_half_written_by_a_crash_is_written_again(tmp_path: Path):
    half = place(tmp_path, ONE).with_suffix(".new")
    half.mkdir()
    (half / "stray.yaml").write_text("stray")
    Archive(tmp_path).keep(ONE, TEXTS)
    assert sorted(file.name for file in place(tmp_path, ONE).iterdir()) == ["a.yaml", "b.yaml"]


def test_what_is_no_digest_never_becomes_a_path(tmp_path: Path):
    with pytest.raises(ValueError, match="not a digest"):
        Archive(tmp_path).keep("sha256:../../etc", [("a.yaml", b"")])


def test_the_set_in_force_last_is_found_again(tmp_path: Path):
    archive = Archive(tmp_path / "policies")
    assert archive.current() is None
    first = Current(ONE, "Ada <ada@example.org>", 1, "m", "/etc/p", ("a.yaml", "b.yaml"))
    archive.point_at(first)
    assert Archive(tmp_path / "policies").current() == first
    archive.point_at(Current(TWO, "unknown", 2))
    assert archive.current() == Current(TWO, "unknown", 2)
    held = {file.name for file in (tmp_path / "policies").iterdir()}
    assert held == {"current.json", ".lock"}


@pytest.mark.parametrize(
    "damage",
    [
        b"",
        b"{",
        b'{"digest": "sha256:../../etc", "committer": "x", "since_ns": 1}',
        b'{"digest": "x"}',
        b'{"digest": "sha256:' + b"1" * 64 + b'", "committer": "x", "since_ns": -1}',
    ],
)
def test_a_damaged_note_of_the_set_in_force_is_told_with_its_place(tmp_path: Path, damage: bytes):
    (tmp_path / "current.json").write_bytes(damage)
    with pytest.raises(ValueError, match=r"current\.json: cannot be read"):
        Archive(tmp_path).current()


def test_a_file_is_replaced_whole_also_over_what_a_crash_left(tmp_path: Path):
    path = tmp_path / "below" / "state.json"
    write_whole(path, b"first, and longer")
    path.with_name("state.json.new").write_bytes(b"half of wh")
    write_whole(path, b"second")
    assert path.read_bytes() == b"second"
    assert [file.name for file in path.parent.iterdir()] == ["state.json"]


def test_several_that_keep_one_set_and_point_at_it_at_once_leave_it_whole(tmp_path: Path):
    begin = threading.Barrier(8)

    def kept(_: int) -> None:
        archive = Archive(tmp_path / "policies")
        begin.wait()
        for _ in range(5):
            archive.keep(ONE, TEXTS)
            archive.point_at(Current(ONE, "unknown", 1))
            harmed = place(tmp_path / "policies", ONE) / "a.yaml"
            with suppress(FileNotFoundError), harmed.open("r+b") as file:  # another may mend it
                file.write(b"harmed")

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(kept, range(8)))
    archive = Archive(tmp_path / "policies")
    archive.keep(ONE, TEXTS)
    assert [text for _, text in archive.read(ONE)] == [b"one", b"two"]
    assert archive.current() == Current(ONE, "unknown", 1)
