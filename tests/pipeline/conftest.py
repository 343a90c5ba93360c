import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from proxy.detect.sharing import TemplateSharing
from proxy.facts.directory import Directory
from proxy.facts.places import Anonymizers, Places
from proxy.facts.pseudonyms import Pseudonyms
from proxy.model.account import Caller
from proxy.model.decision import Decision, Refusal
from proxy.model.exchange import Arrival
from proxy.model.plan import Readings
from proxy.pipeline.pipeline import Pipeline
from proxy.pipeline.weigh import Weighed
from proxy.policy.load import compile_texts
from proxy.store.memory import MemoryStore

S = 1_000_000_000
NOON_NS = 1_776_816_000 * S
ACCOUNTS = [
    {"account": "acc-1", "organization": "org-1", "tier": "free", "key": "sk-one"},
    {"account": "acc-2", "tier": "build", "key": "sk-two"},
    {"account": "acc-suspended", "status": "suspended", "key": "sk-suspended"},
    {"account": "acc-later", "created_at": 1_776_816_060, "key": "sk-later"},
]
POLICY = """
quotas:
  - id: per-minute
    mode: enforce
    limit: {requests: 3, tokens: 9000}
    window: 1m
fingerprints:
  - id: shared
    mode: enforce
    template: {accounts: 2, within: 10m}
"""


def account_line(account: Mapping[str, Any]) -> str:
    line = {name: value for name, value in account.items() if name != "key"}
    digest = hashlib.sha256(account["key"].encode()).hexdigest()
    return json.dumps({**line, "keys": [{"id": f"k-{account['account']}", "sha256": digest}]})


@dataclass(slots=True)
class Desk:
    """A pipeline, its store, and one call that takes a request through both."""

    pipeline: Pipeline
    store: MemoryStore
    sent: int = 0
    weighed: Weighed | None = None
    readings: Readings | None = None

    def arrival(self, **changed: Any) -> Arrival:
        body = changed.pop("body", {"model": "m-small", "messages": []})
        raw = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        self.sent += 1
        fields: dict[str, Any] = {
            "id": f"x-{self.sent}",
            "at_ns": NOON_NS,
            "method": "POST",
            "path": "/v1/chat/completions",
            "query": "",
            "headers": (("Authorization", "Bearer sk-one"),),
            "client_ip": "203.0.113.7",
            "body": raw,
            "body_bytes": len(raw or b""),
        }
        return Arrival(**{**fields, **changed})

    def who(self, arrival: Arrival) -> Caller | Refusal:
        return self.pipeline.identify(arrival.headers, arrival.at_ns, named_key=arrival.named_key)

    def send(self, problem: Refusal | None = None, **changed: Any) -> Decision:
        arrival = self.arrival(**changed)
        self.pipeline.advance(arrival.at_ns)
        surface = self.pipeline.surface(arrival.method, arrival.path, arrival.headers)
        self.weighed = self.pipeline.weigh(arrival, surface, self.who(arrival), problem)
        self.readings = self.store.take(self.weighed.plan)
        decision = self.pipeline.decide(self.weighed, self.readings)
        self.pipeline.observe(self.weighed, decision, self.sent)
        return decision


@pytest.fixture
def desk() -> Callable[..., Desk]:
    def make(policy_text: str = POLICY, **options: Any) -> Desk:
        policy = compile_texts([("p.yaml", policy_text.encode())])
        pipeline = Pipeline(
            policy=policy,
            directory=Directory.from_lines(map(account_line, ACCOUNTS)),
            places=Places.open([]),
            anonymizers=Anonymizers.empty(),
            detector=TemplateSharing(policy.template_windows_s, 5.0, 0.0),
            pseudonyms=Pseudonyms(b"p" * 32),
            fingerprint_key=b"f" * 32,
            **options,
        )
        return Desk(pipeline, MemoryStore())

    return make
