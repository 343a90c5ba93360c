import base64
import io
import struct
import zlib

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.model.exchange import Dialect
from proxy.wire.attached import Counting
from proxy.wire.bodies import Part
from proxy.wire.media import audio_tokens, document_tokens, image_rule
from proxy.wire.media_headers import Encoded, audio_seconds, image_size, pdf_pages

OPENAI, ANTHROPIC = Dialect.OPENAI, Dialect.ANTHROPIC


# -- the providers' rules ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "size", "detail", "tokens"),
    [
        # The examples of OpenAI's guide.
        ("gpt-4o", (1024, 1024), "high", 765),
        ("gpt-4o", (2048, 4096), "high", 1105),
        ("gpt-4o", (4096, 8192), "low", 85),
        ("gpt-4.1-mini", (1024, 1024), "", round(1024 * 1.62 + 0.5)),
        ("gpt-4.1-mini", (1800, 2400), "", round(1452 * 1.62 + 0.5)),
        # What answers have reported.
        ("gpt-4.1", (128, 64), "high", 255),
        ("gpt-4o-mini", (128, 64), "high", 8500),
        ("gpt-5-mini", (1280, 720), "", 1104),
        ("gpt-5-mini-2025-08-07", (2048, 768), "low", 1844),
        ("gpt-5-nano", (2048, 768), "", 2304),
        # Details of later models.
        ("gpt-5", (1024, 1024), "", 630),
        ("gpt-5.4", (1600, 1600), "high", 3000),
        ("gpt-5.4", (3200, 3200), "original", 12_000),
        ("gpt-5.4", (3200, 3200), "auto", 3000),
        ("gpt-5.5", (3200, 3200), "auto", 12_000),
        ("gpt-5.5", (3200, 3200), "low", 308),
        ("openai/o3", (1024, 1024), "", 675),
        ("o4-mini", (512, 512), "", 441),
    ],
)
def test_openai_models_count_images_as_published(model, size, detail, tokens):
    assert image_rule(OPENAI, model).tokens(*size, detail) == tokens


@pytest.mark.parametrize(
    ("model", "size", "tokens"),
    [
        # The examples of Anthropic's guide.
        ("claude-sonnet-4-5-20250929", (200, 200), 64),
        ("claude-sonnet-4-6", (1000, 1000), 1296),
        ("claude-sonnet-4-6", (1092, 1092), 1521),
        ("claude-sonnet-4-6", (1920, 1080), 1560),
        ("claude-opus-4-7", (1920, 1080), 2691),
        ("claude-opus-4-7", (3840, 2160), 4784),
        ("claude-3-haiku-20240307", (8000, 8000), 1521),
        ("us.anthropic.claude-sonnet-4-20250514-v1:0", (1920, 1080), 1560),
        ("anthropic/claude-opus-5", (1920, 1080), 2691),
    ],
)
def test_anthropic_models_count_images_as_published(model, size, tokens):
    assert image_rule(ANTHROPIC, model).tokens(*size, "") == tokens


def test_an_alias_is_taken_for_a_model_of_its_dialect():
    assert image_rule(OPENAI, "m-large").tokens(1024, 1024, "") == 765
    assert image_rule(ANTHROPIC, "m-large").tokens(1024, 1024, "") == 1369
    assert image_rule(OPENAI, None).tokens(1024, 1024, "") == 765
    assert image_rule(OPENAI, "claude-opus-4-8").tokens(1024, 1024, "") == 1369


@pytest.mark.parametrize("model", ["gpt-4o", "gpt-4.1-mini", "gpt-5.5", "gpt-6", "claude-opus-5"])
@given(width=st.integers(1, 2**31), height=st.integers(1, 2**31))
@settings(max_examples=60, deadline=None)
def test_no_image_costs_less_than_a_token_or_more_than_its_budget(model, width, height):
    for detail in ("", "low", "high", "auto", "original"):
        tokens = image_rule(OPENAI, model).tokens(width, height, detail)
        assert 1 <= tokens <= 36_000


def test_audio_is_ten_tokens_a_second_and_half_a_minute_where_nobody_knows():
    assert audio_tokens(2.05) == 21
    assert audio_tokens(None) == 300


def test_a_page_is_its_text_and_its_image():
    rule = image_rule(ANTHROPIC, "claude-sonnet-4-6")
    assert document_tokens(3, ANTHROPIC, rule) == 3 * (1000 + 30 * 38)
    assert document_tokens(None, OPENAI, image_rule(OPENAI, "gpt-4o")) == 5 * (600 + 765)


# -- headers -------------------------------------------------------------------------------------


def encoded(data):
    return Encoded(base64.b64encode(data))


def png(width, height):
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunk = b"IHDR" + header
    return (
        b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + chunk + struct.pack(">I", zlib.crc32(chunk))
    )


def jpeg(width, height, before=b""):
    frame = struct.pack(">BHHB", 8, height, width, 3) + bytes(9)
    return b"\xff\xd8" + before + b"\xff\xc2" + struct.pack(">H", len(frame) + 2) + frame


def segment(kind, data):
    return bytes([0xFF, kind]) + struct.pack(">H", len(data) + 2) + data


def webp(kind, data):
    return (
        b"RIFF" + struct.pack("<I", len(data) + 12) + b"WEBP" + kind + bytes(4) + data + bytes(20)
    )


EXIF = segment(0xE1, b"Exif\0\0" + jpeg(160, 120) + bytes(50_000))


@pytest.mark.parametrize(
    ("data", "size"),
    [
        (png(1234, 567), (1234, 567)),
        (b"GIF89a" + struct.pack("<HH", 300, 200) + bytes(20), (300, 200)),
        (jpeg(4032, 3024), (4032, 3024)),
        (jpeg(4032, 3024, EXIF + segment(0xDB, bytes(64)) + b"\xff"), (4032, 3024)),
        (
            webp(b"VP8X", bytes(4) + (1919).to_bytes(3, "little") + (1079).to_bytes(3, "little")),
            (1920, 1080),
        ),
        (webp(b"VP8L", b"\x2f" + (799 | 599 << 14).to_bytes(4, "little")), (800, 600)),
        (webp(b"VP8 ", b"\0\0\0\x9d\x01\x2a" + struct.pack("<HH", 640 | 1 << 14, 480)), (640, 480)),
        (webp(b"ALPH", bytes(10)), None),
        (png(0, 5), None),
        (jpeg(5, 5)[:8], None),
        (b"\xff\xd8" + segment(0xE1, b"") * 100 + jpeg(9, 9)[2:], None),
        (b"BM" + bytes(60), None),
        (b"", None),
    ],
)
def test_the_size_of_an_image_is_read_from_its_header(data, size):
    assert image_size(encoded(data)) == size


def wave(seconds, *, rate=16_000, said=None, before=b""):
    heard = bytes(int(seconds * rate) * 2)
    form = struct.pack("<HHIIHH", 1, 1, rate, rate * 2, 2, 16)
    chunks = before + b"fmt " + struct.pack("<I", 16) + form
    chunks += b"data" + struct.pack("<I", len(heard) if said is None else said) + heard
    return b"RIFF" + struct.pack("<I", len(chunks) + 4) + b"WAVE" + chunks


def mp3(frames, *, kbits=9, before=b"", told=None):
    """Frames of 128 kbit/s (`kbits` 9) at 44,100 Hz: 417 bytes, 1152 samples."""
    head = struct.pack(">I", 0xFFFB0000 | kbits << 12)
    first = head + bytes(413)
    if told is not None:
        first = head + bytes(32) + b"Xing" + struct.pack(">II", 1, told) + bytes(369)
    return before + first + (head + bytes(413)) * (frames - 1)


@pytest.mark.parametrize(
    ("data", "seconds"),
    [
        (wave(2.5), 2.5),
        (wave(2.5, said=0xFFFFFFFF), 2.5),
        (wave(2.5, said=0), 2.5),
        (wave(1, rate=48_000, before=b"LIST" + struct.pack("<I", 5) + b"INFO!\0"), 1),
        (mp3(100), 100 * 1152 / 44_100),
        (mp3(100, before=b"ID3\4\0\0\0\0\1\0" + bytes(128)), 100 * 1152 / 44_100),
        (mp3(3, told=1000), 1000 * 1152 / 44_100),
        (wave(0)[:30], None),
        (b"OggS" + bytes(100), None),
        (b"", None),
    ],
)
def test_the_length_of_a_recording_is_read_from_its_header(data, seconds):
    found = audio_seconds(encoded(data))
    assert found == (None if seconds is None else pytest.approx(seconds, rel=0.02, abs=0.01))


def pdf(pages, *, padding=0, tree=True):
    out = io.BytesIO(b"%PDF-1.4\n")
    out.seek(0, io.SEEK_END)
    for number in range(pages):
        out.write(b"%d 0 obj << /Type /Page /Parent 1 0 R >> endobj\n" % number)
    out.write(bytes(padding))
    if tree:
        out.write(b"<< /Type /Pages /Kids [] /Count %d >>\n" % pages)
    return out.getvalue()


@pytest.mark.parametrize(
    ("data", "pages"),
    [
        (pdf(1), 1),
        (pdf(12, tree=False), 12),
        (pdf(300, padding=2_000_000), 300),
        (pdf(3) + b"<< /Type /ObjStm /N 100 >> /Count 99999", 3),
        (b"%PDF-1.7\n<< /Linearized 1 /L 9 /N 44 >>" + bytes(3000), 44),
        (b"%PDF-1.7" + bytes(100), None),
        (b"plain text", None),
    ],
)
def test_the_pages_of_a_pdf_are_counted_as_far_as_it_tells(data, pages):
    assert pdf_pages(encoded(data)) == pages


@given(st.binary(max_size=300), st.integers(0, 320), st.integers(0, 40))
def test_any_part_of_a_file_can_be_read(data, at, count):
    file = encoded(data)
    assert file.size == len(data)
    assert file.read(at, count) == data[at : at + count]


MAGIC = [
    png(9, 9),
    jpeg(9, 9, EXIF[:40]),
    wave(0.01),
    mp3(2),
    pdf(2),
    webp(b"VP8X", bytes(12)),
    b"",
]


@given(st.sampled_from(MAGIC), st.binary(max_size=200), st.integers(0, 60))
@settings(max_examples=300, deadline=None)
def test_nothing_that_is_sent_along_is_an_error(magic, noise, keep):
    file = encoded(magic[:keep] + noise)
    for read in (image_size, audio_seconds, pdf_pages):
        read(file)
    broken = Encoded(noise)
    for read in (image_size, audio_seconds, pdf_pages):
        read(broken)


# -- parts of prompts ----------------------------------------------------------------------------


def tokens(part, *, model="gpt-4o", dialect=OPENAI):
    decoded = msgspec.json.decode(msgspec.json.encode(part), type=Part)
    return Counting(dialect, model).tokens(decoded)


def url(data, kind="image/png"):
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"


PICTURE = png(512, 512) + bytes(4000)


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        ({"type": "image_url", "image_url": {"url": url(PICTURE)}}, 255),
        ({"type": "image_url", "image_url": {"url": url(PICTURE), "detail": "low"}}, 85),
        ({"type": "input_image", "image_url": url(PICTURE)}, 255),
        ({"type": "input_image", "image_url": url(PICTURE), "detail": "low"}, 85),
        ({"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}, 765),
        ({"type": "input_image", "file_id": "file-1"}, 765),
        ({"type": "image_url", "image_url": 5}, 765),
        ({"type": "image_url"}, 765),
        ({"type": "input_audio", "input_audio": {"data": base64.b64encode(wave(4)).decode()}}, 40),
        (
            {
                "type": "input_audio",
                "input_audio": {"data": base64.b64encode(bytes(80_000)).decode()},
            },
            100,
        ),
        ({"type": "input_file", "file_data": url(pdf(2), "application/pdf")}, 2 * 1365),
        ({"type": "file", "file": {"file_data": url(pdf(2), "application/pdf")}}, 2 * 1365),
        ({"type": "file", "file": {"file_data": url(b"one,two\n" * 100, "text/csv")}}, 200),
        ({"type": "file", "file": {"file_data": url(b"PK\3\4" + bytes(90_000))}}, 2 * 1365),
        ({"type": "text", "text": "no medium"}, None),
        ({"type": {"odd": 1}}, None),
    ],
)
def test_what_openais_parts_hold_is_counted_by_its_size(part, expected):
    assert tokens(part) == expected


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        (
            {
                "type": "image",
                "source": {"type": "base64", "data": base64.b64encode(PICTURE).decode()},
            },
            361,
        ),
        ({"type": "image", "source": {"type": "url", "url": "https://example.com/a"}}, 1369),
        ({"type": "image", "source": {"type": "file", "file_id": "f"}}, 1369),
        (
            {
                "type": "document",
                "source": {"type": "base64", "data": base64.b64encode(pdf(4)).decode()},
            },
            4 * 2140,
        ),
        ({"type": "document", "source": {"type": "url", "url": "https://example.com/a"}}, 5 * 2140),
    ],
)
def test_what_anthropics_blocks_hold_is_counted_by_its_size(part, expected):
    assert tokens(part, model="claude-sonnet-4-6", dialect=ANTHROPIC) == expected


def test_a_document_of_text_or_of_blocks_is_counted_as_its_text():
    text = {"type": "document", "source": {"type": "text", "data": "a plain document " * 50}}
    blocks = [{"type": "text", "text": "a plain document " * 50}]
    held = {"type": "document", "source": {"type": "content", "content": blocks}}
    plain = {"type": "document", "source": {"type": "content", "content": "a plain document " * 50}}
    for part in (text, held, plain):
        assert 180 <= tokens(part, dialect=ANTHROPIC) <= 220


def test_slashes_that_an_encoder_has_escaped_do_not_hide_the_size():
    picture = jpeg(512, 512, segment(0xE0, b"\xff" * 60))
    written = msgspec.json.encode({"type": "input_image", "image_url": url(picture)})
    part = msgspec.json.decode(written.replace(b"/", rb"\/"), type=Part)
    assert b"/9j/" in written
    assert Counting(OPENAI, "gpt-4o").tokens(part) == 255
