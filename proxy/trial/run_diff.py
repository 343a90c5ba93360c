"""`gauger policy diff --traffic`: two sets, a recording, and a file for all flips if one is wanted.

Nothing is read from the state of a gateway but archived sets, and nothing is written there.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import msgspec

from proxy.policy.rules import PolicySet
from proxy.replay.inputs import directory_of, settings_of
from proxy.replay.session import Session
from proxy.replay.traffic import RecordedExchange, TrafficError, check_readable, read_traffic
from proxy.trial.diff import Change, TrafficDifference, differ
from proxy.trial.flips import Flip
from proxy.trial.sources import Inputs
from proxy.trial.words import Words

Progress = Callable[[int, int], None]  # bytes of the recording read so far, exchanges judged


@dataclass(frozen=True, slots=True)
class Asked:
    """What is asked for. `change_at_ns`: when the new set is taken up, instead of at the start."""

    traffic: Path
    inputs: Inputs
    examples: int = 3
    change_at_ns: int | None = None
    out: Path | None = None


@dataclass(frozen=True, slots=True)
class Ran:
    """What came of it, and the lines of the recording that could not be read (the first twenty)."""

    difference: TrafficDifference
    skipped: int
    skipped_first: tuple[str, ...]


def diff_traffic(
    old: PolicySet, new: PolicySet, words: Words, asked: Asked, progress: Progress | None = None
) -> Ran:
    """Run both sets over the recording. TrafficError, ProblemsError and the like for bad inputs."""
    check_readable(asked.traffic)
    inputs = asked.inputs
    settings = settings_of(inputs.config)
    directory = directory_of(inputs.accounts or settings.accounts)
    skipped: list[str] = []
    skips = _Skips(skipped)
    begins_with = new if asked.change_at_ns is None else old
    change = None if asked.change_at_ns is None else Change(new, asked.change_at_ns)

    def session(policy: PolicySet) -> Session:
        return Session(inputs.config, directory, inputs.geo, inputs.anonymizers, policy=policy)

    with session(old) as one, session(begins_with) as other, ExitStack() as stack:
        write = _writer(stack, asked.out) if asked.out else None
        difference = differ(
            one,
            other,
            _exchanges(asked, skips if inputs.skip_bad else None, progress),
            words,
            examples=asked.examples,
            change=change,
            on_flip=write,
        )
    return Ran(difference, skips.count, tuple(skipped))


class _Skips:
    """Counts lines that cannot be read, and keeps the first of them."""

    def __init__(self, first: list[str]) -> None:
        self.count = 0
        self._first = first

    def __call__(self, message: str) -> None:
        self.count += 1
        if len(self._first) < 20:
            self._first.append(message)


def _exchanges(
    asked: Asked, skip_bad: Callable[[str], None] | None, progress: Progress | None
) -> Iterator[RecordedExchange]:
    judged = 0

    def at_byte(position: int) -> None:
        if progress:
            progress(position, judged)

    for exchange in read_traffic(asked.traffic, skip_bad=skip_bad, progress=at_byte):
        yield exchange
        judged += 1


def _writer(stack: ExitStack, out: Path) -> Callable[[Flip], None]:
    """Writes flips to a new file, a line each."""
    try:
        file: BinaryIO = stack.enter_context(out.open("xb"))
    except OSError as error:
        msg = f"{out}: cannot be written: {error.strerror} (name a new file with --out)"
        raise TrafficError(msg) from error
    encode = msgspec.json.Encoder().encode

    def write(flip: Flip) -> None:
        file.write(encode(flip) + b"\n")

    return write
