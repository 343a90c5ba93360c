"""A session replays exchanges through the live engine on the recording's clock.

Nothing sleeps and nothing reads the time: the clock is the `ts` of each exchange, settlements
fall due at the recorded end of each answer, and the detector steps at its fixed times in between.
The same inputs and secrets give the same decisions to the byte.
"""

from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from proxy.audit.sync_log import SyncAuditLog
from proxy.facts.clusters import cluster_facts
from proxy.facts.directory import Directory
from proxy.facts.relations import Relations
from proxy.model.batch import BatchCount
from proxy.model.decision import Decision, Refusal
from proxy.model.facts import FactValue
from proxy.model.plan import Correction, Readings
from proxy.model.record import Record
from proxy.model.usage import Outcome
from proxy.model.verdict import Algorithm
from proxy.pipeline.fuses import Blown, Disarmed, Fuses
from proxy.pipeline.pipeline import Pipeline
from proxy.pipeline.weigh import Weighed
from proxy.policy.rules import PolicySet
from proxy.replay.ahead import Reader
from proxy.replay.answers import Answers
from proxy.replay.batches import BATCHED, Batches, counted, uploads
from proxy.replay.detecting import Detecting, Detects
from proxy.replay.detector_of import detector_of, sketch_of
from proxy.replay.inputs import FilePath, directory_of, settings_of
from proxy.replay.judged import Judged
from proxy.replay.summary import Summary
from proxy.replay.told import Line, Prepared, prepared_from
from proxy.replay.traffic import TrafficError
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
    DirectoryError, PlacesError or AuditError for inputs that cannot be used. `detector` stands in
    for the one that the settings ask for.
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
        detector: Detects | None = None,
    ) -> None:
        if audit not in ("full", "digest", "none"):
            msg = f'audit is "full", "digest" or "none", not "{audit}"'
            raise ValueError(msg)
        settings = settings_of(config, geo, anonymizers, environment)
        keys = configured(settings, missing=REPLAY_KEY)
        assert keys is not None
        self._key, self._max_depth = keys.fingerprint, settings.server.max_json_depth
        directory = directory_of(settings.accounts if accounts is None else accounts)
        self._pipeline: Pipeline = assemble(settings, keys, directory, policy)
        written = load_clusters(settings.clusters) if settings.clusters is not None else None
        if written is not None:
            self._pipeline.clusters = partial(cluster_facts, written, None)
        detector = detector or detector_of(settings, keys.fingerprint)
        self._detecting: Detecting | None = None
        if detector is not None:
            make = partial(sketch_of, key=keys.fingerprint)
            self._detecting = Detecting(detector, self._pipeline, written, make)
        self._relations = Relations(keys.fingerprint)
        self._fuses = Fuses(self._pipeline.policy)
        self._store = MemoryStore()
        self._log: SyncAuditLog | None = None
        self._audit = (audit, Path(audit_directory) if audit_directory else None)
        self._answers = Answers()
        self._batches = Batches()
        self._positions = 0
        self._now_ns = 0
        self.summary = Summary()

    @property
    def policy(self) -> PolicySet:
        """The policy set that judges."""
        return self._pipeline.policy

    def reader(self) -> Reader:
        """What reads lines ahead for this session, here or in another process."""
        return Reader(self._key, self._max_depth, sketches=self._detecting is not None)

    @property
    def disarmed(self) -> tuple[Disarmed, ...]:
        """The rules that a fuse, or `disarm`, has lowered to shadow."""
        return self._fuses.disarmed

    def exchange(self, line: Line) -> dict[str, Any]:
        """Judge one exchange: a dict in the traffic format in, one in the decisions format out.

        Raises TrafficError for a line that cannot be read or goes back in time.
        """
        return self.judge(line).line()

    def judge(self, line: Line) -> Judged:
        """The same with everything that the decision rests on."""
        prepared = prepared_from(line)
        recorded, arrival = prepared.recorded, prepared.arrival
        if arrival.at_ns < self._now_ns:
            msg = f"exchange {recorded.id} goes back in time (ts {recorded.ts})"
            raise TrafficError(msg)
        self._advance(arrival.at_ns)
        pipeline = self._pipeline
        weighed = self._weigh(prepared)
        readings = self._store.take(weighed.plan)
        decision = pipeline.decide(weighed, readings)
        if decision.refusal is not None and readings.taken:
            # A rule over readings refused: what the store took for it is given back at once.
            corrections = pipeline.settle(weighed, readings, NEVER_SENT)
            self._store.correct(weighed.plan, corrections)
        position = self._record_decision(weighed, readings, decision)
        if self._detecting is not None:
            self._detecting.sketched = prepared.sketched
        pipeline.observe(weighed, decision, position)
        blown = self._watch_fuses(weighed, decision)
        if decision.refusal is None:
            self._forward(prepared, weighed, readings)
        self.summary.add(weighed, decision)
        self.summary.lacked(prepared.given.lacking, weighed, pipeline.policy)
        return Judged(recorded, weighed, readings, decision, self._cluster(weighed), blown)

    def _weigh(self, prepared: Prepared) -> Weighed:
        """Whose it is, what it asks for, and what the rules want for it."""
        pipeline, arrival, problem = self._pipeline, prepared.arrival, prepared.problem
        surface = pipeline.surface(arrival.method, arrival.path, arrival.headers)
        who = pipeline.identify(
            arrival.headers,
            arrival.at_ns,
            named_account=arrival.named_account,
            named_key=arrival.named_key,
        )
        batch = None
        if isinstance(who, Refusal):
            who = problem or who
        elif surface is not None and problem is None and surface.name in BATCHED:
            count = prepared.batch or counted(surface, arrival, pipeline.batch_sample())
            ordered = self._batches.ordered(who.account.account, arrival, count)
            self.summary.batches_unknown = self._batches.unknown
            problem = ordered if isinstance(ordered, Refusal) else None
            batch = ordered if isinstance(ordered, BatchCount) else None
        return pipeline.weigh(arrival, surface, who, problem, batch, prepared.given)

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
        """Clusters as the detector states them now, in the clusters format."""
        return self._detecting.clusters() if self._detecting else []

    def cluster_events(self) -> list[dict[str, Any]]:
        """Events since the last call, in the cluster_events format."""
        return self._detecting.events() if self._detecting else []

    def close(self) -> None:
        """Settle what is still open and close the audit log."""
        while due := self._answers.next():
            self._settle(*due)
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
        while due := self._answers.next(to_ns):
            self._settle(*due)
        self._now_ns = max(self._now_ns, to_ns)
        self._pipeline.advance(self._now_ns)
        changed = self._detecting is not None and self._detecting.advance(self._now_ns)
        if changed and self._detecting is not None and (log := self._opened_log(self._now_ns)):
            log.append(self._detecting.record(self._now_ns))

    def _settle(
        self, ended_ns: int, _: int, weighed: Weighed, readings: Readings, outcome: Outcome
    ) -> None:
        if weighed.batch is not None and outcome.forwarded and outcome.status < 400:
            # It goes on after the answer: what it took stays counted, but for its leases.
            leases = [c for c in weighed.plan.charges if c.algorithm is Algorithm.CONCURRENT]
            corrections = tuple([Correction(lease, -1) for lease in leases if readings.taken])
        else:
            corrections = self._pipeline.settle(weighed, readings, outcome)
        self._store.correct(weighed.plan, corrections)
        self._append(self._pipeline.completion_record(weighed, outcome, corrections, ended_ns))

    def _forward(self, prepared: Prepared, weighed: Weighed, readings: Readings) -> None:
        """Schedule the settlement of an admitted exchange at the recorded end of its answer."""
        usage, imputed = self._answers.expect(prepared.recorded, weighed, readings)
        self.summary.admitted(usage, imputed=imputed)
        if weighed.caller is not None and uploads(weighed.surface, weighed.arrival):
            count = prepared.batch or counted(
                weighed.surface, weighed.arrival, self._pipeline.batch_sample()
            )
            if count is not None:
                self._batches.uploaded(weighed.caller.account.account, count)

    def _record_decision(self, weighed: Weighed, readings: Readings, decision: Decision) -> int:
        log = self._opened_log(weighed.arrival.at_ns)
        if log is None:
            self._positions += 1
            return self._positions
        return log.append(self._pipeline.decision_record(weighed, readings, decision))

    def _cluster(self, weighed: Weighed) -> str | None:
        """The account's cluster at this moment, also where the request was refused unread."""
        facts: Mapping[str, FactValue] = weighed.facts
        if "cluster.id" not in facts:
            if weighed.caller is None:
                return None
            facts = self._pipeline.clusters(self._relations.of(weighed.caller.account), ())
        return str(facts.get("cluster.id") or "") or None

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
