"""All that looks on while a run is played: decisions, clusters, scores, replaced accounts."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any

from bench.campaigns.measures import Group, Observer
from bench.campaigns.open_loop import groups_of
from bench.campaigns.replaced import Replaced
from bench.campaigns.scores import Scores
from bench.campaigns.stage import Stage
from bench.campaigns.stated import Stated
from bench.campaigns.stream import Cast, Decision, Event
from proxy.detect.detector import Detector
from proxy.replay import Session


@dataclass(slots=True)
class Watch:
    """Everybody that looks on. `cast_of` gives the cast of each account."""

    observer: Observer
    stated: Stated
    scores: Scores
    replaced: Replaced
    cast_of: dict[str, str]
    first_s: dict[str, dict[str, float]]  # by campaign: when each account first sent
    digest: Any = field(default_factory=lambda: blake2b(digest_size=16))

    @classmethod
    def over(cls, on: Stage, minutes: int) -> "Watch":
        """A watch over a stage that is about to be played."""
        groups = groups_of(on)
        by_name = {group.name: group for group in groups}
        cast_of = dict(_casts(on.casts))
        decoys = {cast.name: cast.campaign for cast in on.casts if cast.kind == "decoy"}
        stated = Stated(by_name, cast_of, decoys)
        return cls(
            observer=Observer(groups, on.world.start_s, minutes),
            stated=stated,
            scores=Scores(stated),
            replaced=Replaced(on.casts),
            cast_of=cast_of,
            first_s={group.name: {} for group in groups if group.kind == "campaign"},
        )

    @property
    def groups(self) -> list[Group]:
        """The tallies of all casts."""
        return list(self.observer.groups.values())

    def saw(self, event: Event, decision: Decision) -> None:
        """Take in one decision."""
        self.observer.saw(event, decision)
        self.replaced.saw(event, decision)
        account = event.persona.account
        self.cast_of.setdefault(account, event.cast)
        first_s = self.first_s.get(event.cast)
        if first_s is not None:
            first_s.setdefault(account, event.line["ts"])
        said = (decision["id"], decision["verdict"], decision["by_cluster"], decision["cluster"])
        self.digest.update(repr(said).encode())

    def look(self, session: Session, detector: Detector) -> None:
        """Take in what happened to clusters."""
        happened = session.cluster_events()
        for event in happened:
            self.stated.happened(event)
        if happened:
            self.scores.look(detector.clusters())


def _casts(casts: list[Cast]) -> Iterator[tuple[str, str]]:
    """The cast of each account; an account whose key was stolen is its owner's."""
    for cast in sorted(casts, key=lambda cast: cast.kind == "victim"):
        if cast.more is None:
            for person in cast.persons:
                yield person.persona.account, cast.name
        for line in cast.reserves:
            yield line["account"], cast.name
