"""What is sent along in a part of a prompt: an image, a recording or a document, and its tokens.

Nothing here refuses a request. What cannot be read counts as a usual one of its kind.
"""

import math
import re

import msgspec
from msgspec import Raw, Struct

from proxy.model.exchange import Dialect
from proxy.wire.bodies import NO_RAW, Part
from proxy.wire.media import (
    USUAL_SIDE_PX,
    ImageRule,
    audio_tokens,
    document_tokens,
    image_rule,
)
from proxy.wire.media_headers import Encoded, audio_seconds, image_size, pdf_pages
from proxy.wire.tokens import json_tokens, text_tokens

_IMAGES = ("image", "image_url", "input_image", "computer_screenshot")
_RECORDINGS = ("input_audio",)
_DOCUMENTS = ("file", "input_file", "document")
_AUDIO_BYTES_PER_S = 8000  # of a coding that is not read: 64 kbit/s
_PDF_BYTES_PER_PAGE = 50_000
_TEXT_BYTES_PER_TOKEN = 4

_DATA_URL = re.compile(rb'"data:([a-zA-Z0-9.+/-]{0,100})(?:\\?[;,][^,"]{0,100})?,')
_HEAD_BYTES = 256


class _Held(Struct):
    """The objects that hold something sent along, in either dialect."""

    type: object = None
    url: Raw = NO_RAW
    detail: Raw = NO_RAW
    data: Raw = NO_RAW
    file_data: Raw = NO_RAW
    content: Raw = NO_RAW


_BLOCKS: msgspec.json.Decoder[list[Part]] = msgspec.json.Decoder(list[Part])
_HOLDERS: msgspec.json.Decoder[_Held] = msgspec.json.Decoder(_Held)


class Counting:
    """Counts what is sent along to one model."""

    __slots__ = ("_dialect", "_found", "_model")

    def __init__(self, dialect: Dialect, model: str | None) -> None:
        self._dialect = dialect
        self._model = model
        self._found: ImageRule | None = None

    @property
    def _rule(self) -> ImageRule:
        """Looked up where something is sent along, which is seldom."""
        if self._found is None:
            self._found = image_rule(self._dialect, self._model)
        return self._found

    def tokens(self, part: Part) -> float | None:
        """Tokens of an image, a recording or a document; None for a part of another kind."""
        if part.type in _IMAGES:
            return self._image(part)
        if part.type in _RECORDINGS:
            return self._recording(part)
        if part.type in _DOCUMENTS:
            return self._document(part)
        return None

    def _image(self, part: Part) -> int:
        held = _held(part.image_url if part.image_url is not NO_RAW else part.source)
        detail = _word(held.detail if part.detail is NO_RAW else part.detail)
        file = _file_in(held.data if held.data is not NO_RAW else held.url)
        width, height = (file and image_size(file)) or (USUAL_SIDE_PX, USUAL_SIDE_PX)
        return self._rule.tokens(width, height, detail)

    def _recording(self, part: Part) -> int:
        file = _file_in(_held(part.input_audio).data)
        if file is None:
            return audio_tokens(None)
        seconds = audio_seconds(file)
        return audio_tokens(file.size / _AUDIO_BYTES_PER_S if seconds is None else seconds)

    def _document(self, part: Part) -> float:
        held = _held(part.file if part.file is not NO_RAW else part.source)
        if held.type == "text":
            return json_tokens(bytes(held.data))
        if held.type == "content":
            return self._blocks(held.content)
        data = next((raw for raw in (part.file_data, held.file_data, held.data) if raw), NO_RAW)
        file = _file_in(data)
        if file is None:
            return document_tokens(None, self._dialect, self._rule)
        pages = pdf_pages(file)
        if pages is None and not file.read(0, 4).startswith((b"%PDF", b"PK\3\4")):
            return file.size / _TEXT_BYTES_PER_TOKEN
        pages = pages or math.ceil(file.size / _PDF_BYTES_PER_PAGE)
        return document_tokens(pages, self._dialect, self._rule)

    def _blocks(self, content: Raw) -> float:
        """Tokens of a document that is given as a text, or as blocks."""
        try:
            parts = _BLOCKS.decode(content)
        except msgspec.DecodeError:
            return json_tokens(bytes(content))
        tokens = 0.0
        for part in parts:
            found = self.tokens(part)
            text = part.text if isinstance(part.text, str) else ""
            tokens += text_tokens(text) if found is None else found
        return tokens


def _held(raw: Raw) -> _Held:
    """What an object holds; a string is the URL itself."""
    if memoryview(raw).nbytes and bytes(memoryview(raw)[:1]) == b'"':
        return _Held(url=raw)
    try:
        return _HOLDERS.decode(raw)
    except msgspec.DecodeError:
        return _Held()


def _word(raw: Raw) -> str:
    try:
        return msgspec.json.decode(raw, type=str)
    except msgspec.DecodeError:
        return ""


def _file_in(raw: Raw) -> Encoded | None:
    """The file in a string of base64, or in a data URL; None for any other URL, or nothing."""
    text = memoryview(raw)
    head = bytes(text[:_HEAD_BYTES])
    if len(head) < 3 or not head.startswith(b'"'):
        return None
    if b"\\" in head:  # encoders of one language write every / as \/
        plain = bytes(text).replace(b"\\/", b"/").replace(b"\\n", b"")
        text, head = memoryview(plain), plain[:_HEAD_BYTES]
    url = _DATA_URL.match(head)
    if url is None and b":" in head:
        return None
    return Encoded(text[url.end() if url else 1 : -1])
