"""What the caller sent is what the upstream gets, and the other way round, byte for byte."""

import gzip
import json

import brotli
import pytest
import zstandard

pytestmark = pytest.mark.asyncio(loop_scope="session")

STREAMED = b'{"model":"m-small","stream":true,"messages":[]}'


@pytest.mark.parametrize(
    "target",
    [
        "/v1/models?a=%2F&b=+&c=%zz&d=a;b,c&&e",
        "/v1/models/ft%3Am-small%3A1?limit=1",
        "/v1/files/file-1/content?a=/../b&c=?x=y",
        '/v1/files?after=é"<>|{}^`'.replace("é", "%C3%A9"),
    ],
)
async def test_path_and_query_go_on_as_they_were_written(gate, upstream, target):
    answer = await gate.ask(gate.post(b"", path=target, method="GET"))
    assert answer.status == 200
    assert upstream.requests[0].line == f"GET {target} HTTP/1.1".encode()


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE", "PATCH", "PUT", "OPTIONS", "QUERY"])
async def test_methods_pass_unchanged(gate, upstream, method):
    answer = await gate.ask(gate.post(b"", path="/v1/files/file-1", method=method))
    assert answer.status == 200
    assert upstream.requests[0].line.startswith(method.encode() + b" ")


async def test_header_order_case_and_repeats_stay(gate, upstream):
    sent = ("X-B: 2", "x-a: 1", "X-B: 3", "OpenAI-Organization: org-1", "Accept: */*", "X-Z: ")
    await gate.ask(gate.post(b"{}", *sent, path="/v1/moderations"))
    got = [f"{name.decode()}: {value.decode()}" for name, value in upstream.requests[0].fields]
    assert [one for one in got if one in sent] == list(sent)


async def test_a_repeated_field_is_not_lost_where_its_case_differs(gate, upstream):
    fields = ("anthropic-beta: a", "X-One: 1", "Anthropic-Beta: b", "ANTHROPIC-BETA: c")
    await gate.ask(gate.message(b'{"max_tokens":1,"messages":[]}', *fields))
    assert upstream.requests[0].all("anthropic-beta") == [b"a", b"b", b"c"]


async def test_nothing_is_added_that_the_caller_did_not_say(gate, upstream):
    await gate.ask(gate.post())
    names = {name.lower() for name, _ in upstream.requests[0].fields}
    assert names == {b"host", b"authorization", b"content-length"}


async def test_unknown_json_fields_white_space_and_escapes_stay(gate, upstream):
    body = (
        b' {\n\t"model" : "m\\u002dsmall" , "x_new": [1e5, 0.10, {"a":null}],\r\n'
        b'"messages": [ {"role":"user","content":"\\ud83e\\udd43 \xe2\x98\x83"} ] }\n\n'
    )
    await gate.ask(gate.post(body, "Content-Type: application/json"))
    assert upstream.requests[0].body == body
    assert upstream.requests[0].all("content-length") == [str(len(body)).encode()]


@pytest.mark.parametrize(
    ("coding", "pack"),
    [("gzip", gzip.compress), ("br", brotli.compress), ("zstd", zstandard.compress)],
)
async def test_a_compressed_body_goes_on_as_it_came(gate, upstream, coding, pack):
    body = pack(b'{"model":"m-small","messages":[]}')
    await gate.ask(gate.post(body, f"Content-Encoding: {coding}"))
    assert upstream.requests[0].body == body
    assert upstream.requests[0].get("content-encoding") == coding


async def test_a_compressed_body_that_must_be_changed_goes_on_in_plain(gate, upstream):
    await gate.ask(gate.post(gzip.compress(STREAMED), "Content-Encoding: gzip"))
    request = upstream.requests[0]
    assert request.get("content-encoding") is None
    assert request.body == STREAMED.replace(b"{", b'{"stream_options":{"include_usage":true},', 1)
    assert request.get("content-length") == str(len(request.body))


async def test_a_chat_stream_is_changed_only_by_asking_for_its_usage(gate, upstream):
    body = b'{ "stream":true, "messages":[], "stream_options" : {"x":1 , "include_usage" :false} }'
    await gate.ask(gate.post(body, "Accept-Encoding: gzip"))
    request = upstream.requests[0]
    assert request.body == body.replace(b"false", b"true")
    assert request.all("accept-encoding") == [b"identity"]


@pytest.mark.parametrize("asked", [b"", b',"stream":true,"stream_options":{"include_usage":true}'])
async def test_a_body_that_needs_no_change_has_none(gate, upstream, asked):
    body = b'{"model":"m-small","messages":[]%b}' % asked
    await gate.ask(gate.post(body, "Accept-Encoding: gzip, br"))
    assert upstream.requests[0].body == body
    assert upstream.requests[0].get("accept-encoding") == "gzip, br"


async def test_hop_by_hop_fields_and_those_that_connection_names_end_here(gate, upstream):
    hops = ("Connection: keep-alive, X-Hop", "X-Hop: 1", "Keep-Alive: 5", "TE: trailers")
    more = ("Proxy-Authorization: Basic eA==", "Proxy-Connection: close", "Trailer: X-Sum")
    await gate.ask(gate.post(b"", *hops, *more, "X-End: 1", path="/v1/models", method="GET"))
    names = {name.lower() for name, _ in upstream.requests[0].fields}
    assert names == {b"host", b"authorization", b"x-end"}


async def test_connection_cannot_name_fields_away_that_the_upstream_must_get(gate, upstream):
    hops = "Connection: content-length, authorization, host, content-type"
    answer = await gate.ask(gate.post(b'{"messages":[]}', "Content-Type: application/json", hops))
    assert answer.status == 200
    request = upstream.requests[0]
    assert request.body == b'{"messages":[]}'
    assert request.get("authorization") == "Bearer the-upstream-credential"


async def test_host_is_the_upstreams(gate, upstream):
    await gate.ask(gate.post())
    assert upstream.requests[0].all("host") == [upstream.url.removeprefix("http://").encode()]


async def test_the_callers_credential_is_replaced_in_the_upstreams_own_field(gate, upstream):
    key = gate.key()
    await gate.ask(gate.post(key=key))
    await gate.ask(gate.message(key=key))
    await gate.ask(gate.post(b"{}", f"api-key: {key}", key=key, path="/v1/moderations"))
    openai, anthropic, other = upstream.requests
    assert openai.all("authorization") == other.all("authorization")
    assert openai.all("authorization") == [b"Bearer the-upstream-credential"]
    assert anthropic.all("x-api-key") == [b"the-upstream-credential"]
    assert anthropic.get("authorization") is None
    assert other.get("api-key") is None
    assert not any(key.encode() in value for one in upstream.requests for _, value in one.fields)


async def test_the_callers_credential_is_handed_on_where_the_settings_say_so(open_gate, upstream):
    handed = {"credential": "pass", "credential_env": None}
    gate = await open_gate(upstreams={"openai": handed, "anthropic": handed})
    key = gate.key()
    await gate.ask(gate.post(key=key))
    await gate.ask(gate.message(key=key))
    openai, anthropic = upstream.requests
    assert openai.all("authorization") == [f"Bearer {key}".encode()]
    assert anthropic.all("x-api-key") == [key.encode()]


async def test_who_stands_before_us_is_not_told_behind_us(open_gate, upstream):
    gate = await open_gate(
        trusted_peers=["127.0.0.0/8"], account_header="X-Account", ja4_header="X-JA4"
    )
    said = ("X-Forwarded-For: 192.0.2.1", "X-Real-IP: 192.0.2.1", "X-Forwarded-Proto: https")
    more = ("X-Forwarded-Host: a", "X-Forwarded-Port: 1", "x-account: acc-free-0", "X-JA4: t13d")
    await gate.ask(gate.post(b"", *said, *more, key="", path="/v1/models", method="GET"))
    names = {name.lower() for name, _ in upstream.requests[0].fields}
    assert names == {b"host", b"authorization"}


async def test_status_reason_and_headers_of_an_answer_pass_unchanged(gate, upstream):
    fields = ("X-B: 1", "x-a: 2", "X-B: 3", "Set-Cookie: a=1; Path=/", "Set-Cookie: b=2", "Via: u")

    async def answer(call):
        await call.reply(b"{}", *fields, "Server: upstream/1", status="299 Quite Fine")

    upstream.answer = answer
    got = await gate.ask(gate.post())
    assert got.line == b"HTTP/1.1 299 Quite Fine"
    written = [f"{name.decode()}: {value.decode()}" for name, value in got.fields]
    assert [one for one in written if one in fields] == list(fields)
    assert got.all("server") == [b"upstream/1"]
    assert got.all("content-length") == [b"2"]
    assert got.get("transfer-encoding") is None


async def test_hop_by_hop_fields_of_an_answer_end_here(gate, upstream):
    hops = ("Connection: X-Hop", "X-Hop: 1", "Keep-Alive: timeout=5", "Proxy-Authenticate: Basic")

    async def answer(call):
        await call.reply(b"{}", *hops, "X-End: 1")

    upstream.answer = answer
    got = await gate.ask(gate.post())
    names = {name.lower() for name, _ in got.fields}
    assert names <= {b"content-type", b"content-length", b"x-end", b"date", b"server"}
    assert got.get("x-end") == "1"


@pytest.mark.parametrize("fields", [(), ("Content-Type: text/x-odd; a=b",)])
async def test_no_content_type_is_made_up_for_an_answer(gate, upstream, fields):
    async def answer(call):
        head = "\r\n".join(["HTTP/1.1 200 OK", *fields, "Content-Length: 3"])
        await call.send(head.encode() + b"\r\n\r\nabc")

    upstream.answer = answer
    got = await gate.ask(gate.post(b"", path="/v1/files/f/content", method="GET"))
    assert got.body == b"abc"
    assert got.all("content-type") == [one.split(": ")[1].encode() for one in fields]


@pytest.mark.parametrize("coding", ["gzip", "br", "zstd"])
async def test_a_compressed_answer_stays_compressed_and_its_usage_is_read(gate, upstream, coding):
    pack = {"gzip": gzip.compress, "br": brotli.compress, "zstd": zstandard.compress}[coding]
    packed = pack(b'{"usage":{"prompt_tokens":7,"completion_tokens":4,"total_tokens":11}}')

    async def answer(call):
        await call.reply(packed, f"Content-Encoding: {coding}")

    upstream.answer = answer
    got = await gate.ask(gate.post())
    assert (got.body, got.get("content-encoding")) == (packed, coding)
    usage = (await gate.last("completion"))["usage"]
    assert (usage["input"], usage["output"]) == (7, 4)


async def test_our_rate_limits_take_the_place_of_the_upstreams(gate, upstream):
    theirs = ("x-ratelimit-limit-requests: 10000", "RateLimit: a", "ratelimit-policy: b")

    async def answer(call):
        await call.reply(b"{}", *theirs, "retry-after: 3")

    upstream.answer = answer
    got = await gate.ask(gate.post(key=gate.key("counted")))
    assert got.all("x-ratelimit-limit-requests") == [b"1000"]
    assert len(got.all("ratelimit")) == len(got.all("ratelimit-policy")) == 1
    assert got.get("retry-after") == "3"
    unlimited = await gate.ask(gate.post())
    assert unlimited.all("x-ratelimit-limit-requests") == [b"10000"]


async def test_every_limit_of_an_answer_has_a_name_of_its_own(gate, upstream):
    got = await gate.ask(gate.post(key=gate.key("counted")))
    policies = [one.split(";")[0].strip() for one in str(got.get("ratelimit-policy")).split(",")]
    states = [one.split(";")[0].strip() for one in str(got.get("ratelimit")).split(",")]
    assert policies == states == ['"counted.requests"', '"counted.tokens"']


async def test_no_answer_names_the_software_behind_it(gate, upstream):
    answers = [
        await gate.ask(gate.post()),
        await gate.ask(gate.post(key="sk-nobody")),
        await gate.ask(b"GARBAGE\r\n\r\n"),
        await gate.ask(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n", admin=True),
    ]
    assert [answer.status for answer in answers] == [200, 401, 400, 200]
    text = b"".join(name + value for answer in answers for name, value in answer.fields)
    assert b"aiohttp" not in text
    assert b"Python" not in text


@pytest.mark.parametrize("status", ["204 No Content", "304 Not Modified"])
async def test_an_answer_without_a_body_stays_without(gate, upstream, status):
    async def answer(call):
        await call.send(f"HTTP/1.1 {status}\r\nX-A: 1\r\n\r\n".encode())

    upstream.answer = answer
    client = await gate.connect()
    request = gate.post(b"", path="/v1/files/f", method="DELETE")
    for _ in range(2):
        got = await client.ask(request)
        assert (got.status, got.get("x-a")) == (int(status[:3]), "1")
        assert got.get("transfer-encoding") is None


async def test_head_has_the_headers_of_the_answer_and_no_body(gate, upstream):
    async def answer(call):
        await call.send(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\nX-A: 1\r\n\r\n")

    upstream.answer = answer
    client = await gate.connect()
    request = gate.post(b"", path="/v1/models", method="HEAD")
    for _ in range(2):
        got = await client.ask(request)
        assert (got.status, got.get("content-length"), got.get("x-a")) == (200, "99", "1")


async def test_a_refused_head_has_no_body(gate, upstream):
    client = await gate.connect()
    request = gate.post(b"", path="/v1/models", method="HEAD", key="sk-nobody")
    for _ in range(2):
        assert (await client.ask(request)).status == 401


async def test_an_http_1_0_caller_gets_an_answer_that_ends_with_the_connection(gate, upstream):
    async def answer(call):
        await call.stream()
        await call.chunk(b"data: [DONE]\n\n")
        await call.chunk(b"")

    upstream.answer = answer
    request = gate.post(STREAMED).replace(b"HTTP/1.1", b"HTTP/1.0", 1)
    got = await gate.ask(request)
    assert got.get("transfer-encoding") is None
    assert got.body == b"data: [DONE]\n\n"
    assert upstream.requests[0].line.endswith(b"HTTP/1.1")


async def test_an_upgrade_is_not_taken_up_and_the_request_is_served(gate, upstream):
    client = await gate.connect()
    wanted = ("Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13")
    first = await client.ask(gate.post(b"", *wanted, path="/v1/models", method="GET"))
    assert (first.status, upstream.requests[0].get("upgrade")) == (200, None)
    second = await client.ask(gate.post(b'{"messages":[]}', "Connection: Upgrade", "Upgrade: h2c"))
    assert (second.status, upstream.requests[1].body) == (200, b'{"messages":[]}')


async def test_an_open_path_is_identified_and_its_body_streamed_through(open_gate, upstream):
    gate = await open_gate(open_paths=["/v2/rerank*"])
    body = json.dumps({"query": "peat"}).encode()
    assert (await gate.ask(gate.post(body, path="/v2/rerank"))).status == 200
    assert upstream.requests[0].body == body
    assert (await gate.ask(gate.post(body, path="/v2/rerank", key="sk-nobody"))).status == 401
    assert (await gate.ask(gate.post(body, path="/v2/other"))).status == 404
    assert len(upstream.requests) == 1
