"""Header fields on their way through: which go on, which stay, which are put in.

Hop-by-hop fields (RFC 9110, 7.6.1) end here in both directions, those that `Connection` names
too. A caller's statements about forwarding and about who it is end here as well, except
that its credential goes on where the settings say so.
"""

import re
from collections.abc import Iterable

from aiohttp.typedefs import RawHeaders
from multidict import CIMultiDict

from proxy.model.exchange import Dialect, Headers
from proxy.wire.credential import CREDENTIAL_HEADERS
from proxy.wire.limit_headers import is_limit_header

SERVER = "gauger"  # the Server field of answers that have none from an upstream
HOP_BY_HOP = frozenset(
    {
        "connection",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
WARNING = "x-gauger-warning"  # one field for each thing that the caller is warned of
_MOST_WARNINGS = 8
_MOST_WARNING_BYTES = 256
# Of the request: who stands between the caller and us is nobody's business behind us.
_NOT_FORWARDED = HOP_BY_HOP | {
    "host",
    "expect",
    "content-length",
    "forwarded",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-port",
    "x-forwarded-proto",
    "x-real-ip",
    WARNING,
}
# Digests of a body, and parts of it: what they say of is no longer so once a body is changed.
_OF_THE_BYTES = frozenset({"content-digest", "repr-digest", "digest", "content-md5"})
_PARTIAL = frozenset({"range", "if-range"})


_BREAKS = re.compile(rb"[\r\n\0]")


class BadHeaders(Exception):  # noqa: N818 (says what happened)
    """A header cannot be passed on; the text is for the caller."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


def header_pairs(raw: RawHeaders, max_bytes: int) -> Headers:
    """The fields as text, in order and with their case; BadHeaders if too many or not UTF-8."""
    if sum(len(name) + len(value) + 4 for name, value in raw) > max_bytes:
        msg = f"The request's headers are larger than {max_bytes} bytes."
        raise BadHeaders(msg, 431)
    try:
        return tuple([(name.decode(), value.decode()) for name, value in raw])
    except UnicodeDecodeError:
        msg = "A header of the request is not UTF-8 text."
        raise BadHeaders(msg, 400) from None


def single(headers: Headers, name: str | None) -> str | None:
    """The value of the one field of a name; BadHeaders where there are several.

    A proxy that adds its field to the client's own would otherwise let the client speak for it.
    """
    if name is None:
        return None
    lowered = name.lower()
    found = [value for key, value in headers if key.lower() == lowered]
    if len(found) > 1:
        raise BadHeaders(f"The request carries more than one {lowered} header.", 400)
    return found[0] if found else None


def upstream_headers(
    headers: Headers,
    *,
    own: frozenset[str],
    credential: tuple[str, str] | None,
    plain: bool,
    rewritten: bool,
) -> "CIMultiDict[str]":
    """What the upstream gets.

    `own` are lower-case names that a trusted peer speaks to us with; `credential` replaces the
    caller's, which goes on where it is None. `plain` asks for an answer that is whole and not
    compressed; `rewritten` says that the body goes out changed, without the coding it came in.
    """
    dropped = _named_by_connection(headers) | own
    if credential is not None:
        dropped |= CREDENTIAL_HEADERS
    if plain:
        dropped |= _PARTIAL | {"accept-encoding"}
    if rewritten:
        dropped |= _OF_THE_BYTES | {"content-encoding"}
    sent: CIMultiDict[str] = CIMultiDict()
    # aiohttp's client loses a repeated field whose case differs from the first one's.
    written: dict[str, str] = {}
    for name, value in headers:
        lowered = name.lower()
        if lowered not in _NOT_FORWARDED and lowered not in dropped:
            sent.add(written.setdefault(lowered, name), value)
    if credential is not None:
        sent.add(*credential)
    if plain:
        sent.add("Accept-Encoding", "identity")
    return sent


def _named_by_connection(headers: Iterable[tuple[str, str]]) -> frozenset[str]:
    named = [value for name, value in headers if name.lower() == "connection"]
    return frozenset(token.strip().lower() for value in named for token in value.split(","))


def credential_header(dialect: Dialect, secret: str) -> tuple[str, str]:
    """The field in which an upstream of the dialect takes its credential."""
    if dialect is Dialect.ANTHROPIC:
        return "x-api-key", secret
    return "Authorization", f"Bearer {secret}"


def client_headers(
    raw: RawHeaders,
    ours: Headers,
    *,
    shortened: bool = False,
    altered: bool = False,
) -> "CIMultiDict[str]":
    """What the client gets of an upstream's fields, and ours: limits and warnings.

    The upstream's limits are those of the operator's own account; they are shown only where
    we have none to state. Warnings are ours alone. `shortened` says that an event may be left
    out of the body, `altered` that it is read and written anew, in plain. BadHeaders where a
    value could be read as two fields.
    """
    if _BREAKS.search(b"".join([value for _, value in raw])):
        msg = "A header of the answer holds a control character."
        raise BadHeaders(msg, 502)
    pairs = [(name.decode("latin-1"), value.decode("utf-8", "replace")) for name, value in raw]
    dropped = _named_by_connection(pairs) | HOP_BY_HOP | {WARNING}
    if shortened or altered:
        dropped |= _OF_THE_BYTES | {"content-length"}
    if altered:
        dropped |= {"content-encoding", "accept-ranges"}
    states_limits = any(is_limit_header(name) for name, _ in ours)
    given: CIMultiDict[str] = CIMultiDict()
    for name, value in pairs:
        lowered = name.lower()
        if lowered not in dropped and not (states_limits and is_limit_header(lowered)):
            given.add(name, value)
    for name, value in ours:
        given.add(name, value)
    if "Server" not in given:
        given.add("Server", SERVER)
    return given


def warning_headers(warnings: tuple[str, ...]) -> Headers:
    """A field for each warning, of at most 256 bytes of printable ASCII; at most eight fields."""
    shown = list(warnings)
    if len(shown) > _MOST_WARNINGS:
        more = len(shown) - (_MOST_WARNINGS - 1)
        shown = [*shown[: _MOST_WARNINGS - 1], f"{more} more warnings"]
    return tuple([(WARNING, _printable(text)) for text in shown])


def _printable(text: str) -> str:
    text = "".join([char if " " <= char <= "~" else "?" for char in text])
    if len(text) > _MOST_WARNING_BYTES:
        text = text[: _MOST_WARNING_BYTES - 3] + "..."
    return text.strip()
