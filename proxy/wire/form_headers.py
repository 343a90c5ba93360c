"""The headers of forms, read only where every server reads them in the same way.

Format: RFC 7578, 4.2, and RFC 9110, 5.6.6 (parameters).
"""

import re
from collections.abc import Mapping

_MAX_BOUNDARY_CHARS = 70  # RFC 2046, 5.1.1
_BOUNDARY = re.compile(r"[0-9A-Za-z'()+_,\-./:=? ]*[0-9A-Za-z'()+_,\-./:=?]")
_PARAMETER = re.compile(
    r';[ \t]*+([^\s=;"]++)[ \t]*+=[ \t]*+("(?:[^"\\\r\n]++|\\.)*+"|[^\s;"]*+)[ \t]*+'
)
_PLAIN_CODINGS = frozenset({"7bit", "8bit", "binary"})


def boundary_of(content_type: str | None) -> bytes | None:
    """The boundary that a content-type header names, or None where it is no form's."""
    kind, parameters = _read(content_type or "")
    if kind != "multipart/form-data" or parameters is None or "boundary*" in parameters:
        return None
    boundary = _unquoted(parameters.get("boundary", ""))
    if boundary is None or len(boundary) > _MAX_BOUNDARY_CHARS:
        return None
    return boundary.encode("ascii") if _BOUNDARY.fullmatch(boundary) else None


def part_name(headers: Mapping[bytes, bytes]) -> tuple[str, bool] | None:
    """The name of a part, and whether it is a file; None where servers may differ.

    A part is a file if it is called `file` or has a file name.
    """
    texts = {name: value.decode("latin-1") for name, value in headers.items()}
    kind, parameters = _read(texts.get(b"content-disposition", ""))
    coding = texts.get(b"content-transfer-encoding", "binary").strip(" \t").lower()
    if kind != "form-data" or parameters is None or coding not in _PLAIN_CODINGS:
        return None
    if any("*" in name and name != "filename*" for name in parameters):
        return None
    name = _unquoted(parameters.get("name", '"\\"'))
    if name is None:
        return None
    return name, name == "file" or "filename" in parameters or "filename*" in parameters


def _read(header: str) -> tuple[str, dict[str, str] | None]:
    """The value of a header and its parameters as written; None where one is there twice."""
    kind = header.partition(";")[0]
    position = len(kind)
    found: dict[str, str] = {}
    while position < len(header):
        parameter = _PARAMETER.match(header, position)
        if parameter is None or parameter[1].lower() in found:
            ends = not header[position:].strip(" \t;")
            return kind.strip(" \t").lower(), found if ends else None
        found[parameter[1].lower()] = parameter[2]
        position = parameter.end()
    return kind.strip(" \t").lower(), found


def _unquoted(value: str) -> str | None:
    """A parameter without its quotes; None where it has escapes, which servers read differently."""
    if not value.startswith('"'):
        return value
    return None if "\\" in value else value[1:-1]
