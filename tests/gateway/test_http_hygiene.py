"""Requests that two servers could read differently are refused, and reach nobody."""

import asyncio
import gzip

import pytest

pytestmark = pytest.mark.asyncio(loop_scope="session")

BODY = b'{"model":"m-small","messages":[]}'
LENGTH = b"Content-Length: %d\r\n" % len(BODY)
CHUNKED = b"Transfer-Encoding: chunked\r\n"
CHUNKS = b"%x\r\n%b\r\n0\r\n\r\n" % (len(BODY), BODY)
HOST = b"Host: gauger.test\r\n"
SMUGGLED = b"GET /v1/models/smuggled HTTP/1.1\r\nHost: a\r\n\r\n"


def raw(key, *, start=b"POST /v1/chat/completions HTTP/1.1\r\n", host=HOST, fields, body=BODY):
    return start + host + b"Authorization: Bearer %b\r\n" % key.encode() + fields + b"\r\n" + body


BAD = {
    "two different lengths": {"fields": LENGTH + b"Content-Length: 3\r\n"},
    "two equal lengths": {"fields": LENGTH + LENGTH},
    "a list of lengths": {"fields": b"Content-Length: 33, 33\r\n"},
    "a length with a sign": {"fields": b"Content-Length: +33\r\n"},
    "a negative length": {"fields": b"Content-Length: -1\r\n"},
    "a length in hex": {"fields": b"Content-Length: 0x21\r\n"},
    "a length with an underscore": {"fields": b"Content-Length: 3_3\r\n"},
    "a length of an empty value": {"fields": b"Content-Length: \r\n"},
    "a length beyond all numbers": {"fields": b"Content-Length: 99999999999999999999999\r\n"},
    "length and chunked": {"fields": LENGTH + CHUNKED, "body": CHUNKS},
    "chunked and length": {"fields": CHUNKED + LENGTH, "body": CHUNKS},
    "gzip and chunked": {"fields": b"Transfer-Encoding: gzip, chunked\r\n", "body": CHUNKS},
    "chunked twice": {"fields": CHUNKED + CHUNKED, "body": CHUNKS},
    "chunked not last": {"fields": b"Transfer-Encoding: chunked, gzip\r\n", "body": CHUNKS},
    "identity coding": {"fields": b"Transfer-Encoding: identity\r\n" + LENGTH},
    "a coding that looks chunked": {"fields": b"Transfer-Encoding: xchunked\r\n", "body": CHUNKS},
    "vertical tab in the coding": {"fields": b"Transfer-Encoding: \x0bchunked\r\n", "body": CHUNKS},
    "space before the colon": {"fields": b"Transfer-Encoding : chunked\r\n", "body": CHUNKS},
    "chunked in HTTP/1.0": {
        "start": b"POST /v1/chat/completions HTTP/1.0\r\n",
        "fields": CHUNKED,
        "body": CHUNKS,
    },
    "bare LF after the start line": {
        "start": b"POST /v1/chat/completions HTTP/1.1\n",
        "fields": LENGTH,
    },
    "bare LF after a field": {"fields": b"X-A: 1\n" + LENGTH},
    "bare LF before the body": {"fields": LENGTH, "body": b"\n" + BODY},
    "bare CR in a field": {"fields": b"X-A: 1\rContent-Length: 3\r\n" + LENGTH},
    "folded field": {"fields": b"X-A: 1\r\n 2\r\n" + LENGTH},
    "folded first field": {"host": b" folded: 1\r\n" + HOST, "fields": LENGTH},
    "NUL in a value": {"fields": b"X-A: a\0b\r\n" + LENGTH},
    "NUL in a name": {"fields": b"X-\0A: b\r\n" + LENGTH},
    "no name": {"fields": b": b\r\n" + LENGTH},
    "no colon": {"fields": b"X-A\r\n" + LENGTH},
    "a value that is no UTF-8": {"fields": b"X-A: \xff\r\n" + LENGTH},
    "absolute target": {
        "start": b"POST http://gauger.test/v1/chat/completions HTTP/1.1\r\n",
        "fields": LENGTH,
    },
    "authority target": {"start": b"CONNECT gauger.test:443 HTTP/1.1\r\n", "fields": b""},
    "star target": {"start": b"OPTIONS * HTTP/1.1\r\n", "fields": b""},
    "no leading slash": {"start": b"POST v1/chat/completions HTTP/1.1\r\n", "fields": LENGTH},
    "fragment": {"start": b"POST /v1/chat/completions#x HTTP/1.1\r\n", "fields": LENGTH},
    "fragment in the query": {"start": b"GET /v1/models?a=1#b HTTP/1.1\r\n", "fields": b""},
    "space in the target": {"start": b"POST /v1/chat completions HTTP/1.1\r\n", "fields": LENGTH},
    "raw bytes in the target": {"start": b"GET /v1/models?a=\xff HTTP/1.1\r\n", "fields": b""},
    "control in the target": {"start": b"GET /v1/models?a=\x01 HTTP/1.1\r\n", "fields": b""},
    "HTTP/2 preface": {"start": b"PRI * HTTP/2.0\r\n", "fields": b"", "body": b"SM\r\n\r\n"},
    "HTTP/0.9": {"start": b"GET /v1/models\r\n", "fields": b""},
    "HTTP/1.2": {"start": b"GET /v1/models HTTP/1.2\r\n", "fields": b""},
    "two hosts": {"host": HOST + b"Host: other.test\r\n", "fields": LENGTH},
    "two equal hosts": {"host": HOST + HOST, "fields": LENGTH},
    "no host": {"host": b"", "fields": LENGTH},
    "host with a path": {"host": b"Host: a/b\r\n", "fields": LENGTH},
    "host with a user": {"host": b"Host: a@b\r\n", "fields": LENGTH},
    "host with a space": {"host": b"Host: a b\r\n", "fields": LENGTH},
    "chunk size with a sign": {"fields": CHUNKED, "body": b"+1\r\nx\r\n0\r\n\r\n"},
    "chunk size of no digits": {"fields": CHUNKED, "body": b"zz\r\nx\r\n0\r\n\r\n"},
    "chunk size in 0x": {"fields": CHUNKED, "body": b"0x1\r\nx\r\n0\r\n\r\n"},
    "chunk size beyond all numbers": {"fields": CHUNKED, "body": b"f" * 17 + b"\r\nx\r\n"},
    "chunk longer than its size": {"fields": CHUNKED, "body": b"1\r\nxyz\r\n0\r\n\r\n"},
    "bare LF after a chunk size": {"fields": CHUNKED, "body": b"1\nx\r\n0\r\n\r\n"},
    "bare LF in a chunk extension": {"fields": CHUNKED, "body": b"1;a\nb\r\nx\r\n0\r\n\r\n"},
}


@pytest.mark.parametrize("case", BAD)
async def test_what_two_servers_could_read_differently_is_refused(gate, upstream, case):
    client = await gate.connect()
    await client.send(raw(gate.key(), **BAD[case]) + SMUGGLED)
    got = await client.rest(await client.head())
    assert got.status == 400
    assert got.json()["error"]["type"] == "invalid_request_error"
    assert await client.ended() == b""
    assert upstream.requests == []


LARGE = {
    "a huge value": b"X-A: " + b"a" * 40_000 + b"\r\n",
    "a huge name": b"a" * 40_000 + b": 1\r\n",
    "many fields": b"X-A: 1\r\n" * 200,
    "many large fields": (b"X-A: " + b"a" * 8_000 + b"\r\n") * 5,
}


@pytest.mark.parametrize("case", LARGE)
async def test_headers_beyond_the_limit_are_refused_with_431(gate, upstream, case):
    client = await gate.connect()
    await client.send(raw(gate.key(), fields=LARGE[case] + LENGTH))
    got = await client.rest(await client.head())
    assert got.status == 431
    assert await client.ended() == b""
    assert upstream.requests == []


async def test_a_request_line_beyond_the_limit_is_refused(gate, upstream):
    client = await gate.connect()
    await client.send(
        raw(gate.key(), start=b"GET /v1/models?%b HTTP/1.1\r\n" % (b"a" * 40_000), fields=b"")
    )
    got = await client.rest(await client.head())
    assert got.status == 431
    assert upstream.requests == []


async def test_what_is_not_http_is_refused(gate, upstream):
    client = await gate.connect()
    await client.send(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\0" * 64 + b"\r\n\r\n")
    assert (await client.head()).status == 400
    assert upstream.requests == []


@pytest.mark.parametrize(
    "path",
    [
        "/v1/../v1/chat/completions",
        "/v1//chat/completions",
        "//v1/chat/completions",
        "/v1/chat/completions/",
        "/v1/chat%2Fcompletions",
        "/v1/%2e%2e/v1/chat/completions",
        "/v1/models/..%2fadmin",
        "/v1/models/a;b",
        "/V1/chat/completions",
        "/",
        "/metrics",
        "/healthz",
    ],
)
async def test_paths_that_no_surface_claims_are_refused(gate, upstream, path):
    got = await gate.ask(gate.post(path=path))
    assert got.status == 404
    assert upstream.requests == []


async def test_a_client_that_expects_100_gets_it_and_sends_its_body(gate, upstream):
    client = await gate.connect()
    request = gate.post(BODY, "Expect: 100-continue")
    await client.send(request[: -len(BODY)])
    assert (await client.head()).line == b"HTTP/1.1 100 Continue"
    got = await client.ask(BODY)
    assert got.status == 200
    assert upstream.requests[0].body == BODY
    assert upstream.requests[0].get("expect") is None


async def test_an_upload_that_expects_100_gets_it_once_it_is_admitted(gate, upstream):
    client = await gate.connect()
    request = gate.post(BODY, "Expect: 100-continue", path="/v1/files")
    await client.send(request[: -len(BODY)])
    assert (await client.head()).line == b"HTTP/1.1 100 Continue"
    assert (await client.ask(BODY)).status == 200
    assert upstream.requests[0].body == BODY


@pytest.mark.parametrize(
    ("key", "path", "length", "status"),
    [
        ("sk-nobody", "/v1/chat/completions", 33, 401),
        ("sk-nobody", "/v1/files", 33, 401),
        (None, "/v1/unknown", 33, 404),
        (None, "/v1/chat/completions", 10**9, 413),
        (None, "/v1/files", 10**9, 413),
    ],
)
async def test_a_refused_client_that_expects_100_is_told_why_instead(
    gate, upstream, key, path, length, status
):
    client = await gate.connect()
    fields = ("Expect: 100-continue", f"Content-Length: {length}")
    got = await client.ask(gate.post(b"", *fields, key=key, path=path))
    assert (got.status, got.get("connection")) == (status, "close")
    assert upstream.requests == []


async def test_an_http_1_0_client_is_sent_no_100(gate, upstream):
    request = gate.post(BODY, "Expect: 100-continue").replace(b"HTTP/1.1", b"HTTP/1.0", 1)
    got = await gate.ask(request)
    assert (got.status, upstream.requests[0].body) == (200, BODY)


@pytest.mark.parametrize("size", [1, 5, 100])
async def test_a_chunked_body_is_read_whole_and_sent_with_its_length(gate, upstream, size):
    parts = [BODY[at : at + size] for at in range(0, len(BODY), size)]
    chunks = b"".join(b"%x;ext=1\r\n%b\r\n" % (len(part), part) for part in parts)
    sent = chunks + b"0\r\nX-Trailer: 1\r\n\r\n"
    got = await gate.ask(gate.post(sent, "Transfer-Encoding: chunked"))
    assert got.status == 200
    assert upstream.requests[0].body == BODY
    assert upstream.requests[0].get("content-length") == str(len(BODY))
    assert upstream.requests[0].get("x-trailer") is None


@pytest.mark.parametrize(("key", "status"), [(None, 200), ("sk-nobody", 401)])
@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/files"])
async def test_a_trailer_never_becomes_a_header_of_the_next_request(
    gate, upstream, path, key, status
):
    sent = b"%x\r\n%b\r\n0\r\nX-Trailer: 1\r\n\r\n" % (len(BODY), BODY)
    client = await gate.connect()
    first = gate.post(sent, "Transfer-Encoding: chunked", path=path, key=key)
    await client.send(first + gate.post())
    got = await client.rest(await client.head())
    assert (got.status, got.get("connection")) == (status, "close")
    assert await client.ended() == b""
    assert all(request.get("x-trailer") is None for request in upstream.requests)


async def test_an_upload_with_broken_chunks_is_refused_and_cut_off_upstream(gate, upstream):
    upstream.read_body = False
    gone = asyncio.Event()

    async def answer(call):
        await call.ended()
        gone.set()

    upstream.answer = answer
    client = await gate.connect()
    await client.send(gate.post(b"3\r\nabc\r\n", "Transfer-Encoding: chunked", path="/v1/files"))
    await upstream.until(1)
    await client.send(b"zz\r\nx\r\n")
    got = await client.rest(await client.head())
    assert (got.status, got.get("connection")) == (400, "close")
    async with asyncio.timeout(5):
        await gone.wait()
    assert (await gate.last("completion"))["error"] == "upload_bad_request"


async def test_a_chunked_upload_stays_chunked(gate, upstream):
    sent = b"%x\r\n%b\r\n0\r\n\r\n" % (len(BODY), BODY)
    got = await gate.ask(gate.post(sent, "Transfer-Encoding: Chunked", path="/v1/files"))
    assert (got.status, upstream.requests[0].body) == (200, BODY)
    assert upstream.requests[0].get("transfer-encoding") == "chunked"


async def test_empty_lines_before_a_request_are_let_pass(gate, upstream):
    got = await gate.ask(b"\r\n\r\n" + gate.post())
    assert got.status == 200


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        (b"", ()),
        (b"[]", ()),
        (b'"text"', ()),
        (b'{"model":', ()),
        (b'{"model":"\xff"}', ()),
        (b'{"model":"a","model":"b","messages":[]}', ()),
        (b"\x1f\x8b broken", ("Content-Encoding: gzip",)),
        (gzip.compress(b"{}", mtime=0)[:-4], ("Content-Encoding: gzip",)),
        (b"{}", ("Content-Encoding: compress",)),
        (b"{}", ("Content-Encoding: gzip, gzip",)),
        (gzip.compress(BODY, mtime=0), ("Content-Encoding: identity", "Content-Encoding: gzip")),
    ],
)
async def test_a_body_that_cannot_be_read_is_refused_in_the_dialect(gate, upstream, body, fields):
    got = await gate.ask(gate.message(body, *fields))
    assert got.status in (400, 415)
    assert got.json()["error"]["type"] == "invalid_request_error"
    assert upstream.requests == []
