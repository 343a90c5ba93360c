"""What the request path looks up: who is in which cluster, and what gives a newcomer away.

An account that is not in a cluster yet is in it from the exchange in which it shows enough of the
cluster's traits: the same evidence, by the same bar, as in `block`.
"""

from bisect import bisect_right
from collections.abc import Mapping, Sequence

import msgspec

from proxy.detect.kinds import EVIDENT, Strand
from proxy.detect.scale import OWN, SHOWN, STEPS
from proxy.model.cluster import Cluster, Membership
from proxy.model.sighting import Described

NEWCOMER_MORE = 1.5  # nats above the bar: he is judged by little
NEWCOMER = 0.6  # weight of an account that is in a cluster by what it shows, until the next step


class Signature(msgspec.Struct, frozen=True):
    """What gives a cluster's accounts away.

    `bar` is what the sum must reach, `table` what showing so much in a strand says (`block.STEPS`).
    `product` says whether exchanges of the cluster can be told by what they ask.
    """

    cluster: Cluster
    bar: float
    table: list[list[float]]
    product: bool


class DetectedIndex(msgspec.Struct, frozen=True):
    """Memberships and signatures as of one step.

    `members` maps an account to (number of a signature, weight); `tokens` a fingerprint or link to
    (number of a signature, strand, nats).
    """

    version: str
    ordinary: dict[str, int]
    signatures: list[Signature]
    members: dict[str, tuple[int, float]]
    tokens: dict[int, list[tuple[int, int, float]]]
    barred: frozenset[str] = frozenset()

    def of(self, account: Described, tokens: Sequence[int]) -> tuple[Membership, ...]:
        """The clusters of an account, or of what an exchange with these fingerprints shows."""
        if not self.signatures:
            return ()
        member = self.members.get(account.account)
        if member is not None:
            number, weight = member
            signature = self.signatures[number]
            return (Membership(signature.cluster, weight, self._matches(number, tokens)),)
        if account.account in self.barred:
            return ()
        return self._newcomer(account, tokens)

    def _matches(self, number: int, tokens: Sequence[int]) -> bool:
        """Whether an exchange shows what its account's cluster asks."""
        if not self.signatures[number].product:
            return True
        known = self.tokens
        for token in tokens:
            for at, strand, nats in known.get(token, ()):
                if at == number and strand == Strand.PRODUCT and nats >= OWN:
                    return True
        return False

    def _newcomer(self, account: Described, tokens: Sequence[int]) -> tuple[Membership, ...]:
        shown: dict[int, list[float]] = {}
        known = self.tokens
        for token in tokens:
            for number, strand, nats in known.get(token, ()):
                best = shown.setdefault(number, [0.0] * len(EVIDENT))
                best[strand] = max(best[strand], nats)
        for _, token in account.links:
            for number, strand, nats in known.get(token, ()):
                best = shown.setdefault(number, [0.0] * len(EVIDENT))
                best[strand] = max(best[strand], nats)
        found = [
            Membership(self.signatures[number].cluster, NEWCOMER, self._matches(number, tokens))
            for number, best in shown.items()
            if self._reaches(number, best)
        ]
        return tuple(sorted(found, key=lambda membership: membership.rank))

    def _reaches(self, number: int, best: list[float]) -> bool:
        """Whether a newcomer shows enough, in two strands at least.

        What it lacks in its few exchanges so far does not count against it, what it lacks in the
        directory does; and a token that is the cluster's own counts in full, though members who
        have been here for long have shown more.
        """
        signature = self.signatures[number]
        if not signature.table:
            return False
        total, shows = 0.0, 0
        for strand, nats in enumerate(best):
            said = signature.table[strand][bisect_right(STEPS, nats)]
            if strand != Strand.RELATION:
                said = max(said, nats if nats >= OWN else 0.0)
            total += said
            shows += said >= SHOWN
        return shows >= 2 and total >= signature.bar + NEWCOMER_MORE


def nobody(ordinary: Mapping[str, int]) -> DetectedIndex:
    """The index where there is no cluster."""
    return DetectedIndex("0", dict(ordinary), [], {}, {})
