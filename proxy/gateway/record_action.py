"""The admin listener's recording: a stream of lines for as long as an operator listens.

It is not kept here: what is recorded exists on the operator's side only, and ends when he goes.
Where several workers serve, whoever was asked also hands on what the others record. Anybody on this
machine can reach their inner listeners, which know nothing of settings and write no audit log: so
they ask for the operator's token again, and for what only a worker of this gateway can show.
"""

import asyncio
import hmac
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import suppress

import aiohttp
import msgspec
from aiohttp import web

from proxy.gateway.recording import BusyError, Recorder, Recording
from proxy.gateway.worker import Worker
from proxy.model.record import Json

PATH = "/v1/recording"
NO_CAPTURE = (
    "recording prompts, headers and addresses is turned off: set admin.capture: true in gauger.yaml"
)
NO_REASON = "say why: a capture has what callers wrote, and their addresses"
SIBLING = "Gauger-Sibling"
PIECES = 16  # that wait for the operator; beyond, the sources wait, and leave out what is too much
PATIENCE_S = 5.0


class RecordWanted(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of the action: whether texts are wanted too, and why."""

    capture: bool = False
    why: str = ""

    def __post_init__(self) -> None:
        """ValueError for what is not one line of text."""
        if self.why and (not self.why.isprintable() or len(self.why) > 500):
            raise ValueError("why is one line of at most 500 printable characters")


class RefusedError(Exception):
    """No recording is made; `status` and text are for the operator."""

    def __init__(self, status: int, said: str) -> None:
        super().__init__(said)
        self.status = status


class RecordAction:
    """Recordings of one gateway process, and through it of all its siblings."""

    def __init__(
        self,
        recorder: Recorder,
        worker: Worker | None,
        may: Callable[[web.Request], bool],
        *,
        capture: bool,
    ) -> None:
        self._recorder = recorder
        self._worker = worker
        self._may = may
        self._capture = capture

    async def stream(
        self, asked: RecordWanted, request: web.Request
    ) -> tuple[web.StreamResponse, str]:
        """Stream a recording; the response, and in words what came of it. RefusedError."""
        if asked.capture and not self._capture:
            raise RefusedError(403, NO_CAPTURE)
        if asked.capture and not asked.why.strip():
            raise RefusedError(400, NO_REASON)
        recording = self._begun(asked.capture)
        response = web.StreamResponse(headers={"Content-Type": "application/x-ndjson"})
        response.enable_chunked_encoding()
        try:
            await response.prepare(request)
            async for piece in self._pieces(recording, asked, request):
                await response.write(piece)
            await response.write_eof()
        except (ConnectionError, asyncio.CancelledError):
            pass  # the operator has gone, which is how a recording ends
        finally:
            self._recorder.over(recording)
        return response, f"ended: {recording.lines} exchanges, {recording.dropped} left out"

    async def own(self, request: web.Request) -> web.StreamResponse:
        """What this worker records, for the one that was asked."""
        shown = request.headers.get(SIBLING, "").encode("utf-8", "surrogateescape")
        known = hmac.compare_digest(shown, self._recorder.sibling.encode())
        if not known or not self._may(request):
            return web.Response(status=401)
        try:
            recording = self._begun(request.query.get("capture") == "yes")
        except RefusedError as refused:
            return web.Response(status=refused.status, text=str(refused))
        response = web.StreamResponse(headers={"Content-Type": "application/x-ndjson"})
        response.enable_chunked_encoding()
        try:
            await response.prepare(request)
            async for piece in recording.told():
                await response.write(piece)
            await response.write_eof()
        except (ConnectionError, asyncio.CancelledError):
            pass  # the one that was asked has gone
        finally:
            self._recorder.over(recording)
        return response

    def _begun(self, capture: bool) -> Recording:
        try:
            if self._worker is None:
                return self._recorder.begin(capture=capture)
            number, workers = self._worker.number, len(self._worker.siblings)
            return self._recorder.begin(capture=capture, worker=number, workers=workers)
        except BusyError as busy:
            raise RefusedError(409, str(busy)) from None

    async def _pieces(
        self, recording: Recording, asked: RecordWanted, request: web.Request
    ) -> AsyncIterator[bytes]:
        """What all workers record; own alone where there is one."""
        if self._worker is None:
            async for piece in recording.told():
                yield piece
            return
        pieces: asyncio.Queue[bytes | None] = asyncio.Queue(PIECES)
        others = [
            (number, address)
            for number, address in enumerate(self._worker.siblings)
            if number != self._worker.number
        ]
        fields = {
            "Authorization": request.headers.get("Authorization", ""),
            SIBLING: self._recorder.sibling,
        }
        tasks = [asyncio.create_task(_own(recording, pieces))]
        tasks += [
            asyncio.create_task(_others(number, address, asked, fields, pieces))
            for number, address in others
        ]
        try:
            while (merged := await pieces.get()) is not None:
                yield merged
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


async def _own(recording: Recording, pieces: "asyncio.Queue[bytes | None]") -> None:
    async for piece in recording.told():
        await pieces.put(piece)
    await pieces.put(None)


async def _others(
    number: int,
    address: str,
    asked: RecordWanted,
    fields: Mapping[str, str],
    pieces: "asyncio.Queue[bytes | None]",
) -> None:
    """What a sibling records, in whole lines; the operator is told where it ends."""
    said: Json = "it ended its recording, as it does when it stops"
    try:
        async with aiohttp.ClientSession(
            timeout=aiohttp.ClientTimeout(sock_connect=PATIENCE_S), read_bufsize=1 << 20
        ) as session:
            query = {"capture": "yes"} if asked.capture else {}
            url = f"http://{address}{PATH}"
            async with session.get(url, headers=fields, params=query) as response:
                if response.status != 200:
                    said = await response.text()
                else:
                    await _passed_on(response, pieces)
    except (aiohttp.ClientError, TimeoutError) as error:
        said = f"it does not answer ({type(error).__name__})"
    with suppress(asyncio.CancelledError):
        await pieces.put(msgspec.json.encode({"lost": number, "why": said}) + b"\n")


async def _passed_on(
    response: aiohttp.ClientResponse, pieces: "asyncio.Queue[bytes | None]"
) -> None:
    rest = b""
    async for chunk in response.content.iter_any():
        whole, newline, rest = (rest + chunk).rpartition(b"\n")
        if newline:
            await pieces.put(whole + newline)
