"""The skeleton of a prompt: its first fixed words, with what changes from call to call masked.

Prompts written from one template by many accounts have one skeleton; two people who write freely
do not, as their texts part within a few words. It knows nothing of a template that comes after its
content, nor of lower-case words that change in the middle of a sentence: near-duplicates are
another method's work (`proxy.facts.sketch`).
"""

import re
from collections.abc import Iterator
from itertools import islice
from string import digits, punctuation

from proxy.facts.prompt_text import visible

SLOT = "▢"
_FENCES = ("```", '"""')
HEAD_CHARS = 4_096
QUICK_CHARS = (256, 1_024)  # most skeletons end within these; a longer quote reaches their end
LINE_CHARS = 1_024
MIN_WORDS = 6  # fewer fixed words ("go on", "what is the weather today") join nobody
PARAGRAPH_WORDS = 8  # so many make a template that ends with its paragraph
LINE_WORDS = 12  # … or with its line
MAX_WORDS = 24
SPLIT_WORDS = 32  # of a line at once
MAX_TAGS = 16
MAX_WORD_CHARS = 32  # a longer one is a digest, a token or other data

# Labels whose text is the author's instruction and not the call's content.
# fmt: off
INSTRUCTIONS = frozenset((
    "constraints", "context", "format", "goal", "guidelines", "important", "instruction",
    "instructions", "note", "notes", "objective", "output", "persona", "prompt", "requirements",
    "role", "rubric", "rules", "steps", "style", "system", "task", "tone",
))
# fmt: on
_TAG = re.compile(r"<([A-Za-z][\w-]{0,31})>")
_QUOTED = re.compile(
    r""""[^"]*(?:"|\Z)|“[^”]*(?:”|\Z)|«[^»]*(?:»|\Z)|「[^」]*(?:」|\Z)|`[^`]*(?:`|\Z)"""
    r"""|(?<!\w)'(?:[^']|'(?=\w)){0,400}+'"""
)
_OPENS = re.compile(r"'(?<!\w')")  # and no apostrophe
_COLON = re.compile(r":(?=\s|\Z)")
UNSPACED = re.compile(  # scripts written without spaces: two letters count as a word
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]+"
)
_RUNS = re.compile(f"({UNSPACED.pattern})")
_DIGITS = frozenset(digits)
MARKS = punctuation + "\u2013\u2014\u2026\u2018\u2019\u201c\u201d\u201e«»¡¿、。·•→"


def skeleton(text: str) -> str:
    """The first fixed words of a prompt, in lower case, with "▢" for each run of what changes.

    Changing are: numbers, quoted text, code, addresses, long words, names in the middle of a
    sentence, what follows a colon (unless its label is an instruction's), and the lines after a
    line that ends with a colon. "" where too few fixed words remain.
    """
    for size in QUICK_CHARS:
        if size >= len(text) or "<" in text[:size]:
            break
        words = _masked(text[:size])
        if words.ended:
            return words.text()
    words = _masked(text)
    return words.text()


def _masked(text: str) -> "_Words":
    words = _Words()
    inside_slot = False
    for line in _lines(text):
        if not line:
            inside_slot = False
            if words.fixed >= PARAGRAPH_WORDS:
                words.ended = True
                break
            continue
        if words.fixed >= LINE_WORDS:
            words.ended = True
            break
        before, colon, after = _parted(line)
        if inside_slot and not colon:
            continue
        words.take(before)
        if colon and words.fixed < MAX_WORDS:
            words.slot()
            inside_slot = not after
            if inside_slot and words.fixed >= PARAGRAPH_WORDS:
                break
        if words.fixed >= MAX_WORDS:
            words.ended = True
            break
    return words


class _Words:
    """The skeleton so far: words kept, and how many of them are fixed."""

    def __init__(self) -> None:
        self.kept: list[str] = []
        self.fixed = 0
        self.ended = False  # nothing further on is read

    def text(self) -> str:
        """The skeleton; "" where too few words are fixed."""
        return " ".join(self.kept).casefold() if self.fixed >= MIN_WORDS else ""

    def slot(self) -> None:
        """Something that changes stood here."""
        if not self.kept or self.kept[-1] != SLOT:
            self.kept.append(SLOT)

    def take(self, line: str) -> None:
        """The words of a line, or of a part of one, until there are enough."""
        if _quotes(line):
            line = _QUOTED.sub(f" {SLOT} ", line)
        names = False  # whether a capital would begin a name here
        while line and self.fixed < MAX_WORDS:
            words = line.split(None, SPLIT_WORDS)
            line = words.pop() if len(words) > SPLIT_WORDS else ""
            names = self._take(words, names)

    def _take(self, words: list[str], names: bool) -> bool:
        keep = self.kept.append
        for word in words:
            # Most words are so: worth a path of their own. No script without spaces has case.
            if word.isalpha() and word.islower() and len(word) <= MAX_WORD_CHARS:
                keep(word)
                self.fixed += 1
                names = True
            else:
                names = self._take_other(word, names)
            if self.fixed >= MAX_WORDS:
                break
        return names

    def _take_other(self, word: str, names: bool) -> bool:
        core = word if word.isalnum() else word.strip(MARKS)
        if not core:
            return names and word not in ".!?"
        if (names and core[0].isupper() and len(core) > 1) or changes(core):
            self.slot()
            names = True
        else:
            self._fix(core)
            names = core[-1].islower()
        return names and word[-1] not in ".!?"

    def _fix(self, core: str) -> None:
        if core.isascii() or not UNSPACED.match(core):
            self.kept.append(core)
            self.fixed += 1
            return
        core = core[: 2 * (MAX_WORDS - self.fixed)]
        self.kept.append(core)
        self.fixed += (len(core) + 1) // 2


def _quotes(line: str) -> bool:
    """Whether a quotation may begin in a line; most lines have none, and the search is dear."""
    return (
        '"' in line
        or "`" in line
        or ("'" in line and _OPENS.search(line) is not None)
        or (not line.isascii() and ("“" in line or "«" in line or "「" in line))
    )


def changes(core: str) -> bool:
    """Whether a word is data: a number, an address, a digest, a slot already."""
    if core.isalpha():
        return len(core) > MAX_WORD_CHARS and not UNSPACED.match(core)
    return (
        core == SLOT
        or len(core) > MAX_WORD_CHARS
        or "@" in core
        or "://" in core
        or not _DIGITS.isdisjoint(core)
        or (not core.isascii() and any(map(str.isdigit, core)))
    )


def spaced(text: str) -> str:
    """Runs of letters of scripts without spaces, set apart by some."""
    return " ".join(_RUNS.split(text))


def _lines(text: str) -> Iterator[str]:
    """Stripped lines of the head, blocks masked; scripts without spaces set apart by some."""
    head = visible(text, HEAD_CHARS)
    if not head.isascii():
        head = spaced(head)
    for fence in _FENCES:
        if fence in head:
            head = f" {SLOT} ".join(head.split(fence)[::2])
    if "<" in head:
        head = _without_elements(head)
    for line in head.splitlines():
        yield line.strip()[:LINE_CHARS]


def _without_elements(head: str) -> str:
    """The text with `<tag>content</tag>` masked, but for tags that hold instructions."""
    kept: list[str] = []
    start = 0
    for tag in islice(_TAG.finditer(head), MAX_TAGS):
        if tag.start() < start or tag[1].casefold() in INSTRUCTIONS:
            continue
        end = head.find(f"</{tag[1]}>", tag.end())
        if end >= 0:
            kept += head[start : tag.start()], f" {SLOT} "
            start = end + len(tag[0]) + 1
    return "".join(kept) + head[start:]


def _parted(line: str) -> tuple[str, bool, str]:
    """(fixed part, whether a colon ends it, what follows); instruction labels end nothing."""
    if ":" not in line:
        return line, False, ""
    start = 0
    while colon := _COLON.search(line, start):
        label = line[start : colon.start()].strip(MARKS + " 0123456789").casefold()
        if label not in INSTRUCTIONS:
            return line[: colon.start()], True, line[colon.end() :].strip()
        start = colon.end()
    return line, False, ""
