"""Fuses and disarmed rules of a running gateway: what is lowered to shadow, by whom, and why.

What an operator is told to be done is on the disk by then; a blown fuse is written beside the
exchanges, which do not wait for it. What another worker changed is taken up from the file, and
recorded here too: each worker's log says from when on its decisions were made otherwise.
"""

import time
from difflib import get_close_matches

import structlog

from proxy.audit.errors import AuditUnavailable
from proxy.audit.log import AuditLog
from proxy.gateway.admin import Call, Told
from proxy.gateway.disarmed_file import DisarmedFile
from proxy.gateway.ids import exchange_id
from proxy.gateway.metrics import Metrics
from proxy.model.decision import Decision
from proxy.model.record import Json, Record
from proxy.model.verdict import Mode
from proxy.pipeline.fuses import Blown, Change, Disarmed
from proxy.pipeline.pipeline import Pipeline
from proxy.pipeline.weigh import Weighed
from proxy.policy.ending import utc_text
from proxy.policy.rules import AnyRule, PolicySet

log = structlog.get_logger("gauger.policies")


class Disarming:
    """Which rules act: `pipeline.disarmed` is what the fuses say, and `file` holds the same."""

    def __init__(
        self, file: DisarmedFile, pipeline: Pipeline, audit: AuditLog, metrics: Metrics
    ) -> None:
        self.file = file
        self._fuses = file.fuses
        self._pipeline = pipeline
        self._audit = audit
        self._metrics = metrics
        pipeline.disarmed = self._fuses.names
        file.took = self._took

    @property
    def names(self) -> frozenset[str]:
        """Ids of the rules that are lowered to shadow."""
        return self._fuses.names

    def adopt(self, policy: PolicySet) -> None:
        """Watch the rules of another policy set. What is disarmed stays so, and is told."""
        self._fuses.adopt(policy)
        self._pipeline.disarmed = self._fuses.names
        for held in self._fuses.overruled:
            log.error("a disarmed rule acts: it is legal now", rule=held.rule, by=held.who)
        if self.names:
            log.warning("rules are disarmed", rules=sorted(self.names))

    def observe(self, weighed: Weighed, decision: Decision) -> None:
        """Count whom a decision refused; a fuse that blows by it is recorded and told."""
        if weighed.caller is None or not decision.verdict.refuses:
            return
        arrival = weighed.arrival
        account = weighed.caller.account.account
        for blown in self._fuses.observe(decision, account, arrival.at_ns):
            self._blown(blown, arrival.id)

    async def disarm(self, call: Call) -> Told:
        """Lower a rule to shadow until somebody arms it."""
        await self.file.look()
        rule = call.path["rule"]
        known = self._pipeline.policy.by_id.get(rule)
        if known is None and not self._held(rule):
            return self._unknown(rule)
        try:
            before = self._fuses.disarm(rule, call.principal, call.body.why, time.time_ns())
        except ValueError as legal:
            return Told(409, str(legal))
        said = f"{rule} is disarmed: it records what it would do, and does nothing else"
        if known is None:
            said = f"{rule} is disarmed; it is not in the policy set now"
        elif known.mode is Mode.SHADOW:
            said = f"{rule} is disarmed; its mode is shadow, so it did nothing anyway"
        return await self._changed(
            said + (f" (it was already, {_since(before)})" if before else "")
        )

    async def arm(self, call: Call) -> Told:
        """Let a rule act again."""
        await self.file.look()
        rule = call.path["rule"]
        known = self._pipeline.policy.by_id.get(rule)
        if known is None and not self._held(rule):
            return self._unknown(rule)
        before = self._fuses.arm(rule)
        if before is None:
            return await self._kept(f"{rule} is armed already{_but(known)}")
        return await self._changed(
            f"{rule} is armed{_but(known)} (it was disarmed {_since(before)})"
        )

    async def listed(self, _: Call) -> Told:
        """Every rule, and whether it is armed."""
        await self.file.look()
        held = {one.rule: one for one in self._fuses.disarmed}
        policy = self._pipeline.policy
        rules: list[Json] = [_listed(rule, held.pop(rule.id, None)) for rule in policy.rules]
        rules += [_absent(one) for one in held.values()]
        return Told(200, "listed", {"policy": policy.digest, "rules": rules})

    def refresh(self) -> None:
        """Bring the gauge of every rule up to date."""
        rules = {rule.id for rule in self._pipeline.policy.rules}
        self._metrics.disarmed({rule: rule in self.names for rule in rules | self.names})

    async def _changed(self, said: str) -> Told:
        """Put a change in force, and say so once it is on the disk."""
        self._put()
        log.warning("disarmed rules changed", said=said)
        return await self._kept(said)

    async def _kept(self, said: str) -> Told:
        """What to say when all is on the disk: also what an earlier answer could not promise."""
        problem = await self.file.save()
        if problem is None:
            return Told(200, said)
        but = f"but that could not be saved ({problem}): a restart would undo it. It is tried again"
        return Told(500, f"{said}, {but}")

    def _put(self) -> None:
        self._pipeline.disarmed = self._fuses.names
        self.file.change()

    def _blown(self, blown: Blown, exchange: str) -> None:
        self._put()
        self._metrics.fuses_blown.inc()
        record = blown.record(exchange)
        log.error("a fuse has blown: the rule is disarmed", **record.fields)
        try:
            self._audit.append(record)
        except AuditUnavailable as error:
            log.error("a blown fuse is not recorded", rule=blown.rule, problem=str(error))

    def _took(self, changes: tuple[Change, ...]) -> None:
        """Put in force, tell and record what another process changed."""
        self._pipeline.disarmed = self._fuses.names
        at_ns = time.time_ns()
        for change in changes:
            fields: dict[str, Json] = {"rule": change.rule, "disarmed": change.held is not None}
            if held := change.held:
                fields |= {"who": held.who, "why": held.why, "since": utc_text(held.since_ns)}
            log.warning("disarmed rules changed elsewhere", **fields)
            try:
                self._audit.append(Record("disarmed", exchange_id(at_ns), at_ns, fields))
            except AuditUnavailable as error:
                problem = str(error)
                log.error("a changed rule is not recorded", rule=change.rule, problem=problem)

    def _held(self, rule: str) -> bool:
        return any(one.rule == rule for one in self._fuses.disarmed)

    def _unknown(self, rule: str) -> Told:
        policy = self._pipeline.policy
        if any(exception.id == rule for exception in policy.exceptions):
            said = f"{rule} is an exception, not a rule: end it in the policy files"
            return Told(404, said)
        known = {*policy.by_id, *(one.rule for one in self._fuses.disarmed)}
        near = get_close_matches(rule, known, n=1)
        hint = f' (did you mean "{near[0]}"?)' if near else ""
        return Told(404, f'there is no rule "{rule[:63]}"{hint}')


def _since(held: Disarmed) -> str:
    return f"by {held.who} since {utc_text(held.since_ns)}: {held.why}"


def _but(rule: AnyRule | None) -> str:
    """What an operator must know who wants a rule to act."""
    if rule is None:
        return ", but it is not in the policy set now"
    return "" if rule.mode is Mode.ENFORCE else f", but its mode is {rule.mode.value}"


def _listed(rule: AnyRule, held: Disarmed | None) -> Json:
    return {
        "id": rule.id,
        "kind": rule.kind.value,
        "mode": rule.mode.value,
        "severity": rule.severity.value,
        "labels": list(rule.labels),
        "legal": rule.legal,
        "armed": held is None or rule.legal,
        "disarmed": _who(held),
    }


def _absent(held: Disarmed) -> Json:
    """A disarmed rule that the policy set does not have now."""
    nothing = dict.fromkeys(("kind", "mode", "severity"))
    return {
        "id": held.rule,
        **nothing,
        "labels": [],
        "legal": False,
        "armed": False,
        "disarmed": _who(held),
    }


def _who(held: Disarmed | None) -> Json:
    if held is None:
        return None
    return {"who": held.who, "why": held.why, "since": utc_text(held.since_ns)}
