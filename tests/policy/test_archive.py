from pathlib import Path

import pytest

from proxy.policy.archive import Archive

ONE, TWO = "sha256:" + "1" * 64, "sha256:" + "2" * 64


def test_each_set_is_kept_by_its_digest_and_never_written_again(tmp_path: Path):
    archive = Archive(tmp_path / "policies")
    archive.keep(ONE, [("/etc/p/a.yaml", b"one"), ("/etc/p/b.yaml", b"two")])
    archive.keep(TWO, [("a.yaml", b"three")])
    archive.keep(ONE, [("a.yaml", b"this digest is kept already")])
    kept = {
        f"{file.parent.name[0]}/{file.name}": file.read_bytes()
        for file in (tmp_path / "policies").rglob("*.yaml")
    }
    assert kept == {"1/a.yaml": b"one", "1/b.yaml": b"two", "2/a.yaml": b"three"}


def test_a_set_half_written_by_a_crash_is_written_again(tmp_path: Path):
    half = tmp_path / ("1" * 64 + ".new")
    half.mkdir()
    (half / "stray.yaml").write_text("stray")
    archive = Archive(tmp_path)
    archive.keep(ONE, [("a.yaml", b"one")])
    assert [file.name for file in (tmp_path / ("1" * 64)).iterdir()] == ["a.yaml"]


def test_what_is_no_digest_never_becomes_a_path(tmp_path: Path):
    with pytest.raises(ValueError, match="not a digest"):
        Archive(tmp_path).keep("sha256:../../etc", [("a.yaml", b"")])
