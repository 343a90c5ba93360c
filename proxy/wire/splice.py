"""Changes of a request body that leave every other byte as the client wrote it.

Only the spans of the values that change are replaced; white space, key order, escapes, numbers
and unknown fields stay. Bodies must have been read (`proxy.wire.request.read`) before: they are
JSON objects then that name no member twice.
"""

import re

from proxy.wire.jsontext import Member, RepeatedNameError, members

_END = re.compile(rb"[ \t\r\n]*+\}")


def ask_for_stream_usage(body: bytes) -> bytes:
    """The body with `stream_options.include_usage` true, so that a chat stream reports usage."""
    options = _find(body, "stream_options")
    if options is None:
        return _insert(body, b'"stream_options":{"include_usage":true}')
    return _replace(body, options, _including_usage(body[options.start : options.end]))


def set_member(body: bytes, name: str, value: bytes) -> bytes:
    """The body with its top-level member `name` (ASCII) set to the JSON text `value`."""
    present = _find(body, name)
    if present is None:
        return _insert(body, b'"' + name.encode("ascii") + b'":' + value)
    return _replace(body, present, value)


def _including_usage(options: bytes) -> bytes:
    """The value of `stream_options` with usage asked for; other options stay where they can."""
    if not options.startswith(b"{"):
        return b'{"include_usage":true}'
    try:
        include = _find(options, "include_usage")
    except RepeatedNameError:
        return b'{"include_usage":true}'
    if include is None:
        return _insert(options, b'"include_usage":true')
    return _replace(options, include, b"true")


def _find(text: bytes, name: str) -> Member | None:
    return next((member for member in members(text) if member.name == name), None)


def _replace(text: bytes, member: Member, value: bytes) -> bytes:
    return text[: member.start] + value + text[member.end :]


def _insert(text: bytes, member: bytes) -> bytes:
    """The object with a member put first."""
    inside = text.index(b"{") + 1
    comma = b"" if _END.match(text, inside) else b","
    return text[:inside] + member + comma + text[inside:]
