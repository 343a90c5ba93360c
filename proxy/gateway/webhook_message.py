"""What a webhook says of a cluster, and the signature under it.

Form and headers are those of Standard Webhooks (https://www.standardwebhooks.com), so that its
libraries verify them. Invariant: accounts are named as in the audit log, by pseudonym.
"""

import base64
import hmac
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from hashlib import sha256

import msgspec
from msgspec import Struct

from proxy.model.cluster import ClusterEvent, Evidence, FoundCluster
from proxy.model.record import Json

NS_PER_S = 1_000_000_000
MOST_MEMBERS = 100  # that a message names
MOST_EVIDENCE = 50

Pseudonym = Callable[[str, str], str]


class Message(Struct, frozen=True, gc=False):
    """One message: `id` is the same however often its event is told, `told_ns` when it was."""

    id: str
    told_ns: int
    body: bytes

    @property
    def name(self) -> str:
        """Its file's name: sorted by it, messages are in the order in which they were told."""
        return f"{self.told_ns:020d}-{self.id}.json"


def message(
    event: ClusterEvent, cluster: FoundCluster | None, pseudonym: Pseudonym, now_ns: int
) -> Message:
    """The message of an event. `cluster` is what is known of its cluster, None where it is gone."""
    said: dict[str, Json] = {
        "type": f"cluster.{event.kind.value}",
        "timestamp": _iso(event.at_ns),
        "data": _data(event, cluster, pseudonym),
    }
    return Message(_id(event), now_ns, msgspec.json.encode(said))


def headers(secret: bytes, message_id: str, body: bytes, now_ns: int) -> dict[str, str]:
    """The headers of one attempt: the time is signed, so that an old one cannot be sent again."""
    at = str(now_ns // NS_PER_S)
    signed = b".".join((message_id.encode(), at.encode(), body))
    signature = base64.b64encode(hmac.digest(secret, signed, "sha256")).decode()
    return {
        "Content-Type": "application/json",
        "webhook-id": message_id,
        "webhook-timestamp": at,
        "webhook-signature": f"v1,{signature}",
    }


def _id(event: ClusterEvent) -> str:
    """Told again after a restart, an event has the same id: receivers can tell that it is one."""
    return f"msg_{sha256(msgspec.json.encode(event)).hexdigest()[:32]}"


def _data(
    event: ClusterEvent, cluster: FoundCluster | None, pseudonym: Pseudonym
) -> dict[str, Json]:
    data: dict[str, Json] = {
        "cluster": event.cluster,
        "state": event.state.value,
        "score": round(event.score, 4),
        "accounts": cluster.cluster.accounts if cluster else len(event.accounts),
    }
    if event.into is not None:
        data["into"] = event.into
    if cluster is None:
        return data
    weighty = sorted(cluster.members, key=lambda member: (-member[1], member[0]))
    named: list[Json] = [
        {"account": pseudonym("account", account), "weight": round(weight, 4)}
        for account, weight in weighty[:MOST_MEMBERS]
    ]
    return data | {
        "opened": _iso(cluster.opened_ns),
        "last_seen": _iso(cluster.seen_ns),
        "families": _families(cluster.evidence),
        "evidence": [_evidence(one) for one in cluster.evidence[:MOST_EVIDENCE]],
        "members": named,
        "members_left_out": len(cluster.members) - len(named),
    }


def _families(evidence: Iterable[Evidence]) -> list[Json]:
    return [*sorted({one.family for one in evidence})]


def _evidence(evidence: Evidence) -> Json:
    return {
        "family": evidence.family,
        "trait": evidence.trait,
        "accounts": evidence.accounts,
        "lift": round(evidence.lift, 2),
        "why": evidence.why,
    }


def _iso(at_ns: int) -> str:
    return datetime.fromtimestamp(at_ns // NS_PER_S, UTC).isoformat().replace("+00:00", "Z")
