"""Sketches of prompts: a few sampled runs of words, of which near-duplicates share some.

A run is four words, or eight letters where a script has no spaces. Of all runs those with the
smallest keyed hashes are kept (bottom-k sampling, Cohen and Kaplan 2007), some from the first
words, some from the last, some from anywhere: a template that comes before or after its content
is sampled however long the content is. Nobody without the key can tell which runs these are.

It is made after the request has gone on. Only a head and a tail of long texts are read, so that its
time is bounded (`docs/benchmarks/fingerprints.md`).
"""

from functools import lru_cache
from hashlib import blake2b
from typing import NamedTuple

import numpy as np

from proxy.facts.prompt_text import normalize
from proxy.facts.words import U64, Powers, powers, words_of
from proxy.model.exchange import Prompt
from proxy.model.trait import CODE_MASK, Trait

HEAD_CHARS = 16_384
TAIL_CHARS = 4_096
RUN_WORDS = 4
MIN_WORDS = 8  # a shorter text is known by its whole, or joins nobody
ENOUGH_RUNS = 64  # among which some are different, nearly always
EDGE_RUNS = 56  # of the first and of the last 60 words
MAX_CACHED = 256

_UPPER = ~CODE_MASK & (1 << 64) - 1
_SHINGLE = int(Trait.SHINGLE)
_SYSTEM_SHINGLE = int(Trait.SYSTEM_SHINGLE)


class Kept(NamedTuple):
    """How many runs are kept: from the first words, from the last ones, from anywhere."""

    first: int
    last: int
    anywhere: int


ALONE = Kept(3, 3, 6)  # of a single turn
OF_TWO = Kept(2, 1, 3)  # of each of two
SYSTEM = Kept(2, 1, 5)


class _Keys(NamedTuple):
    bases: Powers
    factors: U64
    spread: int


def sketch(prompt: Prompt, key: bytes) -> tuple[int, ...]:
    """SHINGLE tokens of the latest user turn, and of the first where it is another one;
    SYSTEM_SHINGLE tokens of the system prompt. At most 20, sorted, each once."""
    kept = ALONE if prompt.opening == prompt.latest else OF_TWO
    found = set(_sampled(prompt.latest, _SHINGLE, kept, key))
    if kept is OF_TWO:
        found.update(_opening(_cut(prompt.opening), key))
    if prompt.system:
        found.update(_system(_cut(prompt.system), key))
    return tuple(sorted(found))


@lru_cache(maxsize=MAX_CACHED)
def _system(text: str, key: bytes) -> tuple[int, ...]:
    return _sampled(text, _SYSTEM_SHINGLE, SYSTEM, key)


@lru_cache(maxsize=MAX_CACHED)
def _opening(text: str, key: bytes) -> tuple[int, ...]:
    """Kept by text: it stays the same in all turns of a conversation."""
    return _sampled(text, _SHINGLE, OF_TWO, key)


def _cut(text: str) -> str:
    """The head and the tail of a long text."""
    if len(text) <= HEAD_CHARS + TAIL_CHARS:
        return text
    return f"{text[:HEAD_CHARS]}\n{text[-TAIL_CHARS:]}"


def _sampled(text: str, code: int, kept: Kept, key: bytes) -> tuple[int, ...]:
    text = _cut(text)
    if not text.isascii():
        text = normalize(text, HEAD_CHARS + TAIL_CHARS + 1)
    runs = _runs(text, key)
    if runs is None:
        return ()
    least = set(_least(runs[:EDGE_RUNS], kept.first))
    least.update(_least(runs[-EDGE_RUNS:], kept.last))
    most = sum(kept)
    for run in _least(runs, most):  # those that were kept already make room for others
        if len(least) >= most:
            break
        least.add(run)
    # Small hashes were chosen; tokens must be spread over all values again.
    spread = _keys(key).spread
    return tuple([run * spread & _UPPER | code for run in least])


def _least(runs: U64, count: int) -> list[int]:
    """The smallest runs, each once."""
    few = runs.copy() if runs.size <= ENOUGH_RUNS else np.partition(runs, ENOUGH_RUNS)[:ENOUGH_RUNS]
    few.sort()
    least = list(dict.fromkeys(few[: 3 * count].tolist()))
    if len(least) < count < runs.size:  # many are alike
        few = np.sort(runs)
        least = few[:1].tolist() + few[1:][few[1:] != few[:-1]][: count - 1].tolist()
    return least[:count]


def _runs(text: str, key: bytes) -> U64 | None:
    """The keyed hashes of all runs of words; None where there are too few words.

    Sums of products with secret odd numbers, of which the high bits are as good as random
    (multilinear hashing, Lemire and Kaser 2014); they alone decide which runs are small.
    """
    keys = _keys(key)
    words = words_of(text, keys.bases)
    hashes = words.hashes
    if hashes.size < MIN_WORDS:
        return None
    runs = np.correlate(hashes, keys.factors, "valid")
    if words.alone is not None:  # the letters of a run, and those of the one behind it
        longer = runs[:-RUN_WORDS] * keys.factors[0] + runs[RUN_WORDS:] * keys.factors[2]
        runs[:-RUN_WORDS] = np.where(words.alone[: longer.size], longer, runs[:-RUN_WORDS])
    return runs


@lru_cache(maxsize=4)
def _keys(key: bytes) -> _Keys:
    """Odd numbers drawn from the key."""
    drawn = blake2b(key=key[:64], person=b"sketch").digest()
    odd = np.frombuffer(drawn, dtype="<u8").astype(np.uint64) | np.uint64(1)
    return _Keys(powers(int(odd[0]), HEAD_CHARS + TAIL_CHARS + 3), odd[2:6].copy(), int(odd[7]))
