"""The answer on its way back: every byte as it comes, and what became of it."""

import asyncio
import socket
import struct
import time
from dataclasses import dataclass
from typing import Protocol, cast

import aiohttp
from aiohttp import web
from aiohttp.http_writer import StreamWriter

from proxy.gateway.meter import Meter
from proxy.gateway.upstream import Failure, arrived_before_the_break, failure_of
from proxy.model.decision import Refusal
from proxy.model.usage import Outcome
from proxy.model.verdict import RefusalKind
from proxy.pipeline.weigh import Weighed
from proxy.wire.reading import AnswerReader
from proxy.wire.refuse import stream_error


class Watching(Protocol):
    """What reads an exchange while it passes, see `proxy.gateway.batches`."""

    def sent(self, piece: bytes) -> None:
        """A piece of the request's body goes upstream."""
        ...

    def came(self, chunk: bytes) -> None:
        """A piece of the answer goes on to the client."""
        ...

    def ended(self, progress: "Progress") -> bool:
        """The exchange has ended; whether what it took is held beyond it."""
        ...


class PassedOn(web.StreamResponse):
    """An upstream's answer; aiohttp would make up a type for a body that has none.

    Headers go out at once, unless the body has begun to come: then both go out together.
    """

    def begins_with_body(self) -> None:
        """Let the headers wait for the first piece of the body, which is here."""
        self._send_headers_immediately = False

    async def _prepare_headers(self) -> None:
        typed = "Content-Type" in self.headers
        await super()._prepare_headers()
        if not typed:
            self.headers.popall("Content-Type", None)


@dataclass(slots=True)
class Progress:
    """How far an exchange has come. The one mutable value: a cancelled handler still settles."""

    forwarded: bool = False
    status: int = 0
    reader: AnswerReader | None = None
    stream: PassedOn | None = None  # once its head has left
    error: str | None = None
    problem: Refusal | None = None  # what the caller's streamed body turned out to be
    answer_bytes: int = 0  # passed on, of the body
    unforeseen_bytes: int = 0  # passed on, of a request that did not say how large it is
    sent_s: float = 0.0  # when it went upstream (monotonic)
    text_s: float = 0.0  # when the first text of a stream went on (monotonic)
    left_after_s: float = 0.0  # how long its caller waited, who left before an answer came
    watching: "Watching | None" = None  # what reads an exchange about files or batches

    def passed(self, out: bytes) -> None:
        """So much of the answer's body goes on."""
        self.answer_bytes += len(out)
        if self.watching is not None:
            self.watching.came(out)

    def answered(self, response: aiohttp.ClientResponse) -> None:
        """The upstream's headers are here."""
        self.status = response.status

    def broke_off(self, request: web.BaseRequest, error: BaseException) -> None:
        """The handler ended before its time: the client left, the process stops, or a defect."""
        if self.error is not None:
            return
        if isinstance(error, ClientStalledError):
            self.error = "client_stalled"
        elif is_gone(request):
            self.error = "client_gone"
            if self.forwarded and not self.status:
                self.left_after_s = time.monotonic() - self.sent_s
        else:
            self.error = "stopped" if isinstance(error, asyncio.CancelledError) else "defect"

    def outcome(self) -> Outcome:
        """What settling needs to know."""
        reader = self.reader
        if reader is None:
            return Outcome(
                self.status,
                False,
                None,
                forwarded=self.forwarded,
                answer_bytes=self.unforeseen_bytes,
                error=self.error,
            )
        usage = reader.usage
        complete = self.error is None and reader.complete
        # The estimate costs a pass over the answer; it is asked for only where it will be used.
        known = complete and usage is not None
        return Outcome(
            status=self.status,
            complete=complete,
            usage=usage,
            delivered_output_tokens=0 if known else reader.delivered_output_tokens,
            forwarded=self.forwarded,
            answer_bytes=self.answer_bytes + self.unforeseen_bytes,
            error=self.error,
            unknown=reader.gave_up,
        )


# Of an answer that may carry what the caller must not receive, and cannot be read to leave it out.
UNREADABLE = Failure(
    "answer_unreadable",
    Refusal(RefusalKind.UPSTREAM, "The model API sent an answer that cannot be read."),
)


class ClientStalledError(Exception):
    """The client took nothing for too long."""


async def relay(
    request: web.BaseRequest,
    response: aiohttp.ClientResponse,
    stream: PassedOn,
    progress: Progress,
    weighed: Weighed,
    meter: Meter,
    stall_s: float,
) -> Failure | None:
    """Pass the answer on; the failure that broke it off, if one did.

    No more is read than the client takes; ClientStalledError where it takes nothing in `stall_s`.

    A stream of events that breaks gets an error event in the caller's dialect and ends cleanly;
    any other body is cut off, so that the client sees that it is not whole. Where the head has not
    left yet (`progress.stream` is None), the failure is the caller's to tell.
    """
    reader = progress.reader
    assert reader is not None
    if reader.broken:
        return UNREADABLE
    if reader.held:
        return await _relay_held(request, response, stream, progress, reader, stall_s)
    content = response.content
    streamed = weighed.asked is not None and weighed.asked.stream
    if content.total_bytes:
        stream.begins_with_body()
    await stream.prepare(request)
    progress.stream = stream
    while True:
        try:
            chunk = await content.readany()
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            failure = _broke(error, progress)
            if out := await meter.feed(arrived_before_the_break(content), reader):
                progress.passed(out)
                await _write(request, out, stall_s)
            await end_broken(request, stream, failure.refusal, reader, weighed)
            return failure
        out = await meter.feed(chunk, reader) if chunk else reader.finish()
        progress.passed(out)
        if streamed and not progress.text_s and reader.delivered_output_tokens:
            progress.text_s = time.monotonic()
        if not chunk and not reader.broken:
            await stream.write_eof(out)
            return None
        if out:
            await _write(request, out, stall_s)
        if reader.broken:
            progress.error = UNREADABLE.word
            await end_broken(request, stream, UNREADABLE.refusal, reader, weighed)
            return UNREADABLE
        if reader.cut:
            progress.error = "cut"
            await stream.write_eof()
            return None


async def _relay_held(
    request: web.BaseRequest,
    response: aiohttp.ClientResponse,
    stream: PassedOn,
    progress: Progress,
    reader: AnswerReader,
    stall_s: float,
) -> Failure | None:
    """Pass on an answer that is changed as a whole, and has another length then."""
    try:
        while chunk := await response.content.readany():
            reader.feed(chunk)
            if reader.broken:
                return UNREADABLE
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        return _broke(error, progress)
    out = reader.finish()
    if reader.broken:
        return UNREADABLE
    progress.passed(out)
    if out:
        stream.content_length = len(out)
        stream.begins_with_body()
    await stream.prepare(request)
    progress.stream = stream
    if out:
        await _write(request, out, stall_s)
    await stream.write_eof()
    return None


def _broke(error: BaseException, progress: Progress) -> Failure:
    """The failure of an upstream that broke off in its body."""
    failure = failure_of(error)
    progress.error = "idle_timeout" if isinstance(error, TimeoutError) else failure.word
    return failure


async def end_broken(
    request: web.BaseRequest,
    stream: web.StreamResponse,
    refusal: Refusal,
    reader: AnswerReader,
    weighed: Weighed,
) -> None:
    """End an answer whose head has left: told in an event of a stream, or else cut off."""
    assert weighed.surface is not None
    if not _can_tell(stream):
        cut_off(request)
        return
    event = b""
    if not reader.complete:
        event = stream_error(
            weighed.surface,
            refusal,
            exchange_id=weighed.arrival.id,
            mid_event=reader.mid_event,
        )
    await stream.write_eof(event)


def cut_off(request: web.BaseRequest) -> None:
    """End the connection where the body is not whole, in a way that the client can see.

    A body without length or chunks (HTTP/1.0) ends with the connection: only a reset tells.
    """
    transport = request.transport
    if transport is not None and request.version < (1, 1):
        # Lingering for no time makes the kernel send RST instead of FIN.
        connection = transport.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        transport.abort()
    elif transport is not None:
        transport.close()


async def _write(request: web.BaseRequest, data: bytes, stall_s: float) -> None:
    writer = cast("StreamWriter", request.writer)
    await writer.write(data, drain=False)
    if not request.protocol.writing_paused:
        return
    try:
        async with asyncio.timeout(stall_s):
            await writer.drain()
    except TimeoutError:
        raise ClientStalledError from None


def is_gone(request: web.BaseRequest) -> bool:
    """Whether the client has left, so that nobody can be answered."""
    return request.transport is None or request.transport.is_closing()


def _can_tell(stream: web.StreamResponse) -> bool:
    """Whether an event can still be added: a stream in plain that promised no length."""
    headers = stream.headers
    return (
        headers.get("Content-Type", "").startswith("text/event-stream")
        and "Content-Encoding" not in headers
        and "Content-Length" not in headers
    )
