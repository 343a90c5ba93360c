"""Policy files to one policy set, or every fault of all of them at once."""

import hashlib
from collections.abc import Iterable
from pathlib import Path as FilePath

from proxy.policy.compile import Compiler
from proxy.policy.problem import Problem, ProblemsError
from proxy.policy.rules import PolicySet


def load(directory: FilePath) -> PolicySet:
    """Compile every .yaml and .yml file in `directory`; ProblemsError names all faults."""
    return compile_texts(*read(directory))


def read(directory: FilePath) -> tuple[list[tuple[str, bytes]], list[Problem]]:
    """Names and texts of a directory's policy files, and which of them cannot be read.

    ProblemsError where there is no such directory, or no policy file in it.
    """
    if not directory.is_dir():
        message = "no such directory (policies are YAML files in a directory)"
        raise ProblemsError([Problem(str(directory), 0, 0, message)])
    try:
        files = sorted(path for path in directory.iterdir() if is_policy_file(path))
    except OSError as error:
        problem = Problem(str(directory), 0, 0, f"cannot be read: {error.strerror}")
        raise ProblemsError([problem]) from error
    if not files:
        message = "no .yaml file in this directory, so there is no policy to apply"
        raise ProblemsError([Problem(str(directory), 0, 0, message)])
    texts: list[tuple[str, bytes]] = []
    problems: list[Problem] = []
    for path in files:
        if path.exists() and not path.is_file():
            problems.append(Problem(str(path), 0, 0, "cannot be read: not a regular file"))
            continue
        try:
            texts.append((str(path), path.read_bytes()))
        except OSError as error:
            problems.append(Problem(str(path), 0, 0, f"cannot be read: {error.strerror}"))
    return texts, problems


# Directories beside policies whose YAML files are something else: cases, and sets to copy from.
OTHERWISE_USED = ("tests", "examples")


def passed_over(directory: FilePath) -> list[Problem]:
    """YAML files in directories below, which look like policies and are not read."""
    message = "this file is not read: directories below the policies are left out; move it up"
    below = sorted(
        path
        for folder in directory.iterdir()
        if folder.is_dir() and folder.name not in OTHERWISE_USED and folder.name[0] != "."
        for path in folder.iterdir()
        if is_policy_file(path)
    )
    return [Problem(str(path), 0, 0, message) for path in below]


def is_policy_file(path: FilePath) -> bool:
    """Whether a file holds policies; those that begin with a dot are an editor's own."""
    return path.suffix.lower() in (".yaml", ".yml") and not path.name.startswith(".")


def compile_texts(
    texts: Iterable[tuple[str, bytes]], problems: Iterable[Problem] = ()
) -> PolicySet:
    """Compile named YAML texts into one set; ProblemsError names all faults of all of them."""
    given = list(texts)
    return Compiler(given, list(problems)).compile(digest_of(given))


def digest_of(texts: Iterable[tuple[str, bytes]]) -> str:
    """SHA-256 over the files' base names and contents, in the order of their names."""
    digest = hashlib.sha256()
    for name, text in sorted((FilePath(name).name, text) for name, text in texts):
        digest.update(f"{len(name)}:{name}:{len(text)}:".encode())
        digest.update(text)
    return f"sha256:{digest.hexdigest()}"
