"""A model API on this machine, in both dialects, for tests, the demo and benchmarks.

It answers what the real SDKs ask (see `proxy.demo.upstream.routes` for the surfaces), the same
request always with the same bytes, and misbehaves when the model's name asks for it (see
`BEHAVIOURS` in `proxy.demo.upstream.faults`). What it received is in `Emulator.seen`.

    python -m proxy.demo.emulator --port 0 --key upstream-key
"""

import argparse
import asyncio
import hmac
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

from aiohttp import web

from proxy.demo.upstream.encodings import decoded
from proxy.demo.upstream.errors import limit_headers, refuse
from proxy.demo.upstream.faults import BEHAVIOURS, refusal
from proxy.demo.upstream.generation import digest
from proxy.demo.upstream.kept import Kept
from proxy.demo.upstream.reply import Reply, RequestError, read_object
from proxy.demo.upstream.routes import Call, answer
from proxy.demo.upstream.sending import Timing, send
from proxy.model.exchange import Dialect, Headers

GENERATING = {"/v1/chat/completions", "/v1/completions", "/v1/responses", "/v1/messages"}


@dataclass(slots=True)
class Seen:
    """One request as it arrived: raw header fields in order, and the body's own bytes.

    `done` says that the whole answer was sent (its ending, for a fault); `disconnected` that the
    client left before that. `pieces` is how many events (of JSON: halves) were sent, and `lasted_s`
    the time from the whole request to the end.
    """

    method: str
    path: str
    query: str
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes = b""
    model: str = ""
    done: bool = False
    disconnected: bool = False
    pieces: int = 0
    lasted_s: float = 0.0

    def wrote(self) -> None:
        """A piece of the answer was sent."""
        self.pieces += 1

    def header(self, name: str) -> str | None:
        """The first field of that name, in any case."""
        wanted = name.lower().encode()
        values = (value for field, value in self.headers if field.lower() == wanted)
        found = next(values, None)
        return None if found is None else found.decode("latin-1")


class Emulator:
    """The API. `key` is the one credential that it takes; None takes any."""

    def __init__(self, *, key: str | None = "upstream-key", timing: Timing | None = None) -> None:
        self.seen: list[Seen] = []
        self.url = ""
        self._key = key
        self._timing = timing or Timing()
        self._kept = Kept()
        self._asked: set[str] = set()
        self._runner: web.ServerRunner | None = None
        self._changed = asyncio.Condition()

    async def start(self, host: str = "127.0.0.1", port: int = 0) -> None:
        """Listen; `url` is known from here on. OSError where the port cannot be had."""
        server = web.Server(
            self._handle, handler_cancellation=True, auto_decompress=False, access_log=None
        )
        runner = web.ServerRunner(server, shutdown_timeout=0.1)
        await runner.setup()
        try:
            await web.TCPSite(runner, host, port).start()
        except OSError:
            await runner.cleanup()
            raise
        self._runner = runner
        self.url = f"http://{host}:{runner.addresses[0][1]}"

    async def stop(self) -> None:
        """Stop listening and drop what is open."""
        if self._runner:
            await self._runner.cleanup()
            self._runner = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def until(self, condition: Callable[[list[Seen]], bool], timeout_s: float = 5.0) -> None:
        """Wait until what was seen meets a condition; TimeoutError otherwise."""
        async with asyncio.timeout(timeout_s), self._changed:
            await self._changed.wait_for(lambda: condition(self.seen))

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        path, _, query = request.raw_path.partition("?")
        seen = Seen(request.method, path, query, tuple(request.raw_headers))
        self.seen.append(seen)
        began_s = time.monotonic()
        try:
            seen.body = b"".join([part async for part in request.content.iter_any()])
            began_s = time.monotonic()
            dialect = _dialect(seen)
            reply = self._reply(seen, dialect)
            await self._tell()
            response = await send(request, reply, seen.model, dialect, self._timing, seen.wrote)
            seen.done = True
        except (asyncio.CancelledError, ConnectionError):
            seen.disconnected = not seen.done
            raise
        finally:
            seen.lasted_s = time.monotonic() - began_s
            await self._tell()
        return response

    async def _tell(self) -> None:
        async with self._changed:
            self._changed.notify_all()

    def _reply(self, seen: Seen, dialect: Dialect) -> Reply:
        headers = _identity(dialect, seen) + limit_headers(dialect)
        try:
            self._authenticate(seen, dialect)
            call = _call(seen, dialect, self._kept)
            wrong = self._asked_fault(seen, call.body)
            if wrong:
                return refuse(dialect, wrong[0], headers + wrong[1])
            reply = answer(call)
        except RequestError as problem:
            return refuse(dialect, problem, headers)
        if seen.model == "fault-event" and not reply.events:
            return refuse(dialect, RequestError(500, "The server had an error"), headers)
        return Reply(
            reply.status, headers + reply.headers, reply.body, reply.events, reply.content_type
        )

    def _authenticate(self, seen: Seen, dialect: Dialect) -> None:
        bearer = seen.header("authorization") or ""
        given = bearer[7:] if bearer[:7].lower() == "bearer " else ""
        if dialect is Dialect.ANTHROPIC:
            given = seen.header("x-api-key") or given
            if seen.header("anthropic-version") is None:
                raise RequestError(400, "anthropic-version: header is required")
        if not given:
            raise RequestError(401, "You didn't provide an API key")
        if self._key is not None and not hmac.compare_digest(given.encode(), self._key.encode()):
            raise RequestError(401, "Incorrect API key provided")

    def _asked_fault(self, seen: Seen, body: bytes) -> tuple[RequestError, Headers] | None:
        """Learn the model of a generating request, and the refusal that it asks for."""
        if seen.path not in GENERATING:
            return None
        asked = read_object(body)
        seen.model = str(asked.get("model", ""))
        identity = digest(asked)
        before = identity in self._asked
        self._asked.add(identity)
        return refusal(seen.model, before)


def _dialect(seen: Seen) -> Dialect:
    """Anthropic's own paths, and the shared ones where the caller names its version."""
    if seen.path.startswith("/v1/messages"):
        return Dialect.ANTHROPIC
    shared = seen.path.startswith(("/v1/models", "/v1/files"))
    if shared and (seen.header("anthropic-version") or seen.header("x-api-key")):
        return Dialect.ANTHROPIC
    return Dialect.OPENAI


def _call(seen: Seen, dialect: Dialect, kept: Kept) -> Call:
    return Call(
        method=seen.method,
        path=seen.path,
        dialect=dialect,
        body=decoded(seen.body, seen.header("content-encoding")),
        content_type=seen.header("content-type") or "",
        base_url=f"http://{seen.header('host')}",
        kept=kept,
    )


def _identity(dialect: Dialect, seen: Seen) -> Headers:
    name = digest({"path": seen.path, "body": seen.body.hex()})[:24]
    if dialect is Dialect.ANTHROPIC:
        return (("request-id", f"req_{name}"),)
    return (("x-request-id", f"req_{name}"), ("openai-version", "2020-10-01"))


async def _serve(host: str, port: int, key: str, timing: Timing) -> None:
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopped.set)
    emulator = Emulator(key=key, timing=timing)
    await emulator.start(host, port)
    print(emulator.url, flush=True)  # noqa: T201 - the address is this command's result
    await stopped.wait()
    await emulator.stop()


def main() -> None:
    """Serve until SIGINT or SIGTERM; the first line of output is the address."""
    table = "\n".join(f"  {name:16} {what}" for name, what in BEHAVIOURS.items())
    parser = argparse.ArgumentParser(
        prog="python -m proxy.demo.emulator",
        description="A model API on this machine, in the dialects of OpenAI and Anthropic.",
        epilog=f"models that ask for a behaviour:\n{table}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    parser.add_argument("--key", default="upstream-key", help="the credential that it takes")
    parser.add_argument("--first-ms", type=float, default=0, help="wait before the first byte")
    parser.add_argument("--event-ms", type=float, default=0, help="wait before each event")
    given = parser.parse_args()
    timing = Timing(first_s=given.first_ms / 1000, event_s=given.event_ms / 1000)
    try:
        asyncio.run(_serve(given.host, given.port, given.key, timing))
    except OSError as error:
        parser.exit(1, f"cannot listen on {given.host}:{given.port}: {error.strerror}\n")


if __name__ == "__main__":
    main()
