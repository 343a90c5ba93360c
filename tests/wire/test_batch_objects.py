import json

import pytest
from openai.types import Batch, FileObject

from proxy.model.batch import BatchOrder, BatchState, UploadedFile
from proxy.model.exchange import BadRequest, Dialect
from proxy.model.usage import Usage
from proxy.wire.batch_objects import batch_order, batch_states, uploaded_file

FILE = {
    "id": "file-1",
    "object": "file",
    "bytes": 9,
    "created_at": 1,
    "filename": "in.jsonl",
    "purpose": "batch",
    "status": "processed",
}
BATCH = {
    "id": "batch_1",
    "object": "batch",
    "endpoint": "/v1/chat/completions",
    "input_file_id": "file-1",
    "completion_window": "24h",
    "created_at": 1,
    "status": "completed",
    "output_file_id": "file-2",
    "error_file_id": "file-3",
    "request_counts": {"total": 5, "completed": 3, "failed": 2},
    "usage": {
        "input_tokens": 10,
        "input_tokens_details": {"cached_tokens": 4},
        "output_tokens": 6,
        "output_tokens_details": {"reasoning_tokens": 1},
        "total_tokens": 16,
    },
}
MESSAGES = {
    "id": "msgbatch_1",
    "type": "message_batch",
    "processing_status": "ended",
    "request_counts": {"processing": 0, "succeeded": 4, "errored": 1, "canceled": 2, "expired": 3},
    "results_url": "https://api.anthropic.com/v1/messages/batches/msgbatch_1/results",
}


def text(value) -> bytes:
    return json.dumps(value).encode()


def test_an_uploaded_file_is_known_by_its_id():
    wanted = UploadedFile("file-1", "batch")
    assert uploaded_file(FileObject(**FILE).to_json().encode()) == wanted
    assert uploaded_file(text({"object": "upload", "id": "upload_1", "file": FILE})) == wanted


@pytest.mark.parametrize(
    "answer",
    [b"", b"[]", b"<html>", b'{"error":{"message":"no"}}', b'{"id":7}', text(BATCH), b'{"id":""}'],
)
def test_what_is_no_file_is_none(answer):
    assert uploaded_file(answer) is None


def test_a_submission_names_its_file():
    order = {"input_file_id": "file-1", "endpoint": "/v1/embeddings", "completion_window": "24h"}
    assert batch_order(text(order)) == BatchOrder("file-1", "/v1/embeddings")
    assert batch_order(b'{"input_file_id":"f"}') == BatchOrder("f")


@pytest.mark.parametrize(
    ("body", "param"),
    [
        (b"{}", "input_file_id"),
        (b'{"input_file_id":""}', "input_file_id"),
        (text({"input_file_id": "x" * 257}), "input_file_id"),
        (b'{"input_file_id":"a","input_file_id":"b"}', "input_file_id"),
        (b'{"input_file_id":["a"]}', None),
        (b'{"input_file_id":"a","endpoint":1}', None),
        (b"[]", None),
        (b"\xff", None),
    ],
)
def test_a_submission_that_names_no_one_file_is_refused(body, param):
    refused = batch_order(body)
    assert isinstance(refused, BadRequest)
    assert refused.param == param


def test_the_state_of_a_batch_is_read():
    wanted = BatchState(
        "batch_1", "completed", True, "file-1", "file-2", "file-3", 3, 2, Usage(10, 4, 0, 6, 1)
    )
    assert batch_states(Dialect.OPENAI, Batch(**BATCH).to_json().encode()) == (wanted,)
    listed = {"object": "list", "data": [BATCH, FILE, BATCH], "has_more": False}
    assert batch_states(Dialect.OPENAI, text(listed)) == (wanted, wanted)


def test_the_state_of_a_message_batch_is_read():
    wanted = BatchState("msgbatch_1", "ended", True, succeeded=4, failed=6)
    assert batch_states(Dialect.ANTHROPIC, text(MESSAGES)) == (wanted,)
    assert batch_states(Dialect.ANTHROPIC, text({"data": [MESSAGES]})) == (wanted,)


@pytest.mark.parametrize(
    ("status", "ended"),
    [
        ("validating", False),
        ("in_progress", False),
        ("finalizing", False),
        ("cancelling", False),
        ("cancelled", True),
        ("expired", True),
        ("failed", True),
    ],
)
def test_a_batch_has_ended_when_nothing_will_be_added(status, ended):
    fresh = {"id": "b", "object": "batch", "status": status, "input_file_id": "f"}
    (state,) = batch_states(Dialect.OPENAI, text(fresh))
    assert state == BatchState("b", status, ended, "f")


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"[]",
        b'{"data":7}',
        text(FILE),
        text(MESSAGES),
        text({"error": {}}),
        text({"data": []}),
        text(BATCH | {"status": None}),
        text(BATCH | {"id": None}),
    ],
)
def test_what_is_no_batch_has_no_state(answer):
    assert batch_states(Dialect.OPENAI, answer) == ()


def test_counts_that_cannot_be_are_none():
    odd = BATCH | {"request_counts": {"completed": -1, "failed": "7"}, "usage": {"a": 1}}
    (state,) = batch_states(Dialect.OPENAI, text(odd))
    assert (state.succeeded, state.failed, state.usage) == (0, 0, None)
