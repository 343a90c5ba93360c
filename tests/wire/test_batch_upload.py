from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.wire.batch_upload import COMPRESSED, BatchUpload
from proxy.wire.multipart import MALFORMED, NOT_A_FORM, TWICE
from tests.wire.uploads import FORM, PLACES, chat, cuts, form, line, part

LINES = line(chat("a", max_tokens=5)) * 3
FILE = part("file", LINES, filename="in.jsonl")


def uploaded(*chunks, **head):
    upload = BatchUpload(head.get("content_type", FORM), head.get("content_encoding"))
    for chunk in chunks:
        upload.feed(chunk)
    upload.finish()
    return upload


def test_the_lines_of_a_batch_file_are_counted_wherever_its_purpose_stands():
    purpose = part("purpose", b"batch")
    for body in (form(purpose, FILE), form(FILE, purpose)):
        upload = uploaded(body)
        count = upload.count()
        assert (upload.problem, upload.may_be_batch) == (None, True)
        assert (count.requests, count.max_output_tokens, count.unread_lines) == (3, 15, 0)


def test_a_file_for_something_else_is_not_counted():
    purpose = part("purpose", b"fine-tune")
    for body in (form(purpose, FILE), form(FILE, purpose)):
        upload = uploaded(body)
        assert (upload.may_be_batch, upload.count()) == (False, None)


def test_a_file_without_a_purpose_may_be_a_batch():
    assert uploaded(form(FILE)).count().requests == 3


def test_a_form_that_cannot_be_read_counts_by_its_bytes():
    cases = [
        (form(part("purpose", b"fine-tune"), part("purpose", b"batch"), FILE), {}, TWICE, 1),
        (form(FILE, FILE), {}, TWICE, 4),
        (form(FILE)[:-19], {}, MALFORMED, 4),
        (form(FILE), {"content_type": None}, NOT_A_FORM, 1),
        (form(FILE), {"content_encoding": "gzip"}, COMPRESSED, 1),
    ]
    for body, head, problem, requests in cases:
        upload = uploaded(body, **head)
        count = upload.count()
        assert (upload.problem, upload.may_be_batch) == (problem, True)
        assert (count.requests, count.why_unread) == (requests, problem)
        read_bytes = len(LINES) if requests == 4 else 0
        assert count.unread_bytes == len(body) - read_bytes


def test_an_upload_that_is_compressed_is_known_before_its_first_byte():
    assert BatchUpload(FORM, "zstd").problem == COMPRESSED
    assert BatchUpload(FORM, "identity").problem is None


@settings(max_examples=100, deadline=None)
@given(st.permutations([part("purpose", b"batch"), FILE, part("x", b"\r\n--b"), FILE]), PLACES)
def test_any_chunking_gives_the_same_count(parts, places):
    body = form(*parts)
    assert uploaded(*cuts(body, places)).count() == uploaded(body).count()
