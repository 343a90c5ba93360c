"""The fingerprints of a batch: those of a sample of its lines.

The lines with the smallest keyed hashes of their text are sampled, each text once (bottom-k
sampling): nobody without the key can tell which these are, ten thousand lines cost little more
than a few hundred, and batches of many accounts that hold the same lines sample the same ones.
Half of them are sampled by their last turn, so that another system prompt for each account changes
nothing; half by the whole prompt, so that a last turn that is the same in all lines hides nothing.
"""

from heapq import heappop, heappush
from itertools import zip_longest

from proxy.facts.behaviour_traits import behaviour_tokens
from proxy.facts.prompt_traits import prompt_tokens, whole
from proxy.facts.sketch import sketch
from proxy.facts.token import token_of
from proxy.model.exchange import Asked
from proxy.model.trait import CODE_MASK, Trait

LINES = 32  # of each half
MOST = 32  # tokens of a trait
MOST_SHINGLES = 96
_CODE_OF_LINES = CODE_MASK  # of no trait

Tokens = tuple[int, ...]


class BatchSample:
    """Takes in the lines of one batch, and gives the tokens of some of them. Keeps no text."""

    __slots__ = ("_by_turn", "_by_whole", "_key")

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._by_turn, self._by_whole = _Smallest(), _Smallest()

    def take(self, asked: Asked) -> None:
        """A line of the batch."""
        prompt = asked.prompt
        texts = [whole(text) for text in (prompt.latest, prompt.opening, prompt.system)]
        turn = token_of(_CODE_OF_LINES, texts[0], self._key)
        all_ = token_of(_CODE_OF_LINES, b"\0".join(texts), self._key)
        wanted = (self._by_turn.wants(turn, all_), self._by_whole.wants(all_, all_))
        if not any(wanted):
            return
        tokens = self._tokens(asked)
        if wanted[0]:
            self._by_turn.keep(turn, all_, tokens)
        if wanted[1]:
            self._by_whole.keep(all_, all_, tokens)

    def _tokens(self, asked: Asked) -> Tokens:
        prompt, key = asked.prompt, self._key
        found = (*prompt_tokens(prompt, key), *behaviour_tokens(asked, key), *sketch(prompt, key))
        return tuple(dict.fromkeys(found))

    def tokens(self) -> Tokens:
        """The tokens of the sampled lines, each once; all traits have some among the first.

        The same set of lines in any order gives the same tokens.
        """
        by_trait: dict[int, dict[int, None]] = {}
        for tokens in (*self._by_turn.tokens(), *self._by_whole.tokens()):
            for token in tokens:
                code = token & CODE_MASK
                found = by_trait.setdefault(code, {})
                if len(found) < (MOST_SHINGLES if code == Trait.SHINGLE else MOST):
                    found[token] = None
        rows = zip_longest(*(by_trait[code] for code in sorted(by_trait)))
        return tuple([token for row in rows for token in row if token is not None])


class _Smallest:
    """The lines with the smallest hashes; of those with the same, the one of the smallest whole."""

    __slots__ = ("_kept", "_largest")

    def __init__(self) -> None:
        self._kept: dict[int, tuple[int, Tokens]] = {}
        self._largest: list[int] = []  # heap of the hashes, negative

    def wants(self, hashed: int, all_: int) -> bool:
        """Whether a line belongs to them by now."""
        kept = self._kept.get(hashed)
        if kept is not None:
            return all_ < kept[0]
        return len(self._kept) < LINES or hashed < -self._largest[0]

    def keep(self, hashed: int, all_: int, tokens: Tokens) -> None:
        """Keep a line that is wanted."""
        if hashed not in self._kept:
            heappush(self._largest, -hashed)
        self._kept[hashed] = all_, tokens
        if len(self._kept) > LINES:
            del self._kept[-heappop(self._largest)]

    def tokens(self) -> list[Tokens]:
        """The tokens of each line, in the order of the hashes."""
        return [tokens for _, (_, tokens) in sorted(self._kept.items())]
