"""Batches in a recording: what the files that were uploaded ask for, joined with submissions.

A recording has no answers, so that the name which the model API gave to a file is not in it: a
submission then takes the file that its account uploaded first and has not submitted yet. A file
that was uploaded before the recording began is not known; its batch counts as one request, and
that is counted.
"""

from collections import OrderedDict, deque

from proxy.model.batch import BatchCount, Sampler
from proxy.model.decision import Refusal
from proxy.model.exchange import Arrival, BadRequest, Dialect, Surface
from proxy.model.verdict import RefusalKind
from proxy.pipeline.batched import readable, submits
from proxy.wire.batch_lines import LineCounter, count_requests
from proxy.wire.batch_objects import batch_order
from proxy.wire.batch_upload import BatchUpload

BATCHED = frozenset({"batches", "messages.batches"})
MAX_ACCOUNTS = 100_000
MAX_FILES = 64  # of an account, that it has not submitted


def uploads(surface: Surface | None, arrival: Arrival) -> bool:
    """Whether an exchange uploads a file."""
    if surface is None or surface.name != "files" or surface.dialect is not Dialect.OPENAI:
        return False
    return arrival.method == "POST" and arrival.path.rstrip("/") == "/v1/files"


def counted(surface: Surface | None, arrival: Arrival, sampler: Sampler) -> BatchCount | None:
    """What the lines of a batch ask for that the body of this exchange holds, if it holds one."""
    if arrival.body is None or surface is None:
        return None
    if surface.name == "messages.batches" and submits(arrival.method, arrival.path):
        return count_requests(arrival.body, sampler)
    return _of_upload(arrival, arrival.body, sampler) if uploads(surface, arrival) else None


def _of_upload(arrival: Arrival, body: bytes, sampler: Sampler) -> BatchCount | None:
    """The lines of an uploaded form, or of a bare file where the recording holds only that."""
    headers = {name.lower(): value for name, value in arrival.headers}
    if not headers.get("content-type", "").lower().startswith("multipart/"):
        lines = LineCounter(sampler=sampler)
        lines.feed(body)
        lines.finish()
        return lines.count()
    form, coding = headers.get("content-type"), headers.get("content-encoding")
    upload = BatchUpload(form, coding, sampler=sampler)
    upload.feed(body)
    upload.finish()
    return upload.count()


class Batches:
    """Files that wait for their submission, by account."""

    def __init__(self) -> None:
        self.unknown = 0  # submissions of a file that the recording does not hold
        self._files: OrderedDict[str, _Files] = OrderedDict()

    def uploaded(self, account: str, count: BatchCount) -> None:
        """An account uploaded a file. Who did so longest ago makes room."""
        files = self._files.setdefault(account, _Files())
        self._files.move_to_end(account)
        files.waiting.append(count)
        if len(self._files) > MAX_ACCOUNTS:
            self._files.popitem(last=False)

    def ordered(
        self, account: str, arrival: Arrival, count: BatchCount | None
    ) -> BatchCount | Refusal | None:
        """What a submission asks for; `count` is what its own body, or the recording, says."""
        if not submits(arrival.method, arrival.path):
            return None
        if count is not None:
            return readable(count)
        order = batch_order(arrival.body or b"")
        if isinstance(order, BadRequest):
            kind = RefusalKind.BAD_REQUEST
            return Refusal(kind, order.message, param=order.param, should_retry=False)
        files = self._files.get(account)
        found = files.named_so(order.input_file_id) if files else None
        if found is None:
            self.unknown += 1
            return None
        return readable(found)


class _Files:
    """The files of one account, oldest first: those that wait, and those that were submitted."""

    def __init__(self) -> None:
        self.waiting: deque[BatchCount] = deque(maxlen=MAX_FILES)
        self._named: OrderedDict[str, BatchCount] = OrderedDict()

    def named_so(self, file: str) -> BatchCount | None:
        """The file of that name; at its first submission, the one that waits longest."""
        if file not in self._named:
            if not self.waiting:
                return None
            self._named[file] = self.waiting.popleft()
            if len(self._named) > MAX_FILES:
                self._named.popitem(last=False)
        return self._named[file]
