"""A session replays exchanges through the live engine on the recording's clock.

Nothing sleeps and nothing reads the time: the clock is the `ts` of each exchange, settlements
fall due at the recorded end of each answer, and the detector steps at its fixed times in between.
The same inputs and secrets give the same decisions to the byte.
"""

import heapq
from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from proxy.audit.sync_log import SyncAuditLog
from proxy.facts.clusters import cluster_facts
from proxy.facts.directory import Directory
from proxy.model.decision import Decision
from proxy.model.plan import Readings
from proxy.model.record import Record
from proxy.model.usage import Outcome
from proxy.pipeline.fuses import Blown, Disarmed, Fuses
from proxy.pipeline.pipeline import Pipeline
from proxy.pipeline.weigh import Weighed
from proxy.policy.rules import PolicySet
from proxy.replay.inputs import FilePath, directory_of, settings_of
from proxy.replay.judged import Judged
from proxy.replay.summary import Summary
from proxy.replay.traffic import RecordedExchange, TrafficError, parse_dict
from proxy.replay.usages import Usages
from proxy.settings.assemble import assemble
from proxy.settings.clusters import load_clusters
from proxy.settings.secrets import REPLAY_KEY, configured
from proxy.store.memory import MemoryStore

NS_PER_S = 1_000_000_000
NEVER_SENT = Outcome(status=0, complete=False, usage=None, forwarded=False)
BY_REPLAY = "replay"  # who disarms a rule where nobody is named


class Session:
    """One replay. Use it as a context manager, so that its audit log is closed.

    `config` is a gauger.yaml (upstreams and listeners in it are not used), `accounts` a directory
    as JSON Lines, or one that is loaded already; `geo` and `anonymizers` replace those of the
    configuration, `policy` its policies. `audit` is full, digest (hashes instead of records) or
    none, written to `audit_directory`; nothing else is ever written. Raises ProblemsError,
    DirectoryError, PlacesError or AuditError for inputs that cannot be used.
    """

    def __init__(
        self,
        config: FilePath,
        accounts: FilePath | Directory | None = None,
        geo: Iterable[FilePath] = (),
        anonymizers: FilePath | None = None,
        *,
        policy: PolicySet | None = None,
        audit: str = "none",
        audit_directory: FilePath | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        if audit not in ("full", "digest", "none"):
            msg = f'audit is "full", "digest" or "none", not "{audit}"'
            raise ValueError(msg)
        settings = settings_of(config, geo, anonymizers, environment)
        keys = configured(settings, missing=REPLAY_KEY)
        assert keys is not None
        directory = directory_of(settings.accounts if accounts is None else accounts)
        self._pipeline: Pipeline = assemble(settings, keys, directory, policy)
        if settings.clusters is not None:
            found = load_clusters(settings.clusters)
            self._pipeline.clusters = partial(cluster_facts, found)
        self._fuses = Fuses(self._pipeline.policy)
        self._store = MemoryStore()
        self._log: SyncAuditLog | None = None
        self._audit = (audit, Path(audit_directory) if audit_directory else None)
        self._due: list[tuple[int, int, Weighed, Readings, Outcome]] = []
        self._usages = Usages()
        self._positions = 0
        self._now_ns = 0
        self.summary = Summary()

    @property
    def policy(self) -> PolicySet:
        """The policy set that judges."""
        return self._pipeline.policy

    @property
    def disarmed(self) -> tuple[Disarmed, ...]:
        """The rules that a fuse, or `disarm`, has lowered to shadow."""
        return self._fuses.disarmed

    def exchange(self, line: dict[str, Any] | RecordedExchange) -> dict[str, Any]:
        """Judge one exchange: a dict in the traffic format in, one in the decisions format out.

        Raises TrafficError for a line that cannot be read or goes back in time.
        """
        return self.judge(line).line()

    def judge(self, line: dict[str, Any] | RecordedExchange) -> Judged:
        """The same with everything that the decision rests on."""
        try:
            recorded = line if isinstance(line, RecordedExchange) else parse_dict(line)
        except ValueError as error:
            raise TrafficError(str(error)) from error
        if recorded.at_ns < self._now_ns:
            msg = f"exchange {recorded.id} goes back in time (ts {recorded.ts})"
            raise TrafficError(msg)
        self._advance(recorded.at_ns)
        arrival = recorded.arrival()
        pipeline = self._pipeline
        surface = pipeline.surface(arrival.method, arrival.path, arrival.headers)
        who = pipeline.identify(arrival.headers, arrival.at_ns, named_key=arrival.named_key)
        weighed = pipeline.weigh(arrival, surface, who)
        readings = self._store.take(weighed.plan)
        decision = pipeline.decide(weighed, readings)
        if decision.refusal is not None and readings.taken:
            # A rule over readings refused: what the store took for it is given back at once.
            corrections = pipeline.settle(weighed, readings, NEVER_SENT)
            self._store.correct(weighed.plan, corrections)
        position = self._record_decision(weighed, readings, decision)
        pipeline.observe(weighed, decision, position)
        blown = self._watch_fuses(weighed, decision)
        if decision.refusal is None:
            self._forward(recorded, weighed, readings)
        self.summary.add(weighed, decision)
        return Judged(recorded, weighed, readings, decision, blown)

    def adopt(self, policy: PolicySet) -> None:
        """Judge by another policy set from now on, as a gateway does that takes up new files."""
        self._pipeline.adopt(policy)
        self._fuses.adopt(policy)
        self._pipeline.disarmed = self._fuses.names

    def disarm(self, rule: str, why: str = "", who: str = BY_REPLAY) -> None:
        """Lower a rule to shadow from now on. ValueError for a legal rule, or none of the set."""
        self._fuses.disarm(self._known(rule), who, why, self._now_ns)
        self._pipeline.disarmed = self._fuses.names

    def arm(self, rule: str) -> None:
        """Let a rule act again that a fuse, or `disarm`, had lowered. ValueError for no rule."""
        self._fuses.arm(self._known(rule))
        self._pipeline.disarmed = self._fuses.names

    def advance(self, to_ts: float) -> None:
        """Let time pass until `to_ts` (Unix seconds): answers end, the detector steps."""
        self._advance(round(to_ts * 1_000_000) * 1_000)

    def add_account(self, account: dict[str, Any]) -> None:
        """Open an account (or replace it) while the replay runs; the dict is a directory line."""
        self._pipeline.directory.add(account)

    def clusters(self) -> list[dict[str, Any]]:
        """Clusters as they stand, in the clusters format. The present detector states none."""
        return []

    def cluster_events(self) -> list[dict[str, Any]]:
        """Events since the last call, in the cluster_events format. None, as above."""
        return []

    def close(self) -> None:
        """Settle what is still open and close the audit log."""
        while self._due:
            self._settle_next()
        if self._log is not None:
            self._log.close()
            self._log = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _advance(self, to_ns: int) -> None:
        while self._due and self._due[0][0] <= to_ns:
            self._settle_next()
        self._now_ns = max(self._now_ns, to_ns)
        self._pipeline.advance(self._now_ns)

    def _settle_next(self) -> None:
        ended_ns, _, weighed, readings, outcome = heapq.heappop(self._due)
        corrections = self._pipeline.settle(weighed, readings, outcome)
        self._store.correct(weighed.plan, corrections)
        self._append(self._pipeline.completion_record(weighed, outcome, corrections, ended_ns))

    def _forward(self, recorded: RecordedExchange, weighed: Weighed, readings: Readings) -> None:
        """Schedule the settlement of an admitted exchange at the recorded end of its answer."""
        response = recorded.response
        model = (weighed.asked.model if weighed.asked else None) or ""
        usage = response.read_usage() if response else self._usages.imputed(model)
        if response and usage is not None:
            self._usages.note(model, usage)
        elif response is None:
            self.summary.imputed += 1
        status = response.status if response else 200
        outcome = Outcome(status=status, complete=True, usage=usage)
        ended_ns = weighed.arrival.at_ns + round(
            (response.duration_s if response else 0.0) * NS_PER_S
        )
        self._positions += 1
        heapq.heappush(self._due, (ended_ns, self._positions, weighed, readings, outcome))
        self.summary.count_tokens("admitted", usage)

    def _record_decision(self, weighed: Weighed, readings: Readings, decision: Decision) -> int:
        log = self._opened_log(weighed.arrival.at_ns)
        if log is None:
            self._positions += 1
            return self._positions
        return log.append(self._pipeline.decision_record(weighed, readings, decision))

    def _watch_fuses(self, weighed: Weighed, decision: Decision) -> tuple[Blown, ...]:
        """Count whom the decision refused; a fuse that blows by it is recorded."""
        if weighed.caller is None or not decision.verdict.refuses:
            return ()
        account, arrival = weighed.caller.account.account, weighed.arrival
        blown = self._fuses.observe(decision, account, arrival.at_ns)
        for one in blown:
            self._pipeline.disarmed = self._fuses.names
            self.summary.blown(one, arrival.id)
            self._append(one.record(arrival.id))
        return blown

    def _known(self, rule: str) -> str:
        if rule not in self.policy.by_id:
            msg = f'there is no rule "{rule}"'
            raise ValueError(msg)
        return rule

    def _append(self, record: Record) -> None:
        if log := self._opened_log(record.at_ns):
            log.append(record)

    def _opened_log(self, at_ns: int) -> SyncAuditLog | None:
        """The audit log, begun at the time of its first record."""
        how, directory = self._audit
        if self._log is None and how != "none" and directory is not None:
            self._log = SyncAuditLog.create(
                directory, log_id="replay", at_ns=at_ns, digests=how == "digest"
            )
        return self._log
