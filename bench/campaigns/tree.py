"""A decision tree over yes-or-no columns, grown greedily by Gini impurity: what an attacker might
train on answers. Small on purpose; it finds any single difference and most pairs of them."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Columns = npt.NDArray[np.bool_]
DEPTH, LEAST = 6, 20


@dataclass(frozen=True, slots=True)
class Node:
    """A question (`column`), or where there is none the answer."""

    answer: bool
    column: int = -1
    no: "Node | None" = None
    yes: "Node | None" = None

    def says(self, row: Columns) -> bool:
        """The answer for one row."""
        node = self
        while node.column >= 0:
            following = node.yes if row[node.column] else node.no
            assert following is not None
            node = following
        return node.answer

    def asked(self) -> set[int]:
        """All columns that are asked for."""
        if self.column < 0 or self.no is None or self.yes is None:
            return set()
        return {self.column} | self.no.asked() | self.yes.asked()


def grow(columns: Columns, truth: Columns, depth: int = DEPTH) -> Node:
    """A tree for rows (n, d) with what is true of them (n)."""
    count, positive = len(truth), int(truth.sum())
    leaf = Node(positive * 2 > count)
    if depth == 0 or positive in {0, count} or count < 2 * LEAST or columns.shape[1] == 0:
        return leaf
    yes = columns.sum(axis=0)
    yes_positive = columns[truth].sum(axis=0)
    impurity = _gini(yes_positive, yes) + _gini(positive - yes_positive, count - yes)
    impurity[(yes < LEAST) | (count - yes < LEAST)] = np.inf
    best = int(np.argmin(impurity))
    if impurity[best] >= 2 * positive * (count - positive) / count - 1e-9:
        return leaf
    at = columns[:, best]
    no = grow(columns[~at], truth[~at], depth - 1)
    return Node(leaf.answer, best, no, grow(columns[at], truth[at], depth - 1))


def _gini(positive: npt.NDArray[np.int_], count: npt.NDArray[np.int_]) -> npt.NDArray[np.float64]:
    """The impurity of a side, times its size."""
    return 2.0 * positive * (count - positive) / np.maximum(count, 1)
