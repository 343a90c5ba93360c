"""What a prompt is made of, as tokens that are cheap enough to know before the decision.

Only bounded heads and tails are read, so that a prompt of any size costs about the same. OPENING
and CLOSING do not care for case, and TEMPLATE takes capitals in a sentence for names: whoever
changes one of both keeps the other. Texts of a few words ("go on") join nobody.
"""

from functools import lru_cache

from proxy.facts.asks import asks
from proxy.facts.prompt_text import bare, folded, normalize
from proxy.facts.script import LATIN, mix, scripts
from proxy.facts.skeleton import HEAD_CHARS as SKELETON_CHARS
from proxy.facts.skeleton import MARKS, MAX_WORD_CHARS, SLOT, UNSPACED, changes, skeleton, spaced
from proxy.facts.token import token_of
from proxy.model.exchange import Prompt
from proxy.model.trait import Trait

# Codes, for `token_of`.
_SYSTEM, _TOOLS, _TEMPLATE, _OPENING, _CLOSING, _EXACT, _SCRIPT, _SIGNATURE, _ASKS = map(
    int,
    (
        Trait.SYSTEM, Trait.TOOLS, Trait.TEMPLATE, Trait.OPENING, Trait.CLOSING, Trait.EXACT,
        Trait.SCRIPT, Trait.SIGNATURE, Trait.ASKS,
    ),
)  # fmt: skip

SYSTEM_CHARS = 8_192
EXACT_CHARS = 1_024  # of the head and of the tail of a longer text
HEAD_CHARS = 512
TAIL_CHARS = 256
SPLIT_WORDS = 32
EDGE_WORDS = 6  # that make an opening or a closing
MIN_FIXED = 5  # of them
MIN_WORDS = 9  # of the text
MIN_EXACT_BYTES = 24  # without spaces
NEAR_CHARS = 128  # in which a script without spaces has edges
MAX_CACHED = 512

_SPACES_AND_CONTROLS = bytes(range(33)) + b"\x7f"
_WITHOUT_SPACES = frozenset(("Hani", "Kana", "Thai"))


def prompt_tokens(prompt: Prompt, key: bytes) -> list[int]:
    """The tokens of a prompt, for each trait that it has."""
    found: list[int] = []
    if prompt.system:
        found += _system_tokens(prompt.system[:SYSTEM_CHARS], key)
    if prompt.tools:
        found.append(_tools_token(prompt.tools, key))
    if (opening := prompt.opening) and (
        template := skeleton(opening)
        if opening == prompt.latest
        else _kept_skeleton(opening[:SKELETON_CHARS])
    ):
        found.append(token_of(_TEMPLATE, template, key))
    if prompt.latest:
        found += _latest_tokens(prompt.latest, key)
    found += [token_of(_SIGNATURE, signature, key) for signature in prompt.signatures]
    return found


@lru_cache(maxsize=MAX_CACHED)
def _system_tokens(system: str, key: bytes) -> tuple[int, ...]:
    """Kept by text: the exchanges of one application repeat their system prompt word by word."""
    normal = normalize(system, SYSTEM_CHARS)
    if not normal:
        return ()
    words = normal.split()
    kinds = asks(normal, "", words, (), scripts(normal))
    return token_of(_SYSTEM, normal, key), *(_small(_ASKS, kind, key) for kind in kinds)


@lru_cache(maxsize=MAX_CACHED)
def _kept_skeleton(opening: str) -> str:
    """Kept by text: an opening stays the same in all turns of a conversation."""
    return skeleton(opening)


@lru_cache(maxsize=MAX_CACHED)
def _tools_token(tools: bytes, key: bytes) -> int:
    """Of the definitions as they were written, but for spaces."""
    return token_of(_TOOLS, tools.translate(None, _SPACES_AND_CONTROLS), key)


def _latest_tokens(text: str, key: bytes) -> list[int]:
    """Of the latest user turn: its edges, the whole of it, its scripts, what it asks."""
    head, tail, whole_of_it = _read(text)
    here, there = scripts(head), scripts(tail)
    begins = spaced(head[:NEAR_CHARS]) if _unspaced(here) else head
    ends = spaced(tail[-NEAR_CHARS:]) if _unspaced(there) else tail
    first = begins.split(None, SPLIT_WORDS)[:SPLIT_WORDS]
    last = ends.rsplit(None, SPLIT_WORDS)[-SPLIT_WORDS:]
    found = []
    if edge := _edge(first):
        found.append(token_of(_OPENING, edge, key))
    if edge := _edge(last, last=True):
        found.append(token_of(_CLOSING, edge, key))
    if len(whole_of_it) >= MIN_EXACT_BYTES:
        found.append(token_of(_EXACT, whole_of_it, key))
    if mixed := mix(here, first):
        found.append(_small(_SCRIPT, mixed, key))
    asked_in = here if there == here else {*here, *there}
    return found + [_small(_ASKS, kind, key) for kind in asks(head, tail, first, last, asked_in)]


def _read(text: str) -> tuple[str, str, bytes]:
    """The folded head and tail of a text, and what stands for the whole of it.

    One pass where a text is not plain, as each pass costs more than its characters.
    """
    near = _cut(text)
    if near.isascii():
        head, tail = folded(near, HEAD_CHARS), folded(near[-TAIL_CHARS:], TAIL_CHARS)
        return head, tail, bare(near)
    both = folded(near, len(near))
    data = both.replace(" ", "").encode("utf-8", "surrogatepass")
    return both[:HEAD_CHARS], both[-TAIL_CHARS:], data


def _cut(text: str) -> str:
    """The head and tail of a long text."""
    if len(text) <= 2 * EXACT_CHARS:
        return text
    return f"{text[:EXACT_CHARS]}\n{text[-EXACT_CHARS:]}"


def whole(text: str) -> bytes:
    """A text without spaces and case; of a long one its head and tail."""
    return bare(_cut(text))


def _unspaced(found: tuple[str, ...]) -> bool:
    return found is not LATIN and not _WITHOUT_SPACES.isdisjoint(found)


def _edge(words: list[str], *, last: bool = False) -> str:
    """The first or last words, what changes masked; "" where too few are fixed.

    Of scripts without spaces, two letters are a word.
    """
    if len(words) >= MIN_WORDS:
        few = words[-EDGE_WORDS:] if last else words[:EDGE_WORDS]
        if not (joined := "".join(few)).isalpha():
            few = [word.strip(MARKS) for word in few]
            joined = "".join(few)
        # No script without spaces has case.
        if (
            joined.isalpha()
            and joined.islower()
            and all(few)
            and (len(joined) <= MAX_WORD_CHARS or max(map(len, few)) <= MAX_WORD_CHARS)
        ):
            return " ".join(few[::-1] if last else few)
    elif not any(map(UNSPACED.match, words)):
        return ""
    kept: list[str] = []
    count = fixed = 0
    for word in reversed(words) if last else words:
        core = word if word.isalnum() else word.strip(MARKS)
        if not core:
            continue
        size = 1
        if changes(core):
            core = SLOT
        else:
            if not core.isascii() and UNSPACED.match(core):
                most = 2 * (EDGE_WORDS - count)
                core = core[-most:] if last else core[:most]
                size = (len(core) + 1) // 2
            fixed += size
        kept.append(core)
        count += size
        if count >= EDGE_WORDS:
            break
    return " ".join(kept) if count >= EDGE_WORDS and fixed >= MIN_FIXED else ""


@lru_cache(maxsize=MAX_CACHED)
def _small(trait: int, value: str, key: bytes) -> int:
    """Of values of which there are few."""
    return token_of(trait, value, key)
