import httpx2
import openai
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from proxy.wire.multipart import (
    MALFORMED,
    NOT_A_FORM,
    PREAMBLE,
    TOO_LONG,
    TOO_MANY_PARTS,
    TWICE,
    TWO_WAYS,
    FormReader,
)
from tests.wire.uploads import BOUNDARY, FORM, PLACES, cuts, form, part

PURPOSE = part("purpose", b"batch")
FILE = part("file", b'{"a":1}\n', filename="in.jsonl", more="Content-Type: text/plain\r\n")


def reading(*chunks, content_type=FORM, wanted=("purpose",)):
    """What a reader says in the end: values, the file, the problem, and whether it ended."""
    file = bytearray()
    reader = FormReader(content_type, wanted, file.extend)
    for chunk in chunks:
        reader.feed(chunk)
    reader.finish()
    assert reader.body_bytes == sum(map(len, chunks))
    return reader.values, bytes(file), reader.problem, reader.ended


def test_the_wanted_field_and_the_file_are_found():
    whole = ({"purpose": "batch"}, b'{"a":1}\n', None, True)
    assert reading(form(PURPOSE, FILE)) == whole
    assert reading(form(FILE, PURPOSE)) == whole
    assert reading(form(part("expires_after[seconds]", b"9"), PURPOSE, FILE)) == whole
    assert reading(b"\r\n" + form(PURPOSE, FILE) + b"an epilogue") == whole


@pytest.mark.parametrize("quoted", ["boundary-of-7", '"boundary-of-7"', '"boundary-of-7" ; x=y'])
def test_the_boundary_may_be_quoted(quoted):
    kind = f"Multipart/Form-Data ;charset=utf-8; BOUNDARY={quoted}"
    assert reading(form(PURPOSE, FILE), content_type=kind)[2] is None


@pytest.mark.parametrize(
    "content_type",
    [
        None,
        "",
        "application/json",
        "multipart/form-data",
        "multipart/form-data; boundary=",
        'multipart/form-data; boundary=""',
        "multipart/form-data; boundary=" + "x" * 71,
        "multipart/form-data; boundary=a; boundary=b",
        "multipart/form-data; boundary*=utf-8''a; boundary=a",
        'multipart/form-data; boundary="a\\b"',
        'multipart/form-data; boundary="a',
        'multipart/form-data; boundary="a ";',
        "multipart/form-data; boundary=a b",
        "multipart/mixed; boundary=boundary-of-7",
        "multipart/form-data; boundary=ä",
    ],
)
def test_what_is_no_form_with_one_boundary_is_not_read(content_type):
    assert reading(form(PURPOSE, FILE), content_type=content_type) == ({}, b"", NOT_A_FORM, False)


def test_a_preamble_is_not_waited_through():
    assert reading(b"preamble\r\n" + form(PURPOSE))[2] == PREAMBLE
    assert reading(*[b"x" * 1000] * 100)[2] == PREAMBLE
    assert reading(*[b"\r\n" * 1000] * 100)[2] == MALFORMED


INNER = b"--inner\r\nContent-Disposition: form-data; name=file\r\n\r\nx\r\n--inner--"


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        (form(PURPOSE, PURPOSE), TWICE),
        (form(FILE, FILE), TWICE),
        (form(FILE, part("other", b"x", filename="b")), TWICE),
        (form(part("purpose", b"batch", filename="x")), TWO_WAYS),
        (form(part("purpose", b"x" * 4097)), TOO_LONG),
        (form(*[part("x", b"")] * 65), TOO_MANY_PARTS),
        (form(PURPOSE, FILE)[:-6], MALFORMED),
        (form(PURPOSE, FILE)[:50], MALFORMED),
        (b"", MALFORMED),
        (form(part("file", b"", more="X: " + "y" * 5000 + "\r\n")), MALFORMED),
        (form(part("file", b"", more="X" * 5000 + ": y\r\n")), MALFORMED),
        (form(part("file", b"", more="".join(f"X{n}: y\r\n" for n in range(9)))), MALFORMED),
        (form(part("file", b"", more="no colon\r\n")), MALFORMED),
        (form(part("file", b"", more=" folded: x\r\n")), MALFORMED),
        (form(part("file", b"", more="X: y\nZ: a\r\n")), TWO_WAYS),
        (form(part("a", b"", more="content-disposition: form-data; name=file\r\n")), TWO_WAYS),
        (form(part('a"; name="file', b"")), TWO_WAYS),
        (form(part("a\\b", b"")), TWO_WAYS),
        (form(part("a\"; name*=utf-8''file; b=\"", b"")), TWO_WAYS),
        (form(part("file", b"", more="Content-Transfer-Encoding: base64\r\n")), TWO_WAYS),
        (form(part("x", b"").replace(b"form-data", b"attachment")), TWO_WAYS),
        (form(part("x", b"").replace(b'name="x"', b"")), TWO_WAYS),
        (form(b"--" + BOUNDARY.encode() + b"\r\n\r\nx\r\n"), TWO_WAYS),
        (form(part("x", b"a\n" + PURPOSE)), TWO_WAYS),
        (form(part("x", b"a\r\n--" + BOUNDARY.encode() + b"more")), TWO_WAYS),
        (form(part("x", b"a"), b"--" + BOUNDARY.encode() + b"\n\n"), TWO_WAYS),
    ],
)
def test_a_form_that_may_be_read_in_two_ways_has_a_problem(body, problem):
    assert reading(body)[2:] == (problem, False)
    assert reading(*(body[at : at + 1] for at in range(len(body)))) == reading(body)


def test_a_form_within_a_part_is_a_text():
    assert reading(form(PURPOSE, part("x", INNER), FILE))[2:] == (None, True)


def test_a_file_name_may_be_of_any_kind():
    for name in ('a\\"b', "ü", "a;b", "C:\\x", "a'b"):
        assert reading(form(PURPOSE, part("file", b"1", filename=name)))[1:] == (b"1", None, True)
    extended = part("file\"; filename*=utf-8''a; filename=\"b", b"1")
    assert reading(form(PURPOSE, extended))[1:] == (b"1", None, True)


def test_nothing_is_read_after_a_problem():
    values, file, problem, ended = reading(form(PURPOSE, PURPOSE, FILE))
    assert (values, file, problem, ended) == ({"purpose": "batch"}, b"", TWICE, False)


def test_nothing_of_an_endless_file_is_held():
    sizes = []
    reader = FormReader(FORM, ("purpose",), lambda data: sizes.append(len(data)))
    reader.feed(FILE.partition(b"{")[0])
    for _ in range(100):
        reader.feed(b"x\r\n--boundary-of" * 100)
    assert sum(sizes) >= 150_000 - 100
    assert all(
        len(value) < 100 for value in vars(reader._parser).values() if hasattr(value, "find")
    )


PIECES = st.sampled_from(
    [
        b"\r\n",
        b"--",
        b"\n",
        b"--" + BOUNDARY.encode(),
        b"\r\n--" + BOUNDARY.encode() + b"\r\n",
        b"--" + BOUNDARY.encode() + b"--",
        b'Content-Disposition: form-data; name="purpose"\r\n\r\n',
        b'Content-Disposition: form-data; name="file"\r\n\r\n',
        b"batch",
        PURPOSE,
        FILE,
        part("x", b"\r\n--boundary-of-8"),
    ]
)


@settings(max_examples=100, deadline=None)
@given(st.lists(PIECES, max_size=8).map(b"".join), PLACES)
@example(b"\r\n-" + PURPOSE, [2])
@example(form(PURPOSE, FILE), [3, 14, 15, 16, 17, 70])
def test_any_chunking_gives_the_same_form(body, places):
    assert reading(*cuts(body, places)) == reading(body)


# -- what the SDK sends ---------------------------------------------------------------------------


def sent_by_sdk(call) -> tuple[str, bytes]:
    """The content type and body of the request that a call of the SDK makes."""
    sent = []

    def answer(request):
        sent.append((request.headers["content-type"], request.read()))
        return httpx2.Response(400, json={})

    transport = httpx2.MockTransport(answer)
    with httpx2.Client(transport=transport) as http:
        client = openai.OpenAI(api_key="k", http_client=http, max_retries=0)
        with pytest.raises(openai.BadRequestError):
            call(client)
    return sent[0]


def test_what_the_sdk_uploads_is_read():
    kind, body = sent_by_sdk(
        lambda client: client.files.create(file=("in.jsonl", b'{"a":1}\n'), purpose="batch")
    )
    assert reading(body, content_type=kind) == ({"purpose": "batch"}, b'{"a":1}\n', None, True)
