"""Patterns with * and ? compared with each other, as sets of texts."""


def covers(wide: str, narrow: str) -> bool:
    """Whether every text of `narrow` is one of `wide`. Where it says no, it may still be so."""
    at = _opened(wide, {0})
    for sign in narrow:
        stay = {i for i in at if wide[i : i + 1] == "*"}
        step = {i + 1 for i in at if _takes(wide[i : i + 1], sign)}
        at = _opened(wide, stay | step)
    return len(wide) in at


def _takes(wide: str, sign: str) -> bool:
    return wide == sign if sign == "*" or wide != "?" else sign != "*"


def _opened(pattern: str, at: set[int]) -> set[int]:
    """The places reached when a * stands for nothing."""
    reached = set(at)
    for i, sign in enumerate(pattern):
        if sign == "*" and i in reached:
            reached.add(i + 1)
    return reached


def meet(one: str, other: str) -> bool:
    """Whether some text fits both patterns."""
    seen: set[tuple[int, int]] = set()
    ways = [(0, 0)]
    while ways:
        i, j = ways.pop()
        if (i, j) == (len(one), len(other)):
            return True
        if (i, j) in seen:
            continue
        seen.add((i, j))
        a, b = one[i : i + 1], other[j : j + 1]
        if a == "*":
            ways.append((i + 1, j))
        if b == "*":
            ways.append((i, j + 1))
        if a and b and (a == b or a in "*?" or b in "*?"):
            ways.append((i if a == "*" else i + 1, j if b == "*" else j + 1))
    return False
