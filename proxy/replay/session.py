"""A session replays exchanges through the live engine on the recording's clock.

Nothing sleeps and nothing reads the time: the clock is the `ts` of each exchange, settlements
fall due at the recorded end of each answer, and the detector steps at its fixed times in between.
The same inputs and secrets give the same decisions to the byte.
"""

import heapq
import os
from collections import defaultdict, deque
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import msgspec

from proxy.audit.sync_log import SyncAuditLog
from proxy.facts.directory import Directory
from proxy.model.decision import Decision, RuleOutcome
from proxy.model.plan import Readings
from proxy.model.usage import Outcome, Usage
from proxy.pipeline.pipeline import Pipeline
from proxy.pipeline.weigh import Weighed
from proxy.replay.summary import Summary
from proxy.replay.traffic import RecordedExchange, TrafficError, parse_dict
from proxy.settings.assemble import assemble
from proxy.settings.load import load as load_settings
from proxy.settings.secrets import REPLAY_KEY, configured
from proxy.store.memory import MemoryStore
from proxy.wire.refuse import answer

NS_PER_S = 1_000_000_000
MEDIAN_OVER = 501  # answers of a model that the imputed usage is the median of

FilePath = str | os.PathLike[str]


class Session:
    """One replay. Use it as a context manager, so that its audit log is closed.

    `config` is a gauger.yaml (upstreams and listeners in it are not used), `accounts` a directory
    as JSON Lines; `geo` and `anonymizers` replace those of the configuration. `audit` is full,
    digest (hashes instead of records) or none, written to `audit_directory`. Raises
    ProblemsError, DirectoryError, PlacesError or AuditError for inputs that cannot be used.
    """

    def __init__(
        self,
        config: FilePath,
        accounts: FilePath | None = None,
        geo: Iterable[FilePath] = (),
        anonymizers: FilePath | None = None,
        *,
        audit: str = "none",
        audit_directory: FilePath | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        # Replay forwards nothing, so that upstream credentials are neither needed nor looked for.
        settings = load_settings(
            Path(config), os.environ if environment is None else environment, upstreams=False
        )
        databases = [Path(path) for path in geo] or settings.geo.databases
        places = settings.geo.model_copy(
            update={
                "databases": databases,
                "anonymizers": Path(anonymizers) if anonymizers else settings.geo.anonymizers,
            }
        )
        settings = settings.model_copy(update={"geo": places})
        keys = configured(settings, missing=REPLAY_KEY)
        assert keys is not None
        source = Path(accounts) if accounts else settings.accounts
        directory = Directory.from_file(source) if source else Directory.empty()
        self._pipeline: Pipeline = assemble(settings, keys, directory)
        self._store = MemoryStore()
        self._log: SyncAuditLog | None = None
        self._audit = (audit, Path(audit_directory) if audit_directory else None)
        self._due: list[tuple[int, int, Weighed, Readings, Outcome]] = []
        self._usages: defaultdict[str, deque[Usage]] = defaultdict(
            lambda: deque(maxlen=MEDIAN_OVER)
        )
        self._positions = 0
        self._now_ns = 0
        self.summary = Summary()
        if audit not in ("full", "digest", "none"):
            msg = f'audit is "full", "digest" or "none", not "{audit}"'
            raise ValueError(msg)

    def exchange(self, line: dict[str, Any] | RecordedExchange) -> dict[str, Any]:
        """Judge one exchange: a dict in the traffic format in, one in the decisions format out.

        Raises TrafficError for a line that cannot be read or goes back in time.
        """
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
        position = self._record_decision(weighed, readings, decision)
        pipeline.observe(weighed, decision, position)
        if decision.refusal is None:
            self._forward(recorded, weighed, readings)
        decided = _decided(recorded, weighed, decision)
        self.summary.add(weighed, decision, decided)
        return decided

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
        self._store.correct(corrections)
        if log := self._opened_log(ended_ns):
            log.append(self._pipeline.completion_record(weighed, outcome, corrections, ended_ns))

    def _forward(self, recorded: RecordedExchange, weighed: Weighed, readings: Readings) -> None:
        """Schedule the settlement of an admitted exchange at the recorded end of its answer."""
        response = recorded.response
        model = (weighed.asked.model if weighed.asked else None) or ""
        usage = response.read_usage() if response else self._imputed(model)
        if response and usage is not None:
            self._usages[model].append(usage)
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

    def _imputed(self, model: str) -> Usage | None:
        """The median of the model's recent usages, by total; None before any was seen."""
        seen = sorted(self._usages[model], key=lambda usage: usage.total_tokens)
        return seen[len(seen) // 2] if seen else None

    def _record_decision(self, weighed: Weighed, readings: Readings, decision: Decision) -> int:
        log = self._opened_log(weighed.arrival.at_ns)
        if log is None:
            self._positions += 1
            return self._positions
        return log.append(self._pipeline.decision_record(weighed, readings, decision))

    def _opened_log(self, at_ns: int) -> SyncAuditLog | None:
        """The audit log, begun at the time of its first record."""
        how, directory = self._audit
        if self._log is None and how != "none" and directory is not None:
            self._log = SyncAuditLog.create(
                directory, log_id="replay", at_ns=at_ns, digests=how == "digest"
            )
        return self._log


def _decided(recorded: RecordedExchange, weighed: Weighed, decision: Decision) -> dict[str, Any]:
    status = recorded.response.status if recorded.response else 200
    rendered: dict[str, Any] | None = None
    if decision.refusal is not None:
        given = answer(
            weighed.dialect,
            decision.refusal,
            decision.limits,
            exchange_id=recorded.id,
            at_ns=weighed.arrival.at_ns,
            head=recorded.method == "HEAD",
        )
        status = given.status
        body = msgspec.json.decode(given.body) if given.body else None
        rendered = {"headers": [list(header) for header in given.headers], "body": body}
    return {
        "id": recorded.id,
        "ts": recorded.ts,
        "account": weighed.caller.account.account if weighed.caller else None,
        "verdict": decision.verdict.word,
        "modifiers": [],
        "status": status,
        "delay_s": decision.delay_s,
        "by_cluster": decision.by_cluster,
        "rules": [_said(outcome) for outcome in decision.spoke],
        "shadow": [_said(outcome) for outcome in decision.shadow],
        "answer": rendered,
        "cluster": None,
        "policy": decision.policy,
    }


def _said(outcome: RuleOutcome) -> dict[str, str]:
    return {
        "id": outcome.rule,
        "kind": outcome.kind.value,
        "mode": outcome.mode.value,
        "verdict": outcome.verdict.word,
        "why": outcome.why,
    }
