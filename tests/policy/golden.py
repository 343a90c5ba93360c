"""Golden files: what is said of each YAML file beside them, to the letter.

A case is NAME.yaml, or a folder NAME of several files; NAME.txt holds what is said. To write those
anew after a change of words, run the tests with GAUGER_WRITE_GOLDEN=1, and read the difference.
"""

import os
from pathlib import Path

Texts = list[tuple[str, bytes]]


def cases(folder: Path) -> list[Path]:
    """The files and folders of a folder that are cases."""
    return sorted(path for path in folder.iterdir() if path.is_dir() or path.suffix == ".yaml")


def texts(case: Path) -> Texts:
    """Names and contents of a case's files."""
    files = sorted(case.glob("*.yaml")) if case.is_dir() else [case]
    return [(file.name, file.read_bytes()) for file in files]


def expected(case: Path, said: str) -> str:
    """What should be said of a case."""
    golden = case.with_suffix(".txt")
    if os.environ.get("GAUGER_WRITE_GOLDEN"):
        golden.write_text(said + "\n", encoding="utf-8")
    return golden.read_text(encoding="utf-8").removesuffix("\n") if golden.exists() else ""
