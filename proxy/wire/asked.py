"""What a decoded body asks for, in one vocabulary, and how large its prompt is.

Tokens are estimated, not counted: one for each four UTF-8 bytes of text (a fair mean over English
prose, code and CJK text), four for each turn, and 1,000 for each image, file or recording, whose
cost depends on a size that is not looked at. Tool and schema definitions count as text.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from msgspec import Raw
from msgspec.structs import replace

from proxy.model.exchange import Asked, Prompt
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

BYTES_PER_TOKEN = 4
TOKENS_PER_TURN = 4
TOKENS_PER_MEDIUM = 1000

# Tuples, since a role or a type may be any JSON value, and need not be hashable.
_INSTRUCTING = ("system", "developer")
_MEDIA = (
    "image",
    "image_url",
    "input_image",
    "computer_screenshot",
    "input_audio",
    "file",
    "input_file",
    "document",
)


@dataclass(slots=True)
class _Size:
    """What a prompt will cost, summed up while it is read."""

    text_bytes: int = 0
    turns: int = 0
    media: int = 0
    token_ids: int = 0

    @property
    def tokens(self) -> int:
        """The estimate."""
        text = -(-self.text_bytes // BYTES_PER_TOKEN)
        media = self.media * TOKENS_PER_MEDIUM
        return text + self.turns * TOKENS_PER_TURN + media + self.token_ids


@dataclass(slots=True)
class _Reading:
    """The texts that fingerprints read, and the size, gathered turn by turn."""

    size: _Size = field(default_factory=_Size)
    system: list[str] = field(default_factory=list)
    opening: str = ""
    latest: str = ""
    turns: int = 0

    def prompt(self) -> Prompt:
        """The texts so far."""
        return Prompt("\n".join(self.system), self.opening, self.latest, self.turns)


def asked_chat(body: Chat) -> Asked:
    """A chat completion: system and developer messages instruct."""
    reading = _read_turns(body.messages or ())
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
    reading = _Reading()
    if isinstance(body.instructions, str):
        _add_system(reading, body.instructions)
    elif body.instructions:
        _read_turns(body.instructions, reading)
    if isinstance(body.input, str):
        _add_user(reading, body.input)
    elif body.input:
        _read_turns(body.input, reading)
    _add_raw(reading.size, body.tools, body.text)
    return _asked(body, reading, max_output_tokens=body.max_output_tokens)


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
    reading = _Reading()
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
        choices=max(body.n or 1, body.best_of or 1),
    )


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
    )


# -- texts ---------------------------------------------------------------------------------------


def _read_message_request(body: Messages) -> _Reading:
    reading = _Reading()
    _add_system(reading, _text_of(body.system, reading.size))
    _read_turns(body.messages or (), reading)
    _add_raw(reading.size, body.tools)
    return reading


def _read_turns(turns: Iterable[Turn], reading: _Reading | None = None) -> _Reading:
    reading = reading or _Reading()
    for turn in turns:
        text = _text_of(turn.content, reading.size)
        _add_raw(reading.size, turn.tool_calls, turn.arguments, turn.output)
        if turn.role in _INSTRUCTING:
            reading.size.turns += 1
            _add_system(reading, text)
        elif turn.role == "user":
            _add_user(reading, text)
        else:
            reading.size.turns += 1
            _add_text(reading.size, text)
    return reading


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
        elif part.type in _MEDIA:
            size.media += 1
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
        size.text_bytes += len(text) if text.isascii() else len(text.encode("utf-8"))


def _add_raw(size: _Size, *raws: Raw) -> None:
    for raw in raws:
        if raw is not NO_RAW:
            size.text_bytes += memoryview(raw).nbytes
