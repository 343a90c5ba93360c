"""What an answer that was not recorded would have used: the median of its model's recent ones."""

from collections import deque

from proxy.model.usage import Usage

MEDIAN_OVER = 501  # answers of a model
MAX_MODELS = 4096  # callers choose the names of models


class Usages:
    """Recent usages by model, bounded in models and in usages of each."""

    def __init__(self) -> None:
        self._by_model: dict[str, deque[Usage]] = {}

    def note(self, model: str, usage: Usage) -> None:
        """Remember what an answer used. The model that was first seen longest ago makes room."""
        recent = self._by_model.get(model)
        if recent is None:
            if len(self._by_model) >= MAX_MODELS:
                del self._by_model[next(iter(self._by_model))]
            recent = self._by_model[model] = deque(maxlen=MEDIAN_OVER)
        recent.append(usage)

    def imputed(self, model: str) -> Usage | None:
        """The median of the model's recent usages, by total; None before any was seen."""
        seen = sorted(self._by_model.get(model, ()), key=lambda usage: usage.total_tokens)
        return seen[len(seen) // 2] if seen else None
