"""What is read of exchanges about files and batches while they pass: see `batches`."""

from proxy.gateway.batches import Batches
from proxy.gateway.outgoing import BATCHED
from proxy.gateway.relay import Progress
from proxy.model.exchange import Dialect
from proxy.model.plan import Readings
from proxy.pipeline.weigh import Weighed
from proxy.wire.batch_objects import batch_states
from proxy.wire.batch_results import ResultCounter
from proxy.wire.batch_upload import BatchUpload

MAX_ANSWER_BYTES = 1 << 20  # of an answer about files or batches
ANSWERED = (200, 201, 202)  # what compatible servers answer to an upload or a submission


class Watching:
    """Reads an exchange about files or batches while it passes, and acts once it has ended."""

    def __init__(self, batches: Batches, weighed: Weighed, readings: Readings) -> None:
        self.batches = batches
        self.weighed = weighed
        self.readings = readings
        self._answer = bytearray()

    def sent(self, piece: bytes) -> None:
        """A piece of the request's body goes upstream."""

    def came(self, chunk: bytes) -> None:
        """A piece of the answer goes on to the client."""
        if len(self._answer) <= MAX_ANSWER_BYTES:
            self._answer += chunk

    def ended(self, progress: Progress) -> bool:
        """The exchange has ended; whether what it took is held."""
        raise NotImplementedError

    def answered(self, progress: Progress) -> bytes | None:
        """The whole answer, where it is one."""
        whole = progress.error is None and progress.status in ANSWERED
        return bytes(self._answer) if whole and len(self._answer) <= MAX_ANSWER_BYTES else None


class _Upload(Watching):
    def __init__(self, batches: Batches, weighed: Weighed, readings: Readings) -> None:
        super().__init__(batches, weighed, readings)
        headers = {name.lower(): value for name, value in weighed.arrival.headers}
        self._upload = BatchUpload(
            headers.get("content-type"),
            headers.get("content-encoding"),
            sampler=batches.sampler(),
        )

    def sent(self, piece: bytes) -> None:
        self._upload.feed(piece)

    def ended(self, progress: Progress) -> bool:
        answer = self.answered(progress)
        if answer is not None:
            self._upload.finish()
            count = self._upload.count()
            if count is not None:
                self.batches.later(self.batches.uploaded(count, answer))
        return False


class _States(Watching):
    """What is asked about batches."""

    def ended(self, progress: Progress) -> bool:
        answer = self.answered(progress)
        if answer is not None:
            states = batch_states(self.weighed.dialect, answer)
            self.batches.later(self.batches.seen(states))
        return False


class _Submission(Watching):
    """A submission. One that may have been taken stays charged, also where nobody heard its id:
    its caller can find the batch in a list, and fetch its results."""

    def ended(self, progress: Progress) -> bool:
        if not progress.forwarded or progress.status >= 400 or not self.readings.taken:
            return False
        answer = self.answered(progress)
        states = () if answer is None else batch_states(self.weighed.dialect, answer)
        if len(states) == 1:
            submitted = self.batches.submitted(states[0], self.weighed.plan, self.readings)
            self.batches.later(submitted)
        return True


class _Results(Watching):
    def __init__(self, batches: Batches, weighed: Weighed, readings: Readings, batch: str) -> None:
        super().__init__(batches, weighed, readings)
        self._batch = batch
        self._counter = ResultCounter(weighed.dialect)

    def came(self, chunk: bytes) -> None:
        self._counter.feed(chunk)

    def ended(self, progress: Progress) -> bool:
        if progress.error is None and progress.status == 200:
            self._counter.finish()
            self.batches.later(self.batches.used(self._batch, self._counter.used()))
        return False


async def watching(batches: Batches, weighed: Weighed, readings: Readings) -> Watching | None:
    """What reads an exchange about files or batches while it passes; None for all others."""
    surface, arrival = weighed.surface, weighed.arrival
    if surface is None or surface.name not in BATCHED:
        return None
    path = arrival.path.rstrip("/")
    if surface.name == "files":
        return await _of_file(batches, weighed, readings, path)
    if arrival.method == "GET" and path.endswith("/results"):
        return _Results(batches, weighed, readings, path.split("/")[-2])
    if weighed.batch is not None:
        return _Submission(batches, weighed, readings)
    return _States(batches, weighed, readings)


async def _of_file(
    batches: Batches, weighed: Weighed, readings: Readings, path: str
) -> Watching | None:
    method = weighed.arrival.method
    if method == "POST" and path == "/v1/files" and weighed.dialect is Dialect.OPENAI:
        return _Upload(batches, weighed, readings)
    if method != "GET" or not path.endswith("/content"):
        return None
    batch = await batches.batch_of(path.split("/")[-2])
    return None if batch is None else _Results(batches, weighed, readings, batch)
