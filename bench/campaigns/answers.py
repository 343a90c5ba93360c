"""What an attacker can learn from a single refusal: was it a cluster's, or my own limit's?

Accounts of the free tier burst far over their own limit. Half of them are in a cluster: the
session's detector is a stub that says so, since the question is about answers and not about
detection. Single refusals of both kinds (status, headers, body, delay, and the second in which they
came) are handed to a decision tree; it is trained on half of the accounts and tried on the others.
Both kinds are equally many, so that chance is one half.
"""

import json
import re
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from bench.campaigns import clients
from bench.campaigns.draw import Draw
from bench.campaigns.measures import interval
from bench.campaigns.tree import grow
from bench.campaigns.world import START_S, credential, directory_line
from proxy.model.cluster import Cluster, ClusterEvent, FoundCluster, Membership
from proxy.model.sighting import ClusterIndex, Described, Sighting
from proxy.replay import Session

LIMIT = 600  # requests a minute of the free tier in the containment set
BURSTS, PER_BURST = 2, 10
BINS = 12
Features = dict[str, float | str]
CLUSTER = Cluster("c-known", score=0.99, accounts=100)
_NUMBER = re.compile(r"\d+(?:\.\d+)?")
_INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
_SPAN = re.compile(r"^(?:(\d+)h)?(?:(\d+)m(?!s))?(?:(\d+)s)?(?:(\d+)ms)?$")


@dataclass(frozen=True, slots=True)
class Refusal:
    """One refusal as its caller sees it. `half` is that of the accounts to which his belongs."""

    half: int
    dialect: str
    features: Features
    by_cluster: bool


class Known:
    """A detector that was told who is clustered."""

    version = "1"
    ordinary: Mapping[str, int] = {}

    def __init__(self, clustered: frozenset[str]) -> None:
        self._clustered = clustered

    def observe(self, described: Described, sighting: Sighting, sketch: Sequence[int], /) -> None:
        """Nothing is learned."""

    def advance(self, _now_ns: int) -> ClusterIndex:
        """Always the same."""
        return self

    def clusters(self) -> Sequence[FoundCluster]:
        """None is told."""
        return ()

    def events(self) -> Sequence[ClusterEvent]:
        """Nothing happens."""
        return ()

    def of(self, account: Described, _tokens: Sequence[int]) -> tuple[Membership, ...]:
        """The cluster, if the account is in it."""
        return (Membership(CLUSTER, 1.0),) if account.account in self._clustered else ()


def tell(config: Path, seed: int, accounts: int = 40, limit: int = LIMIT) -> dict[str, Any]:
    """How often a tree is right about refusals that it has not seen; plain values. `limit` is what
    the settings let an account have in a minute."""
    names = [f"an-{number:03d}" for number in range(accounts)]
    clustered = frozenset(names[1::2])
    refusals = _refusals(config, seed, names, clustered, limit)
    train, test = (
        _balanced([one for one in refusals if one.half == half], Draw(seed, "balance", half))
        for half in (0, 1)
    )
    columns = _Columns([one.features for one in train])
    tree = grow(
        columns.of([one.features for one in train]), np.array([one.by_cluster for one in train])
    )
    rows = columns.of([one.features for one in test])
    right = sum(tree.says(row) == one.by_cluster for row, one in zip(rows, test, strict=True))
    low, high = interval(right, len(test))
    return {
        "refusals": len(test),
        "accuracy": right / max(1, len(test)),
        "low": low,
        "high": high,
        "asked": sorted({columns.names[at] for at in tree.asked()}),
    }


def _refusals(
    config: Path, seed: int, names: list[str], clustered: frozenset[str], limit: int
) -> list[Refusal]:
    with tempfile.TemporaryDirectory() as folder:
        directory = Path(folder) / "accounts.jsonl"
        lines = [
            directory_line(name, credential(name, seed), "DE", START_S - 1e7, "free", {})
            for name in names
        ]
        directory.write_text("".join(json.dumps(line) + "\n" for line in lines))
        with Session(config, directory, detector=Known(clustered)) as session:
            return list(_judged(session, seed, names, limit))


def _judged(session: Session, seed: int, names: list[str], limit: int) -> Iterator[Refusal]:
    """Some refusals of each burst."""
    number = 0
    for at_s, name, burst in sorted(_plan(seed, names)):
        draw = Draw(seed, "answers", name, burst)
        client = clients.CLIENTS[draw.pick(("openai-python", "anthropic-python"))]
        headers = client.render(client.versions[0], credential(name, seed))
        count = round(limit * (1.2 + draw.lognormal(0.8, 0.6)))
        lasts_s = 5.0 + 50.0 * draw.unit()
        found = []
        for nth in range(count):
            number += 1
            line = _line(number, at_s + lasts_s * nth / count, client, headers)
            decision = session.exchange(line)
            if decision["answer"] is not None:
                said, hidden = features(decision), bool(decision["by_cluster"])
                found.append(Refusal(names.index(name) // 2 % 2, client.dialect, said, hidden))
        for _ in range(min(PER_BURST, len(found))):
            yield found.pop(draw.below(len(found)))


def _plan(seed: int, names: list[str]) -> Iterator[tuple[float, str, int]]:
    """When bursts begin: one after another, at any second of a minute."""
    draw = Draw(seed, "bursts")
    order = [(name, burst) for name in names for burst in range(BURSTS)]
    order.sort(key=lambda _: draw.bits())
    at_s = START_S
    for name, burst in order:
        yield at_s, name, burst
        at_s += 60.0 + 120.0 * draw.unit()


def _line(
    number: int, at_s: float, client: clients.Client, headers: list[list[str]]
) -> dict[str, Any]:
    body = {
        "model": "m-mid",
        "max_tokens": 64,
        "messages": [{"role": "user", "content": f"How is number {number}?"}],
    }
    return {
        "id": f"x-{number:08d}", "ts": round(at_s, 3), "client_ip": "198.51.100.7",
        "headers": headers, "method": "POST", "path": client.path, "body": body,
        "response": {"status": 200, "usage": {"input_tokens": 12, "output_tokens": 9},
                     "duration_s": 0.2},
    }  # fmt: skip


def features(decision: Mapping[str, Any]) -> Features:
    """All that a client sees of a refusal: texts with their numbers taken out, and the numbers.

    Instants count from the answer; the exchange's own id says nothing.
    """
    answer = decision["answer"]
    at_s = decision["ts"]
    found: Features = {
        "status": str(decision["status"]),
        "delay": float(decision["delay_s"]),
        "second": at_s % 60.0,
        "order": "|".join(name for name, _ in answer["headers"]),
    }
    texts = [(name.lower(), value) for name, value in answer["headers"]]
    texts.append(("body", json.dumps(answer["body"])))
    for name, value in texts:
        _told(found, name, value.replace(decision["id"], "ID"), at_s)
    return found


def _told(found: Features, name: str, value: str, at_s: float) -> None:
    span = _SPAN.match(value)
    if span and value:
        hours, minutes, seconds, ms = (int(part or 0) for part in span.groups())
        found[f"{name}#0"] = float(hours * 3600 + minutes * 60 + seconds + ms / 1000)
        return
    for number, instant in enumerate(_INSTANT.findall(value)):
        found[f"{name}@{number}"] = datetime.fromisoformat(instant).timestamp() - at_s
    value = _INSTANT.sub("T", value)
    for number, text in enumerate(_NUMBER.findall(value)):
        found[f"{name}#{number}"] = float(text)
    found[name] = _NUMBER.sub("N", value)


def _balanced(part: list[Refusal], draw: Draw) -> list[Refusal]:
    """As many refusals of one kind as of the other, within each dialect."""
    kept: list[Refusal] = []
    for dialect in sorted({one.dialect for one in part}):
        sides = [
            [one for one in part if (one.dialect, one.by_cluster) == (dialect, side)]
            for side in (False, True)
        ]
        least = min(map(len, sides))
        for side in sides:
            side.sort(key=lambda _: draw.bits())
            kept += side[:least]
    return kept


class _Columns:
    """Yes-or-no columns: each text that occurs, and for numbers whether they exceed some."""

    def __init__(self, rows: list[Features]) -> None:
        self.names: list[str] = []
        self._tests: list[tuple[str, float | str]] = []
        for name in sorted({name for row in rows for name in row}):
            values = [row[name] for row in rows if name in row]
            numbers = [value for value in values if isinstance(value, float)]
            edges: list[float | str] = (
                sorted({float(edge) for edge in np.quantile(numbers, np.linspace(0, 1, BINS))})
                if numbers
                else sorted({str(value) for value in values})
            )
            for edge in edges:
                self.names.append(name)
                self._tests.append((name, edge))

    def of(self, rows: list[Features]) -> "np.ndarray[Any, np.dtype[np.bool_]]":
        """The columns of some rows."""
        table = [
            [_passes(row.get(name, "absent"), edge) for name, edge in self._tests] for row in rows
        ]
        return np.array(table, np.bool_).reshape(len(rows), len(self._tests))


def _passes(value: float | str, edge: float | str) -> bool:
    if isinstance(value, float) and isinstance(edge, float):
        return value > edge
    return value == edge
