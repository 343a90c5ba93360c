"""Callers who would have the answers of a batch for nothing: they leave, or fetch errors first."""

import json

import pytest
import pytest_asyncio

from tests.gateway.conftest import opened
from tests.gateway.test_batches import POLICY, counts, line

pytestmark = pytest.mark.asyncio(loop_scope="session")

REQUEST = {"model": "m", "max_tokens": 1000, "messages": [{"role": "user", "content": "hi"}]}
SUBMISSION = {"requests": [{"custom_id": f"r{n}", "params": REQUEST} for n in range(10)]}
FORM = b"--b\r\nContent-Disposition: form-data; name=%b\r\n\r\n%b\r\n"
ANSWERED = {"model": "m-small", "usage": {"prompt_tokens": 8, "completion_tokens": 900}}


@pytest_asyncio.fixture(loop_scope="session", scope="module")
async def _gate_of_batches(tmp_path_factory, _upstream, _environment):
    directory = tmp_path_factory.mktemp("evaded") / "world"
    async with opened(directory, _upstream, policy=POLICY) as one:
        yield one


@pytest_asyncio.fixture(loop_scope="session")
async def batching(_gate_of_batches, upstream):
    yield _gate_of_batches
    _gate_of_batches.hang_up()


def message_batch(gate, key):
    fields = (f"x-api-key: {key}", "anthropic-version: 2023-06-01")
    body = json.dumps(SUBMISSION).encode()
    return gate.post(body, *fields, key="", path="/v1/messages/batches")


async def test_a_submission_whose_caller_leaves_stays_charged_in_full(batching, upstream):
    async def silent(call):
        await call.ended()
        call.close()

    upstream.answer = silent
    key = batching.key()
    client = await batching.connect()
    await client.send(message_batch(batching, key))
    await upstream.until(1)
    client.close()
    await batching.idle()
    assert counts(batching, key)["tokens"] > 10_000
    assert len(batching.server.gateway.store.memory._leases) == 0


@pytest.mark.parametrize("answer", [b"{}", b"not JSON"])
async def test_a_submission_with_an_answer_that_names_no_batch_stays_charged_in_full(
    batching, upstream, answer
):
    upstream.answer = lambda call: call.reply(answer)
    key = batching.key()
    assert (await batching.ask(message_batch(batching, key))).status == 200
    await batching.idle()
    assert counts(batching, key)["tokens"] > 10_000


async def test_a_submission_that_the_upstream_refuses_gives_its_tokens_back(batching, upstream):
    upstream.answer = lambda call: call.reply(b"{}", status="400 Bad Request")
    key = batching.key()
    assert (await batching.ask(message_batch(batching, key))).status == 400
    await batching.idle()
    assert counts(batching, key)["tokens"] == 0


async def test_errors_that_are_fetched_first_do_not_settle_a_batch(batching, upstream, eventually):
    done = {"id": "batch_1", "object": "batch", "status": "completed", "input_file_id": "file-in"}
    done |= {"output_file_id": "file-out", "error_file_id": "file-errors"}
    succeeded = {"response": {"status_code": 200, "body": ANSWERED}, "error": None}
    failed = {"response": {"status_code": 400, "body": {"error": {}}}, "error": None}
    answers = {
        "/v1/files": {"id": "file-in", "object": "file", "purpose": "batch"},
        "/v1/batches": done,
        "/v1/files/file-errors/content": failed,
        "/v1/files/file-out/content": succeeded,
    }
    upstream.answer = lambda call: call.reply(
        json.dumps(answers[call.request.line.split()[1].decode()]).encode()
    )
    key = batching.key()
    lines = line(1, max_tokens=5000) + line(2, max_tokens=5000)
    form = FORM % (b"purpose", b"batch") + FORM % (b'file; filename="in"', lines) + b"--b--\r\n"
    kind = "Content-Type: multipart/form-data; boundary=b"
    await batching.ask(batching.post(form, kind, key=key, path="/v1/files"))
    order = json.dumps({"input_file_id": "file-in", "endpoint": "/v1/chat/completions"}).encode()
    assert (await batching.ask(batching.post(order, key=key, path="/v1/batches"))).status == 200
    for file, tokens in (("file-errors", lambda n: n > 10_000), ("file-out", lambda n: n == 908)):
        path = f"/v1/files/{file}/content"
        await batching.ask(batching.post(b"", key=key, path=path, method="GET"))
        await batching.idle()
        await eventually(lambda tokens=tokens: tokens(counts(batching, key)["tokens"]))


async def test_a_list_of_batches_that_hold_nothing_here_writes_nothing(batching, upstream):
    known = {"object": "batch", "status": "completed", "output_file_id": "file-of-theirs"}
    listed = {"object": "list", "data": [known | {"id": f"batch_{n}"} for n in range(100)]}
    upstream.answer = lambda call: call.reply(json.dumps(listed).encode())
    key, batches = batching.key(), batching.server.gateway._enactor.batches
    await batching.ask(batching.post(b"", key=key, path="/v1/batches", method="GET"))
    await batching.idle()
    assert await batches.batch_of("file-of-theirs") is None
