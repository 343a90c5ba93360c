"""multipart/form-data from a body that was read whole (RFC 7578, as much as SDKs send)."""

import re
from dataclasses import dataclass

from proxy.demo.upstream.reply import RequestError

_BOUNDARY = re.compile(r'multipart/form-data;.*boundary="?([^";]+)"?', re.IGNORECASE)
_NAME = re.compile(r'\bname="([^"]*)"')
_FILENAME = re.compile(r'\bfilename="([^"]*)"')
_TYPE = re.compile(r"^content-type:\s*(\S+)", re.IGNORECASE | re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Part:
    """One part of a form; a plain field has an empty filename."""

    filename: str
    content_type: str
    content: bytes


def read_form(body: bytes, content_type: str) -> dict[str, Part]:
    """The parts by name; `RequestError` 400 for a body that is not such a form."""
    boundary = _BOUNDARY.match(content_type)
    if boundary is None:
        raise RequestError(400, "expected multipart/form-data")
    chunks = body.split(b"--" + boundary[1].encode())
    return dict(_part(chunk) for chunk in chunks[1:-1])


def fields(form: dict[str, Part]) -> dict[str, str]:
    """The plain fields as text."""
    return {
        name: part.content.decode(errors="replace")
        for name, part in form.items()
        if not part.filename
    }


def _part(chunk: bytes) -> tuple[str, Part]:
    head_bytes, _, content = chunk.partition(b"\r\n\r\n")
    head = head_bytes.decode("utf-8", "replace").strip()
    name, filename, kind = _NAME.search(head), _FILENAME.search(head), _TYPE.search(head)
    if name is None:
        raise RequestError(400, "a part of the form has no name")
    described = kind[1] if kind else "text/plain"
    return name[1], Part(filename[1] if filename else "", described, content[:-2])
