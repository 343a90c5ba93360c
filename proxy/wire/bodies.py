"""The fields of request bodies that are read; msgspec checks the others and skips them.

A field of the wrong type is refused (`proxy.wire.request`), so only those stand here whose type
both vendors hold to. Where they vary (`role`, a part's `text`) the type is `object`.
"""

from msgspec import Raw, Struct

NO_RAW = Raw()


class Part(Struct, gc=False):
    """A content part or block. `content` is that of a tool result.

    What is sent along stands in `image_url`, `source`, `file`, `file_data` or `input_audio`. It may
    be megabytes of base64, so it is only pointed to here. `signature` and `data` are those of
    reasoning that is sent back, in the clear or redacted.
    """

    type: object = None
    text: object = None
    input: Raw = NO_RAW
    image_url: Raw = NO_RAW
    source: Raw = NO_RAW
    file: Raw = NO_RAW
    file_data: Raw = NO_RAW
    input_audio: Raw = NO_RAW
    detail: Raw = NO_RAW
    signature: Raw = NO_RAW
    data: Raw = NO_RAW
    content: "str | list[Part | str | None] | None" = None


Content = str | list[Part | str | None] | None


class Turn(Struct, gc=False):
    """A message, or an item of the responses surface, where reasoning has `encrypted_content`."""

    role: object = None
    type: object = None
    content: Content = None
    tool_calls: Raw = NO_RAW
    arguments: Raw = NO_RAW
    output: Raw = NO_RAW
    encrypted_content: Raw = NO_RAW


class StreamOptions(Struct):
    """What a stream is asked to report."""

    include_usage: bool | None = None


class Body(Struct):
    """Fields that every surface with a body shares.

    What stands behind `tools` only tells callers apart (`proxy.wire.parameters`), and may have
    any type.
    """

    model: str | None = None
    stream: bool | None = None
    n: int | None = None
    tools: Raw = NO_RAW
    temperature: Raw = NO_RAW
    top_p: Raw = NO_RAW
    tool_choice: Raw = NO_RAW
    service_tier: Raw = NO_RAW
    user: Raw = NO_RAW
    safety_identifier: Raw = NO_RAW
    metadata: Raw = NO_RAW


class Chat(Body):
    """POST /v1/chat/completions."""

    messages: list[Turn] | None = None
    max_tokens: int | None = None
    max_completion_tokens: int | None = None
    stream_options: StreamOptions | None = None
    functions: Raw = NO_RAW
    response_format: Raw = NO_RAW
    presence_penalty: Raw = NO_RAW
    frequency_penalty: Raw = NO_RAW
    stop: Raw = NO_RAW
    logprobs: Raw = NO_RAW
    top_logprobs: Raw = NO_RAW
    reasoning_effort: Raw = NO_RAW
    parallel_tool_calls: Raw = NO_RAW


class Responses(Body):
    """POST /v1/responses; `instructions` may be items where they come from a stored prompt."""

    input: str | list[Turn] | None = None
    instructions: str | list[Turn] | None = None
    max_output_tokens: int | None = None
    background: bool | None = None
    text: Raw = NO_RAW
    reasoning: Raw = NO_RAW
    include: Raw = NO_RAW
    parallel_tool_calls: Raw = NO_RAW
    top_logprobs: Raw = NO_RAW


class Messages(Body):
    """POST /v1/messages and /v1/messages/count_tokens.

    `fallbacks` names models that may answer instead.
    """

    messages: list[Turn] | None = None
    system: Content = None
    max_tokens: int | None = None
    fallbacks: Raw = NO_RAW
    top_k: Raw = NO_RAW
    thinking: Raw = NO_RAW
    stop_sequences: Raw = NO_RAW

    @property
    def may_fall_back(self) -> bool:
        """Whether another model than the named one may answer."""
        return bytes(self.fallbacks) not in (b"", b"null", b"[]")


Texts = str | list[str | int | list[int] | Part | None] | None


class Texted(Body):
    """Completions, embeddings, images, speech and moderations: one text, or several."""

    prompt: Texts = None
    input: Texts = None
    suffix: str | None = None
    max_tokens: int | None = None
    best_of: int | None = None
    stream_options: StreamOptions | None = None


class BatchEntry(Struct, gc=False):
    """One request of a batch."""

    params: Messages


class Batch(Body):
    """POST /v1/messages/batches: whole requests."""

    requests: list[BatchEntry] | None = None
