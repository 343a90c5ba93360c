"""The process beside a gateway, and `gauger detect`, with a detector that finds what it is told.

`python -m tests.gateway.detect_standin [detect CONFIG | supervise CONFIG WORKERS]`. Accounts that
share a link "ring" are a cluster. It counts what it saw, and says so as evidence: sightings of all,
those with sketches (as lift), and those of the ring. A turn that begins with "trip" trips it up.
"""

import os
import sys
from hashlib import blake2b
from pathlib import Path

import msgspec

from proxy.gateway.detecting import beside, child, chunks, keeper, make, thread
from proxy.model.cluster import (
    Cluster,
    ClusterEvent,
    ClusterState,
    EventKind,
    Evidence,
    FoundCluster,
    Membership,
)
from proxy.model.trait import Trait

COMMAND = (sys.executable, "-m", "tests.gateway.detect_standin")


def index_of(data):
    return chunks.unpacked(data, Index)


class Index(msgspec.Struct, frozen=True):
    version: str
    ordinary: dict[str, int]
    found: dict[str, Cluster]
    members: dict[str, str]

    def of(self, account, tokens):
        name = self.members.get(account.account)
        return () if name is None else (Membership(self.found[name], 0.75),)


class Saved(msgspec.Struct):
    rings: dict[str, dict[str, int]] = {}
    states: dict[str, str] = {}
    all: int = 0
    opened: list[str] = []
    sketched: int = 0


class Detector:
    def __init__(self):
        self.held = Saved(rings={}, states={}, opened=[])
        self._events = []
        self._version = 0

    def observe(self, described, sighting, sketch_tokens):
        if trip := next((t for t in sketch_tokens if t >> 6 == 1), None):
            raise ValueError(trip)
        self.held.all += sighting.requests
        self.held.sketched += bool(sketch_tokens)
        for name, token in described.links:
            if name == "ring":
                ring = self.held.rings.setdefault(f"c-{token & 0xFFFF:04x}", {})
                ring[described.account] = ring.get(described.account, 0) + 1

    def advance(self, now_ns):
        for name, accounts in self.held.rings.items():
            if name not in self.held.opened:
                self.held.opened.append(name)
                event = ClusterEvent(
                    now_ns, EventKind.OPEN, name, 0.9, ClusterState.OPEN, tuple(sorted(accounts))
                )
                self._events.append(event)
        clusters = [one for one in self.clusters() if one.cluster.state != "dismissed"]
        members = {account: one.cluster.id for one in clusters for account, _ in one.members}
        version = f"{self.held.all}-{len(self.held.states)}-{sorted(self.held.states.items())}"
        digest = blake2b(version.encode(), digest_size=4).hexdigest()
        found = {one.cluster.id: one.cluster for one in clusters}
        return Index(digest, {"requests": 26}, found, members)

    def clusters(self):
        everything = Evidence("all", "all", self.held.all, float(self.held.sketched), "")
        return [
            FoundCluster(
                Cluster(name, ClusterState(self.held.states.get(name, "open")), 0.9, len(accounts)),
                0,
                0,
                tuple((account, 0.75) for account in sorted(accounts)),
                (everything, Evidence("relationship", "ring", sum(accounts.values()), 9.0, "")),
            )
            for name, accounts in sorted(self.held.rings.items())
        ]

    def events(self):
        events, self._events = self._events, []
        return events

    def save(self):
        return msgspec.msgpack.encode(self.held)

    def load(self, data):
        self.held = msgspec.msgpack.decode(data, type=Saved)

    def decide(self, cluster, action, accounts=()):
        ring = self.held.rings[cluster]
        if action in ("confirm", "dismiss"):
            self.held.states[cluster] = f"{action}ed"
        elif action == "reopen":
            self.held.states.pop(cluster)
        for account in accounts:
            if action == "add":
                ring[account] = 0
            else:
                del ring[account]


def sketch(prompt):
    if prompt.latest.startswith("trip"):
        return (1 << 6 | Trait.SHINGLE,)
    return (2 << 6 | Trait.SHINGLE,) if prompt.latest else ()


def main(*words):
    make.detector_of = lambda settings, key: Detector()
    make.sketch_of = lambda key: sketch
    make.index_of = index_of
    thread.TICK_S = beside.LOOK_EVERY_S = 0.1
    keeper.COMMAND = COMMAND
    if not words:
        return child.main()
    if words[0] == "worker":
        from proxy.cli.worker import main as work  # noqa: PLC0415

        return work()
    if words[0] == "detect":
        from proxy.cli.detect import detect  # noqa: PLC0415

        return detect(Path(words[1]), os.environ)
    from proxy.gateway.supervise import supervise  # noqa: PLC0415
    from proxy.settings.load import load  # noqa: PLC0415

    settings = load(Path(words[1]), os.environ)
    several = settings.model_copy(update={"workers": int(words[2])})
    return supervise(several, (*COMMAND, "worker"))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
