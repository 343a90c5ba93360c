"""Which account showed which trait, how often and when last: sorted columns, merged in bulk.

A token that one account alone has shown is only remembered in a table of fixed size (`Firsts`), in
which later ones take the place of earlier ones: most traits of most accounts are theirs alone, and
a flood of accounts that are never seen again displaces itself. From its second account on a token
has its pairs kept.
"""

from typing import Any, NamedTuple

import numpy as np

from proxy.detect.accounts import GONE
from proxy.detect.arrays import Bools, Ints
from proxy.detect.saved import array_of


class Rows(NamedTuple):
    """Pairs as columns, sorted by token, then account; each pair once.

    `last` is in hours since the Unix epoch.
    """

    token: Ints
    account: Ints
    kind: Ints
    times: Ints
    last: Ints

    @property
    def size(self) -> int:
        """How many pairs."""
        return len(self.token)

    def where(self, keep: Bools) -> "Rows":
        """The pairs for which `keep` is true."""
        return Rows(*(column[keep] for column in self))


def no_rows() -> Rows:
    """No pairs."""
    return Rows(*(np.empty(0, t) for t in (np.uint64, np.uint32, np.uint8, np.uint32, np.uint32)))


def summed(rows: Rows) -> Rows:
    """The same pairs in any order and number, sorted and each once: counts added, last kept."""
    if rows.size == 0:
        return rows
    by_token = np.argsort(rows.token, kind="stable")
    token = rows.token[by_token]
    number = np.cumsum(np.concatenate(([False], token[1:] != token[:-1]))).astype(np.uint64)
    key = number << np.uint64(32) | rows.account[by_token]
    order = np.argsort(key, kind="stable")
    key = key[order]
    starts = np.flatnonzero(np.concatenate(([True], key[1:] != key[:-1])))
    order = by_token[order]
    firsts = order[starts]
    return Rows(
        rows.token[firsts],
        rows.account[firsts],
        rows.kind[firsts],
        np.add.reduceat(rows.times[order], starts, dtype=np.uint32),
        np.maximum.reduceat(rows.last[order], starts),
    )


def joined(*parts: Rows) -> Rows:
    """All pairs of some, summed."""
    return summed(Rows(*(np.concatenate(columns) for columns in zip(*parts, strict=True))))


def has(tokens: Ints, sorted_tokens: Ints) -> Bools:
    """For each token whether a sorted column has it."""
    if len(sorted_tokens) == 0:
        return np.zeros(len(tokens), np.bool_)
    at = np.searchsorted(sorted_tokens, tokens)
    found: Bools = sorted_tokens[np.minimum(at, len(sorted_tokens) - 1)] == tokens
    return found


class Firsts:
    """The last account that showed each of some tokens, where only one has. `slots` is 2^n."""

    def __init__(self, slots: int) -> None:
        self.token = np.zeros(slots, np.uint64)
        self.account = np.zeros(slots, np.uint32)

    def take(self, rows: Rows) -> Rows:
        """Of new pairs with unknown tokens those that are shared, with the pair they join.

        `rows` are summed. What is shown by one account alone is noted.
        """
        alone = np.ones(rows.size, np.bool_)
        alone[1:] &= rows.token[1:] != rows.token[:-1]
        alone[:-1] &= rows.token[1:] != rows.token[:-1]
        slot = (rows.token >> np.uint64(6)) & np.uint64(len(self.token) - 1)
        met = self.token[slot] == rows.token
        other = met & (self.account[slot] != rows.account)
        shared = ~alone | other
        news = alone & ~met
        self.token[slot[news]] = rows.token[news]
        self.account[slot[news]] = rows.account[news]
        before = rows.where(other)
        return Rows(
            np.concatenate((rows.token[shared], before.token)),
            np.concatenate((rows.account[shared], self.account[slot[other]])),
            np.concatenate((rows.kind[shared], before.kind)),
            np.concatenate((rows.times[shared], np.ones(before.size, np.uint32))),
            np.concatenate((rows.last[shared], before.last)),
        )


class Pairs:
    """All pairs that are kept: a large level, and a small one for what is new."""

    RECENT = 200_000

    def __init__(self, first_slots: int) -> None:
        self.main = no_rows()
        self.recent = no_rows()
        self.firsts = Firsts(first_slots)

    def add(self, rows: Rows) -> None:
        """Take in new pairs, in any order."""
        rows = summed(rows)
        known = has(rows.token, self.main.token) | has(rows.token, self.recent.token)
        shared = self.firsts.take(rows.where(~known))
        self.recent = joined(self.recent, rows.where(known), shared)
        if self.recent.size > self.RECENT:
            self.all()

    def keep(self, rows: Rows) -> None:
        """Take in pairs that are kept from their first account on: what the directory says."""
        self.recent = joined(self.recent, rows)

    def all(self) -> Rows:
        """All pairs in one level."""
        if self.recent.size:
            self.main = joined(self.main, self.recent)
            self.recent = no_rows()
        return self.main

    def forget(self, before_hour: int, most: int, last: Ints) -> None:
        """Drop pairs last seen before an hour, and the least telling ones above a number.

        `last` is when each account was last seen, by which pairs of the directory are as old. What
        one account alone has joins nobody: it goes first, so that a flood of accounts that are
        never seen again displaces itself.
        """
        rows = self.all()
        if rows.size == 0:
            return
        seen = np.where(rows.times == 0, np.maximum(rows.last, last[rows.account]), rows.last)
        keep = seen >= before_hour
        if (excess := int(keep.sum()) - most) > 0:
            begins = np.concatenate(([True], rows.token[1:] != rows.token[:-1]))
            number = np.cumsum(begins) - 1
            shared = np.bincount(number)[number] > 1
            order = np.lexsort((rows.token, rows.times, seen, shared))
            order = order[keep[order]]
            keep[order[:excess]] = False
        if not keep.all():
            self.main = rows.where(keep)

    def move(self, moved: Ints) -> None:
        """Accounts have other rows now (`Accounts.keep`); what those had that are gone is gone."""
        rows = self.all()
        account = moved[rows.account]
        kept = rows._replace(account=account).where(account != GONE)
        self.main = kept if kept.size == 0 else summed(kept)
        first = self.firsts
        known = first.token != 0
        first.account[known] = moved[first.account[known]]
        lost = known & (first.account == GONE)
        first.token[lost], first.account[lost] = 0, 0

    def saved(self) -> dict[str, Any]:
        """All of it as values that can be saved."""
        return {
            "rows": list(self.all()),
            "first_token": self.firsts.token,
            "first_account": self.firsts.account,
        }

    def load(self, saved: dict[str, Any]) -> None:
        """Take over what was saved."""
        self.main, self.recent = Rows(*map(array_of, saved["rows"])), no_rows()
        self.firsts.token = array_of(saved["first_token"])
        self.firsts.account = array_of(saved["first_account"])
