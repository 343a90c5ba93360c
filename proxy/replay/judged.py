"""One exchange as a replay judged it, and its line in the decisions format."""

from dataclasses import dataclass
from typing import Any

import msgspec

from proxy.model.decision import Decision, RuleOutcome
from proxy.model.plan import Readings
from proxy.pipeline.fuses import Blown
from proxy.pipeline.weigh import Weighed
from proxy.replay.traffic import RecordedExchange
from proxy.wire.refuse import answer


@dataclass(frozen=True, slots=True)
class Judged:
    """What was recorded, what it was weighed to, what was read and decided; the fuses it blew.

    `cluster` is the account's at that moment, whether or not a rule acted on it.
    """

    recorded: RecordedExchange
    weighed: Weighed
    readings: Readings
    decision: Decision
    cluster: str | None = None
    blown: tuple[Blown, ...] = ()

    @property
    def account(self) -> str | None:
        """The account that pays, where it is known."""
        caller = self.weighed.caller
        return caller.account.account if caller else None

    def line(self) -> dict[str, Any]:
        """The exchange in the decisions format."""
        status, rendered = self._answered()
        decision = self.decision
        return {
            "id": self.recorded.id,
            "ts": self.recorded.ts,
            "account": self.account,
            "verdict": decision.verdict.word,
            "modifiers": decision.modifiers.words(),
            "status": status,
            "delay_s": decision.delay_s,
            "by_cluster": decision.by_cluster,
            "rules": [_said(outcome) for outcome in decision.spoke],
            "shadow": [_said(outcome) for outcome in decision.shadow],
            "answer": rendered,
            "cluster": self.cluster,
            "policy": decision.policy,
        }

    def _answered(self) -> tuple[int, dict[str, Any] | None]:
        """The status that the client would have got, and the answer to a refused one."""
        recorded, decision = self.recorded, self.decision
        if decision.refusal is None:
            return recorded.response.status if recorded.response else 200, None
        given = answer(
            self.weighed.dialect,
            decision.refusal,
            decision.limits,
            exchange_id=recorded.id,
            at_ns=self.weighed.arrival.at_ns,
            head=recorded.method == "HEAD",
        )
        body = msgspec.json.decode(given.body) if given.body else None
        return given.status, {"headers": [list(header) for header in given.headers], "body": body}


def _said(outcome: RuleOutcome) -> dict[str, str]:
    return {
        "id": outcome.rule,
        "kind": outcome.kind.value,
        "mode": outcome.mode.value,
        "verdict": outcome.verdict.word,
        "why": outcome.why,
    }
