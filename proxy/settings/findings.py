"""What investigators said, one JSON object a line: the command appends, the detector follows.

Invariant: a finding counts once its whole line is on the disk. A line that a crash left unfinished
counts for nobody; whoever appends next cuts it off first.
"""

import os
from pathlib import Path

import msgspec

from proxy.model.finding import Finding
from proxy.policy.problem import Problem, ProblemsError
from proxy.settings.appended import append_lines

NAME = "findings.jsonl"
MAX_LINE_BYTES = 1 << 24  # a million accounts

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Finding).decode


def append_finding(directory: Path, finding: Finding) -> None:
    """Put a finding at the end, durably. Raises ProblemsError where that cannot be done."""
    path = directory / NAME
    line = _encode(finding) + b"\n"
    if len(line) > MAX_LINE_BYTES:
        raise ProblemsError([Problem(str(path), 0, 0, "too many accounts for one finding")])
    try:
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        append_lines(path, line)
        _sync(directory)
    except OSError as error:
        message = f"what was found cannot be written: {error.strerror}"
        raise ProblemsError([Problem(str(path), 0, 0, message)]) from error


def findings_after(directory: Path, offset: int = 0) -> tuple[tuple[Finding, ...], int]:
    """The findings from a place in the file on, and the place to go on from.

    An unfinished last line is left for the next time; a file that is shorter than `offset` was
    begun anew, and is read from its beginning. Raises ProblemsError (with file and line, counted
    from `offset`) for a line that is no finding, and for a file that cannot be read.
    """
    path = directory / NAME
    try:
        with path.open("rb") as file:
            if os.fstat(file.fileno()).st_size < offset:
                offset = 0
            file.seek(offset)
            data = file.read()
    except FileNotFoundError:
        return (), 0
    except OSError as error:
        message = f"cannot be read: {error.strerror}"
        raise ProblemsError([Problem(str(path), 0, 0, message)]) from error
    whole = data[: data.rfind(b"\n") + 1]
    found = []
    for number, line in enumerate(whole.splitlines(), 1):
        try:
            found.append(_decode(line))
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            message = f"not a finding: {error}"
            raise ProblemsError([Problem(str(path), number, 1, message)]) from error
    return tuple(found), offset + len(whole)


def _sync(directory: Path) -> None:
    opened = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
