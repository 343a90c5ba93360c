"""What a decoded body asks for, in one vocabulary, and how large its prompt is.

Tokens are estimated, not counted: of text by its characters (`proxy.wire.tokens`), of what is sent
along by the providers' rules (`proxy.wire.attached`), and four for each turn. Tool and schema
definitions count as text.
"""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import msgspec
from msgspec import Raw
from msgspec.structs import replace

from proxy.model.exchange import Asked, Dialect, Prompt
from proxy.wire.attached import Counting
from proxy.wire.bodies import (
    NO_RAW,
    Batch,
    Body,
    Chat,
    Content,
    Messages,
    Part,
    Responses,
    Texted,
    Texts,
    Turn,
)
from proxy.wire.parameters import end_user, parameters
from proxy.wire.reasoning import few, signatures
from proxy.wire.tokens import json_tokens, text_tokens

BYTES_PER_TOKEN = 4  # where only the size of something is known
TOKENS_PER_TURN = 4
MAX_TOOLS_BYTES = 16_384  # so much of the tool definitions is kept for fingerprints

# Tuples, since a role or a type may be any JSON value, and need not be hashable.
_INSTRUCTING = ("system", "developer")
_PARTS: msgspec.json.Decoder[list[Part | str | None]] = msgspec.json.Decoder(
    list[Part | str | None]
)
_PART: msgspec.json.Decoder[Part] = msgspec.json.Decoder(Part)


@dataclass(slots=True)
class _Size:
    """What a prompt will cost, summed up while it is read."""

    attached: Counting
    text: float = 0.0
    turns: int = 0
    media: float = 0.0
    token_ids: int = 0

    @property
    def tokens(self) -> int:
        """The estimate."""
        text = math.ceil(self.text + self.media)
        return text + self.turns * TOKENS_PER_TURN + self.token_ids


@dataclass(slots=True)
class _Reading:
    """The texts that fingerprints read, and the size, gathered turn by turn."""

    size: _Size
    system: list[str] = field(default_factory=list)
    opening: str = ""
    latest: str = ""
    turns: int = 0
    tools: bytes = b""
    signatures: list[bytes] = field(default_factory=list)

    @classmethod
    def of(cls, dialect: Dialect, model: str | None) -> "_Reading":
        """Nothing read yet of a prompt to this model."""
        return cls(_Size(Counting(dialect, model)))

    def prompt(self) -> Prompt:
        """The texts so far."""
        system = "\n".join(self.system)
        return Prompt(
            system, self.opening, self.latest, self.turns, self.tools, few(self.signatures)
        )


def asked_chat(body: Chat) -> Asked:
    """A chat completion: system and developer messages instruct."""
    reading = _Reading.of(Dialect.OPENAI, body.model)
    _read_turns(body.messages or (), reading)
    _add_tools(reading, body.tools if body.functions is NO_RAW else body.functions)
    _add_raw(reading.size, body.tools, body.functions, body.response_format)
    limits = [limit for limit in (body.max_completion_tokens, body.max_tokens) if limit is not None]
    options = body.stream_options
    return _asked(
        body,
        reading,
        max_output_tokens=max(limits, default=None),
        stream_usage=options is not None and bool(options.include_usage),
    )


def asked_responses(body: Responses) -> Asked:
    """A response: `input` is one user turn, or items."""
    reading = _Reading.of(Dialect.OPENAI, body.model)
    if isinstance(body.instructions, str):
        _add_system(reading, body.instructions)
    elif body.instructions:
        _read_turns(body.instructions, reading)
    if isinstance(body.input, str):
        _add_user(reading, body.input)
    elif body.input:
        _read_turns(body.input, reading)
    _add_tools(reading, body.tools)
    _add_raw(reading.size, body.tools, body.text)
    asked = _asked(body, reading, max_output_tokens=body.max_output_tokens)
    return replace(asked, background=True) if body.background else asked


def asked_messages(body: Messages) -> Asked:
    """An Anthropic message, or the counting of its tokens.

    Where models are named that may answer instead, nobody knows which model it is about: rules
    over the model go by `on_missing` then, as for batches of several models.
    """
    reading = _read_message_request(body)
    asked = _asked(body, reading, max_output_tokens=body.max_tokens)
    return replace(asked, model=None) if body.may_fall_back else asked


def asked_batch(body: Batch) -> Asked:
    """All entries as one: sums of their sizes, and their model where it is one and the same."""
    entries = [entry.params for entry in body.requests or ()]
    readings = [_read_message_request(entry) for entry in entries]
    models = {None if entry.may_fall_back else entry.model for entry in entries}
    total = sum(reading.size.tokens for reading in readings)
    return Asked(
        model=models.pop() if len(models) == 1 else None,
        max_output_tokens=sum(entry.max_tokens or 0 for entry in entries) or None,
        input_tokens_estimate=total,
        prompt=readings[0].prompt() if readings else Prompt(),
    )


def asked_texted(body: Texted) -> Asked:
    """Completions, embeddings, images, speech and moderations: one text, or several."""
    reading = _Reading.of(Dialect.OPENAI, body.model)
    texts: list[str] = []
    for source in (body.prompt, body.input):
        texts.extend(_texts_of(source, reading.size))
    reading.opening = reading.latest = "\n".join(texts)
    _add_text(reading.size, reading.opening, body.suffix or "")
    options = body.stream_options
    return _asked(
        body,
        reading,
        max_output_tokens=body.max_tokens,
        stream_usage=options is not None and bool(options.include_usage),
        choices=max(body.n or 1, body.best_of or 1) * _prompts(body.prompt),
    )


def _prompts(prompt: Texts) -> int:
    """How many prompts a completion has: each is answered by itself. Token ids are one."""
    if not isinstance(prompt, list) or all(isinstance(item, int) for item in prompt):
        return 1
    return len(prompt)


def _asked(
    body: Body,
    reading: _Reading,
    *,
    max_output_tokens: int | None,
    stream_usage: bool = False,
    choices: int | None = None,
) -> Asked:
    return Asked(
        model=body.model or None,
        stream=bool(body.stream),
        stream_usage=stream_usage,
        max_output_tokens=max_output_tokens,
        choices=choices or body.n or 1,
        input_tokens_estimate=reading.size.tokens,
        prompt=reading.prompt(),
        parameters=parameters(body),
        end_user=end_user(body),
    )


# -- texts ---------------------------------------------------------------------------------------


def _read_message_request(body: Messages) -> _Reading:
    reading = _Reading.of(Dialect.ANTHROPIC, body.model)
    _add_system(reading, _text_of(body.system, reading.size))
    _read_turns(body.messages or (), reading)
    _add_tools(reading, body.tools)
    _add_raw(reading.size, body.tools)
    return reading


def _read_turns(turns: Iterable[Turn], reading: _Reading) -> None:
    for turn in turns:
        text = _text_of(turn.content, reading.size)
        _add_raw(reading.size, turn.tool_calls, turn.arguments)
        _add_output(reading.size, turn.output)
        if turn.role in _INSTRUCTING:
            reading.size.turns += 1
            _add_system(reading, text)
        elif turn.role == "user":
            _add_user(reading, text)
        else:
            reading.size.turns += 1
            _add_text(reading.size, text)
            reading.signatures.extend(signatures(turn))


def _add_tools(reading: _Reading, tools: Raw) -> None:
    if tools is not NO_RAW:
        reading.tools = bytes(memoryview(tools)[:MAX_TOOLS_BYTES])


def _add_system(reading: _Reading, text: str) -> None:
    if text:
        reading.system.append(text)
        _add_text(reading.size, text)


def _add_user(reading: _Reading, text: str) -> None:
    """A user turn; one without text (tool results, an image) is neither opening nor latest."""
    reading.size.turns += 1
    reading.turns += 1
    if text:
        reading.opening = reading.opening or text
        reading.latest = text
        _add_text(reading.size, text)


def _text_of(content: Content, size: _Size) -> str:
    """The text parts of a content, joined by newlines; other parts only add to the size."""
    if isinstance(content, str):
        return content
    return "\n".join(_part_texts(content or (), size))


def _part_texts(parts: Iterable[Part | str | None], size: _Size) -> Iterator[str]:
    for part in parts:
        if isinstance(part, str):
            yield part
        elif part is None:
            continue
        elif isinstance(part.text, str):
            yield part.text
        elif (tokens := size.attached.tokens(part)) is not None:
            size.media += tokens
        else:
            _add_raw(size, part.input)
            _add_text(size, _text_of(part.content, size))


def _texts_of(source: Texts, size: _Size) -> Iterator[str]:
    """The texts of a `prompt` or `input`, which may also be token ids or content parts."""
    if isinstance(source, str):
        yield source
        return
    for item in source or ():
        if isinstance(item, int):
            size.token_ids += 1
        elif isinstance(item, list):
            size.token_ids += len(item)
        else:
            yield from _part_texts((item,), size)


def _add_text(size: _Size, *texts: str) -> None:
    for text in texts:
        size.text += text_tokens(text)


def _add_raw(size: _Size, *raws: Raw) -> None:
    for raw in raws:
        if raw is not NO_RAW:
            size.text += json_tokens(bytes(raw))


def _add_output(size: _Size, output: Raw) -> None:
    """What a tool gave back: a text, or parts, among them screenshots."""
    parts = _parts_of(output)
    if parts is None:
        _add_raw(size, output)
    else:
        _add_text(size, *_part_texts(parts, size))


def _parts_of(output: Raw) -> list[Part | str | None] | None:
    try:
        match bytes(memoryview(output)[:1]):
            case b"[":
                return _PARTS.decode(output)
            case b"{":
                return [_PART.decode(output)]
    except msgspec.DecodeError:
        pass
    return None
