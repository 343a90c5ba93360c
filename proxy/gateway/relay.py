"""The answer on its way back: every byte as it comes, and what became of it."""

from dataclasses import dataclass

import aiohttp
from aiohttp import web

from proxy.gateway.upstream import Failure, failure_of
from proxy.model.decision import Refusal
from proxy.model.usage import Outcome
from proxy.pipeline.weigh import Weighed
from proxy.wire.refuse import stream_error
from proxy.wire.response import ResponseReader


@dataclass(slots=True)
class Progress:
    """How far an exchange has come. The one mutable value: a cancelled handler still settles."""

    forwarded: bool = False
    status: int = 0
    reader: ResponseReader | None = None
    error: str | None = None
    problem: Refusal | None = None  # what the caller's streamed body turned out to be

    def answered(self, response: aiohttp.ClientResponse) -> None:
        """The upstream's headers are here."""
        self.status = response.status

    def broke_off(self, request: web.BaseRequest) -> None:
        """The handler was cancelled or failed: the client left, or the process is stopping."""
        if self.error is None:
            gone = request.transport is None or request.transport.is_closing()
            self.error = "client_gone" if gone else "stopped"

    def outcome(self) -> Outcome:
        """What settling needs to know."""
        reader = self.reader
        return Outcome(
            status=self.status,
            complete=self.error is None and reader is not None and reader.complete,
            usage=reader.usage if reader else None,
            delivered_output_tokens=reader.delivered_output_tokens if reader else 0,
            forwarded=self.forwarded,
            error=self.error,
        )


async def relay(
    request: web.BaseRequest,
    response: aiohttp.ClientResponse,
    stream: web.StreamResponse,
    progress: Progress,
    weighed: Weighed,
) -> Failure | None:
    """Pass the answer on; the failure that broke it off, if one did.

    A stream of events that breaks gets an error event in the caller's dialect and ends cleanly;
    any other body is cut off, so that the client sees that it is not whole.
    """
    reader = progress.reader
    assert reader is not None
    await stream.prepare(request)
    content = response.content
    while True:
        try:
            chunk = await content.readany()
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            failure = failure_of(error)
            progress.error = "idle_timeout" if isinstance(error, TimeoutError) else failure.word
            return await _end_broken(request, stream, failure, progress, weighed)
        out = reader.feed(chunk) if chunk else reader.finish()
        if out:
            await stream.write(out)
        if not chunk:
            await stream.write_eof()
            return None


async def _end_broken(
    request: web.BaseRequest,
    stream: web.StreamResponse,
    failure: Failure,
    progress: Progress,
    weighed: Weighed,
) -> Failure:
    reader = progress.reader
    assert reader is not None
    assert weighed.surface is not None
    if stream.headers.get("Content-Type", "").startswith("text/event-stream") and not (
        stream.headers.get("Content-Encoding")
    ):
        event = stream_error(
            weighed.surface,
            failure.refusal,
            exchange_id=weighed.arrival.id,
            mid_event=reader.mid_event,
        )
        await stream.write(event)
        await stream.write_eof()
    elif request.transport is not None:
        request.transport.close()
    return failure
