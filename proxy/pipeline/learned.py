"""What settled exchanges teach about a model: how it counts tokens, and how much it answers.

A state machine without a clock: the same exchanges in the same order give the same state, live and
in replay. Two histograms for each model and surface, with buckets that grow geometrically, forget
as they learn: an observation counts half after a few hundred later ones, however long they take.
The correction is the median of true over estimated input, so that a few odd prompts move nothing.

Invariant: the memory is bounded by the number of models, whatever callers name; the model longest
unheard of is forgotten first. Only what the upstream answered may be observed: a made-up name
never gets here.
"""

import math
from collections import OrderedDict
from collections.abc import Mapping
from itertools import accumulate

from proxy.model.usage import Usage

MOST_MODELS = 512  # models by surface; about 10 KB each
LEAST_FACTOR, MOST_FACTOR = 0.5, 3.0
_VERSION = 1

_LEAST_SAMPLES = 20
_LEAST_TOKENS = 16  # of shorter prompts the frame around the text says more than the text
_KEPT = 2 ** (-1 / 500)  # what is left of an observation after the next: half after 500
_RENORMALIZE_AT = 1e12
_RATIO_GROWTH, _RATIO_BUCKETS, _RATIO_FROM = 1.02, 141, 0.25  # up to 4
_OUTPUT_GROWTH, _OUTPUT_BUCKETS = 1.1, 160  # up to four million tokens
_STATED_EVERY = 16  # observations, once there are enough of them

Saved = dict[str, object]


class Learned:
    """State learned from settled exchanges."""

    def __init__(self, most_models: int = MOST_MODELS) -> None:
        self._most_models = most_models
        self._models: OrderedDict[tuple[str, str], _Model] = OrderedDict()

    def observe(self, model: str, surface: str, estimate: int, asked: int, usage: Usage) -> None:
        """Learn from an exchange that was answered whole, with status 200 and a usage.

        `estimate` is the input estimate before any correction, `asked` the output tokens that the
        request allowed or that were reserved for it, 0 where neither is known. An answer that ran
        into what it was allowed tells nothing of how long it would have been, unless it is longer
        than most.
        """
        key = (model, surface)
        known = self._models.get(key)
        if known is None:
            known = self._models[key] = _Model()
            if len(self._models) > self._most_models:
                self._models.popitem(last=False)
        self._models.move_to_end(key)
        if estimate >= _LEAST_TOKENS and usage.input_tokens > 0:
            known.learn_ratio(usage.input_tokens / estimate)
        cut_off = 0 < asked <= usage.output_tokens
        if usage.output_tokens > 0 and not (
            cut_off and usage.output_tokens < (known.output_p95 or 0)
        ):
            known.learn_output(usage.output_tokens)

    def input_factor(self, model: str, surface: str) -> float:
        """True input tokens over estimated ones: 1 until 20 prompts are known, within 0.5 to 3."""
        known = self._models.get((model, surface))
        return 1.0 if known is None else known.factor

    def output_p95(self, model: str, surface: str) -> int | None:
        """What 95 % of answers stay below, in output tokens; None until 20 answers are known."""
        known = self._models.get((model, surface))
        return None if known is None else known.output_p95

    def save(self) -> Saved:
        """The state as JSON can hold it, the model longest unheard of first."""
        models = [
            {"model": model, "surface": surface, **known.save()}
            for (model, surface), known in self._models.items()
        ]
        return {"version": _VERSION, "models": models}

    def load(self, saved: Mapping[str, object]) -> None:
        """Go on from a saved state in place of the present one.

        ValueError where it is none of this version, and then nothing has changed.
        """
        try:
            if saved["version"] != _VERSION:
                raise ValueError(saved["version"])
            models = _models_of(saved["models"])
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            msg = f"not a state of learned models of version {_VERSION}: {error!r}"
            raise ValueError(msg) from error
        while len(models) > self._most_models:
            models.popitem(last=False)
        self._models = models


class _Model:
    """What is known of one model on one surface."""

    __slots__ = ("_output", "_ratio", "factor", "output_p95")

    def __init__(self) -> None:
        self._ratio = _Histogram(_RATIO_BUCKETS)
        self._output = _Histogram(_OUTPUT_BUCKETS)
        self.factor = 1.0
        self.output_p95: int | None = None

    def learn_ratio(self, ratio: float) -> None:
        """Count a prompt that came to `ratio` times its estimate."""
        self._ratio.add(_bucket(ratio / _RATIO_FROM, _RATIO_GROWTH))
        if self._ratio.due:
            self._state_factor()

    def learn_output(self, tokens: int) -> None:
        """Count an answer."""
        self._output.add(_bucket(tokens, _OUTPUT_GROWTH))
        if self._output.due:
            self._state_output()

    def save(self) -> Saved:
        """Both histograms, and what was last stated of them."""
        return {
            "factor": self.factor,
            "output_p95": self.output_p95,
            "input": self._ratio.save(),
            "output": self._output.save(),
        }

    def load(self, entry: Mapping[str, object]) -> None:
        """What was saved; ValueError, KeyError or TypeError where it is none."""
        self._ratio.load(entry["input"])
        self._output.load(entry["output"])
        factor, p95 = entry["factor"], entry["output_p95"]
        if not isinstance(factor, int | float) or not isinstance(p95, int | None):
            raise TypeError(factor)
        self.factor = min(MOST_FACTOR, max(LEAST_FACTOR, float(factor)))
        self.output_p95 = p95

    def _state_factor(self) -> None:
        middle = _RATIO_FROM * _RATIO_GROWTH ** (self._ratio.quantile(0.5))
        self.factor = min(MOST_FACTOR, max(LEAST_FACTOR, middle))

    def _state_output(self) -> None:
        """The upper end of the bucket: at most a tenth too much, never too little."""
        bucket = math.floor(self._output.quantile(0.95))
        self.output_p95 = math.floor(_OUTPUT_GROWTH ** (bucket + 1))


class _Histogram:
    """Counts by bucket that fade: each addition weighs a little more than the one before it."""

    __slots__ = ("_counts", "_weight", "seen")

    def __init__(self, buckets: int) -> None:
        self._counts = [0.0] * buckets
        self._weight = 1.0
        self.seen = 0

    @property
    def due(self) -> bool:
        """Whether what follows from it is to be stated anew."""
        return self.seen >= _LEAST_SAMPLES and (self.seen - _LEAST_SAMPLES) % _STATED_EVERY == 0

    def add(self, bucket: int) -> None:
        """Count one in the bucket, or in the first or last one where it is beyond them."""
        self._counts[min(len(self._counts) - 1, max(0, bucket))] += self._weight
        self._weight /= _KEPT
        self.seen += 1
        if self._weight > _RENORMALIZE_AT:
            self._counts = [count / self._weight for count in self._counts]
            self._weight = 1.0

    def quantile(self, share: float) -> float:
        """The bucket below which this share lies, with the part of the bucket that it takes."""
        wanted = share * sum(self._counts)
        for bucket, reached in enumerate(accumulate(self._counts)):
            if reached >= wanted and self._counts[bucket] > 0:
                return bucket + 1 - (reached - wanted) / self._counts[bucket]
        return float(len(self._counts))

    def save(self) -> Saved:
        """Counts by bucket, without the empty ones, as shares of the next addition."""
        counts = {
            str(bucket): count / self._weight
            for bucket, count in enumerate(self._counts)
            if count > 0
        }
        return {"seen": self.seen, "counts": counts}

    def load(self, saved: object) -> None:
        """Take saved counts over; ValueError, KeyError or TypeError where they are none."""
        if not isinstance(saved, Mapping) or not isinstance(saved["counts"], Mapping):
            raise TypeError(saved)
        for name, count in saved["counts"].items():
            share = float(count)
            if not 0 <= share <= _RENORMALIZE_AT or not 0 <= int(name) < len(self._counts):
                raise ValueError(name)
            self._counts[int(name)] = share
        self.seen = int(saved["seen"])


def _models_of(entries: object) -> OrderedDict[tuple[str, str], _Model]:
    if not isinstance(entries, list):
        raise TypeError(entries)
    models: OrderedDict[tuple[str, str], _Model] = OrderedDict()
    for entry in entries:
        model, surface = entry["model"], entry["surface"]
        if not isinstance(model, str) or not isinstance(surface, str):
            raise TypeError(model)
        known = models[model, surface] = _Model()
        known.load(entry)
    return models


def _bucket(value: float, growth: float) -> int:
    return math.floor(math.log(value) / math.log(growth)) if value > 0 else 0
