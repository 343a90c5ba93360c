"""Sightings of one step, gathered in flat buffers and taken in together.

What a step takes in does not depend on the order in which its sightings came.
"""

from array import array
from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np

from proxy.detect.accounts import Accounts
from proxy.detect.kinds import FIRST_LINK, Kinds
from proxy.detect.pairs import Pairs, Rows
from proxy.detect.saved import array_of
from proxy.model.sighting import Described, Sighting
from proxy.model.trait import CODE_MASK, Trait

HOURS_PER_DAY = 24
COLUMNS = (
    ("at_ns", "q"),
    ("requests", "I"),
    ("served", "B"),
    ("bait", "B"),
    ("tokens", "Q"),
    ("size", "I"),
)


class Buffer:
    """The sightings of one step; `size` says how many tokens each has."""

    def __init__(self) -> None:
        self.described: dict[str, Described] = {}
        self.described_at: dict[str, int] = {}  # positions
        self.account: list[str] = []
        self.at_ns, self.requests, self.served, self.bait, self.tokens, self.size = (
            array(code) for _, code in COLUMNS
        )

    def add(self, described: Described, sighting: Sighting, sketch: Sequence[int]) -> None:
        """Note a sighting. Of several descriptions of an account that of the last place counts."""
        if sighting.position >= self.described_at.get(sighting.account, sighting.position):
            self.described[sighting.account] = described
            self.described_at[sighting.account] = sighting.position
        self.account.append(sighting.account)
        self.at_ns.append(sighting.at_ns)
        self.requests.append(min(sighting.requests, 0xFFFF_FFFF))
        self.served.append(sighting.served)
        self.bait.append(sighting.honeypot)
        self.tokens.extend(sighting.tokens)
        self.tokens.extend(sketch)
        self.size.append(len(sighting.tokens) + len(sketch))

    def saved(self) -> dict[str, Any]:
        """All of it as values that can be saved."""
        columns = {name: np.frombuffer(getattr(self, name), code) for name, code in COLUMNS}
        described = {name: msgspec.to_builtins(one) for name, one in self.described.items()}
        return {
            "described": described,
            "described_at": self.described_at,
            "account": self.account,
            "columns": columns,
        }

    @classmethod
    def of_saved(cls, saved: dict[str, Any]) -> "Buffer":
        """The buffer that was saved."""
        buffer = cls()
        buffer.described = msgspec.convert(saved["described"], dict[str, Described])
        buffer.described_at, buffer.account = saved["described_at"], saved["account"]
        for name, code in COLUMNS:
            getattr(buffer, name).frombytes(array_of(saved["columns"][name]).astype(code).tobytes())
        return buffer


def take_in(buffer: Buffer, accounts: Accounts, pairs: Pairs, kinds: Kinds, hour: int) -> None:
    """Take a step's sightings into the columns and pairs.

    `hour` is the step's own: one sighting that comes late, or whose clock was wrong, does not age
    the others.
    """
    if not buffer.account:
        return
    at_ns = np.frombuffer(buffer.at_ns, np.int64)
    fresh = {name for name in buffer.described if name not in accounts.row}
    for name in sorted(fresh):
        accounts.add(buffer.described[name], hour)
    told = [
        one
        for name, one in sorted(buffer.described.items())
        if name in fresh or accounts.describe(accounts.row[name], one)
    ]
    if told:
        pairs.keep(_link_rows(told, accounts, kinds, hour))
    row = np.array([accounts.row[name] for name in buffer.account], np.uint32)
    requests = np.frombuffer(buffer.requests, np.uint32)
    served = requests * np.frombuffer(buffer.served, np.uint8)
    _count(accounts, row, requests, served, hour)
    np.add.at(accounts["bait"], row, np.frombuffer(buffer.bait, np.uint8))
    size = np.frombuffer(buffer.size, np.uint32)
    token = np.frombuffer(buffer.tokens, np.uint64)
    owner = np.repeat(row, size)
    kind = (token & np.uint64(CODE_MASK)).astype(np.uint8)
    _locate(accounts, token, kind, np.repeat(at_ns, size), owner)
    pairs.add(
        Rows(
            token,
            owner,
            kind,
            np.ones(len(token), np.uint32),
            np.full(len(token), hour, np.uint32),
        )
    )


def _link_rows(described: list[Described], accounts: Accounts, kinds: Kinds, hour: int) -> Rows:
    links = [
        (token, accounts.row[one.account], kind)
        for one in described
        for name, token in one.links
        if (kind := kinds.of_link(name)) is not None and kind >= FIRST_LINK
    ]
    return Rows(
        np.array([link[0] for link in links], np.uint64),
        np.array([link[1] for link in links], np.uint32),
        np.array([link[2] for link in links], np.uint8),
        np.zeros(len(links), np.uint32),  # no exchange showed them
        np.full(len(links), hour, np.uint32),
    )


def _count(
    accounts: Accounts, row: np.ndarray, requests: np.ndarray, served: np.ndarray, hour: int
) -> None:
    """Requests in all, and those served by day."""
    touched = np.unique(row)
    accounts["last"][touched] = np.maximum(accounts["last"][touched], hour)
    np.add.at(accounts["total"], row, requests)
    day = hour // HOURS_PER_DAY
    old = touched[accounts["day"][touched] != day]
    follows = accounts["day"][old] == day - 1
    accounts["yesterday"][old] = np.where(follows, accounts["today"][old], 0)
    accounts["today"][old] = 0
    accounts["day"][old] = day
    np.add.at(accounts["today"], row, served)


def _locate(
    accounts: Accounts, token: np.ndarray, kind: np.ndarray, at_ns: np.ndarray, owner: np.ndarray
) -> None:
    """How often accounts came from another network than before, or from abroad."""
    where = kind == Trait.COUNTRY
    of, home = owner[where], accounts["home"][owner[where]]
    known = home != 0
    np.add.at(accounts["located"], of[known], 1)
    np.add.at(accounts["abroad"], of[known & (token[where] != home)], 1)
    where = np.flatnonzero(kind == Trait.NETWORK)
    if len(where) == 0:
        return
    where = where[np.lexsort((token[where], at_ns[where], owner[where]))]
    of, network = owner[where], token[where]
    begins = np.concatenate(([True], of[1:] != of[:-1]))
    before = np.concatenate((network[:1], network[:-1]))
    before[begins] = accounts["network"][of[begins]]
    np.add.at(accounts["moves"], of[(before != network) & (before != 0)], 1)
    ends = np.concatenate((begins[1:], [True]))
    accounts["network"][of[ends]] = network[ends]
