"""Many counts in small parts, so that nothing that is done to all of them is done at once.

A dict of a million counts stalls whoever makes it grow, walks it or drops it for tens of
milliseconds. A *table* is a list of PARTS small dicts, and a counter is in the part of its hash.
What is let go is freed a little at each call.
"""

from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

PARTS = 256
MASK = PARTS - 1
FREED_AT_ONCE = 64  # counts that one call frees at most

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")
Table = list[dict[Key, Value]]


def table() -> list[dict[Key, Value]]:
    """An empty table. The part of a counter is `table[hash(counter) & MASK]`."""
    return [{} for _ in range(PARTS)]


def size(parts: Table[Key, Value]) -> int:
    """How many counts a table holds."""
    return sum(map(len, parts))


class Discarded(Generic[Key, Value]):
    """Tables that are no longer needed; true while there is something to free."""

    def __init__(self) -> None:
        self._parts: list[dict[Key, Value]] = []

    def __bool__(self) -> bool:
        return bool(self._parts)

    def add(self, parts: Table[Key, Value]) -> None:
        """Free a table from now on."""
        self._parts += [part for part in parts if part]

    def free(self, at_once: int = FREED_AT_ONCE) -> None:
        """Free some."""
        for _ in range(at_once):
            if not self._parts:
                return
            part = self._parts[-1]
            if part:
                part.popitem()
            else:
                self._parts.pop()


def no_count(_: str) -> None:
    """Nothing was left by an earlier process."""


class Generations(Generic[Value]):
    """Values by counter; those that were not written in a whole generation are let go.

    What an earlier process left of a counter is asked of `earlier` once, when it is first missed.
    """

    def __init__(self) -> None:
        self.earlier: Callable[[str], Value | None] = no_count
        self.young: Table[str, Value] = table()
        self.old: Table[str, Value] = table()
        self._discarded: Discarded[str, Value] = Discarded()
        self._turns = 0

    def __len__(self) -> int:
        return size(self.young) + size(self.old)

    def get(self, counter: str) -> Value | None:
        """The value of a counter."""
        index = hash(counter) & MASK
        value = self.young[index].get(counter)
        if value is None:
            value = self.old[index].get(counter)
        if value is None and (value := self.earlier(counter)) is not None:
            self.young[index][counter] = value
        return value

    def put(self, counter: str, value: Value) -> None:
        """Set the value of a counter, which is young again."""
        self.young[hash(counter) & MASK][counter] = value

    def turn(self, at: int, length: int) -> None:
        """Begin a new generation where it is time; each lasts `length`, in the unit of `at`."""
        if at >= self._turns:
            self._discarded.add(self.old)
            self.young, self.old = table(), self.young
            self._turns = at + length
        if self._discarded:
            self._discarded.free()

    def tables(self) -> tuple[Table[str, Value], Table[str, Value]]:
        """Both tables as they are now."""
        return self.old, self.young
