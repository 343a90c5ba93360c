"""What is kept of each account besides its traits: a row of numbers in columns.

Accounts of one declared organization are one *unit*: they hide from nobody, and count once.
"""

from typing import Any
from zlib import crc32

import msgspec
import numpy as np

from proxy.detect.arrays import Ints, Numbers
from proxy.detect.saved import array_of
from proxy.model.sighting import Described

GONE = 0xFFFF_FFFF
COLUMNS: tuple[tuple[str, type[np.generic]], ...] = (
    ("unit", np.uint32),
    ("created", np.float64),  # Unix seconds, NaN where unknown
    ("tier", np.uint16),  # numbered texts, 0 unknown
    ("verified", np.uint16),
    ("declared", np.uint16),
    ("billing", np.uint16),
    ("home", np.uint64),  # token of the declared country, 0 unknown
    ("first", np.uint32),  # hours since the Unix epoch
    ("last", np.uint32),
    ("total", np.uint32),  # requests
    ("day", np.uint32),  # days since the Unix epoch
    ("today", np.uint32),  # requests served on that day
    ("yesterday", np.uint32),  # and on the day before
    ("network", np.uint64),  # token of the network it called from last
    ("moves", np.uint32),  # times that another one came
    ("located", np.uint32),  # exchanges with a country
    ("abroad", np.uint32),  # of them elsewhere than declared
    ("bait", np.uint16),  # honeypot keys used
    ("said", np.uint32),  # checksum of what the directory says
)


class Accounts:
    """Columns by name; `names` gives the account of each row."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self.row: dict[str, int] = {}
        self.units: dict[int, int] = {}  # organization → unit
        self.unit_count = 0
        self._texts: dict[str, int] = {}
        self._room = 0
        self._columns: dict[str, Numbers] = {name: np.zeros(0, kind) for name, kind in COLUMNS}

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, column: str) -> Numbers:
        return self._columns[column][: len(self.names)]

    def add(self, described: Described, hour: int) -> int:
        """A row for an account that is new."""
        row = len(self.names)
        if row >= self._room:
            self._grow()
        self.names.append(described.account)
        self.row[described.account] = row
        columns = self._columns
        columns["unit"][row] = self._unit(described.organization)
        columns["first"][row] = columns["last"][row] = hour
        self.describe(row, described)
        return row

    def describe(self, row: int, described: Described) -> bool:
        """Take over what the directory says of an account; whether that is new."""
        columns = self._columns
        said = crc32(msgspec.msgpack.encode(described))
        if columns["said"][row] == said:
            return False
        columns["said"][row] = said
        created = described.created_at
        columns["created"][row] = np.nan if created is None else created
        columns["tier"][row] = self._number(described.tier)
        columns["verified"][row] = 0 if described.verified is None else 1 + described.verified
        columns["declared"][row] = self._number(described.country)
        columns["billing"][row] = self._number(described.billing_country)
        columns["home"][row] = described.home or 0
        return True

    def keep(self, rows: Ints) -> Ints:
        """Forget all accounts but those in some rows, in their order.

        Gives for each old row the new one, or the largest 32-bit number where it is gone.
        """
        moved = np.full(len(self.names), GONE, np.uint32)
        moved[rows] = np.arange(len(rows), dtype=np.uint32)
        self.names = [self.names[row] for row in rows]
        self.row = {name: row for row, name in enumerate(self.names)}
        self._columns = {name: self._columns[name][rows].copy() for name, _ in COLUMNS}
        self._room = len(self.names)
        return moved

    def saved(self) -> dict[str, Any]:
        """All of it as values that can be saved."""
        return {
            "names": self.names,
            "units": [[token, unit] for token, unit in self.units.items()],
            "unit_count": self.unit_count,
            "texts": self._texts,
            "columns": {name: np.array(self[name]) for name, _ in COLUMNS},
        }

    def load(self, saved: dict[str, Any]) -> None:
        """Take over what was saved."""
        self.names = saved["names"]
        self.row = {name: row for row, name in enumerate(self.names)}
        self.units = dict(saved["units"])
        self.unit_count, self._texts = saved["unit_count"], saved["texts"]
        self._room = len(self.names)
        self._columns = {name: array_of(saved["columns"][name]) for name, _ in COLUMNS}

    def _unit(self, organization: int | None) -> int:
        unit = self.units.get(organization) if organization is not None else None
        if unit is None:
            unit = self.unit_count
            self.unit_count += 1
            if organization is not None:
                self.units[organization] = unit
        return unit

    def _number(self, text: str | None) -> int:
        if not text:
            return 0
        return self._texts.setdefault(text, min(len(self._texts) + 1, 0xFFFF))

    def _grow(self) -> None:
        self._room = max(1_024, self._room * 2)
        for name, kind in COLUMNS:
            column = np.zeros(self._room, kind)
            column[: len(self.names)] = self._columns[name][: len(self.names)]
            self._columns[name] = column
