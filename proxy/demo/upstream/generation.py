"""The emulated model itself: the same request always gives the same words and the same counts.

Counting rules (documented so that tests can predict them):

- one token of input for every started four UTF-8 bytes of each string under `messages`, `system`,
  `input`, `instructions`, `prompt` and `tools`; 256 for a data URL or base64 source, whatever
  its size; 3 for each message;
- one word of output is one token, and a tool call one for every started four bytes;
- a model named `…reason…` thinks 16 tokens first, which count as output;
- a model named `…cached…` has half its input read from a cache, and a quarter written to one.

A model named `words-N` answers N words, every other one 12 to 48; both stop at the output limit.
"""

import hashlib
import re
from dataclasses import dataclass
from typing import Any

import msgspec

VOCABULARY = (
    *("barley", "malt", "copper", "still", "gauge", "cask", "spirit", "mash", "peat", "proof"),
    *("the", "of", "and", "in", "to", "a", "is", "was", "for", "with", "that", "by", "from", "at"),
    *("measure", "ledger", "officer", "harbour", "river", "night", "lantern", "seal", "duty", "é"),
)
IMAGE_TOKENS = 256
MESSAGE_TOKENS = 3
REASONING_TOKENS = 16
_HUGE_WORD_BYTES = 4096
_HUGE_WORDS = 2048  # 8 MiB in all
_READ = ("messages", "system", "input", "instructions", "prompt", "tools")
_SKIPPED = ("stream", "stream_options")


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A call of a tool that the request declares; `arguments` is JSON text."""

    id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class Choice:
    """One answer: words (each with the space before it), or a tool call."""

    words: tuple[str, ...]
    cut: bool
    tool: ToolCall | None

    @property
    def text(self) -> str:
        """All words."""
        return "".join(self.words)

    @property
    def tokens(self) -> int:
        """Output tokens, reasoning apart."""
        if self.tool:
            return text_tokens(self.tool.name) + text_tokens(self.tool.arguments)
        return len(self.words)


@dataclass(frozen=True, slots=True)
class Generation:
    """The answers to a request and what they used. `cached_tokens` are part of the input."""

    id: str  # 24 hex digits, from the request
    choices: tuple[Choice, ...]
    input_tokens: int
    cached_tokens: int
    cache_written_tokens: int
    reasoning_tokens: int

    @property
    def output_tokens(self) -> int:
        """Output tokens of all choices, with reasoning."""
        return self.reasoning_tokens + sum(choice.tokens for choice in self.choices)


def generate(body: dict[str, Any], limit: int | None, choices: int = 1) -> Generation:
    """Answer a request; `limit` is its bound of output tokens for each choice."""
    model = str(body.get("model", ""))
    reasoning = REASONING_TOKENS if "reason" in model else 0
    if limit is not None:
        reasoning = min(reasoning, limit)
        limit -= reasoning
    seed = digest(body)
    tokens = input_tokens(body)
    cached = tokens // 2 if "cached" in model else 0
    return Generation(
        id=seed[:24],
        choices=tuple(_choice(body, model, seed, index, limit) for index in range(choices)),
        input_tokens=tokens,
        cached_tokens=cached,
        cache_written_tokens=cached // 2,
        reasoning_tokens=reasoning,
    )


def digest(body: dict[str, Any]) -> str:
    """Hex SHA-256 of a request, the same whether or not it streams."""
    asked = {name: value for name, value in body.items() if name not in _SKIPPED}
    return hashlib.sha256(msgspec.json.encode(asked, order="sorted")).hexdigest()


def text_tokens(text: str) -> int:
    """One token for every started four bytes."""
    return -(-len(text.encode()) // 4)


def input_tokens(body: dict[str, Any]) -> int:
    """Tokens of everything in a request that a model reads."""
    turns = body.get("messages", body.get("input"))
    messages = len(turns) if isinstance(turns, list) else 1
    return MESSAGE_TOKENS * messages + sum(_value_tokens(body.get(name)) for name in _READ)


def _value_tokens(value: object) -> int:
    match value:
        case str() if value.startswith("data:"):
            return IMAGE_TOKENS
        case str():
            return text_tokens(value)
        case {"type": "base64"}:
            return IMAGE_TOKENS
        case dict():
            return sum(_value_tokens(part) for part in value.values())
        case list():
            return sum(_value_tokens(part) for part in value)
        case _:
            return 0


def _choice(body: dict[str, Any], model: str, seed: str, index: int, limit: int | None) -> Choice:
    tool = _tool_call(body, seed)
    if tool:
        return Choice((), cut=False, tool=tool)
    wanted = _wanted_words(model, seed)
    count = wanted if limit is None else min(wanted, limit)
    return Choice(_words(f"{seed}{index}", count, model), cut=count < wanted, tool=None)


def _wanted_words(model: str, seed: str) -> int:
    named = re.fullmatch(r"words-(\d{1,6})", model)
    if named:
        return int(named[1])
    return _HUGE_WORDS if model == "fault-huge" else 12 + int(seed[:4], 16) % 37


def _words(seed: str, count: int, model: str) -> tuple[str, ...]:
    if model == "fault-huge":
        return ("x" * _HUGE_WORD_BYTES,) * count
    start = int(hashlib.sha256(seed.encode()).hexdigest()[:8], 16)
    picked = (VOCABULARY[(start + 7 * n + n * n) % len(VOCABULARY)] for n in range(count))
    return tuple(word if n == 0 else f" {word}" for n, word in enumerate(picked))


def _tool_call(body: dict[str, Any], seed: str) -> ToolCall | None:
    """The first declared tool, unless tools are off or its result is already there."""
    tools = body.get("tools")
    if not isinstance(tools, list) or not tools or body.get("tool_choice") == "none":
        return None
    if _has_tool_result(body.get("messages", body.get("input"))):
        return None
    declared = tools[0].get("function", tools[0])
    schema = declared.get("parameters", declared.get("input_schema")) or {}
    values = {name: _example(of) for name, of in schema.get("properties", {}).items()}
    arguments = msgspec.json.encode(values).decode()
    return ToolCall(f"call_{seed[:16]}", str(declared.get("name", "tool")), arguments)


def _has_tool_result(turns: object) -> bool:
    if not isinstance(turns, list) or not turns or not isinstance(turns[-1], dict):
        return False
    last = turns[-1]
    if last.get("role") == "tool" or last.get("type") == "function_call_output":
        return True
    parts = last.get("content")
    return isinstance(parts, list) and any(part.get("type") == "tool_result" for part in parts)


def _example(schema: dict[str, Any]) -> object:
    if schema.get("enum"):
        return schema["enum"][0]
    examples: dict[str, object] = {"integer": 7, "number": 7.5, "boolean": True, "array": []}
    kind = schema.get("type")
    return {} if kind == "object" else examples.get(str(kind), "Leith")
