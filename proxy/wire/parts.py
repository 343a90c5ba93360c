"""What is left out of the answers of each surface, as data; `proxy.wire.strip` leaves it out.

Fields: https://platform.openai.com/docs/api-reference, https://docs.anthropic.com/en/api/messages,
https://docs.vllm.ai/en/latest/features/reasoning_outputs.html,
https://openrouter.ai/docs/use-cases/reasoning-tokens.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache, reduce

from proxy.model.exchange import Surface

Members = Mapping[str, bytes | None]  # what stands in the place of a member's value; None: it goes


@dataclass(frozen=True, slots=True)
class Parts:
    """What is left out of the answers of one surface.

    `members` go, or are replaced, wherever they are below one of the `roots`, `top` at the top.
    `types` are those of array elements (blocks, their deltas) that go, `shells` those of objects
    that only lose what is in them, `events` the beginnings of types of events that go. `wraps`
    are members that hold an answer themselves.
    """

    roots: frozenset[str] = frozenset()
    members: Members = field(default_factory=dict)
    top: Members = field(default_factory=dict)
    types: frozenset[str] = frozenset()
    shells: frozenset[str] = frozenset()
    events: tuple[str, ...] = ()
    wraps: frozenset[str] = frozenset()

    def __or__(self, other: "Parts") -> "Parts":
        return Parts(
            self.roots | other.roots,
            {**self.members, **other.members},
            {**self.top, **other.top},
            self.types | other.types,
            self.shells | other.shells,
            self.events + other.events,
            self.wraps | other.wraps,
        )

    def pattern(self) -> re.Pattern[bytes]:
        r"""What every text that carries one of the parts matches; others may match too.

        Names may be written with escapes (`\u0072easoning`), which nobody does without need.
        """
        names = "|".join(sorted({*self.members, *self.top}))
        types = "|".join([*sorted(self.types | self.shells), *map(re.escape, self.events)])
        found = [r"\\u00[567]"]
        if names:
            found.append(rf'"(?:{names})"\s*+:\s*+(?!null\b|\[\s*+\]|"")')
        if types:
            found.append(rf'"type"\s*+:\s*+"(?:{types})')
        return re.compile("|".join(found).encode())


_THOUGHTS: Members = dict.fromkeys(
    (
        "reasoning_content",  # DeepSeek, vLLM, SGLang and most others
        "reasoning",  # OpenRouter, Groq, newer vLLM
        "reasoning_details",
        "reasoning_opaque",
        "reasoning_text",
        "thinking",
        "thinking_blocks",
    )
)
_BLOCKS = frozenset({"thinking", "redacted_thinking"})
_CHOICES = frozenset({"choices", "data"})
_CHAT = {
    "logprobs": Parts(
        _CHOICES, {"logprobs": b"null", "prompt_logprobs": None}, top={"prompt_logprobs": None}
    ),
    "reasoning": Parts(_CHOICES, _THOUGHTS, types=_BLOCKS | {"reasoning"}),
}
_ITEMS = frozenset({"output", "data", "item", "part"})
_RESPONSES = {
    "logprobs": Parts(
        _ITEMS, {"logprobs": b"[]"}, top={"logprobs": b"[]"}, wraps=frozenset({"response"})
    ),
    "reasoning": Parts(
        _ITEMS,
        types=frozenset({"reasoning_text"}),
        shells=frozenset({"reasoning"}),
        events=("response.reasoning",),
        wraps=frozenset({"response"}),
    ),
}
_BLOCK_DELTAS = frozenset({"thinking_delta", "signature_delta"})
_MESSAGES = {
    "reasoning": Parts(
        frozenset({"content"}),
        types=_BLOCKS | _BLOCK_DELTAS,
        wraps=frozenset({"message", "result"}),  # of message_start, and in results of a batch
    )
}
_PARTS: dict[str, dict[str, Parts]] = {
    "chat.completions": _CHAT,
    "completions": _CHAT,
    "responses": _RESPONSES,
    "messages": _MESSAGES,
    "messages.batches": _MESSAGES,
    "audio": {"logprobs": Parts(top={"logprobs": None})},
}

# What an item of type `reasoning` keeps none of.
SHELL: Members = {"summary": b"[]", "content": None, "encrypted_content": None}


def concerns(surface: Surface, strip: Iterable[str]) -> bool:
    """Whether answers of the surface may carry one of the parts."""
    return any(name in _PARTS.get(surface.name, {}) for name in strip)


@lru_cache(maxsize=64)
def parts_of(surface: str, strip: tuple[str, ...]) -> tuple[Parts, re.Pattern[bytes]]:
    """What is left out of the surface's answers, and what every text that carries it matches."""
    of_surface = _PARTS.get(surface, {})
    found = reduce(Parts.__or__, [of_surface[name] for name in strip if name in of_surface])
    return found, found.pattern()
