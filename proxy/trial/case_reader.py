"""One case as it is written, to the cases that are run: checked, and laid over the defaults."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from proxy.model.facts import Facts
from proxy.model.verdict import Unit
from proxy.policy.problem import Problem
from proxy.policy.rules import PolicySet, QuotaRule
from proxy.policy.schema_quota import millionths
from proxy.trial.case import Case, Step, World
from proxy.trial.case_clusters import with_clusters
from proxy.trial.case_exchange import Sequence
from proxy.trial.case_expect import check_expectation
from proxy.trial.case_facts import (
    Given,
    completed,
    near,
    read_each,
    read_facts,
)
from proxy.trial.case_schema import CaseSpec, DefaultsSpec, ExchangeSpec, clock_ns
from proxy.trial.case_world import read_world
from proxy.trial.facts_schema import CLUSTER, ORDINARY
from proxy.trial.spot import Spot

MOST_OF_ONE = 1000  # cases that one for_each may make


@dataclass(frozen=True, slots=True)
class Above:
    """What a case begins from: the set that it is about, and the defaults of its file."""

    policy: PolicySet
    defaults: DefaultsSpec
    facts: Given
    world: World


class CaseReader:
    """Reads one case. Faults are told to its spot; a case with one is not to be run."""

    def __init__(self, above: Above, spec: CaseSpec, spot: Spot, place: Problem) -> None:
        self.above = above
        self.policy = above.policy
        self.spec = spec
        self.spot = spot
        self.place = place

    def cases(self) -> Iterator[Case]:
        """The case; where it is run with several values, one for each combination of them."""
        whole = self._is_whole()
        if whole is None:
            return
        spec = self.spec
        self._check_expected()
        self._check_disarmed()
        counters, detected = self._counters(), self._detected()
        world = self._world(whole=whole)
        for values, steps in self._whole() if whole else self._known():
            yield Case(
                name=spec.name,
                values=values,
                place=self.place,
                steps=steps,
                world=world,
                counters=counters,
                detected=detected,
                store_answers=spec.store is None,
                disarmed=frozenset(spec.disarmed or ()),
            )

    # What comes

    def _is_whole(self) -> bool | None:
        """Whether whole requests are given, and not facts; None where neither is."""
        spec, defaults = self.spec, self.above.defaults
        if spec.exchange is not None or spec.exchanges is not None:
            return True
        if spec.facts is not None or spec.for_each is not None:
            return False
        if defaults.exchange is not None and defaults.facts is not None:
            self.spot.fault("defaults has facts and an exchange: say facts: {} or exchange: {}")
            return None
        if defaults.exchange is None and defaults.facts is None:
            self.spot.fault("say what comes: facts: {account.tier: free}, or an exchange")
            return None
        return defaults.exchange is not None

    def _clock_ns(self) -> int | None:
        text = self.spec.at or self.above.defaults.at
        return None if text is None else clock_ns(text)

    def _known(self) -> Iterator[tuple[str, tuple[Step, ...]]]:
        """Values and steps where facts are given."""
        at_ns, spec = self._clock_ns(), self.spec
        windows_s = self.policy.template_windows_s
        given = read_facts(spec.facts or {}, windows_s, self.spot.at("facts"))
        columns = read_each(spec.for_each or {}, windows_s, self.spot.at("for_each"))
        if at_ns is None:
            self.spot.fault("say when: at: 2026-12-01T12:00:00Z (in the case, or under defaults)")
            return
        path = self.spot.at("expect").path
        for said, chosen in self._combinations(columns):
            facts = completed({**self.above.facts, **given, **chosen}, at_ns)
            yield said, (Step(at_ns, facts=facts, expect=spec.expect, path=path),)

    def _combinations(self, columns: dict[str, list[Any]]) -> Iterator[tuple[str, Given]]:
        count = 1
        for column in columns.values():
            count *= len(column)
        if count > MOST_OF_ONE:
            self.spot.at("for_each").fault(f"this makes {count} cases; at most {MOST_OF_ONE}")
            return
        for row in itertools.product(*columns.values()):
            named = dict(zip(columns, row, strict=True))
            said = ", ".join(f"{name}: {_shown(written)}" for name, (_, written) in named.items())
            yield said, {name: value for name, (value, _) in named.items()}

    def _whole(self) -> Iterator[tuple[str, tuple[Step, ...]]]:
        """Steps where whole requests are given."""
        spec, spot = self.spec, self.spot
        for key in ("facts", "for_each"):
            if getattr(spec, key) is not None:
                spot.at(key).key_fault(f"give {key} or whole exchanges, not both")
        if spec.exchange is not None and spec.exchanges is not None:
            spot.at("exchanges").key_fault("give exchange or exchanges, not both")
        if spec.exchanges is not None:
            given = [(e, spot.at("exchanges", i)) for i, e in enumerate(spec.exchanges)]
            if not given:
                spot.at("exchanges").fault("an empty list: write exchanges")
        else:
            given = [(spec.exchange or ExchangeSpec(), spot.at("exchange"))]
        sequence = Sequence(self.above.defaults.exchange, self._clock_ns())
        yield "", tuple(sequence.steps(given, (spec.expect, spot.at("expect"))))

    def _world(self, *, whole: bool) -> World:
        if whole:
            return read_world(self.spec, self.above.world, self.spot)
        for key in ("accounts", "places", "anonymizers"):
            if getattr(self.spec, key) is not None:
                wrong = f"{key} are looked up for whole exchanges only: give the facts themselves"
                self.spot.at(key).key_fault(wrong)
        return World()

    # What is so beforehand

    def _counters(self) -> dict[tuple[str, Unit], int]:
        quotas = {rule.id: rule for rule in self.policy.quotas}
        counters: dict[tuple[str, Unit], int] = {}
        for id_, given in (self.spec.counters or {}).items():
            here, rule = self.spot.at("counters", id_), quotas.get(id_)
            if rule is None:
                here.key_fault(self._no_quota(id_, quotas))
                continue
            if not given:
                here.fault("say what was counted: {requests: 30}")
            for unit, count in given.items():
                if unit in (units := [limit.unit.value for limit in rule.limits]):
                    counters[id_, Unit(unit)] = self._count(Unit(unit), count, here.at(unit))
                else:
                    wrong = f'"{id_}" does not limit {unit} (it limits {", ".join(units)})'
                    here.at(unit).key_fault(wrong)
        return counters

    def _count(self, unit: Unit, count: float, spot: Spot) -> int:
        """What was counted, as counters hold it: money in millionths."""
        if unit is Unit.COST:
            return millionths(count)
        if count != int(count):
            spot.fault(f"{unit.value} are whole: {count:g} cannot have been counted")
        return int(count)

    def _no_quota(self, id_: str, quotas: dict[str, QuotaRule]) -> str:
        if id_ in self.policy.by_id:
            return f'"{id_}" is no quota: it counts nothing'
        return f'there is no quota "{id_}" in this set{near(id_, quotas)}'

    def _detected(self) -> Facts:
        windows_s, spot = self.policy.template_windows_s, self.spot
        found = read_facts(self.spec.cluster or {}, windows_s, spot.at("cluster"), CLUSTER)
        found |= read_facts(self.spec.ordinary or {}, windows_s, spot.at("ordinary"), ORDINARY)
        if self.spec.template_accounts is not None:
            given = {"template_accounts": self.spec.template_accounts}
            found |= read_facts(given, windows_s, spot, "fingerprint.")
        return {n: value for n, value in with_clusters(found).items() if value is not None}

    def _check_disarmed(self) -> None:
        for i, id_ in enumerate(self.spec.disarmed or ()):
            here, rule = self.spot.at("disarmed", i), self.policy.by_id.get(id_)
            if rule is None:
                wrong = f'there is no rule "{id_}" in this set{near(id_, self.policy.by_id)}'
                here.fault(wrong)
            elif rule.legal:
                here.fault(f'"{id_}" is a legal rule: nothing disarms it')

    # What must come of it

    def _check_expected(self) -> None:
        spec, spot = self.spec, self.spot
        given = [(spec.expect, spot.at("expect"))]
        if spec.exchange is not None:
            given.append((spec.exchange.expect, spot.at("exchange", "expect")))
        for i, exchange in enumerate(spec.exchanges or ()):
            given.append((exchange.expect, spot.at("exchanges", i, "expect")))
        if all(expect is None for expect, _ in given):
            spot.fault("say what must come of it: expect: {verdict: allow}")
        for expect, here in given:
            if expect is not None:
                check_expectation(self.policy, expect, here)


def _shown(value: Any) -> str:
    """A value as the name of a case has it."""
    if value is None:
        return "unknown"
    if isinstance(value, bool):
        return str(value).lower()
    text = str(value)
    return text if len(text) <= 60 else text[:59] + "…"
