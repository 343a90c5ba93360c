"""The ribbons of a picture, from accounts to the traits that they show."""

from collections.abc import Iterator
from math import sqrt

from proxy.investigate.groups import Grouped
from proxy.investigate.svg import (
    BAR_WIDTH,
    BAR_X,
    LEAST_EDGE,
    PAPER,
    TRAIT_HEIGHT,
    TRAIT_X,
    colour_of,
)


def ribbons(
    drawn: Grouped, groups: list[tuple[float, float]], traits: list[float]
) -> Iterator[str]:
    """From each bar to the traits that its accounts show.

    A bar is divided among its traits, and a trait's edge among those who show it, so that nothing
    lies upon anything else at either end.
    """
    arriving = _shares(drawn)
    for index, (group, (top, height)) in enumerate(zip(drawn.groups, groups, strict=True)):
        leaving = _slots([float(count) for _, count in group.shows], top, height)
        for (place, _), left in zip(group.shows, leaving, strict=True):
            begin, end = arriving[index, place]
            right = (traits[place] + begin, traits[place] + end)
            faint = bool(group.mixed and drawn.told)
            yield _ribbon(left, right, colour_of(drawn.traits[place].family), faint=faint)


def _shares(drawn: Grouped) -> dict[tuple[int, int], tuple[float, float]]:
    """Where on a trait's edge the accounts of a group arrive, by (group, trait)."""
    found = {}
    size = sum(group.accounts for group in drawn.groups)
    for place in range(len(drawn.traits)):
        coming = [
            (index, count)
            for index, group in enumerate(drawn.groups)
            for shown, count in group.shows
            if shown == place
        ]
        # Few of all accounts: a narrow stretch of the edge, in its middle.
        share = sum(count for _, count in coming) / max(1, size)
        height = max(LEAST_EDGE, TRAIT_HEIGHT * sqrt(min(1.0, share)))
        top = (TRAIT_HEIGHT - height) / 2
        slots = _slots([sqrt(count) for _, count in coming], top, height)
        found.update({(index, place): slot for (index, _), slot in zip(coming, slots, strict=True)})
    return found


def _slots(weights: list[float], top: float, height: float) -> list[tuple[float, float]]:
    """A stretch divided by weights, in order."""
    total, slots, y = sum(weights) or 1.0, [], top
    for weight in weights:
        slots.append((y, y + height * weight / total))
        y = slots[-1][1]
    return slots


def _ribbon(
    left: tuple[float, float], right: tuple[float, float], colour: str, *, faint: bool
) -> str:
    x0, x1 = BAR_X + 14 + BAR_WIDTH, TRAIT_X
    x = (x0 + x1) / 2
    (a, b), (c, d) = left, right
    opacity = 0.14 if faint else 0.32
    return (
        f'<path d="M{x0},{a:.1f} C{x},{a:.1f} {x},{c:.1f} {x1},{c:.1f} L{x1},{d:.1f} '
        f'C{x},{d:.1f} {x},{b:.1f} {x0},{b:.1f} Z" fill="{colour}" fill-opacity="{opacity}" '
        f'stroke="{PAPER}" stroke-width="0.6"/>'
    )
