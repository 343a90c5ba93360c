"""Keeping the policy set current while serving: edited, checked aside, swapped between exchanges.

A set with a fault changes nothing: the one in force stays, over a restart too, and log, readiness
and metrics say why the files are not. Each set that comes into force is archived and recorded by
its digest, with whose change it was where the deployment says so.
"""

import asyncio
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

import structlog

from proxy.audit.errors import AuditUnavailable, BadRecord
from proxy.audit.log import AuditLog
from proxy.gateway.ids import exchange_id
from proxy.gateway.last_good import Begun, current_of, seen
from proxy.gateway.logs import told
from proxy.gateway.policy_files import ChangingError, Reading, Signature, read_whole, signature
from proxy.model.record import Json, Record
from proxy.model.verdict import RuleKind, Severity
from proxy.pipeline.pipeline import Pipeline
from proxy.policy.archive import Archive, Current
from proxy.policy.ending import endings, utc_text
from proxy.policy.problem import ProblemsError
from proxy.policy.resets import counters_reset
from proxy.policy.rules import AnyRule, PolicySet

LOOK_EVERY_S = 0.5
DAY_NS = 86_400 * 1_000_000_000

log = structlog.get_logger("gauger.policies")


class Policies:
    """The files of the policy set, and which set is in force.

    `error` is why the files' present state is not in force, or None; `unkept` why the set in force
    is not archived, so that a restart could not come back to it. `adopt` is called with each set,
    between two exchanges.
    """

    def __init__(
        self,
        directory: Path,
        archive: Archive,
        audit: AuditLog,
        begun: Begun,
        adopt: Callable[[PolicySet], None],
    ) -> None:
        self.error = begun.fault
        self.unkept: str | None = None
        self.policy = begun.policy
        self.current = begun.current
        self._directory = directory
        self._archive = archive
        self._audit = audit
        self._adopt = adopt
        self._seen: Signature = begun.reading.signature
        self._looked = self._seen
        self._told_ns = 0
        self._turn = asyncio.Lock()

    def begin(self, begun: Begun) -> None:
        """Note and record the set that the process starts with. Blocks meanwhile."""
        if begun.fault is not None:
            log.error("policies refused, the last good set serves", problems=begun.fault)
            self.unkept = self._pointed(begun.current)
        else:
            self.unkept = self._kept(begun.current, begun.reading)
        self._in_force(begun.policy, begun.current, (), last_good=begun.fault is not None)

    async def watch(self, pipeline: Pipeline) -> None:
        """Take up changes of the files, once they hold still, until cancelled."""
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            self.tell_endings(time.time_ns())
            await self.look(pipeline)

    async def look(self, pipeline: Pipeline) -> None:
        """Take up the files if they have changed, and not again since the look before this."""
        before, self._looked = self._looked, await asyncio.to_thread(signature, self._directory)
        if self._looked != before or self._looked == self._seen:
            return
        try:
            await self.reload(pipeline)
        except Exception as error:  # the boundary: a file that trips us up is edited again
            self.error = "a defect: the log says where, and the set in force stays"
            log.error("defect", **told(error))

    async def reload(self, pipeline: Pipeline) -> tuple[bool, str]:
        """Read the files now; whether they are in force now, and what to tell about it."""
        async with self._turn:
            reading: Reading | None = None
            try:
                reading = await asyncio.to_thread(read_whole, self._directory)
                self._seen = reading.signature
                policy = await asyncio.to_thread(reading.compiled)
            except ProblemsError as error:
                await self._pass_over(reading)
                return False, self._refused(error)
            self.error = None
            if policy.digest == pipeline.policy.digest:
                await self._pass_over(reading)
                return True, f"unchanged, {policy.digest}"
            return True, await self._swap(pipeline, policy, reading)

    async def _swap(self, pipeline: Pipeline, policy: PolicySet, reading: Reading) -> str:
        """Put a set in force, and what to tell about it."""
        mark, now_ns = self.current.mark, time.time_ns()
        current = current_of(self._directory, reading, policy, mark, now_ns)
        # Archived before a decision can name it.
        self.unkept = await asyncio.to_thread(self._kept, current, reading)
        reset = counters_reset(pipeline.policy, policy)
        pipeline.adopt(policy)
        self._in_force(policy, current, reset)
        said = f"{len(policy.rules)} rules, {policy.digest}"
        return f"{said}; counting from nothing: {', '.join(reset)}" if reset else said

    async def _pass_over(self, reading: Reading | None) -> None:
        """Files were read that changed nothing: a name beside them names no later set."""
        if reading is None or (current := seen(self.current, reading)) == self.current:
            return
        self.current = current
        await asyncio.to_thread(self._pointed, current)

    def tell_endings(self, at_ns: int) -> None:
        """Warn of exceptions and rules that have ended or soon will, once a day."""
        if at_ns - self._told_ns < DAY_NS:
            return
        self._told_ns = at_ns
        for ending in endings(self.policy, at_ns):
            log.warning("a policy comes to its end", problem=str(ending), policy=self.policy.digest)

    def exceptions_ending(self, at_ns: int) -> int:
        """How many exceptions have run out or will within two weeks."""
        found = endings(self.policy, at_ns)
        return sum(ending.kind is RuleKind.EXCEPTION for ending in found)

    def readiness(self, at_ns: int) -> dict[str, Json]:
        """What readiness tells of the policies."""
        return {
            "policy": self.policy.digest,
            "policy_committer": self.current.committer,
            "policy_since": utc_text(self.current.since_ns),
            "policy_problem": self.error,
            "policy_archive_problem": self.unkept,
            "policy_endings": [str(ending) for ending in endings(self.policy, at_ns)],
        }

    def _refused(self, error: ProblemsError) -> str:
        self.error = str(error)
        if isinstance(error, ChangingError):
            self._seen = ()  # to be looked at again, whatever they are then
            log.warning("policies not read", problems=self.error)
        else:
            log.error("policies refused, the set in force stays", problems=self.error)
        return self.error

    def _kept(self, current: Current, reading: Reading) -> str | None:
        """Archive a set as the last good one; why that failed, or None. Blocks meanwhile."""
        try:
            self._archive.keep(current.digest, reading.texts)
        except OSError as error:
            log.error("policies not archived", digest=current.digest, problem=str(error))
            return str(error)
        return self._pointed(current)

    def _pointed(self, current: Current) -> str | None:
        """Note which set is in force, for the next start; why that failed, or None. Blocks."""
        try:
            self._archive.point_at(current)
        except OSError as error:
            log.error("policies not noted as in force", digest=current.digest, problem=str(error))
            return str(error)
        return None

    def _in_force(
        self,
        policy: PolicySet,
        current: Current,
        reset: tuple[str, ...],
        *,
        last_good: bool = False,
    ) -> None:
        self.policy, self.current = policy, current
        self._adopt(policy)
        log.info(
            "policies in force",
            digest=policy.digest,
            rules=len(policy.rules),
            committer=current.committer,
        )
        if reset:
            log.warning("quotas count from nothing", quotas=reset, policy=policy.digest)
        self._record(policy, current, reset, last_good=last_good)
        self._told_ns = 0
        self.tell_endings(time.time_ns())

    def _record(
        self, policy: PolicySet, current: Current, reset: Iterable[str], *, last_good: bool
    ) -> None:
        fields: dict[str, Json] = {"policy": policy.digest, "committer": current.committer}
        if last_good:
            fields["last_good"] = True
        if reset:
            fields["reset"] = list(reset)
        full: list[Json] = [_listed(rule) for rule in policy.rules]
        brief: list[Json] = [{"id": rule.id} for rule in policy.rules]
        try:
            self._append_one_of(
                fields | {"rules": full},
                fields | {"rules": brief},
                fields | {"rules_left_out": len(brief)},
            )
        except (AuditUnavailable, BadRecord) as error:
            log.error("policies not recorded", digest=policy.digest, problem=str(error))

    def _append_one_of(self, *candidates: dict[str, Json]) -> None:
        """Record the first that is not longer than a line may be."""
        *longer, shortest = candidates
        for fields in longer:
            with suppress(BadRecord):
                return self._append(fields)
        return self._append(shortest)

    def _append(self, fields: dict[str, Json]) -> None:
        at_ns = time.time_ns()
        self._audit.append(Record("policy", exchange_id(at_ns), at_ns, fields))


def _listed(rule: AnyRule) -> dict[str, Json]:
    """What the record says of a rule."""
    said: dict[str, Json] = {"id": rule.id, "kind": rule.kind.value, "mode": rule.mode.value}
    if rule.severity is not Severity.INFORMATIONAL:
        said["severity"] = rule.severity.value
    if rule.labels:
        said["labels"] = list(rule.labels)
    return said
