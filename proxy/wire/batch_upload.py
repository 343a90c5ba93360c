"""The upload of a file that a batch may name: counted while its bytes pass.

Where the form can be read in more than one way, the rest of it counts as a line that cannot be
read: what an upload asks for is never less than the upstream may find in it. Nothing else of an
upload is looked at, and what is surely no batch is not counted at all.
"""

from msgspec.structs import replace

from proxy.model.batch import BatchCount, Sampler
from proxy.wire.asked import BYTES_PER_TOKEN
from proxy.wire.batch_lines import MAX_LINE_BYTES, LineCounter
from proxy.wire.multipart import FormReader

COMPRESSED = "a compressed upload is not read"


class BatchUpload:
    """Reads one POST to /v1/files. Feed it every chunk; they go on as they are.

    `problem` may be there from the start (no form, a compressed one), which allows to refuse the
    upload at once. `feed` costs most for many short lines: a few KiB at a time keep it short, or
    a thread, since it touches nothing but itself.
    """

    def __init__(
        self,
        content_type: str | None,
        content_encoding: str | None = None,
        *,
        max_line_bytes: int = MAX_LINE_BYTES,
        sampler: Sampler | None = None,
    ) -> None:
        self._lines = LineCounter(max_line_bytes=max_line_bytes, sampler=sampler)
        self._form = FormReader(content_type, ("purpose",), self._take)
        self._file_bytes = 0
        if (content_encoding or "identity").strip().lower() not in {"identity", ""}:
            self._form.problem = COMPRESSED

    def feed(self, chunk: bytes) -> None:
        """Take bytes of the body in."""
        self._form.feed(chunk)

    def finish(self) -> None:
        """The body ends here."""
        self._form.finish()
        self._lines.finish()

    @property
    def problem(self) -> str | None:
        """Why the form cannot be read, in fixed words, or None."""
        return self._form.problem

    @property
    def may_be_batch(self) -> bool:
        """Whether a batch may name the file, as far as the form has been read."""
        purpose = self._form.values.get("purpose")
        return self.problem is not None or purpose is None or purpose.strip().lower() == "batch"

    def count(self) -> BatchCount | None:
        """What the lines of the file ask for; None where it is not for a batch."""
        if not self.may_be_batch:
            return None
        count = self._lines.count()
        return count if self.problem is None else self._with_rest(count, self.problem)

    def _take(self, data: bytes) -> None:
        if self.may_be_batch:
            self._file_bytes += len(data)
            self._lines.feed(data)

    def _with_rest(self, count: BatchCount, why: str) -> BatchCount:
        rest = self._form.body_bytes - self._file_bytes
        return replace(
            count,
            unread_lines=count.unread_lines + 1,
            unread_bytes=count.unread_bytes + rest,
            unread_tokens=count.unread_tokens - -rest // BYTES_PER_TOKEN,
            first_unread=count.first_unread or count.requests + 1,
            why_unread=count.why_unread or why,
        )
