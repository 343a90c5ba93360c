"""The small things of a picture: texts, lines, colours and measures, as SVG 1.1."""

from html import escape

WIDTH = 1180
MARGIN = 40
TOP = 128
BAR_X, BAR_WIDTH = 330, 16
TRAIT_X, TRAIT_WIDTH = 760, 380
TRAIT_HEIGHT, TRAIT_GAP, FAMILY_GAP = 46, 10, 34
LEAST_EDGE = 8
GROUP_GAP, LEAST_BAR, MOST_BAR = 18, 36, 120
FONT = "font-family=\"system-ui, 'Segoe UI', Helvetica, Arial, sans-serif\""

# Distinguishable also with the usual colour blindnesses (Okabe and Ito, 2008), darkened for text.
COLOURS = {
    "network": "#0072b2",
    "client": "#b35900",
    "prompt": "#00795c",
    "behaviour": "#a3417f",
    "relationship": "#7a5c00",
}
OTHER_COLOUR = "#555b66"
INK, FAINT, PAPER, LINE = "#1c222b", "#5b6472", "#ffffff", "#d8dde4"


def rule(y: float) -> str:
    """A thin line across the picture."""
    return f'<line x1="{MARGIN}" y1="{y:.0f}" x2="{WIDTH - MARGIN}" y2="{y:.0f}" stroke="{LINE}"/>'


def text(
    x: float,
    y: float,
    said: str,
    size: float,
    colour: str,
    *,
    weight: int = 400,
    end: bool = False,
    spaced: bool = False,
) -> str:
    """One line of text; `end` says that x is where it ends."""
    anchor = ' text-anchor="end"' if end else ""
    spacing = ' letter-spacing="0.8"' if spaced else ""
    return (
        f'<text x="{x:g}" y="{y:.1f}" font-size="{size:g}" font-weight="{weight}" '
        f'fill="{colour}"{anchor}{spacing}>{escape(plain(said))}</text>'
    )


def plain(text: str) -> str:
    """Ids are the operators' own: what XML cannot hold is a question mark."""
    return "".join(c if c.isprintable() else "?" for c in text)


def cut(text: str, most: int) -> str:
    """A text of at most so many characters."""
    return text if len(text) <= most else f"{text[: most - 1]}…"


def plural(count: int, one: str, many: str) -> str:
    """A number and what it counts."""
    return f"{count:,} {one if count == 1 else many}"


def colour_of(family: str) -> str:
    """The colour of a family."""
    return COLOURS.get(family, OTHER_COLOUR)
