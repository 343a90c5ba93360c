"""A picture of a cluster: accounts on the left, what they share on the right, as SVG 1.1.

Accounts that show the same traits are one bar, so that 25,000 are as readable as ten. Text is drawn
with fonts that every system has; the picture loads nothing and runs nothing.
"""

from collections.abc import Iterator
from html import escape
from math import sqrt

from proxy.investigate.found import Found
from proxy.investigate.groups import Group, Grouped, grouped
from proxy.investigate.ribbons import ribbons
from proxy.investigate.svg import (
    BAR_WIDTH,
    BAR_X,
    FAINT,
    FAMILY_GAP,
    FONT,
    GROUP_GAP,
    INK,
    LEAST_BAR,
    LINE,
    MARGIN,
    MOST_BAR,
    PAPER,
    TOP,
    TRAIT_GAP,
    TRAIT_HEIGHT,
    TRAIT_WIDTH,
    TRAIT_X,
    WIDTH,
    colour_of,
    cut,
    plain,
    plural,
    rule,
    text,
)
from proxy.investigate.wording import moment_words, one_in, trait_words
from proxy.model.cluster import Evidence


def picture(found: Found) -> str:
    """The whole SVG document."""
    drawn = grouped(found)
    traits, traits_end = _trait_places(drawn)
    groups, groups_end = _group_places(drawn)
    bottom = max(traits_end, groups_end) + 16
    # The shorter side stands in the middle of the longer.
    down_t = (bottom - traits_end) / 2 if traits_end < groups_end else 0.0
    down_g = (bottom - groups_end) / 2 if groups_end < traits_end else 0.0
    traits = [y + down_t for y in traits]
    groups = [(y + down_g, height) for y, height in groups]
    parts = [
        *_head(found, drawn, bottom + 84),
        *ribbons(drawn, groups, traits),
        *_bars(drawn, groups),
        *_traits(drawn, traits, found),
        *_legend(drawn, bottom + 30),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _trait_places(drawn: Grouped) -> tuple[list[float], float]:
    """The top of each trait, with room for a heading above each family."""
    places, y, family = [], float(TOP + 12), ""
    for evidence in drawn.traits:
        if evidence.family != family:
            y += FAMILY_GAP - (TRAIT_GAP if family else 0)
            family = evidence.family
        places.append(y)
        y += TRAIT_HEIGHT + TRAIT_GAP
    return places, y


def _group_places(drawn: Grouped) -> tuple[list[tuple[float, float]], float]:
    """Top and height of each bar: four times the accounts, twice as high, above a least height."""
    most = max(1, *(group.accounts for group in drawn.groups))
    highest = MOST_BAR if len(drawn.groups) > 1 else 2 * MOST_BAR
    places, y = [], float(TOP + 24)
    for group in drawn.groups:
        height = LEAST_BAR + (highest - LEAST_BAR) * sqrt(group.accounts / most) * (most > 1)
        places.append((y, height))
        y += height + GROUP_GAP
    return places, y


def _head(found: Found, drawn: Grouped, height: float) -> Iterator[str]:
    cluster = found.cluster
    size = max(cluster.accounts, len(found.members))
    title = f"Cluster {cluster.id}: {size:,} accounts and what they share"
    said = (
        f"{cluster.state.value}, score {cluster.score:.2f}; "
        f"{plural(len(found.families), 'family agrees', 'families agree')}; "
        f"opened {moment_words(found.opened_ns)}, last seen {moment_words(found.seen_ns)} UTC"
    )
    yield (
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" aria-labelledby="t d" '
        f'width="{WIDTH}" height="{height:.0f}" viewBox="0 0 {WIDTH} {height:.0f}" {FONT}>'
    )
    yield f'<title id="t">{escape(plain(title))}</title>'
    yield f'<desc id="d">{escape(plain(_described(found, drawn, said)))}</desc>'
    yield f'<rect width="{WIDTH}" height="{height:.0f}" fill="{PAPER}"/>'
    yield text(MARGIN, 52, title, 24, INK, weight=600)
    yield text(MARGIN, 80, said, 14, FAINT)
    yield rule(100)
    heading = "ACCOUNTS" if not drawn.told else "ACCOUNTS, BY THE TRAITS THEY SHOW"
    yield text(BAR_X, TOP, heading, 11, FAINT, weight=600, end=True, spaced=True)
    yield text(TRAIT_X, TOP, "SHARED TRAITS", 11, FAINT, weight=600, spaced=True)


def _described(found: Found, drawn: Grouped, said: str) -> str:
    """The same in words, for those who do not see it."""
    size = max(found.cluster.accounts, len(found.members))
    traits = "; ".join(
        f"{e.family}: {trait_words(e.trait)}, {e.accounts:,} of {size:,} accounts"
        for e in drawn.traits
    )
    return f"{said}. {traits}." if traits else f"{said}. No evidence is written down."


def _bars(drawn: Grouped, groups: list[tuple[float, float]]) -> Iterator[str]:
    for group, (top, height) in zip(drawn.groups, groups, strict=True):
        shade = FAINT if group.mixed and drawn.told else INK
        middle = top + height / 2
        yield (
            f'<rect x="{BAR_X + 14}" y="{top:.1f}" width="{BAR_WIDTH}" height="{height:.1f}" '
            f'rx="4" fill="{shade}"/>'
        )
        count, below = _group_words(group, told=drawn.told)
        yield text(BAR_X, middle - 3, count, 15, INK, weight=600, end=True)
        yield text(BAR_X, middle + 15, below, 11, FAINT, end=True)


def _group_words(group: Group, *, told: bool) -> tuple[str, str]:
    """The two lines beside a bar."""
    if group.accounts == 1 and group.names:
        return cut(group.names[0], 30), _shown(group)
    count = plural(group.accounts, "account", "accounts")
    if group.mixed and told:
        return count, f"in {plural(group.mixed, 'other mix', 'other mixes')} of traits"
    more = group.accounts - len(group.names)
    names = ", ".join(cut(name, 14) for name in group.names)
    return count, f"{names} and {more:,} more" if more and names else names


def _shown(group: Group) -> str:
    return f"shows {plural(len(group.shows), 'trait', 'traits')}" if group.shows else "shows none"


def _traits(drawn: Grouped, traits: list[float], found: Found) -> Iterator[str]:
    size = max(found.cluster.accounts, len(found.members))
    family = ""
    for evidence, y in zip(drawn.traits, traits, strict=True):
        colour = colour_of(evidence.family)
        if evidence.family != family:
            family = evidence.family
            yield text(TRAIT_X, y - 8, family.capitalize(), 13, colour, weight=600)
        yield from _trait(evidence, y, colour, size)


def _trait(evidence: Evidence, y: float, colour: str, size: int) -> Iterator[str]:
    share = min(1.0, evidence.accounts / size) if size else 0.0
    yield (
        f'<rect x="{TRAIT_X}" y="{y:.1f}" width="{TRAIT_WIDTH}" height="{TRAIT_HEIGHT}" rx="6" '
        f'fill="{PAPER}" stroke="{LINE}"/>'
        f'<rect x="{TRAIT_X}" y="{y:.1f}" width="{TRAIT_WIDTH * share:.1f}" '
        f'height="{TRAIT_HEIGHT}" rx="6" fill="{colour}" fill-opacity="0.13"/>'
        f'<rect x="{TRAIT_X}" y="{y:.1f}" width="5" height="{TRAIT_HEIGHT}" rx="2.5" '
        f'fill="{colour}"/>'
    )
    yield text(TRAIT_X + 16, y + 20, cut(trait_words(evidence.trait), 44), 14, INK, weight=600)
    said = f"{evidence.accounts:,} of {size:,} ({share:.0%})"
    if evidence.lift > 0 and share > 0:
        said += f", against {one_in(share / evidence.lift)} of everyone"
    yield text(TRAIT_X + 16, y + 37, said, 11.5, FAINT)


def _legend(drawn: Grouped, y: float) -> Iterator[str]:
    yield rule(y - 8)
    x = float(MARGIN)
    for family in dict.fromkeys(evidence.family for evidence in drawn.traits):
        yield (
            f'<rect x="{x:.0f}" y="{y + 8:.0f}" width="12" height="12" rx="3" '
            f'fill="{colour_of(family)}"/>'
        )
        yield text(x + 18, y + 18.5, family, 12, INK)
        x += 36 + 7.2 * len(family)
    yield text(MARGIN, y + 40, _notes(drawn), 11.5, FAINT)


def _notes(drawn: Grouped) -> str:
    notes = ["Four times the accounts: a bar twice as high above its least height."]
    if not drawn.told:
        notes.append("Which account shows which trait was not kept: only the counts are drawn.")
    if any(group.mixed for group in drawn.groups) and drawn.told:
        notes.append("Pale: rarer mixes of traits, drawn together.")
    if drawn.left_out:
        notes.append(f"{plural(drawn.left_out, 'weaker trait is', 'weaker traits are')} left out.")
    return " ".join(notes)
