import json
from pathlib import Path

from proxy.store.replicas import FILE, Replicas


def beats(replicas: Replicas, counts: list[int], from_ms: int = 0) -> list[int]:
    """The number that is known after each heartbeat, five seconds apart."""
    known = []
    for number, count in enumerate(counts):
        if replicas.saw(count, from_ms + 5000 * number):
            replicas.save()
        known.append(replicas.known)
    return known


def test_a_replica_that_starts_blind_uses_the_configured_maximum(tmp_path: Path):
    assert Replicas(tmp_path, 8).known == 8


def test_a_replica_that_starts_blind_uses_the_number_that_was_kept(tmp_path: Path):
    beats(Replicas(tmp_path, 8), [3] * 5)
    assert Replicas(tmp_path, 8).known == 3


def test_without_a_folder_nothing_is_kept():
    replicas = Replicas(None, 8)
    assert not replicas.saw(3, 0)
    assert replicas.known == 8


def test_a_larger_number_is_believed_at_once():
    replicas = Replicas(None, 1)
    assert beats(replicas, [2, 5]) == [2, 5]


def test_a_smaller_number_is_believed_after_a_whole_horizon(tmp_path: Path):
    replicas = Replicas(tmp_path, 1)
    beats(replicas, [4] * 5)
    assert beats(replicas, [1, 1, 4, 1, 1, 1, 1], 25_000) == [4, 4, 4, 4, 4, 1, 1]


def test_the_configured_maximum_gives_way_to_what_was_seen_for_a_whole_horizon():
    assert beats(Replicas(None, 8), [2] * 4) == [8, 8, 2, 2]


def test_the_configured_maximum_is_not_kept(tmp_path: Path):
    beats(Replicas(tmp_path, 8), [2])
    assert not (tmp_path / FILE).exists()


def test_the_file_is_written_only_when_the_number_changes(tmp_path: Path):
    replicas = Replicas(tmp_path, 1)
    assert replicas.saw(2, 0)
    replicas.save()
    assert not replicas.saw(2, 5000)
    assert json.loads((tmp_path / FILE).read_bytes()) == {"replicas": 2}
    assert [file.name for file in tmp_path.iterdir()] == [FILE]


def test_a_damaged_file_is_told_and_the_configured_maximum_used(tmp_path: Path, capsys):
    for text in ("{", '{"replicas": "many"}', '{"replicas": 0}', ""):
        (tmp_path / FILE).write_text(text)
        assert Replicas(tmp_path, 8).known == 8
    assert "not usable" in capsys.readouterr().out


def test_a_folder_that_cannot_be_written_is_told_and_does_no_harm(tmp_path: Path, capsys):
    (tmp_path / "state").write_text("a file")
    replicas = Replicas(tmp_path / "state", 1)
    replicas.saw(2, 0)
    replicas.save()
    assert replicas.known == 2
    assert "cannot be kept" in capsys.readouterr().out
