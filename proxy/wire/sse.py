"""Server-sent events, cut out of a byte stream as it comes.

Format: https://html.spec.whatwg.org/multipage/server-sent-events.html. Lines end with LF, CRLF or
CR; a blank line ends an event. The bytes of a stream are cut into *units* that add up to exactly
the stream: an event with the blank line that ends it, a comment line in front of an event, or a
line end in front of an event. How the bytes were chunked never changes what is in an event.
"""

import re

import msgspec

_LINE_END = re.compile(rb"\r\n|\n|\r")
_BLANK_LINE = re.compile(rb"(?>\r\n|\n|\r)(?>\r\n|\n|\r)")
_BOM = b"\xef\xbb\xbf"


class EventSplitter:
    """Cuts chunks into units. Holds the bytes of one unfinished unit, `pending`."""

    __slots__ = ("_scanned", "pending")

    def __init__(self) -> None:
        self.pending = bytearray()
        self._scanned = 0  # how far pending is known to hold no end of an event

    def feed(self, chunk: bytes) -> list[bytes]:
        """The units that `chunk` finishes, in order.

        A CR that ends both a unit and a chunk is not waited with: the LF that may follow it
        comes out as a unit of its own, in front of the next event.
        """
        if not self.pending:
            return self._cut(chunk, 0)
        self.pending += chunk
        data = bytes(self.pending) if self._ends_unit() else b""
        return self._cut(data, self._scanned) if data else []

    def _ends_unit(self) -> bool:
        """Whether pending holds a whole unit by now; remembers how far it has looked."""
        pattern = _LINE_END if self.pending.startswith((b":", b"\r", b"\n")) else _BLANK_LINE
        start = max(0, self._scanned - 3)
        if pattern.search(self.pending, start) is not None:
            self._scanned = start
            return True
        self._scanned = len(self.pending)
        return False

    def _cut(self, data: bytes, scanned: int) -> list[bytes]:
        units: list[bytes] = []
        position, size = 0, len(data)
        only_lf = b"\r" not in data
        while position < size:
            end = _unit_end(data, position, max(position, scanned), only_lf=only_lf)
            if end < 0:
                break
            units.append(data[position:end])
            position = end
        self.pending = bytearray(data[position:])
        self._scanned = len(self.pending)
        return units


def _unit_end(data: bytes, start: int, scan_from: int, *, only_lf: bool) -> int:
    """Where the unit that begins at `start` ends, or -1."""
    first = data[start]
    if first in b"\r\n:":
        line_end = _LINE_END.search(data, start)
        return -1 if line_end is None else line_end.end()
    if only_lf:
        blank_at = data.find(b"\n\n", scan_from)
        return blank_at if blank_at < 0 else blank_at + 2
    blank = _BLANK_LINE.search(data, scan_from)
    return -1 if blank is None else blank.end()


def event_data(unit: bytes) -> bytes:
    """The data of a unit: its `data` fields, joined by LF; empty where it has none."""
    unit = unit.removeprefix(_BOM)
    lines: list[bytes] = []
    for line in _LINE_END.split(unit):
        name, _, value = line.partition(b":")
        if name == b"data":
            lines.append(value.removeprefix(b" "))
    return lines[0] if len(lines) == 1 else b"\n".join(lines)


def with_data(unit: bytes, data: bytes) -> bytes:
    """The unit with the JSON text `data`, on one line, in place of its own; the rest stays."""
    out: list[bytes] = []
    written = False
    for line in _LINES.findall(unit):
        if _DATA.match(line) is None:
            out.append(line)
        elif not written:
            bom = _BOM if line.startswith(_BOM) else b""
            end = line[len(line.rstrip(b"\r\n")) :]
            out.append(bom + b"data: " + data.replace(b"\n", b" ") + end)
            written = True
    return b"".join(out)


def written(value: object, name: str | None = None) -> bytes:
    """An event of our own, with JSON data."""
    head = b"" if name is None else b"event: " + name.encode() + b"\n"
    return head + b"data: " + msgspec.json.encode(value) + b"\n\n"


_LINES = re.compile(rb"[^\r\n]*+(?:\r\n|\n|\r)|[^\r\n]++")
_DATA = re.compile(rb"(?:\xef\xbb\xbf)?data(?=[:\r\n]|$)")
