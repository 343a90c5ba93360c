"""An exchange on its way in: what arrived, and what it asks for."""

from dataclasses import dataclass
from enum import StrEnum

from msgspec import Struct


class Dialect(StrEnum):
    """The protocol a caller speaks, and in which it is answered."""

    OPENAI = "openai"
    ANTHROPIC = "anthropic"


class BodyKind(StrEnum):
    """How far a surface's request body is read."""

    NONE = "none"  # no body that matters (GET, DELETE, lists)
    JSON = "json"  # read whole, before the decision
    OPAQUE = "opaque"  # streamed through unread (multipart uploads, audio)


# What rules may name; wire's table of paths has exactly these, and `open` is a path that only
# the configuration admits.
SURFACE_NAMES = frozenset(
    {
        "chat.completions",
        "responses",
        "completions",
        "embeddings",
        "images",
        "audio",
        "moderations",
        "files",
        "batches",
        "models",
        "messages",
        "messages.count_tokens",
        "messages.batches",
        "open",
    }
)


@dataclass(frozen=True, slots=True)
class Surface:
    """One family of paths of the model API. `name` is what rules and metrics call it."""

    name: str  # "chat.completions", "messages", "files" …
    dialect: Dialect
    body: BodyKind
    generates: bool  # whether an exchange on it uses tokens


Headers = tuple[tuple[str, str], ...]


class Arrival(Struct, frozen=True, gc=False):
    """One request as it reached the edge: bytes and addresses, nothing interpreted.

    `path` is percent-encoded as sent and has no query; `query` is raw, without its `?`.
    `headers` keep their order and case. `client_ip` and `ja4` are what the edge believes after
    it has applied its list of trusted peers. `named_account` and `named_key` are ids given by a
    trusted front proxy or a recording in place of a credential. `body` is the decoded (never
    compressed) JSON text, or None where the surface's body is not read.
    """

    id: str
    at_ns: int
    method: str
    path: str
    query: str
    headers: Headers
    client_ip: str | None
    body: bytes | None = None
    body_bytes: int = 0
    ja4: str | None = None
    named_account: str | None = None
    named_key: str | None = None


class Prompt(Struct, frozen=True, gc=False):
    """The text of a request as fingerprints read it. Never leaves the process."""

    system: str = ""  # system prompt(s), joined by newlines
    opening: str = ""  # the first user turn, or the whole prompt where there are no turns
    latest: str = ""  # the last user turn
    turns: int = 0
    tools: bytes = b""  # tool definitions as they were sent, JSON
    signatures: tuple[bytes, ...] = ()  # of reasoning that is sent back, JSON texts, a few


class Asked(Struct, frozen=True, gc=False):
    """What a request asks for, in one vocabulary for both dialects."""

    model: str | None = None
    stream: bool = False
    stream_usage: bool = False  # the client itself asked for usage in its stream
    max_output_tokens: int | None = None
    choices: int = 1
    input_tokens_estimate: int = 0
    requests: int = 1  # lines of a batch
    background: bool = False  # it is worked on whether or not anybody waits for the answer
    prompt: Prompt = Prompt()
    parameters: str = ""  # those that steer the answer, as "name=value;…", in a fixed order
    end_user: str | None = None  # for whom the caller says that it asks


class BadRequest(Struct, frozen=True, gc=False):
    """Why a request cannot be read: told to the caller with status 400 (or the given one)."""

    message: str
    param: str | None = None
    status: int = 400
