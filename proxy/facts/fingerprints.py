"""What a prompt is made of: keyed tokens of its system prompt and of its template.

The template token is made from the *skeleton* of the first user turn: its first fixed words, with
what changes from call to call masked. Prompts written from one template by many accounts share
the token; two people who write freely do not, as their texts part within a few words. It knows
nothing of a template that comes after its content, nor of lower-case words that change in the
middle of a sentence: near-duplicates are another method's work.
"""

import re
from collections.abc import Iterator
from functools import lru_cache
from hashlib import blake2b
from itertools import islice
from string import punctuation

from proxy.facts.prompt_text import normalize, visible
from proxy.model.exchange import Prompt

SLOT = "▢"
_FENCES = ("```", '"""')
HEAD_CHARS = 4_096
SYSTEM_CHARS = 8_192
LINE_CHARS = 1_024
MIN_WORDS = 6  # fewer fixed words ("go on", "what is the weather today") join nobody
PARAGRAPH_WORDS = 8  # so many make a template that ends with its paragraph
LINE_WORDS = 12  # … or with its line
MAX_WORDS = 24
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
_QUOTES = re.compile("""["'`“«「]""")
_COLON = re.compile(r":(?=\s|\Z)")
_UNSPACED = re.compile(  # scripts written without spaces: two letters count as a word
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]+"
)
_MARKS = punctuation + "\u2013\u2014\u2026\u2018\u2019\u201c\u201d\u201e«»¡¿、。·•→"


def tokens(prompt: Prompt, key: bytes) -> tuple[tuple[str, str], ...]:
    """("system", hex) and ("template", hex), each where the prompt has such a trait.

    A token is 64 bits in hex: BLAKE2b (RFC 7693) under the key, personalized by the trait, so
    that nobody without the key can tell which texts share one.
    """
    found = []
    if prompt.system and (token := _system_token(prompt.system[:SYSTEM_CHARS], key)):
        found.append(("system", token))
    if template := skeleton(prompt.opening):
        found.append(("template", _token("template", template, key)))
    return tuple(found)


@lru_cache(maxsize=512)
def _system_token(system: str, key: bytes) -> str:
    """Kept by text: the exchanges of one application repeat their system prompt word by word."""
    normal = normalize(system, SYSTEM_CHARS)
    return _token("system", normal, key) if normal else ""


def skeleton(text: str) -> str:
    """The first fixed words of a prompt, in lower case, with "▢" for each run of what changes.

    Changing are: numbers, quoted text, code, addresses, long words, names in the middle of a
    sentence, what follows a colon (unless its label is an instruction's), and the lines after a
    line that ends with a colon. "" where too few fixed words remain.
    """
    words = _Words()
    inside_slot = False
    for line in _lines(text):
        if not line:
            inside_slot = False
            if words.fixed >= PARAGRAPH_WORDS:
                break
            continue
        if words.fixed >= LINE_WORDS:
            break
        before, colon, after = _parted(line)
        if inside_slot and not colon:
            continue
        words.take(before)
        if colon:
            words.slot()
            inside_slot = not after
            if inside_slot and words.fixed >= PARAGRAPH_WORDS:
                break
        if words.fixed >= MAX_WORDS:
            break
    return " ".join(words.kept).casefold() if words.fixed >= MIN_WORDS else ""


class _Words:
    """The skeleton so far: words kept, and how many of them are fixed."""

    def __init__(self) -> None:
        self.kept: list[str] = []
        self.fixed = 0

    def slot(self) -> None:
        """Something that changes stood here."""
        if not self.kept or self.kept[-1] != SLOT:
            self.kept.append(SLOT)

    def take(self, line: str) -> None:
        """The words of a line, or of a part of one, until there are enough."""
        if _QUOTES.search(line) or "'" in line:
            line = _QUOTED.sub(f" {SLOT} ", line)
        names = False  # whether a capital would begin a name here
        for word in line.split():
            if word.islower() and word.isalpha() and word.isascii() and len(word) <= MAX_WORD_CHARS:
                self.kept.append(word)  # most words are so: worth a path of their own
                self.fixed += 1
                names = True
                if self.fixed >= MAX_WORDS:
                    return
                continue
            core = word if word.isalnum() else word.strip(_MARKS)
            if not core:
                names = names and word not in ".!?"
                continue
            if _changes(core) or (names and core[0].isupper() and len(core) > 1):
                self.slot()
                names = True
            else:
                self._fix(core)
                names = core[-1].islower()
            names = names and word[-1] not in ".!?"
            if self.fixed >= MAX_WORDS:
                return

    def _fix(self, core: str) -> None:
        if core.isascii() or not _UNSPACED.match(core):
            self.kept.append(core)
            self.fixed += 1
            return
        core = core[: 2 * (MAX_WORDS - self.fixed)]
        self.kept.append(core)
        self.fixed += (len(core) + 1) // 2


def _changes(core: str) -> bool:
    """Whether a word is data: a number, an address, a digest, a slot already."""
    if core.isalpha():
        return len(core) > MAX_WORD_CHARS and not _UNSPACED.match(core)
    return (
        core == SLOT
        or len(core) > MAX_WORD_CHARS
        or "@" in core
        or "://" in core
        or any(map(str.isdigit, core))
    )


def _lines(text: str) -> Iterator[str]:
    """Stripped lines of the head, blocks masked; scripts without spaces set apart by some."""
    head = visible(text, HEAD_CHARS)
    if not head.isascii():
        head = _UNSPACED.sub(r" \g<0> ", head)
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
    start = 0
    while colon := _COLON.search(line, start):
        label = line[start : colon.start()].strip(_MARKS + " 0123456789").casefold()
        if label not in INSTRUCTIONS:
            return line[: colon.start()], True, line[colon.end() :].strip()
        start = colon.end()
    return line, False, ""


def _token(trait: str, text: str, key: bytes) -> str:
    data = text.encode("utf-8", "surrogatepass")
    return blake2b(data, digest_size=8, key=key[:64], person=trait.encode()[:16]).hexdigest()
