from pathlib import Path

import pytest

from proxy.policy.archive import Archive

ONE, TWO = "sha256:" + "1" * 64, "sha256:" + "2" * 64


def test_the_set_taken_up_last_is_found_with_its_files(tmp_path: Path):
    archive = Archive(tmp_path / "policies")
    assert archive.last() is None
    archive.keep(ONE, [("/etc/p/a.yaml", b"one"), ("/etc/p/b.yaml", b"two")])
    archive.keep(TWO, [("a.yaml", b"three")])
    archive.keep(ONE, [("a.yaml", b"never written: this digest is kept already")])
    digest, texts = archive.last() or ("", [])
    assert digest == ONE
    assert [(Path(name).name, text) for name, text in texts] == [
        ("a.yaml", b"one"),
        ("b.yaml", b"two"),
    ]


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
    (tmp_path / "current").write_text("../../etc\n")
    assert Archive(tmp_path).last() is None
