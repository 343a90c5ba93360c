"""Prices and groups of models that do nothing, or not what they look as if they did."""

from collections.abc import Iterator
from dataclasses import dataclass

from proxy.model.plan import NEVER_NS
from proxy.model.verdict import Unit
from proxy.policy.lints.globs import covers
from proxy.policy.lints.reach import MODEL, Reach
from proxy.policy.problem import Problem
from proxy.policy.rules import QuotaRule
from proxy.policy.schema_quota import PriceSpec
from proxy.policy.schema_texts import instant_ns
from proxy.policy.written import Written
from proxy.policy.yamlfile import Document

GROUP = "request.model_group"


@dataclass(frozen=True, slots=True)
class _Listed:
    """One entry of the price table as it is written; it holds in [from_ns, until_ns)."""

    document: Document
    place: int
    models: tuple[str, ...]
    own: bool  # the models stand here, and not in a list
    from_ns: int
    until_ns: int

    def problem(self, message: str, *path: str | int) -> Problem:
        return self.document.problem(("prices", self.place, *path), message)


def _listed(written: Written) -> Iterator[_Listed]:
    for document, file in written.policy.sources:
        for i, spec in enumerate(file.prices):
            yield _entry(written, document, i, spec)


def _entry(written: Written, document: Document, place: int, spec: PriceSpec) -> _Listed:
    own = isinstance(spec.models, list)
    models = spec.models if isinstance(spec.models, list) else written.policy.lists[spec.models[1:]]
    return _Listed(
        document,
        place,
        tuple(models),
        own,
        instant_ns(spec.not_before) if spec.not_before else 0,
        instant_ns(spec.until) if spec.until else NEVER_NS,
    )


def covered(written: Written) -> Iterator[Problem]:
    """Models of which an earlier entry says what they cost, at all times of this one."""
    every = list(_listed(written))
    for i, entry in enumerate(every):
        earlier = [e for e in every[:i] if _as_long(e, entry)]
        found = [_wider(model, earlier) for model in entry.models]
        if entry.own:
            for j, (model, wide) in enumerate(zip(entry.models, found, strict=True)):
                if wide is not None:
                    message = f'"{model}" has a price before, under "{wide}": the first counts'
                    yield entry.problem(message, "models", j)
        elif all(found):
            yield entry.problem("each of these models has a price before: the first counts")


def _as_long(one: _Listed, other: _Listed) -> bool:
    return one.from_ns <= other.from_ns and one.until_ns >= other.until_ns


def _wider(model: str, earlier: list[_Listed]) -> str | None:
    patterns = (pattern for entry in earlier for pattern in entry.models)
    return next((pattern for pattern in patterns if covers(pattern, model)), None)


def unused(written: Written) -> Iterator[Problem]:
    """Prices where nothing is limited by what it costs."""
    if any(_costs(rule) for rule in written.policy.quotas):
        return
    for document, file in written.policy.sources:
        if file.prices:
            message = "no quota limits cost, so that nothing asks for prices: add a limit of cost"
            yield document.problem(("prices",), message, at_key=True)


def _costs(rule: QuotaRule) -> bool:
    return any(limit.unit is Unit.COST for limit in rule.limits)


def unpriced(written: Written) -> Iterator[Problem]:
    """Models that a limit of cost names, and that have no price of their own."""
    entries = list(_listed(written))
    for rule in written.policy.quotas:
        named = Reach(rule.match.conditions).values(MODEL) if _costs(rule) else None
        for model in sorted(map(str, named or ())):
            if not any(_wider(model, [entry]) for entry in entries):
                message = f'"{model}" has no price: it costs the most that any model does'
                yield written.entries[rule.id].at_fact(MODEL, message)


def unread_groups(written: Written) -> Iterator[Problem]:
    """Groups of models where no rule reads the group of one."""
    if GROUP in written.policy.reads:
        return
    for document, file in written.policy.sources:
        if file.model_groups:
            message = f"nothing counts by model_group, and no condition reads {GROUP}"
            yield document.problem(("model_groups",), message, at_key=True)


PRICES = (covered, unused, unpriced, unread_groups)
