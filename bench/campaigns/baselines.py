"""What could be done without a detector: rules that join accounts by one thing alone.

Each is fed the open-loop stream and says of every exchange whether it refuses. Beneath each are the
same quotas per account, those of `policies/examples/containment`. Accounts that a baseline joins
share one quota in any 24 hours, as a cluster does there; it is told what one ordinary account uses,
which a gateway has to learn. Accounts once joined stay joined, with all that they send.
"""

from collections import Counter, defaultdict, deque
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from bench.campaigns.measures import weight_of
from bench.campaigns.minhash import bands
from bench.campaigns.stream import Event

DAY_S = 86_400.0
MINUTE_S = 60.0
TOGETHER = 8  # accounts that one thing must join
# Of policies/examples/containment/policies: requests in a minute by tier, and in a cluster's day.
A_MINUTE = {"free": 600, "trial": 600}
A_MINUTE_ELSE = 6_000
SHARE_OF_ORDINARY = 0.25
MOST_BANDS = 20_000_000  # remembered; then none is learned any more


@dataclass(frozen=True, slots=True)
class Sight:
    """What a baseline sees of an exchange. `prompt` is all of it, `asked` what the user said last;
    `weight` is 1, or the lines of a batch."""

    account: str
    at_s: float
    tier: str
    address: str
    network: str
    card: str
    system: str
    prompt: str
    asked: str
    weight: int = 1


class Baseline(Protocol):
    """A way to refuse."""

    def refuses(self, seen: Sight) -> bool:
        """Whether it refuses because of what joins accounts; notes the exchange."""
        ...


class Nothing:
    """Quotas of accounts alone: nobody is joined."""

    def refuses(self, seen: Sight) -> bool:  # noqa: ARG002 (the protocol's)
        """Never."""
        return False


class Pool:
    """What joined accounts may have together: `limit` in any 24 hours."""

    def __init__(self, limit: float) -> None:
        self._limit = limit
        self._used: defaultdict[Hashable, deque[tuple[float, int]]] = defaultdict(deque)
        self._sum: Counter[Hashable] = Counter()

    def takes(self, group: Hashable, seen: Sight) -> bool:
        """Whether there was room for the exchange; takes it if there was."""
        used = self._used[group]
        while used and used[0][0] <= seen.at_s - DAY_S:
            self._sum[group] -= used.popleft()[1]
        if self._sum[group] + seen.weight > self._limit:
            return False
        used.append((seen.at_s, seen.weight))
        self._sum[group] += seen.weight
        return True

    def merge(self, group: Hashable, into: Hashable) -> None:
        """Put what one group used to what another did."""
        if group in self._used:
            both = sorted((*self._used.pop(group), *self._used[into]))
            self._used[into] = deque(both)
            self._sum[into] += self._sum.pop(group, 0)


class Shared:
    """Accounts that show the same value of one field, from eight accounts on."""

    def __init__(self, pool: Pool, *fields: str) -> None:
        self._pool = pool
        self._fields = fields
        self._accounts: defaultdict[Hashable, set[str]] = defaultdict(set)
        self._group: dict[str, Hashable] = {}

    def refuses(self, seen: Sight) -> bool:
        """Whether the account's group has no room."""
        for name in self._fields:
            value = getattr(seen, name)
            if value:
                self._note((name, hash(value)), seen.account)
        group = self._group.get(seen.account)
        return group is not None and not self._pool.takes(group, seen)

    def _note(self, group: Hashable, account: str) -> None:
        held = self._accounts[group]
        if account in held:
            return
        held.add(account)
        if len(held) == TOGETHER:
            for one in held:
                self._group.setdefault(one, group)
        elif len(held) > TOGETHER:
            self._group.setdefault(account, group)


class NearDuplicates:
    """Accounts of which two prompts are near-duplicates are joined, and those joined to them:
    connected components, from eight accounts on."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._first: dict[int, str] = {}  # band → who showed it first
        self._parent: dict[str, str] = {}
        self._size: Counter[str] = Counter()

    def refuses(self, seen: Sight) -> bool:
        """Whether the account's component has no room."""
        for band in bands(seen.asked):
            other = self._first.get(band)
            if other is None:
                if len(self._first) < MOST_BANDS:
                    self._first[band] = seen.account
            elif other != seen.account:
                self._join(other, seen.account)
        root = self._root(seen.account)
        return self._size[root] >= TOGETHER and not self._pool.takes(root, seen)

    def _root(self, account: str) -> str:
        parent = self._parent
        if account not in parent:
            parent[account] = account
            self._size[account] = 1
        while parent[account] != account:
            parent[account] = parent[parent[account]]
            account = parent[account]
        return account

    def _join(self, one: str, other: str) -> None:
        into, root = self._root(one), self._root(other)
        if into == root:
            return
        if self._size[into] < self._size[root]:
            into, root = root, into
        self._parent[root] = into
        self._size[into] += self._size.pop(root)
        self._pool.merge(root, into)


class OwnQuotas:
    """The quotas per account that are beneath every baseline."""

    def __init__(self) -> None:
        self._minute: dict[str, tuple[int, int]] = {}

    def refuses(self, seen: Sight) -> bool:
        """Whether the account has used up its minute."""
        minute = int(seen.at_s // MINUTE_S)
        last, used = self._minute.get(seen.account, (minute, 0))
        used = used if last == minute else 0
        if used + seen.weight > A_MINUTE.get(seen.tier, A_MINUTE_ELSE) and seen.weight == 1:
            return True
        self._minute[seen.account] = (minute, used + seen.weight)
        return False


def all_baselines(ordinary: float) -> dict[str, Baseline]:
    """Every baseline by name. `ordinary` is what one ordinary account uses in a day."""

    def pool() -> Pool:
        return Pool(max(1.0, SHARE_OF_ORDINARY * ordinary))

    return {
        "account quotas": Nothing(),
        "same prompt": Shared(pool(), "prompt"),
        "same address": Shared(pool(), "address"),
        "same card": Shared(pool(), "card"),
        "same /24": Shared(pool(), "network"),
        "same system prompt": Shared(pool(), "system"),
        "card, /24 or system": Shared(pool(), "card", "network", "system"),
        "MinHash components": NearDuplicates(pool()),
    }


def sight_of(event: Event, account: Mapping[str, Any]) -> Sight:
    """What a baseline sees of an event; `account` is its line of the directory."""
    line = event.line
    system, asked, prompt = _said(line)
    return Sight(
        account=event.persona.account,
        at_s=line["ts"],
        tier=account.get("tier", ""),
        address=line["client_ip"],
        network=line["client_ip"].rpartition(".")[0],
        card=account.get("links", {}).get("payment", ""),
        system=system,
        prompt=prompt,
        asked=asked,
        weight=weight_of(event),
    )


def _said(line: Mapping[str, Any]) -> tuple[str, str, str]:
    """System prompt, the user's last words, and all of it. Of a batch, those of its first line."""
    if "body" not in line:
        text = line.get("body_text", "")
        return "", text, text
    body = line["body"]
    if requests := body.get("requests"):
        body = requests[0]["params"]
    said = body.get("messages") or [{"role": "user", "content": str(body)}]
    system = body.get("system") or ""
    if not system and said[0]["role"] == "system":
        system = said[0]["content"]
    asked = next((_text(one) for one in reversed(said) if one["role"] == "user"), "")
    return str(system), asked, f"{system}\x1f{_text(said[0])}\x1f{asked}"


def _text(message: Mapping[str, Any]) -> str:
    content = message.get("content")
    return content if isinstance(content, str) else str(content)
