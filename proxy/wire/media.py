"""What images, recordings and documents in a prompt cost, by the providers' published rules.

Sizes are read from the first bytes of what is sent along (`proxy.wire.media_headers`); what is
only pointed to (a URL, a file id) is taken to be of a usual size, and corrected once the answer
reports its usage. Rules:

- OpenAI, https://platform.openai.com/docs/guides/images-vision: tiles of 512 px, or patches of
  32 px within a budget, by model; one token for each 100 ms of audio; a page of a PDF is its text
  and an image of it.
- Anthropic, https://docs.anthropic.com/en/docs/build-with-claude/vision and …/pdf-support: one
  token for each 28 px patch, after the image is scaled down to what the model takes.

An alias that no rule knows is taken for a model of the dialect it is asked in.
"""

import math
import re
from dataclasses import dataclass
from typing import Protocol

from proxy.model.exchange import Dialect

USUAL_SIDE_PX = 1024  # an image whose size is not known
USUAL_AUDIO_S = 30.0
USUAL_PAGES = 5
TOKENS_PER_AUDIO_S = 10
_TEXT_OF_A_PAGE = {Dialect.OPENAI: 600, Dialect.ANTHROPIC: 1000}
_PAGE_PX = (816, 1056)  # a page of letter paper at 96 dpi, which is what models get to see


class ImageRule(Protocol):
    """How a model counts an image."""

    def tokens(self, width: int, height: int, detail: str) -> int:
        """Tokens of an image of so many pixels; `detail` is "" where the request has none."""
        ...


@dataclass(frozen=True, slots=True)
class Tiles:
    """A base, and tiles of 512 px after the image fits 2,048 px and its short side 768 px."""

    base: int
    tile: int

    def tokens(self, width: int, height: int, detail: str) -> int:
        """Low detail is the base alone."""
        if detail == "low":
            return self.base
        scale = min(1.0, 2048 / max(width, height))
        scale = min(scale, 768 / min(width, height))
        tiles = math.ceil(width * scale / 512) * math.ceil(height * scale / 512)
        return self.base + self.tile * tiles


@dataclass(frozen=True, slots=True)
class Patches:
    """Patches of 32 px within a budget, each a little more or less than a token.

    `original` is the budget of the details `original` and, where `auto_is_original`, `auto`;
    None for models that have no such detail, and whose low detail changes nothing.
    """

    per_patch: float
    high: int = 1536
    original: int | None = None
    auto_is_original: bool = False

    def tokens(self, width: int, height: int, detail: str) -> int:
        """What the image comes to within the budget of its detail."""
        side_px, budget = 2048, self.high
        if self.original is not None:
            if detail == "low":
                side_px, budget = 512, 256
            elif detail == "original" or (self.auto_is_original and detail in ("", "auto")):
                side_px, budget = 65535, self.original
        scale = min(1.0, side_px / max(width, height))
        return math.ceil(_patches(width * scale, height * scale, 32, budget) * self.per_patch)


@dataclass(frozen=True, slots=True)
class Scaled:
    """Patches of 28 px after the image fits the longest side and the most patches."""

    side_px: int
    most: int

    def tokens(self, width: int, height: int, detail: str) -> int:  # noqa: ARG002
        """There is no detail to choose."""
        scale = min(1.0, self.side_px / max(width, height))
        across, down = width * scale / 28, height * scale / 28
        patches = _whole(across) * _whole(down)
        if patches <= self.most:
            return patches
        shrunk = math.sqrt(self.most / (across * down))
        return max(self._fitting(across, down, shrunk), self._fitting(down, across, shrunk))

    def _fitting(self, side: float, other: float, shrunk: float) -> int:
        """The most patches within the bound where `side` shrinks to a whole number of them."""
        for whole in range(math.floor(side * shrunk), 0, -1):
            patches = whole * _whole(other * whole / side)
            if patches <= self.most:
                return patches
        return 1


def _patches(width: float, height: float, patch_px: int, budget: int) -> int:
    """Patches that cover an image; over the budget, it shrinks until whole patches fit."""
    patches = math.ceil(width / patch_px) * math.ceil(height / patch_px)
    if patches <= budget:
        return max(1, patches)
    shrunk = math.sqrt(budget * patch_px**2 / (width * height))
    across, down = width * shrunk / patch_px, height * shrunk / patch_px
    if across >= 1 and down >= 1:
        shrunk *= min(math.floor(across) / across, math.floor(down) / down)
    return min(budget, _whole(width * shrunk / patch_px) * _whole(height * shrunk / patch_px))


def _whole(patches: float) -> int:
    """Patches that cover so many; what is a hair beyond a whole number is the number."""
    return max(1, math.ceil(round(patches, 6)))


_SMALL = Patches(1.2)
_STANDARD, _HIGH_RESOLUTION = Scaled(1568, 1568), Scaled(2576, 4784)

# The first that matches counts. OpenAI's guide names 1.62 and 2.46 for the small models of the
# fifth generation; its price calculator, and what answers report, 1.2 and 1.5.
_RULES: tuple[tuple[re.Pattern[str], ImageRule], ...] = tuple(
    (re.compile(pattern), rule)
    for pattern, rule in (
        (r"gpt-4o-mini", Tiles(2833, 5667)),
        (r"gpt-4\.1-mini", Patches(1.62)),
        (r"gpt-4\.1-nano", Patches(2.46)),
        (r"gpt-4|chatgpt-4o", Tiles(85, 170)),
        (r"gpt-5(?:\.\d)?-nano|gpt-5\.4-nano", Patches(1.5)),
        (r"gpt-5(?:\.[1-4])?-mini|gpt-5\.[23]|.*codex", _SMALL),
        (r"gpt-5\.4", Patches(1.2, 2500, 10_000)),
        (r"gpt-5\.5", Patches(1.2, 2500, 10_000, auto_is_original=True)),
        (r"gpt-5(?:\.1)?(?:-|$)", Tiles(70, 140)),
        (r"gpt-(?:5\.|[6-9])", Patches(1.2, 2500, 30_000, auto_is_original=True)),
        (r"o4-mini", Patches(1.72)),
        (r"o[134]", Tiles(75, 150)),
        (r"computer-use", Tiles(65, 129)),
        (r"claude-(?:[123]|instant)", _STANDARD),
        (r"claude-(?:opus|sonnet|haiku)-4(?![-.][7-9](?!\d))", _STANDARD),
        (r"claude-", _HIGH_RESOLUTION),
    )
)
_OF_A_DIALECT: dict[Dialect, ImageRule] = {
    Dialect.OPENAI: Tiles(85, 170),
    Dialect.ANTHROPIC: _HIGH_RESOLUTION,
}
_VENDOR = re.compile(r"(?:.*/)?(?:(?:[a-z]+\.)?anthropic\.)?")


def image_rule(dialect: Dialect, model: str | None) -> ImageRule:
    """How the model counts images, known by its name, else by the dialect it is asked in."""
    name = (model or "").lower()
    vendor = _VENDOR.match(name)
    at = vendor.end() if vendor else 0
    for pattern, rule in _RULES:
        if pattern.match(name, at):
            return rule
    return _OF_A_DIALECT[dialect]


def audio_tokens(seconds: float | None) -> int:
    """Tokens of a recording; of a usual one where its length is not known."""
    return math.ceil((USUAL_AUDIO_S if seconds is None else seconds) * TOKENS_PER_AUDIO_S)


def document_tokens(pages: int | None, dialect: Dialect, rule: ImageRule) -> int:
    """Tokens of a document: for each page, its text and its image."""
    page = _TEXT_OF_A_PAGE[dialect] + rule.tokens(*_PAGE_PX, "")
    return page * (USUAL_PAGES if pages is None else pages)
