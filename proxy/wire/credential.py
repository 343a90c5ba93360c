"""The caller's credential, read so that no upstream could read another one.

OpenAI clients send `Authorization: Bearer <key>`, Anthropic clients `x-api-key: <key>`; `api-key`
is what some OpenAI-compatible servers read. Where several are sent, they must agree.
"""

import re

from proxy.model.exchange import BadRequest, Headers

_KEY_HEADERS = frozenset({"x-api-key", "api-key"})
CREDENTIAL_HEADERS = _KEY_HEADERS | {"authorization"}

_BEARER = re.compile(r"bearer[ \t]+(.*)", re.IGNORECASE | re.DOTALL)
_KEY = re.compile(r"[!-+\--~]+")  # visible ASCII without the comma, which joins repeated fields


def credential(headers: Headers) -> str | BadRequest | None:
    """The bare key that a request carries; None where it carries none.

    Returns a BadRequest (400 where it is ambiguous, 401 where it is malformed) that names the
    header and never the key.
    """
    found: dict[str, str] = {}
    for name, value in headers:
        lowered = name.lower()
        if lowered not in CREDENTIAL_HEADERS:
            continue
        if lowered in found:
            return BadRequest(f"The request carries more than one {lowered} header.")
        key = _bare_key(lowered, value.strip(" \t"))
        if key is None:
            return BadRequest(_malformed(lowered), status=401)
        found[lowered] = key
    keys = {key for key in found.values() if key}
    if len(keys) > 1:
        names = " and ".join(sorted(name for name, key in found.items() if key))
        return BadRequest(f"The request carries different keys in {names}; send one key.")
    return keys.pop() if keys else None


def _bare_key(name: str, value: str) -> str | None:
    """The key in a header's value; empty where there is none, None where it is malformed."""
    if name == "authorization":
        if value.lower() in {"", "bearer"}:
            return ""
        bearer = _BEARER.fullmatch(value)
        if bearer is None:
            return None
        value = bearer[1].strip(" \t")
    return value if not value or _KEY.fullmatch(value) else None


def _malformed(name: str) -> str:
    form = "Bearer <key>" if name == "authorization" else "<key>"
    return f"The {name} header cannot be read; it has the form `{name}: {form}`."
