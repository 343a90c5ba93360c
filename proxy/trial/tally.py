"""What flips add up to: by direction and by rule, in memory that is bounded whatever comes."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from proxy.trial.distinct import Count, Distinct
from proxy.trial.flips import Direction, Doing, Flip
from proxy.trial.words import Words

EXACT_ACCOUNTS = 65_536  # of a direction
EXACT_OF_A_RULE = 4_096
NS_PER_S = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Total:
    """Exchanges, the accounts that they are of, and the tokens that they were recorded to use.

    `untold` exchanges have no recorded usage. `reset` are those in a window in which the rule's
    counts had begun from nothing.
    """

    exchanges: int
    accounts: Count
    tokens: int
    untold: int
    reset: int


@dataclass(frozen=True, slots=True)
class RuleTally:
    """What flips by the doing of a rule, by direction. `changed` says in words what the change
    says about it, nothing where it is as it was; `reset` why it counts from nothing when it
    goes live. `shadow` is what it would newly refuse, in shadow."""

    rule: str
    changed: tuple[str, ...]
    reset: str
    totals: Mapping[Direction, Total]
    shadow: Total | None
    examples: Mapping[Direction, tuple[Flip, ...]]


class Counting:
    """A total that grows."""

    def __init__(self, exact_accounts: int) -> None:
        self.exchanges = 0
        self._accounts = Distinct(exact_accounts)
        self._tokens = 0
        self._untold = 0
        self._reset = 0

    def add(self, account: str | None, tokens: int | None, *, reset: bool = False) -> None:
        """Count an exchange."""
        self.exchanges += 1
        self._reset += reset
        if account is not None:
            self._accounts.add(account)
        if tokens is None:
            self._untold += 1
        else:
            self._tokens += tokens

    def total(self) -> Total:
        """As it stands."""
        accounts = self._accounts.count()
        return Total(self.exchanges, accounts, self._tokens, self._untold, self._reset)


class Tally:
    """Adds flips up. Of each rule and direction the first `examples` of different accounts stay."""

    def __init__(self, words: Words, examples: int) -> None:
        self._words = words
        self._examples = examples
        self._all = {direction: Counting(EXACT_ACCOUNTS) for direction in Direction}
        self._rules: dict[tuple[str, Direction], Counting] = {}
        self._shadow: dict[str, Counting] = {}
        self._kept: dict[tuple[str, Direction], list[Flip]] = {}

    def add(self, flip: Flip) -> None:
        """Count a flip, for each rule whose doing it is."""
        reset = any(doing.reset for doing in flip.rules)
        self._all[flip.direction].add(flip.account, flip.tokens, reset=reset)
        for rule, doings in self._by_rule(flip.rules).items():
            key = (rule, flip.direction)
            if key not in self._rules:
                self._rules[key] = Counting(EXACT_OF_A_RULE)
                self._kept[key] = []
            reset = any(doing.reset for doing in doings)
            self._rules[key].add(flip.account, flip.tokens, reset=reset)
            kept = self._kept[key]
            if len(kept) < self._examples and all(flip.account != k.account for k in kept):
                kept.append(flip)

    def add_shadow(self, rule: str, account: str | None, tokens: int | None) -> None:
        """Count an exchange that a rule in shadow would newly refuse."""
        name = self._words.named.get(rule, rule)
        if name not in self._shadow:
            self._shadow[name] = Counting(EXACT_OF_A_RULE)
        self._shadow[name].add(account, tokens)

    def totals(self) -> dict[Direction, Total]:
        """By direction."""
        return {direction: counting.total() for direction, counting in self._all.items()}

    def rules(self) -> tuple[RuleTally, ...]:
        """By rule, the one with most newly refused exchanges first."""
        names = dict.fromkeys([rule for rule, _ in self._rules] + list(self._shadow))
        tallies = [self._rule(name) for name in names]
        return tuple(sorted(tallies, key=_weight))

    def _rule(self, rule: str) -> RuleTally:
        found = [(d, self._rules[rule, d]) for d in Direction if (rule, d) in self._rules]
        shadow = self._shadow.get(rule)
        return RuleTally(
            rule,
            self._words.by_rule.get(rule, ()),
            self._words.reset.get(rule, ""),
            {direction: counting.total() for direction, counting in found},
            shadow.total() if shadow else None,
            {direction: tuple(self._kept[rule, direction]) for direction, _ in found},
        )

    def _by_rule(self, doings: Iterable[Doing]) -> dict[str, list[Doing]]:
        """By present id: a rule that was renamed is one rule."""
        found: dict[str, list[Doing]] = {}
        for doing in doings:
            found.setdefault(self._words.named.get(doing.rule, doing.rule), []).append(doing)
        return found


def _weight(tally: RuleTally) -> tuple[int, int, str]:
    refused = tally.totals.get(Direction.REFUSED)
    exchanges = sum(total.exchanges for total in tally.totals.values())
    return -(refused.exchanges if refused else 0), -exchanges, tally.rule
