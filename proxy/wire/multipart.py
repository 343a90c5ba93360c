"""Uploads in multipart/form-data, read while their bytes pass: some fields, and one file.

Nothing is changed and nothing is held but the values of the fields asked for. Whatever is written
in a way that two servers may read differently (a field twice, two files, a preamble, the boundary
within a part, parameters twice, a coding of a part) is a `problem`: nothing is read from there on,
and who must not be overrun refuses or ends the upload. Any chunking of the same bytes gives the
same result.

Format: RFC 7578 and RFC 2046, 5.1; the parser itself is `python-multipart`.
"""

import logging
from collections.abc import Callable, Iterable

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser

from proxy.wire.form_headers import boundary_of, part_name

_MAX_PARTS = 64
_MAX_NAMED_BYTES = 4096

_SILENT = logging.Logger("gauger.multipart", logging.CRITICAL + 1)  # what callers send is no news

NOT_A_FORM = "not multipart/form-data with one boundary"
PREAMBLE = "does not begin with its boundary"
MALFORMED = "not well-formed"
TWO_WAYS = "a part can be read in more than one way"
TWICE = "a field or a file is there twice"
TOO_MANY_PARTS = f"more than {_MAX_PARTS} parts"
TOO_LONG = f"a field is longer than {_MAX_NAMED_BYTES} bytes"


class _ProblemError(Exception):
    """Nothing is read from here on."""


class FormReader:
    """Reads one form. Feed it every chunk of the body, decoded where it came compressed.

    `values` has the fields of the names in `wanted` whose parts have ended. The bytes of the part
    called `file`, or of one that has a file name, go to `take_file` as they come. `problem` is one
    of this module's fixed phrases, or None; `ended` says that the last boundary has come.
    """

    def __init__(
        self,
        content_type: str | None,
        wanted: Iterable[str],
        take_file: Callable[[bytes], None] | None = None,
    ) -> None:
        self.values: dict[str, str] = {}
        self.problem: str | None = None
        self.ended = False
        self.body_bytes = 0
        self._wanted = frozenset(wanted)
        self._take_file = take_file
        self._file_seen = False
        self._parts = 0
        self._part = _Part()
        self._start: bytearray | None = bytearray()  # until the first boundary is there
        boundary = boundary_of(content_type)
        if boundary is None:
            self.problem = NOT_A_FORM
        self._opening = b"--" + (boundary or b"")
        self._parser = self._new_parser(boundary or b"-")

    def feed(self, chunk: bytes) -> None:
        """Take bytes of the body in."""
        self.body_bytes += len(chunk)
        if self.problem is not None or self.ended:
            return
        try:
            self._parser.write(self._opened(chunk))
        except _ProblemError as problem:
            self.problem = str(problem)
        except FormParserError:
            self.problem = MALFORMED

    def finish(self) -> None:
        """The body ends here: a problem, if the form has not."""
        if not self.ended and self.problem is None:
            self.problem = MALFORMED

    def _opened(self, chunk: bytes) -> bytes:
        """The bytes to parse now: none before it is clear that the boundary comes first."""
        if self._start is None:
            return chunk
        self._start += chunk
        if self._start.startswith((b"\r", b"\n")):
            self._start = self._start.lstrip(b"\r\n")
        begun = bytes(self._start)
        if not begun.startswith(self._opening[: len(begun)]):
            raise _ProblemError(PREAMBLE)
        if len(begun) < len(self._opening):
            return b""
        self._start = None
        return begun

    def _new_parser(self, boundary: bytes) -> MultipartParser:
        parser = MultipartParser(
            boundary,
            {
                "on_part_begin": self._on_part_begin,
                "on_header_field": self._on_header_field,
                "on_header_value": self._on_header_value,
                "on_header_end": self._on_header_end,
                "on_headers_finished": self._on_headers_finished,
                "on_part_data": self._on_part_data,
                "on_part_end": self._on_part_end,
                "on_end": self._on_end,
            },
        )
        parser.logger = _SILENT
        return parser

    def _on_part_begin(self) -> None:
        self._parts += 1
        if self._parts > _MAX_PARTS:
            raise _ProblemError(TOO_MANY_PARTS)
        self._part = _Part()

    def _on_header_field(self, data: bytes, start: int, end: int) -> None:
        self._part.header += data[start:end]

    def _on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._part.value += data[start:end]

    def _on_header_end(self) -> None:
        self._part.end_header()

    def _on_headers_finished(self) -> None:
        part = self._part
        named = part_name(part.headers)
        if named is None:
            raise _ProblemError(TWO_WAYS)
        part.name, part.is_file = named
        if part.is_file and self._take_file is not None:
            if self._file_seen:
                raise _ProblemError(TWICE)
            self._file_seen = True
        if part.name in self._wanted:
            if part.is_file:
                raise _ProblemError(TWO_WAYS)
            if part.name in self.values:
                raise _ProblemError(TWICE)

    def _on_part_data(self, data: bytes, start: int, end: int) -> None:
        part = self._part
        piece, split = part.before_boundary(data[start:end], self._opening)
        if part.is_file:
            if self._take_file is not None:
                self._take_file(piece)
        elif part.name in self._wanted:
            part.text += piece
            if len(part.text) > _MAX_NAMED_BYTES:
                raise _ProblemError(TOO_LONG)
        if split:
            raise _ProblemError(TWO_WAYS)

    def _on_part_end(self) -> None:
        part = self._part
        if part.name in self._wanted and not part.is_file:
            self.values[part.name] = part.text.decode("utf-8", "replace")

    def _on_end(self) -> None:
        self.ended = True


class _Part:
    """The part that is being read; the parser bounds how long its headers are."""

    __slots__ = ("_tail", "header", "headers", "is_file", "name", "text", "value")

    def __init__(self) -> None:
        self.header = bytearray()
        self.value = bytearray()
        self.headers: dict[bytes, bytes] = {}
        self.name = ""
        self.is_file = False
        self.text = bytearray()
        self._tail = b""

    def before_boundary(self, piece: bytes, boundary: bytes) -> tuple[bytes, bool]:
        """The piece up to the end of a boundary within the part, and whether there is one.

        Some servers end a part at any line that begins so, whatever its line end is.
        """
        known = len(self._tail)
        seen = self._tail + piece
        found = seen.find(boundary)
        if found >= 0:
            return piece[: found + len(boundary) - known], True
        self._tail = seen[1 - len(boundary) :]
        return piece, False

    def end_header(self) -> None:
        """A header is whole; a bare LF in it would end it for some servers."""
        name = bytes(self.header).lower()
        if name in self.headers or b"\n" in self.value:
            raise _ProblemError(TWO_WAYS)
        self.headers[name] = bytes(self.value)
        self.header.clear()
        self.value.clear()
