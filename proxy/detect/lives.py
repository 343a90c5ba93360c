"""The lives of clusters: names that stay, members with weights, events, what investigators said."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from hashlib import blake2b
from typing import Any

import msgspec
import numpy as np

from proxy.detect.accounts import Accounts
from proxy.detect.arrays import Bools
from proxy.detect.assess import weights
from proxy.detect.candidate import Candidate
from proxy.detect.life import NS_PER_S, Life
from proxy.detect.view import View
from proxy.model.cluster import ClusterEvent, ClusterState, EventKind, FoundCluster
from proxy.model.finding import Action

QUIET_AFTER_S = 3 * 86_400
CLOSED_AFTER_S = 14 * 86_400
GROWING_SHARE = 0.05  # of the accounts, that joined within
GROWING_S = 86_400
LEAST_WEIGHT = 0.01


class Lives:
    """All clusters by id, and the events since they were last told."""

    def __init__(self, key: bytes) -> None:
        self._key = key
        self.all: dict[str, Life] = {}
        self._events: list[ClusterEvent] = []

    def by_size(self) -> list[Life]:
        """The largest first; dismissed ones before all, so that nothing is found anew in them."""
        return sorted(
            self.all.values(), key=lambda life: (not life.dismissed, -len(life.members), life.id)
        )

    def found(self) -> list[FoundCluster]:
        """All clusters as they are stated, by id."""
        return [self.all[name].found() for name in sorted(self.all)]

    def told(self) -> list[ClusterEvent]:
        """The events since the last call."""
        events, self._events = self._events, []
        return events

    def clustered(self, accounts: Accounts) -> Bools:
        """Which accounts are in a cluster that is not dismissed."""
        inside = np.zeros(len(accounts), np.bool_)
        for life in self.all.values():
            if not life.dismissed:
                inside[[accounts.row[n] for n in life.members if n in accounts.row]] = True
        return inside

    def update(
        self, found: Iterable[Candidate], seen: View, accounts: Accounts, now_s: int
    ) -> None:
        """Take over what a step's search found."""
        before = {name: life.id for life in self.all.values() for name in life.members}
        for candidate in found:
            members = _members(candidate, seen, accounts)
            if candidate.life is None:
                candidate.life = self._open(candidate, members, now_s)
                self._split(candidate.life, before, now_s)
            for other in candidate.swallowed:
                self._merge(other, candidate.life, members, now_s)
            self._change(candidate.life, candidate, members, now_s)
            last_s = int(seen.last[candidate.block.inside].max() + 1) * 3_600
            candidate.life.seen_s = min(last_s, now_s)
        for life in list(self.all.values()):
            if now_s - life.seen_s >= CLOSED_AFTER_S and not life.confirmed and not life.dismissed:
                self._tell(life, EventKind.CLOSE, now_s, life.members)
                del self.all[life.id]
            else:
                self._age(life, now_s)

    def join(self, newcomers: Mapping[str, Mapping[str, float]], now_s: int) -> None:
        """Tell of accounts that showed themselves since the last step, by cluster with weights."""
        for id_, accounts in sorted(newcomers.items()):
            life = self.all.get(id_)
            if life is None or life.dismissed:
                continue
            fresh = accounts.keys() - life.members.keys() - life.joining.keys() - life.removed
            if fresh:
                life.joining |= {name: accounts[name] for name in fresh}
                self._tell(life, EventKind.GROW, now_s, fresh)

    def decide(self, id_: str, action: Action, accounts: Sequence[str], now_s: int) -> None:
        """What an investigator said. KeyError where there is no such cluster."""
        life = self.all[id_]
        match action:
            case Action.CONFIRM:
                life.confirmed, life.score = True, 1.0
                self._state(life, ClusterState.CONFIRMED, now_s)
            case Action.DISMISS:
                life.confirmed = False
                self._state(life, ClusterState.DISMISSED, now_s)
            case Action.REOPEN:
                life.confirmed = False
                self._state(life, ClusterState.OPEN, now_s)
            case Action.ADD:
                came = sorted(set(accounts) - life.members.keys())
                life.added.update(accounts)
                life.removed.difference_update(accounts)
                life.members.update(dict.fromkeys(came, 1.0))
                self._tell(life, EventKind.GROW, now_s, came)
            case Action.REMOVE:
                went = sorted(set(accounts) & life.members.keys())
                life.removed.update(accounts)
                life.added.difference_update(accounts)
                for account in went:
                    del life.members[account]
                self._tell(life, EventKind.SHRINK, now_s, went)

    def saved(self) -> dict[str, Any]:
        """All clusters, and the events that were not told yet, as values that can be saved."""
        return {
            "all": [life.saved() for life in self.all.values()],
            "events": msgspec.to_builtins(self._events),
        }

    def load(self, saved: dict[str, Any]) -> None:
        """Take over what was saved."""
        lives = [Life.of_saved(one) for one in saved["all"]]
        self.all = {life.id: life for life in lives}
        self._events = msgspec.convert(saved["events"], list[ClusterEvent])

    def _open(self, candidate: Candidate, members: dict[str, float], now_s: int) -> Life:
        name = f"{now_s} {min(members)}".encode()
        id_ = "c-" + blake2b(name, digest_size=5, key=self._key[:64]).hexdigest()
        said = candidate.assessment
        life = Life(
            id=id_,
            opened_s=now_s,
            seen_s=now_s,
            score=said.score,
            state=ClusterState.OPEN,
            members=members,
            evidence=said.evidence,
        )
        self.all[id_] = life
        self._tell(life, EventKind.OPEN, now_s, members)
        return life

    def _split(self, new: Life, before: dict[str, str], now_s: int) -> None:
        """Say so where most accounts of a new cluster were in another: it carries on its counts."""
        came = Counter(before[name] for name in new.members if name in before)
        if not came:
            return
        origin, many = max(came.items(), key=lambda pair: (pair[1], pair[0]))
        life = self.all.get(origin)
        if life is None or life.dismissed or many * 2 <= len(new.members):
            return
        new.parents = (life.id, *life.parents)
        moved = [name for name in new.members if before.get(name) == origin]
        for name in moved:
            life.members.pop(name, None)
        self._tell(life, EventKind.SPLIT, now_s, moved, into=new.id)

    def _change(
        self, life: Life, candidate: Candidate, members: dict[str, float], now_s: int
    ) -> None:
        members = dict.fromkeys(life.added, 1.0) | members
        for account in life.removed:
            members.pop(account, None)
        if more := members.keys() - life.members.keys():
            life.joined.append((now_s, len(more)))
        told = life.members.keys() | life.joining.keys()
        came, went = sorted(members.keys() - told), sorted(told - members.keys())
        life.members, life.joining = members, {}
        life.evidence = candidate.assessment.evidence
        if not life.dismissed:
            life.score = 1.0 if life.confirmed else candidate.assessment.score
        if came:
            self._tell(life, EventKind.GROW, now_s, came)
        if went:
            self._tell(life, EventKind.SHRINK, now_s, went)

    def _merge(self, other: Life, into: Life, members: dict[str, float], now_s: int) -> None:
        """End a cluster. Its accounts go on in the other, but those that are not of its block.

        What investigators removed from either stays removed.
        """
        into.parents = tuple(dict.fromkeys((*into.parents, other.id, *other.parents)))
        into.removed |= other.removed
        into.added = (into.added | other.added) - into.removed
        into.confirmed |= other.confirmed
        held = other.joining | other.members
        stay = held.keys() & ((members.keys() | into.added) - into.removed)
        if gone := held.keys() - stay:
            self._tell(other, EventKind.SHRINK, now_s, gone)
        into.members |= {account: held[account] for account in stay}
        self._tell(other, EventKind.MERGE, now_s, stay, into=into.id)
        del self.all[other.id]

    def _age(self, life: Life, now_s: int) -> None:
        if life.dismissed:
            return
        life.joined = [entry for entry in life.joined if now_s - entry[0] < GROWING_S]
        state = ClusterState.OPEN
        if life.confirmed:
            state = ClusterState.CONFIRMED
        elif now_s - life.seen_s >= QUIET_AFTER_S:
            state = ClusterState.QUIET
        elif sum(n for _, n in life.joined) >= GROWING_SHARE * len(life.members):
            state = ClusterState.GROWING
        self._state(life, state, now_s)

    def _state(self, life: Life, state: ClusterState, now_s: int) -> None:
        if state is not life.state:
            life.state = state
            self._tell(life, EventKind.STATE, now_s, ())

    def _tell(
        self,
        life: Life,
        kind: EventKind,
        now_s: int,
        accounts: Iterable[str],
        into: str | None = None,
    ) -> None:
        at_ns, named = now_s * NS_PER_S, tuple(sorted(accounts))
        self._events.append(ClusterEvent(at_ns, kind, life.id, life.score, life.state, named, into))


def _members(candidate: Candidate, seen: View, accounts: Accounts) -> dict[str, float]:
    """The accounts of a block, each with its weight."""
    inside = np.flatnonzero(candidate.block.inside)
    weight = np.clip(weights(seen, candidate.block)[inside], LEAST_WEIGHT, 1.0)
    return {
        accounts.names[row]: round(float(share), 3)
        for unit, share in zip(inside, weight, strict=True)
        for row in seen.rows_of(int(unit))
    }
