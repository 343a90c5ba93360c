"""What came of the demo's traffic: who was refused, by which rule and why, in words."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from proxy.demo.watch import Shown
from proxy.demo.world import HASTY, HYDRA, ISLANDER, ORDINARY, Party

UNKNOWN = "(unknown)"


@dataclass(frozen=True, slots=True)
class Group:
    """Parties that play one part, and what it is."""

    name: str
    part: str
    accounts: frozenset[str]


def _group(name: str, part: str, *parties: Party) -> Group:
    return Group(name, part, frozenset(party.account for party in parties))


GROUPS = (
    _group(", ".join(one.account for one in ORDINARY), "ordinary customers", *ORDINARY),
    _group(HASTY.account, "a trial account in a hurry", HASTY),
    _group(ISLANDER.account, "wants the large model on Bouvet Island", ISLANDER),
    _group(
        f"{HYDRA[0].account} … {HYDRA[-1].account}",
        f"{len(HYDRA)} accounts with one prompt template",
        *HYDRA,
    ),
    Group("stranger", "has a key that nobody issued", frozenset({UNKNOWN, "stranger"})),
)


def summary(decisions: Iterable[Shown], raised: Mapping[str, Counter[str]]) -> Iterator[str]:
    """The lines of the summary. `raised` are the exceptions that each account's SDK raised."""
    every = list(decisions)
    for group in GROUPS:
        theirs = [one for one in every if one.account in group.accounts]
        refused = [one for one in theirs if one.verdict != "allow"]
        yield f"{group.name}: {group.part}"
        yield f"    {len(refused)} of {len(theirs)} refused"
        for rule, ones in _by_rule(refused).items():
            yield f"    {len(ones)} {ones[-1].verdict} by {rule}: {ones[-1].why}"
        seen = sum((raised.get(name, Counter()) for name in group.accounts), Counter[str]())
        if seen:
            told = ", ".join(f"{count} {name}" for name, count in sorted(seen.items()))
            yield f"    their SDKs raised {told}"


def _by_rule(refused: list[Shown]) -> dict[str, list[Shown]]:
    grouped: dict[str, list[Shown]] = {}
    for one in refused:
        grouped.setdefault(one.rule, []).append(one)
    return grouped
