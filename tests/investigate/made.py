"""A cluster of ten thousand lives: files as the detector and a replay write them."""

from pathlib import Path

import msgspec

from proxy.model.cluster import (
    Cluster,
    ClusterEvent,
    ClusterState,
    EventKind,
    Evidence,
    FoundCluster,
)

NS = 1_000_000_000
OPENED = 1_776_816_000  # 2026-04-22 00:00 UTC
HOUR = 3600
WHY = "312 of its 340 accounts begin with the same template, against 1 in 41,000 of everyone"


def names(begin: int, end: int) -> tuple[str, ...]:
    return tuple(f"acct-{number:04d}" for number in range(begin, end))


EVIDENCE = (
    Evidence("prompt", "template", 312, 37_600.0, WHY),
    Evidence("relationship", "payment", 330, 5_100.0, "20 accounts to a payment card"),
    Evidence("network", "asn", 204, 4.0, ""),
)


def cluster(
    id_: str = "c-7f3a",
    state: ClusterState = ClusterState.GROWING,
    score: float = 0.97,
    members: tuple[str, ...] = names(0, 340),
    parents: tuple[str, ...] = (),
) -> FoundCluster:
    return FoundCluster(
        Cluster(id_, state, score, len(members), parents, "payment and template"),
        OPENED * NS,
        (OPENED + 30 * HOUR) * NS,
        tuple((name, 0.5 if name == "acct-0007" else 1.0) for name in members),
        EVIDENCE,
    )


def event(
    hours: float, kind: EventKind, accounts: tuple[str, ...], id_: str = "c-7f3a", **more: object
) -> ClusterEvent:
    state = ClusterState.OPEN if kind is EventKind.OPEN else ClusterState.GROWING
    at_ns = round((OPENED + hours * HOUR) * NS)
    return msgspec.structs.replace(ClusterEvent(at_ns, kind, id_, 0.97, state, accounts), **more)


EVENTS = (
    event(0, EventKind.OPEN, names(0, 12)),
    event(1, EventKind.GROW, names(12, 90)),
    event(2, EventKind.GROW, names(90, 200)),
    event(9, EventKind.MERGE, names(200, 300), "c-2b11", into="c-7f3a"),
    event(26, EventKind.GROW, names(300, 341)),
    event(27, EventKind.SHRINK, names(340, 341)),
)
SMALL = cluster("c-0c42", ClusterState.QUIET, 0.61, names(900, 904))


def lines(values: object) -> bytes:
    assert isinstance(values, list | tuple)
    return b"".join(msgspec.json.encode(value) + b"\n" for value in values)


def state_dir(at: Path, *found: FoundCluster) -> Path:
    """A gauger.yaml, and beside it what a detector left in its state directory."""
    detector = at / "var" / "detector"
    detector.mkdir(parents=True)
    (detector / "clusters.jsonl").write_bytes(lines(found or (SMALL, cluster())))
    (detector / "events.jsonl").write_bytes(lines(EVENTS))
    config = at / "gauger.yaml"
    config.write_text("policies: policies\nstate_dir: var\n")
    return config


def replayed(found: FoundCluster) -> dict[str, object]:
    """A cluster as a replay writes it."""
    return {
        "cluster": found.cluster.id,
        "detected_ts": found.opened_ns / NS,
        "state": found.cluster.state.value,
        "score": found.cluster.score,
        "accounts": [name for name, _ in found.members],
        "evidence": [msgspec.to_builtins(one) for one in found.evidence],
    }


def replayed_event(one: ClusterEvent) -> dict[str, object]:
    """An event as a replay writes it."""
    return {
        "ts": one.at_ns / NS,
        "event": one.kind.value,
        "cluster": one.cluster,
        "score": one.score,
        "accounts": list(one.accounts),
        "into": one.into,
        "state": one.state.value,
    }


def results(at: Path, *found: FoundCluster) -> Path:
    """The results of a replay."""
    at.mkdir(exist_ok=True)
    every = [replayed(one) for one in found or (SMALL, cluster())]
    (at / "clusters.jsonl").write_bytes(lines(every))
    (at / "cluster_events.jsonl").write_bytes(lines([replayed_event(one) for one in EVENTS]))
    return at
