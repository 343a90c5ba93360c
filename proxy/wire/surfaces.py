"""Which part of the model API a request is for.

A path is claimed by literal segments only: anything that two HTTP servers could read differently
(dot segments, empty segments, encoded slashes or dots, path parameters) is claimed by nobody, so
that a rule never judges another path than the one the upstream serves.

Paths: https://platform.openai.com/docs/api-reference and https://docs.anthropic.com/en/api.
"""

import re
from dataclasses import dataclass, replace
from urllib.parse import unquote_to_bytes

from proxy.model.exchange import BodyKind, Dialect, Headers, Surface


@dataclass(frozen=True, slots=True)
class _Claim:
    """One claimed path. `whole` claims the path alone, otherwise all paths below it as well."""

    surface: Surface
    whole: bool = False


def _openai(name: str, body: BodyKind, *, generates: bool = False, whole: bool = False) -> _Claim:
    return _Claim(Surface(name, Dialect.OPENAI, body, generates), whole)


def _anthropic(
    name: str, body: BodyKind, *, generates: bool = False, whole: bool = False
) -> _Claim:
    return _Claim(Surface(name, Dialect.ANTHROPIC, body, generates), whole)


# Bodies of batches hold no prompt at OpenAI (they name a file), and all prompts at Anthropic.
SURFACES: dict[str, tuple[_Claim, ...]] = {
    "/v1/chat/completions": (_openai("chat.completions", BodyKind.JSON, generates=True),),
    "/v1/responses": (_openai("responses", BodyKind.JSON, generates=True),),
    "/v1/responses/compact": (_openai("responses", BodyKind.JSON, generates=True, whole=True),),
    "/v1/responses/input_tokens": (_openai("responses", BodyKind.JSON, whole=True),),
    "/v1/completions": (_openai("completions", BodyKind.JSON, generates=True, whole=True),),
    "/v1/embeddings": (_openai("embeddings", BodyKind.JSON, generates=True, whole=True),),
    "/v1/images/generations": (_openai("images", BodyKind.JSON, generates=True, whole=True),),
    "/v1/images/edits": (_openai("images", BodyKind.OPAQUE, generates=True, whole=True),),
    "/v1/images/variations": (_openai("images", BodyKind.OPAQUE, generates=True, whole=True),),
    "/v1/audio/speech": (_openai("audio", BodyKind.JSON, generates=True, whole=True),),
    "/v1/audio/transcriptions": (_openai("audio", BodyKind.OPAQUE, generates=True, whole=True),),
    "/v1/audio/translations": (_openai("audio", BodyKind.OPAQUE, generates=True, whole=True),),
    "/v1/moderations": (_openai("moderations", BodyKind.JSON, whole=True),),
    "/v1/files": (_openai("files", BodyKind.OPAQUE), _anthropic("files", BodyKind.OPAQUE)),
    "/v1/uploads": (_openai("files", BodyKind.OPAQUE),),
    "/v1/batches": (_openai("batches", BodyKind.JSON),),
    "/v1/models": (_openai("models", BodyKind.OPAQUE), _anthropic("models", BodyKind.OPAQUE)),
    "/v1/messages": (_anthropic("messages", BodyKind.JSON, generates=True, whole=True),),
    "/v1/messages/count_tokens": (_anthropic("messages.count_tokens", BodyKind.JSON, whole=True),),
    "/v1/messages/batches": (_anthropic("messages.batches", BodyKind.JSON, generates=True),),
}

_SEGMENT = re.compile(r"(?:[A-Za-z0-9\-_~!$&'()*+,=:@.]|%[0-9A-Fa-f]{2})+")
_UNSAFE = re.compile(rb"[/\\%;?#\x00-\x20\x7f]")
_WITHOUT_BODY = frozenset({"GET", "HEAD", "DELETE", "OPTIONS"})


def find(method: str, path: str, headers: Headers) -> Surface | None:
    """The surface that claims `path` (percent-encoded, without query), or None if none does.

    Methods do not decide who claims a path, only how the body is read: GET, HEAD, DELETE and
    OPTIONS have no body that matters and generate nothing; other requests below a claimed path
    (`…/{id}/cancel`) are streamed through unread.
    """
    prefix, below = _claimed_prefix(path)
    if prefix is None:
        return None
    surface = _in_dialect(SURFACES[prefix], headers)
    if method.upper() in _WITHOUT_BODY:
        return _READING[surface]
    return _BELOW[surface] if below else surface


def dialect_of(path: str, headers: Headers) -> Dialect:
    """The dialect for an answer to `path`, also where no surface claims it."""
    prefix, _ = _claimed_prefix(path)
    if prefix is not None:
        return _in_dialect(SURFACES[prefix], headers).dialect
    if path.startswith("/v1/messages") or _speaks_anthropic(headers):
        return Dialect.ANTHROPIC
    return Dialect.OPENAI


def _claimed_prefix(path: str) -> tuple[str | None, bool]:
    """The longest claimed prefix of a path, and whether the path goes on below it."""
    if path in SURFACES:
        return path, False
    segments = path.split("/")[1:]
    if not path.startswith("/") or not all(map(_is_plain, segments)):
        return None, False
    for length in (3, 2):
        prefix = "/" + "/".join(segments[:length])
        if len(segments) > length and prefix in SURFACES:
            return (None, False) if SURFACES[prefix][0].whole else (prefix, True)
    return None, False


def _is_plain(segment: str) -> bool:
    """Whether every server reads this path segment in the same way."""
    if not _SEGMENT.fullmatch(segment):
        return False
    decoded = unquote_to_bytes(segment)
    return decoded not in {b".", b".."} and not _UNSAFE.search(decoded)


def _in_dialect(claims: tuple[_Claim, ...], headers: Headers) -> Surface:
    if len(claims) > 1 and _speaks_anthropic(headers):
        return claims[1].surface
    return claims[0].surface


def _speaks_anthropic(headers: Headers) -> bool:
    return any(name.lower() in {"anthropic-version", "x-api-key"} for name, _ in headers)


def _variants(body: BodyKind) -> dict[Surface, Surface]:
    surfaces = (claim.surface for claims in SURFACES.values() for claim in claims)
    return {surface: replace(surface, body=body, generates=False) for surface in surfaces}


_READING = _variants(BodyKind.NONE)
_BELOW = _variants(BodyKind.OPAQUE)
