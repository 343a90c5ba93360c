"""Errors of the estimate, before and after the correction, and of the rule that it replaced."""

import random
import statistics
import timeit
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from unittest.mock import patch

import msgspec

from bench.tokens.corpus import Groups
from bench.tokens.hostile import hostile
from bench.tokens.vocabularies import Vocabulary
from proxy.model.exchange import Asked
from proxy.model.usage import Usage
from proxy.pipeline.learned import Learned
from proxy.wire.request import read
from proxy.wire.surfaces import find
from proxy.wire.tokens import text_tokens

REPEATS = 60


@dataclass(frozen=True, slots=True)
class Text:
    """One text: estimated tokens, a quarter of its bytes, and the true tokens by vocabulary."""

    estimate: float
    quarter: float
    true: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Error:
    """Relative errors of some texts: the median with its sign, and two quantiles of their sizes."""

    median: float
    middle: float
    p95: float


def counted(groups: Groups, known: list[Vocabulary]) -> dict[str, list[Text]]:
    """Every text of every group, measured."""
    return {
        group: [
            Text(text_tokens(text), len(text.encode()) / 4, tuple(v.count(text) for v in known))
            for text in texts
        ]
        for group, texts in groups.items()
    }


def error(pairs: Iterable[tuple[float, int]]) -> Error:
    """Of (estimate, true)."""
    errors = [estimate / true - 1 for estimate, true in pairs]
    sizes = sorted(map(abs, errors))
    return Error(
        statistics.median(errors), statistics.median(sizes), sizes[int(0.95 * (len(sizes) - 1))]
    )


def factor(texts: list[Text], at: int) -> float:
    """What is learned of a model with the vocabulary `at`, from the texts in a random order."""
    learned = Learned()
    for text in random.Random(1).sample(texts, len(texts)):
        usage = Usage(input_tokens=text.true[at])
        learned.observe("m", "messages", round(text.estimate), 0, usage)
    return learned.input_factor("m", "messages")


def underestimated(known: list[Vocabulary]) -> list[tuple[str, list[float], float]]:
    """True over estimated tokens by vocabulary, and over a quarter of the bytes; worst first."""
    found: list[tuple[str, list[float], float]] = []
    for name, text in hostile():
        true = [vocabulary.count(text) for vocabulary in known]
        estimate = text_tokens(text)
        found.append((name, [t / estimate for t in true], true[0] / (len(text.encode()) / 4)))
    return sorted(found, key=lambda one: -one[1][0])


def speed_us(text: str, size: int) -> float:
    """µs of the estimate for `size` bytes of the text, the least of many tries."""
    piece = (text * (size // len(text.encode()) + 1)).encode()[:size].decode("utf-8", "ignore")
    return _least_us(lambda: text_tokens(piece), 20 if size < 10_000 else 1)


def parse_us(prompt: str) -> tuple[float, float]:
    """µs to read a chat request with this prompt: as it is, and with a quarter of the bytes."""
    surface = find("POST", "/v1/chat/completions", ())
    assert surface is not None
    turns = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": prompt}]
    body = msgspec.json.encode({"model": "m-large", "max_tokens": 100, "messages": turns})
    assert isinstance(read(surface, body), Asked)
    now, before = [], []
    for _ in range(REPEATS):
        now.append(_least_us(lambda: read(surface, body), 20, 5))
        with patch("proxy.wire.asked.text_tokens", _quarter):
            before.append(_least_us(lambda: read(surface, body), 20, 5))
    return min(now), min(before)


def _quarter(text: str) -> float:
    return (len(text) if text.isascii() else len(text.encode())) / 4


def _least_us(call: Callable[[], object], number: int, repeat: int = REPEATS) -> float:
    return min(timeit.repeat(call, number=number, repeat=repeat)) / number * 1e6
