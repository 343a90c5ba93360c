"""JSON Lines, cut out of a byte stream as it comes.

A line ends with LF; a CR in front of it is white space of JSON. Blank lines are none, but have
their number. How the bytes were chunked never changes the lines. No more than one line within the
bound is held, and no more than so many lines are cut: whoever sends nothing but line ends costs no
more than that. Format: https://jsonlines.org.
"""

from typing import NamedTuple

_BOM = b"\xef\xbb\xbf"
_BLANK = b" \t\r\n"


class Line(NamedTuple):
    """A line without its end and the white space around it; `text` is None where it is too long.

    `number` counts from 1, `size` is in bytes as it came, without its LF.
    """

    number: int
    text: bytes | None
    size: int


class LineSplitter:
    """Cuts chunks into lines of at most `most_bytes`; longer ones are known by their size.

    What stands behind `most_lines` lines is not cut: `rest_bytes` and `rest_lines` say how much.
    """

    __slots__ = (
        "_left",
        "_most_bytes",
        "_number",
        "_pending",
        "_rest_open",
        "_size",
        "rest_bytes",
        "rest_lines",
    )

    def __init__(self, most_bytes: int, most_lines: int) -> None:
        self._most_bytes = most_bytes
        self._left = most_lines
        self._number = 0
        self._pending = bytearray()
        self._size = 0  # of the unfinished line, held or not
        self._rest_open = False  # the rest so far does not end with a line's end
        self.rest_bytes = 0
        self.rest_lines = 0

    def feed(self, chunk: bytes) -> list[Line]:
        """The lines that `chunk` finishes, in order."""
        if not self._left:
            self._skip(chunk)
            return []
        *pieces, last = chunk.split(b"\n", self._left)
        found = [line for piece in pieces if (line := self._ended(piece)) is not None]
        self._left -= len(pieces)
        if self._left:
            self._hold(last)
        else:
            self._skip(last)
        return found

    def finish(self) -> list[Line]:
        """The last line, where no LF ends it."""
        line = self._ended(b"")
        return [] if line is None else [line]

    def _hold(self, piece: bytes) -> None:
        self._size += len(piece)
        if self._size <= self._most_bytes:
            self._pending += piece
        else:
            self._pending.clear()

    def _skip(self, chunk: bytes) -> None:
        if not chunk:
            return
        opened = not chunk.endswith(b"\n")
        self.rest_bytes += len(chunk)
        self.rest_lines += chunk.count(b"\n") + opened - self._rest_open
        self._rest_open = opened

    def _ended(self, piece: bytes) -> Line | None:
        self._number += 1
        size = len(piece)
        if self._size:
            self._hold(piece)
            size, piece = self._size, bytes(self._pending)
            self._size = 0
            self._pending.clear()
        if size > self._most_bytes:
            return Line(self._number, None, size)
        if self._number == 1:
            piece = piece.removeprefix(_BOM)
        text = piece.strip(_BLANK)
        return Line(self._number, text, size) if text else None
