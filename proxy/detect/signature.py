"""From the clusters of a step to what the request path looks up."""

from collections.abc import Iterable

import numpy as np

from proxy.detect.candidate import Candidate
from proxy.detect.index import DetectedIndex, Signature
from proxy.detect.kinds import FIRST_LINK, Strand
from proxy.detect.lives import Lives
from proxy.detect.scale import OWN
from proxy.detect.view import View
from proxy.model.cluster import Cluster
from proxy.model.trait import SKETCHED, Trait

MOST_TOKENS = 50_000  # of one cluster
TELLING = 2.0  # nats of a token that a newcomer is looked at for


def index_of(
    found: Iterable[Candidate],
    lives: Lives,
    seen: View,
    ordinary: dict[str, int],
    version: str,
) -> DetectedIndex:
    """The index of a step."""
    signatures: list[Signature] = []
    members: dict[str, tuple[int, float]] = {}
    tokens: dict[int, list[tuple[int, int, float]]] = {}
    current = {candidate.life.id: candidate for candidate in found if candidate.life is not None}
    barred: set[str] = set()
    for life in lives.by_size():
        barred |= life.removed
        if life.dismissed:
            barred |= life.members.keys()
            continue
        number = len(signatures)
        for account, weight in life.members.items():
            members[account] = number, weight
        candidate = current.get(life.id)
        known = _tokens(candidate, seen) if candidate is not None else []
        product = any(s == Strand.PRODUCT and nats >= OWN for _, s, nats in known)
        signatures.append(_signature(candidate, life.cluster(), product=product))
        if candidate is not None:
            for token, strand, nats in known:
                tokens.setdefault(token, []).append((number, strand, nats))
    return DetectedIndex(version, ordinary, signatures, members, tokens, frozenset(barred))


def _signature(candidate: Candidate | None, cluster: Cluster, *, product: bool) -> Signature:
    if candidate is None:
        return Signature(cluster, float("inf"), [], product=False)
    block = candidate.block
    return Signature(cluster, float(block.bar), block.table.tolist(), product=product)


def _tokens(candidate: Candidate, seen: View) -> list[tuple[int, int, float]]:
    """(token, strand, nats) of what newcomers may show, the most telling first."""
    block = candidate.block
    inline = np.isin(seen.pair_kind, [int(t) for t in Trait if t not in SKETCHED])
    at = np.flatnonzero(
        block.inside[seen.unit]
        & (block.lift >= TELLING)
        & (inline | (seen.pair_kind >= FIRST_LINK))
    )
    best = np.zeros(len(seen.n))
    np.maximum.at(best, seen.token[at], block.lift[at])
    held = np.bincount(seen.token[at], minlength=len(seen.n))
    strand = np.zeros(len(seen.n), np.int64)
    strand[seen.token[at]] = seen.strand[at]
    chosen = np.flatnonzero((best > 0) & (held >= 2))
    order = chosen[np.lexsort((seen.hashes[chosen], -best[chosen] * held[chosen]))][:MOST_TOKENS]
    return [(int(seen.hashes[token]), int(strand[token]), float(best[token])) for token in order]
