"""Two policy sets over the same recorded traffic: what flips, and by whose doing.

Both run in one pass, each with its own counters, detector, fuses and clock; neither writes.
With a moment of change the second begins as the first and takes up the new set then, as a gateway
does that reloads its files: only so does it show what the loss of counters does.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from proxy.model.decision import RuleOutcome
from proxy.pipeline.fuses import Blown
from proxy.policy.ending import utc_text
from proxy.policy.rules import PolicySet
from proxy.policy.windows import Window
from proxy.replay.judged import Judged
from proxy.replay.session import Session
from proxy.replay.traffic import RecordedExchange
from proxy.trial.distinct import Count, Distinct
from proxy.trial.flips import Direction, Doing, Flip, flip_of
from proxy.trial.tally import EXACT_ACCOUNTS, RuleTally, Tally, Total
from proxy.trial.words import Words


@dataclass(frozen=True, slots=True)
class Change:
    """A set that is taken up at a moment (Unix ns) of the recording."""

    policy: PolicySet
    at_ns: int


@dataclass(frozen=True, slots=True)
class Fuse:
    """A fuse that blew on one side, when (UTC) and by how many accounts."""

    side: str
    rule: str
    at: str
    accounts: int


@dataclass(frozen=True, slots=True)
class TrafficDifference:
    """What both sets did with a recording. `changed_at` (UTC): since when the new set judged."""

    exchanges: int
    accounts: Count
    totals: Mapping[Direction, Total]
    rules: tuple[RuleTally, ...]
    fuses: tuple[Fuse, ...]
    changed_at: str | None = None

    @property
    def refused(self) -> Total:
        """What the new set refuses and the old one does not."""
        return self.totals[Direction.REFUSED]


def differ(
    old: Session,
    new: Session,
    exchanges: Iterable[RecordedExchange],
    words: Words,
    *,
    examples: int = 3,
    change: Change | None = None,
    on_flip: Callable[[Flip], None] | None = None,
) -> TrafficDifference:
    """Run a recording through both sessions. `on_flip` is shown each flip as it comes.

    With a `change`, `new` has judged by the old set until then. TrafficError as `Session.judge`.
    """
    tally = Tally(words, examples)
    accounts = Distinct(EXACT_ACCOUNTS)
    fuses: list[Fuse] = []
    count = 0
    pending = change
    for exchange in exchanges:
        count += 1
        if pending and exchange.at_ns >= pending.at_ns:
            new.adopt(pending.policy)
            pending = None
        before, after = old.judge(exchange), new.judge(exchange)
        if before.account is not None:
            accounts.add(before.account)
        fuses += [*_fuses("old", before.blown), *_fuses("new", after.blown)]
        flip = flip_of(before, after)
        if flip is not None:
            flip = _with_resets(flip, after, words, change)
            tally.add(flip)
            if on_flip:
                on_flip(flip)
        for rule in _newly_in_shadow(before, after, words):
            tally.add_shadow(rule, before.account, _tokens(before))
    changed_at = utc_text(change.at_ns) if change else None
    found = accounts.count()
    return TrafficDifference(count, found, tally.totals(), tally.rules(), tuple(fuses), changed_at)


def _fuses(side: str, blown: tuple[Blown, ...]) -> Iterator[Fuse]:
    for one in blown:
        yield Fuse(side, one.rule, utc_text(one.at_ns), one.accounts)


def _with_resets(flip: Flip, new: Judged, words: Words, change: Change | None) -> Flip:
    """The flip, its doings marked that may come of counts that the change has made begin anew.

    Windows are aligned: once the one of the change has passed, nothing is left of it.
    What rests on `quota.used_share` rests on the counts of every quota that governs the exchange.
    """
    if change is None or not words.reset:
        return flip
    at_ns = new.weighed.arrival.at_ns
    begun = {rule for rule in words.reset if _same_window(at_ns, change, words.windows[rule])}
    counted = any(charge.rule in begun for charge in new.weighed.plan.charges)

    def marked(doing: Doing) -> Doing:
        rule = words.named.get(doing.rule, doing.rule)
        held = change.policy.by_id.get(rule)
        return replace(doing, reset=rule in begun or (counted and bool(held and held.pending)))

    return replace(flip, rules=tuple(map(marked, flip.rules)))


def _same_window(at_ns: int, change: Change, window: Window) -> bool:
    return window.around(at_ns) == window.around(change.at_ns)


def _newly_in_shadow(old: Judged, new: Judged, words: Words) -> Iterator[str]:
    """The rules that would refuse in shadow under the new set, and said no such thing before."""
    if not new.decision.shadow:
        return
    said = (*old.decision.spoke, *old.decision.shadow)
    refused = {words.named.get(o.rule, o.rule) for o in said if o.verdict.refuses}
    would = {outcome.rule: outcome for outcome in new.decision.shadow if _refuses(outcome)}
    yield from (rule for rule in would if words.named.get(rule, rule) not in refused)


def _refuses(outcome: RuleOutcome) -> bool:
    return outcome.verdict.refuses


def _tokens(judged: Judged) -> int | None:
    response = judged.recorded.response
    usage = response.read_usage() if response else None
    return usage.total_tokens if usage else None
