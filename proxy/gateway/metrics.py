"""What Prometheus is told. No label names an account, a key or an address."""

from collections.abc import Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from proxy.model.decision import Decision, Modifiers, Refusal
from proxy.store.counters import Status

_ADDED = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0)
_UPSTREAM = (0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)


STORE_FIGURES = frozenset(
    {"replicas", "unanswered", "not_asked", "late", "local", "local_refused", "dropped"}
    | {"untold_reservations", "untold_exchanges", "untold_counters"}
)


class Metrics:
    """Counters and histograms of one gateway, in a registry of its own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._exchanges = Counter(
            "gauger_exchanges",
            "Exchanges by surface and verdict.",
            ["surface", "verdict"],
            registry=self.registry,
        )
        self._rules = Counter(
            "gauger_rule_verdicts",
            "What rules said, by mode.",
            ["rule", "mode", "verdict"],
            registry=self.registry,
        )
        self._turned_away = Counter(
            "gauger_turned_away",
            "Requests refused before judgement, which have no record, by reason.",
            ["reason"],
            registry=self.registry,
        )
        self._modified = Counter(
            "gauger_modified_exchanges",
            "Exchanges changed by rules: strip, reroute, clamp as sent on; cut as a stream ends.",
            ["modifier"],
            registry=self.registry,
        )
        self._delays = Counter(
            "gauger_delays",
            "Delays by what became of them: enacted, or skipped because too many were under way.",
            ["outcome"],
            registry=self.registry,
        )
        self._store_open = Gauge(
            "gauger_store_unavailable",
            "Whether the shared store does not answer, so that rules act by on_unavailable.",
            registry=self.registry,
        )
        self._counts_failed = Gauge(
            "gauger_counts_failed",
            "Whether counts are not kept as they should be: readiness says why.",
            registry=self.registry,
        )
        self._store = Gauge(
            "gauger_store",
            "Figures of the shared store: replicas, unanswered, local, untold and dropped.",
            ["figure"],
            registry=self.registry,
        )
        self._failures = Counter(
            "gauger_upstream_failures",
            "Upstream failures by kind.",
            ["failure"],
            registry=self.registry,
        )
        self.added = Histogram(
            "gauger_added_latency_seconds",
            "Time that Gauger itself adds to a forwarded exchange.",
            buckets=_ADDED,
            registry=self.registry,
        )
        self.upstream = Histogram(
            "gauger_upstream_latency_seconds",
            "Time until the upstream's headers.",
            buckets=_UPSTREAM,
            registry=self.registry,
        )
        self.under_way = self._gauge("gauger_exchanges_under_way", "Exchanges under way.")
        self.streams = self._gauge("gauger_open_streams", "Streamed answers under way.")
        self.delayed = self._gauge("gauger_delayed_exchanges", "Exchanges that are being delayed.")
        self.connections = self._gauge("gauger_open_connections", "Open connections of callers.")
        self.audit_lag = self._gauge("gauger_audit_lag_records", "Records not yet on disk.")
        self.audit_failed = self._gauge("gauger_audit_failed", "1 while the log cannot be written.")
        self.accounts = self._gauge("gauger_directory_accounts", "Accounts in the directory.")
        self.directory_failed = self._gauge(
            "gauger_directory_failed", "1 while the directory file cannot be taken up."
        )
        self.clusters = self._gauge("gauger_clusters", "Clusters in force, dismissed ones too.")
        self.clusters_failed = self._gauge(
            "gauger_clusters_failed", "1 while the file of clusters cannot be taken up."
        )
        self.detector_silent = self._gauge(
            "gauger_detector_silent_seconds",
            "For how long the detector has not answered; 0: it does.",
        )
        self.detector_waiting = self._gauge(
            "gauger_detector_waiting", "Sightings that wait for the detector."
        )
        self.detector_dropped = self._gauge(
            "gauger_detector_dropped",
            "Sightings that came faster than the detector took them, since the start.",
        )
        self.detected = self._gauge("gauger_detected_clusters", "Clusters that the detector found.")
        self.counters = self._gauge("gauger_store_counters", "Counters that the store holds.")
        self.policy_failed = self._gauge(
            "gauger_policy_failed", "1 while the policy files cannot be taken up."
        )
        self.endings = self._gauge(
            "gauger_policy_exceptions_expiring",
            "Exceptions of the policy that have run out or will within two weeks.",
        )
        self.fuses_blown = Counter(
            "gauger_fuses_blown", "Fuses of rules that have blown.", registry=self.registry
        )
        self._disarmed = Gauge(
            "gauger_rule_disarmed",
            "1 for a rule that a fuse or an operator lowered to shadow.",
            ["rule"],
            registry=self.registry,
        )
        self._by_exchange: dict[tuple[str, str], Counter] = {}
        self._by_rule: dict[tuple[str, str, str], Counter] = {}

    def decided(self, surface: str, decision: Decision) -> None:
        """Count a decision; children are kept, because finding one costs more than counting."""
        key = (surface, decision.verdict.word)
        child = self._by_exchange.get(key)
        if child is None:
            child = self._by_exchange[key] = self._exchanges.labels(*key)
        child.inc()
        for outcome in (*decision.spoke, *decision.shadow):
            self._rule(outcome.rule, outcome.mode.value, outcome.verdict.word)

    def turned_away(self, refusal: Refusal) -> None:
        """Count a request that never came to judgement."""
        self._turned_away.labels(refusal.kind.value).inc()

    def modified(self, modifiers: Modifiers) -> None:
        """Count an exchange that is sent on changed."""
        if modifiers.strip:
            self._modified.labels("strip").inc()
        if modifiers.reroute is not None:
            self._modified.labels("reroute").inc()
        if modifiers.max_tokens is not None:
            self._modified.labels("clamp").inc()

    def cut(self) -> None:
        """Count a stream that was ended on its way."""
        self._modified.labels("cut").inc()

    def delay(self, outcome: str) -> None:
        """Count a delay that was enacted, or skipped."""
        self._delays.labels(outcome).inc()

    def store(self, status: Status, problem: str | None) -> None:
        """How the store stands, and what is wrong with its counts."""
        self._store_open.set(status.get("state") == "unavailable")
        self._counts_failed.set(problem is not None)
        for name in STORE_FIGURES & status.keys():
            self._store.labels(name).set(float(status[name]))

    def failed(self, word: str) -> None:
        """Count an upstream failure."""
        self._failures.labels(word).inc()

    def disarmed(self, rules: Mapping[str, bool]) -> None:
        """Say of each rule whether it is disarmed; of others nothing any more."""
        self._disarmed.clear()
        for rule, disarmed in rules.items():
            self._disarmed.labels(rule).set(disarmed)

    def text(self) -> bytes:
        """The exposition format."""
        return generate_latest(self.registry)

    def _rule(self, *key: str) -> None:
        rule, mode, verdict = key
        child = self._by_rule.get((rule, mode, verdict))
        if child is None:
            child = self._by_rule[rule, mode, verdict] = self._rules.labels(*key)
        child.inc()

    def _gauge(self, name: str, description: str) -> Gauge:
        return Gauge(name, description, registry=self.registry)
