from collections.abc import Callable
from dataclasses import dataclass

import pytest

from proxy.engine.judge import judge
from proxy.engine.plan import plan
from proxy.model.decision import Decision
from proxy.model.facts import Facts, FactValue
from proxy.model.plan import Plan, Readings
from proxy.model.verdict import Durability
from proxy.policy.candidates import every_rule
from proxy.policy.load import compile_texts
from proxy.policy.rules import PolicySet
from proxy.store.memory import MemoryStore

S = 1_000_000_000
NOON_NS = 1_776_816_000 * S  # the start of a minute

ORDINARY: dict[str, FactValue] = {
    "request.surface": "chat.completions",
    "request.dialect": "openai",
    "request.model": "m-small",
    "request.stream": False,
    "request.choices": 1,
    "request.input_tokens": 100,
    "request.max_tokens": 50,
    "account.id": "acc-1",
    "account.tier": "free",
    "account.labels": (),
    "client.country": "SG",
    "fingerprint.template_accounts": {},
}


@dataclass(slots=True)
class Bench:
    """Rules, counters and facts: one call judges one exchange."""

    policy: PolicySet
    store: MemoryStore
    plan: Plan | None = None
    readings: Readings | None = None
    disarmed: frozenset[str] = frozenset()
    available: bool = True

    def judge(self, at_s: float = 0, **facts: FactValue | None) -> Decision:
        """Judge an exchange whose facts differ from ordinary ones; None takes one away."""
        changed = {name.replace("__", "."): value for name, value in facts.items()}
        known = {n: v for n, v in {**ORDINARY, **changed}.items() if v is not None}
        return self.judge_facts(known, at_s)

    def judge_facts(self, facts: Facts, at_s: float = 0) -> Decision:
        at_ns = NOON_NS + int(at_s * S)
        rules, by_default = every_rule(self.policy), Durability.BEFORE_ANSWER
        self.plan = plan(rules, {**facts, "time.now": at_ns}, at_ns, by_default, self.disarmed)
        unavailable = Readings(available=False)
        self.readings = self.store.take(self.plan) if self.available else unavailable
        return judge(self.policy, self.plan, self.readings, index=7, facts=facts)


@pytest.fixture
def bench() -> Callable[[str], Bench]:
    def make(text: str) -> Bench:
        return Bench(compile_texts([("p.yaml", text.encode())]), MemoryStore())

    return make
