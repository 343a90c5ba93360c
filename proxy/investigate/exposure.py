"""What a cluster obtained, by model, before and after it was contained.

Invariant: every number is the sum over records of the audit log that the export names. What an
answer used is what its completion (of a batch: its settlement) says, counted to the moment of the
request.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from msgspec import Struct

from proxy.investigate.found import Found
from proxy.investigate.log_lines import LogLine
from proxy.model.usage import Usage

REFUSED = frozenset({"throttle", "deny", "step_up"})
BATCH = "batches"  # in the names of surfaces whose usage is known when results are seen
NO_MODEL = "-"

Pseudonym = Callable[[str, str], str]
Cost = Callable[[str, int, Usage, int], int]  # model, when, usage, requests: in millionths


@dataclass(slots=True)
class Tally:
    """Counts of one model in one phase. `open` have no completion in the log."""

    exchanges: int = 0
    refused: int = 0
    failed: int = 0
    open: int = 0
    unmatched: int = 0
    input_tokens: int = 0
    cached_tokens: int = 0
    output_tokens: int = 0
    reasoning_tokens: int = 0
    cost: int = 0
    first_ns: int = 0
    last_ns: int = 0

    def seen(self, at_ns: int) -> None:
        """Note when an exchange was."""
        self.first_ns = min(self.first_ns or at_ns, at_ns)
        self.last_ns = max(self.last_ns, at_ns)

    def add(self, other: "Tally") -> None:
        """Add another's counts to these."""
        for name in self.__slots__:
            if not name.endswith("_ns"):
                setattr(self, name, getattr(self, name) + getattr(other, name))
        if other.last_ns:
            self.seen(other.first_ns)
            self.seen(other.last_ns)


@dataclass(slots=True)
class Exposure:
    """One cluster's. `by` has a tally for each (model, whether it was contained by then)."""

    cluster: str
    names: frozenset[str]
    members: int
    contained_ns: int | None = None
    by: dict[tuple[str, bool], Tally] = field(default_factory=dict)
    seen: set[str] = field(default_factory=set)

    def tally(self, model: str, at_ns: int) -> Tally:
        """The tally that an exchange counts in."""
        after = self.contained_ns is not None and at_ns >= self.contained_ns
        return self.by.setdefault((model, after), Tally())

    def total(self, *, after: bool | None = None) -> Tally:
        """All models together; before or after containment, or both."""
        total = Tally()
        for (_, contained), tally in self.by.items():
            if after is None or contained is after:
                total.add(tally)
        return total


class Row(Struct, frozen=True):
    """One exchange of a cluster and the records that tell of it. `ended` is its completion."""

    cluster: str
    model: str
    verdict: str
    after: bool
    decision: LogLine
    ended: LogLine | None = None
    usage: Usage | None = None
    cost: int = 0


@dataclass(slots=True)
class _Under:
    """An exchange whose end is still to come."""

    exposure: Exposure
    tally: Tally
    row: Row
    requests: int
    batch: bool


class Reckoning:
    """Exposures of some clusters, from the lines of the log in the order of their times.

    `everybody` are the pseudonyms of all accounts that are known, None where there is no
    directory: a record of anybody else was made under another key, or of an account that is gone.
    """

    def __init__(
        self,
        found: Iterable[Found],
        pseudonym: Pseudonym,
        everybody: frozenset[str] | None = None,
        cost: Cost | None = None,
        least_weight: float = 0.0,
    ) -> None:
        self.exposures: list[Exposure] = []
        self.unreadable = 0
        self.known = everybody is not None
        self._everybody = everybody
        self._cost = cost
        self._of: dict[str, list[Exposure]] = {}
        self._under: dict[str, list[_Under]] = {}
        for one in found:
            inside = [name for name, weight in one.members if _counts(weight, least_weight)]
            exposure = Exposure(one.id, one.names, len(inside))
            self.exposures.append(exposure)
            for name in inside:
                self._of.setdefault(pseudonym("account", name), []).append(exposure)

    def add(self, line: LogLine) -> Iterator[Row]:
        """Count a line; the exchanges that are told to their end by it."""
        if line.type == "decision":
            if line.account is None:
                return
            exposures = self._of.get(line.account)
            if exposures is not None:
                for exposure in exposures:
                    yield from self._decided(exposure, line)
            elif self._everybody is not None and line.account not in self._everybody:
                self.unreadable += 1
        elif line.id in self._under and line.type in ("completion", "settlement"):
            yield from self._ended(line)

    def rest(self) -> Iterator[Row]:
        """The exchanges of which the log does not tell the end."""
        for waiting in self._under.values():
            for under in waiting:
                # Asking how a batch is has an end and no settlement; submitting one has both.
                if under.row.ended is None or under.requests > 1:
                    under.tally.open += 1
                yield under.row
        self._under.clear()

    def _decided(self, exposure: Exposure, line: LogLine) -> Iterator[Row]:
        fields = line.fields()
        facts: Mapping[str, Any] = fields.get("facts", {})
        verdict = str(fields.get("verdict"))
        model = str(facts.get("request.model") or NO_MODEL)
        refused = verdict in REFUSED
        earlier = exposure.contained_ns is None or line.at_ns < exposure.contained_ns
        if refused and earlier and rests_on(exposure.names, fields):
            exposure.contained_ns = line.at_ns
        tally = exposure.tally(model, line.at_ns)
        tally.seen(line.at_ns)
        exposure.seen.add(str(line.account))
        after = exposure.contained_ns is not None and line.at_ns >= exposure.contained_ns
        row = Row(exposure.cluster, model, verdict, after, line)
        if refused:
            tally.refused += 1
            yield row
            return
        tally.exchanges += 1
        tally.unmatched += facts.get("cluster.exchange_match") is False
        requests, surface = int(facts.get("request.requests", 1)), facts.get("request.surface", "")
        under = _Under(exposure, tally, row, requests, BATCH in str(surface))
        self._under.setdefault(line.id, []).append(under)

    def _ended(self, line: LogLine) -> Iterator[Row]:
        fields = line.fields()
        usage = usage_of(fields)
        waiting = self._under.pop(line.id)
        for under in waiting:
            row, tally = under.row, under.tally
            if line.type == "completion":
                tally.failed += fields.get("complete") is False or fields.get("status", 200) >= 400
            cost = 0
            if usage is not None:
                if self._cost is not None:
                    cost = self._cost(row.model, row.decision.at_ns, usage, under.requests)
                _count(tally, usage, cost)
            ended = Row(
                row.cluster, row.model, row.verdict, row.after, row.decision, line, usage, cost
            )
            if under.batch and line.type == "completion":
                under.row = ended  # its results are still to be seen
                self._under.setdefault(line.id, []).append(under)
            else:
                yield ended


def rests_on(names: frozenset[str], fields: Mapping[str, Any]) -> bool:
    """Whether a record's refusal rested on one of these clusters.

    Where the record does not name the account's clusters, any fact of a cluster stands for them:
    what is asked about is one that the account is in.
    """
    if not fields.get("by_cluster"):
        return False
    facts: Mapping[str, Any] = fields.get("facts", {})
    named = [*facts.get("cluster.ids", ()), facts.get("cluster.id")]
    named += [kin for pair in facts.get("cluster.lineage", ()) for kin in str(pair).split("<")]
    known = [name for name in named if name]
    if known:
        return not names.isdisjoint(known)
    return any(name.startswith("cluster.") and value for name, value in facts.items())


def usage_of(fields: Mapping[str, Any]) -> Usage | None:
    """What a completion or a settlement says was used; None where nothing was."""
    said = fields.get("usage")
    if said is None:
        delivered = fields.get("delivered_output")
        return Usage(output_tokens=int(delivered)) if delivered else None
    return Usage(
        input_tokens=said.get("input", 0),
        cached_tokens=said.get("cached", 0),
        cache_written_tokens=said.get("cache_written", 0),
        output_tokens=said.get("output", 0),
        reasoning_tokens=said.get("reasoning", 0),
        images=said.get("images", 0),
        seconds=said.get("seconds", 0.0),
    )


def _count(tally: Tally, usage: Usage, cost: int) -> None:
    tally.input_tokens += usage.input_tokens
    tally.cached_tokens += usage.cached_tokens
    tally.output_tokens += usage.output_tokens
    tally.reasoning_tokens += usage.reasoning_tokens
    tally.cost += cost


def _counts(weight: float | None, least: float) -> bool:
    return weight is None or weight >= least
