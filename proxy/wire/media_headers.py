"""Sizes of images, recordings and PDFs in base64, read from their first bytes.

Base64 can be entered at any place, so that only the few bytes that say something are decoded,
however large the file is. Whatever is not as its format says gives None: nothing here refuses.

Formats: PNG (ISO 15948), JPEG (ITU-T T.81), GIF89a, WebP (RFC 9649), WAVE, MPEG audio (ISO 11172-3,
13818-3), PDF (ISO 32000).
"""

import binascii
import re
from collections.abc import Iterator

_MOST_SEGMENTS = 64  # of a JPEG before its size, chunks of a recording, frames looked at
_MOST_PDF_BYTES = 524_288  # of a larger one, only both ends are read
_PDF_END_BYTES = 65_536
_LEAST_PDF_PAGE_BYTES = 32  # a count beyond that is none of pages


class Encoded:
    """A file in base64, of which any part can be read; `size` is in bytes of the file."""

    __slots__ = ("_text", "size")

    def __init__(self, text: memoryview | bytes) -> None:
        self._text = text
        self.size = len(text) // 4 * 3 + max(0, len(text) % 4 - 1)
        if not len(text) % 4:
            self.size -= bytes(text[-2:]).count(b"=")

    def read(self, at: int, count: int) -> bytes:
        """Up to `count` bytes from the place `at`; fewer at the end, none where it is no base64."""
        first, skip = divmod(at, 3)
        piece = bytes(self._text[first * 4 : (at + count + 2) // 3 * 4])
        try:
            return binascii.a2b_base64(piece + b"=" * (-len(piece) % 4))[skip : skip + count]
        except binascii.Error:
            return b""


def image_size(file: Encoded) -> tuple[int, int] | None:
    """Width and height in pixels."""
    head = file.read(0, 32)
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        size = _big(head[16:20]), _big(head[20:24])
    elif head.startswith((b"GIF87a", b"GIF89a")):
        size = _little(head[6:8]), _little(head[8:10])
    elif head.startswith(b"RIFF") and head[8:12] == b"WEBP":
        size = _webp_size(head)
    elif head.startswith(b"\xff\xd8"):
        size = _jpeg_size(file)
    else:
        return None
    return size if min(size) > 0 else None


def _webp_size(head: bytes) -> tuple[int, int]:
    match head[12:16]:
        case b"VP8X":
            return _little(head[24:27]) + 1, _little(head[27:30]) + 1
        case b"VP8L":
            bits = _little(head[21:25])
            return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
        case b"VP8 ":
            return _little(head[26:28]) & 0x3FFF, _little(head[28:30]) & 0x3FFF
        case _:
            return 0, 0


def _jpeg_size(file: Encoded) -> tuple[int, int]:
    """The first frame header's size; the segments before it are skipped, thumbnails and all."""
    at = 2
    for _ in range(_MOST_SEGMENTS):
        segment = file.read(at, 9)
        if len(segment) < 9 or segment[0] != 0xFF:
            break
        kind = segment[1]
        if 0xC0 <= kind <= 0xCF and kind not in (0xC4, 0xC8, 0xCC):
            return _big(segment[7:9]), _big(segment[5:7])
        at += 1 if kind == 0xFF else 2 + _big(segment[2:4])
    return 0, 0


def audio_seconds(file: Encoded) -> float | None:
    """Length of a recording: of WAVE and MPEG layer III."""
    if file.read(0, 4) == b"RIFF" and file.read(8, 4) == b"WAVE":
        return _wave_seconds(file)
    return _mpeg_seconds(file)


def _wave_seconds(file: Encoded) -> float | None:
    per_second = 0
    for name, at, size in _wave_chunks(file):
        if name == b"fmt ":
            form = file.read(at, 16)
            channels, rate, bits = _little(form[2:4]), _little(form[4:8]), _little(form[14:16])
            plain = form[:2] in (b"\x01\x00", b"\x03\x00")
            per_second = channels * rate * bits // 8 if plain else _little(form[8:12])
        elif name == b"data":
            # A recording that was streamed says 0 or the largest number here.
            heard = min(size or file.size, max(0, file.size - at))
            return heard / per_second if per_second else None
    return None


def _wave_chunks(file: Encoded) -> Iterator[tuple[bytes, int, int]]:
    at = 12
    for _ in range(_MOST_SEGMENTS):
        head = file.read(at, 8)
        if len(head) < 8:
            return
        size = _little(head[4:8])
        yield head[:4], at + 8, size
        at += 8 + size + size % 2


_KBITS = {
    1: (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    2: (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
_RATES = {3: (44100, 48000, 32000), 2: (22050, 24000, 16000), 0: (11025, 12000, 8000)}


def _mpeg_seconds(file: Encoded) -> float | None:
    """The frames' length where the first tells it, else the size at the mean of some bit rates."""
    at = 0
    head = file.read(0, 10)
    if head.startswith(b"ID3") and len(head) == 10:
        at = 10 + sum((byte & 0x7F) << 7 * (3 - i) for i, byte in enumerate(head[6:10]))
    seconds, start = 0.0, at
    for frame in range(_MOST_SEGMENTS):
        found = _mpeg_frame(file.read(at, 4))
        if found is None:
            break
        size, length_s = found
        if frame == 0 and (told := _frames_told(file.read(at, 48))):
            return told * length_s
        seconds += length_s
        at += size
    return seconds * max(0, file.size - start) / (at - start) if seconds else None


def _mpeg_frame(head: bytes) -> tuple[int, float] | None:
    """Bytes and seconds of the layer III frame with this header."""
    bits = _big(head)
    version, layer, kbits, rate = bits >> 19 & 3, bits >> 17 & 3, bits >> 12 & 15, bits >> 10 & 3
    if len(head) < 4 or bits >> 21 != 0x7FF or layer != 1 or version == 1:
        return None
    if not 0 < kbits < 15 or rate == 3:
        return None
    samples, table = (1152, 1) if version == 3 else (576, 2)
    per_second = _RATES[version][rate]
    size = samples // 8 * _KBITS[table][kbits - 1] * 1000 // per_second + (bits >> 9 & 1)
    return size, samples / per_second


def _frames_told(frame: bytes) -> int:
    """The number of frames that an encoder has written into the first, or 0."""
    for mark in (b"Xing", b"Info"):
        at = frame.find(mark)
        if at >= 0 and frame[at + 7 : at + 8] and frame[at + 7] & 1:
            return _big(frame[at + 8 : at + 12])
    return 0


_PAGE = re.compile(rb"/Type\s{0,4}/Page(?![a-zA-Z])")
_COUNT = re.compile(rb"/Count\s{1,4}(\d{1,5})|/Linearized[^>]{0,200}/N\s{1,4}(\d{1,5})")


def pdf_pages(file: Encoded) -> int | None:
    """Pages, as far as a PDF tells without being unpacked."""
    if not file.read(0, 8).startswith(b"%PDF"):
        return None
    if file.size <= _MOST_PDF_BYTES:
        seen = file.read(0, file.size)
    else:
        end = file.size - _PDF_END_BYTES
        seen = file.read(0, 2048) + file.read(end, _PDF_END_BYTES)
    counts = [int(tree or whole) for tree, whole in _COUNT.findall(seen)]
    pages = max(
        [len(_PAGE.findall(seen)), *(c for c in counts if c <= file.size // _LEAST_PDF_PAGE_BYTES)]
    )
    return pages or None


def _big(data: bytes) -> int:
    return int.from_bytes(data, "big")


def _little(data: bytes) -> int:
    return int.from_bytes(data, "little")
