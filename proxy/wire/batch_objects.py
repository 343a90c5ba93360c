"""The objects that batches are managed by: files, submissions, and where a batch stands.

Answers are believed as far as they can be read: what is no such object is None. A submission is a
caller's, so that one that cannot be read is refused.

Fields: https://platform.openai.com/docs/api-reference/files/object, …/batch/object, …/batch/create
and https://docs.anthropic.com/en/api/creating-message-batches.
"""

from typing import TypeVar

import msgspec
from msgspec import Struct, field

from proxy.model.batch import BatchOrder, BatchState, UploadedFile
from proxy.model.exchange import BadRequest, Dialect
from proxy.wire.jsontext import RepeatedNameError, members, mend_surrogates
from proxy.wire.usage import normalized

_MAX_ID_CHARS = 256
_MOST_REQUESTS = 1_000_000_000
_ENDED = frozenset({"completed", "failed", "expired", "cancelled", "ended"})


class _Counts(Struct):
    completed: object = None
    succeeded: object = None
    failed: object = None
    errored: object = None
    canceled: object = None
    expired: object = None


class _Object(Struct):
    """A file or a batch of either dialect, or what holds one: a finished upload, a list."""

    id: object = None
    type: object = None
    kind: object = field(default=None, name="object")
    purpose: object = None
    status: object = None
    processing_status: object = None
    input_file_id: object = None
    output_file_id: object = None
    error_file_id: object = None
    request_counts: _Counts | None = None
    usage: object = None
    file: "_Object | None" = None
    data: "list[_Object] | None" = None


class _Order(Struct):
    input_file_id: str | None = None
    endpoint: str | None = None


_OBJECTS: msgspec.json.Decoder[_Object] = msgspec.json.Decoder(_Object)
_ORDERS: msgspec.json.Decoder[_Order] = msgspec.json.Decoder(_Order)
_T = TypeVar("_T")


def uploaded_file(answer: bytes) -> UploadedFile | None:
    """The file that POST /v1/files answers, or POST /v1/uploads/{id}/complete in its `file`."""
    found = _decoded(_OBJECTS, answer)
    if found is not None and found.file is not None:
        found = found.file
    file_id = _id(found.id) if found else None
    if found is None or file_id is None or found.kind not in ("file", None):
        return None
    return UploadedFile(file_id, found.purpose if isinstance(found.purpose, str) else None)


def batch_order(body: bytes) -> BatchOrder | BadRequest:
    """What POST /v1/batches submits."""
    try:
        order = _ORDERS.decode(mend_surrogates(body))
        members(body)
    except RepeatedNameError as twice:
        return BadRequest(f"The request body names {twice.name!r} more than once.", twice.name)
    except (ValueError, RecursionError):
        return BadRequest("input_file_id and endpoint must be strings in a JSON object.")
    file_id = _id(order.input_file_id)
    if file_id is None:
        return BadRequest("input_file_id: the id of an uploaded file.", "input_file_id")
    return BatchOrder(file_id, order.endpoint)


def batch_states(dialect: Dialect, answer: bytes) -> tuple[BatchState, ...]:
    """Where the batches of an answer stand: one (create, retrieve, cancel), or those of a list."""
    found = _decoded(_OBJECTS, answer)
    if found is None:
        return ()
    batches = [found] if found.data is None else found.data
    states = (_state(dialect, batch) for batch in batches)
    return tuple(state for state in states if state is not None)


def _state(dialect: Dialect, batch: _Object) -> BatchState | None:
    anthropic = dialect is Dialect.ANTHROPIC
    kind = batch.type if anthropic else batch.kind
    status = batch.processing_status if anthropic else batch.status
    batch_id = _id(batch.id)
    if batch_id is None or not isinstance(status, str):
        return None
    if kind != ("message_batch" if anthropic else "batch"):
        return None
    counts = batch.request_counts or _Counts()
    ways = (counts.errored, counts.canceled, counts.expired) if anthropic else (counts.failed,)
    return BatchState(
        batch_id,
        status,
        status in _ENDED,
        _id(batch.input_file_id),
        _id(batch.output_file_id),
        _id(batch.error_file_id),
        _requests(counts.succeeded if anthropic else counts.completed),
        sum(map(_requests, ways)),
        normalized(dialect, batch.usage),
    )


def _decoded(decoder: "msgspec.json.Decoder[_T]", text: bytes) -> _T | None:
    try:
        return decoder.decode(mend_surrogates(text))
    except (ValueError, RecursionError):
        return None


def _id(value: object) -> str | None:
    return value if isinstance(value, str) and 0 < len(value) <= _MAX_ID_CHARS else None


def _requests(value: object) -> int:
    return value if isinstance(value, int) and 0 <= value <= _MOST_REQUESTS else 0
