"""Batches at the edges, live or replayed: which requests submit one, and what can be submitted."""

from proxy.model.batch import BatchCount
from proxy.model.decision import Refusal
from proxy.model.verdict import RefusalKind

OPENAI_BATCHES, ANTHROPIC_BATCHES = "/v1/batches", "/v1/messages/batches"
UNREADABLE_LINES = "Line {} of the input file cannot be read: {}."


def submits(method: str, path: str) -> bool:
    """Whether a request submits a batch, of either dialect."""
    return method == "POST" and path.rstrip("/") in (OPENAI_BATCHES, ANTHROPIC_BATCHES)


def readable(count: BatchCount) -> BatchCount | Refusal:
    """A batch with lines that cannot be read could use whatever it likes: it is refused."""
    if not count.unread_lines:
        return count
    message = UNREADABLE_LINES.format(count.first_unread, count.why_unread)
    return Refusal(RefusalKind.BAD_REQUEST, message, should_retry=False)
