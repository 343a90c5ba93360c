"""Both ends of the gateway's connections, in bytes: a caller, and a model API that tests play."""

import asyncio
import json
import socket
import struct
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

PATIENCE_S = 10.0
ANSWER = b'{"id":"1","usage":{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5}}'

Fields = list[tuple[bytes, bytes]]


@dataclass
class Head:
    """A start line and fields, as bytes, in order and with their case."""

    line: bytes
    fields: Fields

    def all(self, name: str) -> list[bytes]:
        return [value for key, value in self.fields if key.lower() == name.lower().encode()]

    def get(self, name: str) -> str | None:
        found = self.all(name)
        return found[0].decode() if found else None


@dataclass
class Request(Head):
    """A request as the upstream got it."""

    body: bytes = b""


@dataclass
class Answer(Head):
    """An answer as the client got it; `whole` is False where the body was cut off."""

    body: bytes = b""
    whole: bool = True

    @property
    def status(self) -> int:
        return int(self.line.split(b" ")[1])

    def json(self) -> Any:
        return json.loads(self.body)


async def _head(reader: asyncio.StreamReader) -> tuple[bytes, Fields]:
    lines = (await reader.readuntil(b"\r\n\r\n"))[:-4].split(b"\r\n")
    pairs = (line.split(b":", 1) for line in lines[1:])
    return lines[0], [(name, value.strip(b" ")) for name, value in pairs]


async def _chunk(reader: asyncio.StreamReader) -> bytes:
    size = int((await reader.readuntil(b"\r\n")).split(b";")[0], 16)
    data = await reader.readexactly(size + 2)
    return data[:-2]


async def _body(reader: asyncio.StreamReader, head: Head, *, to_end: bool) -> tuple[bytes, bool]:
    """The body after a head, and whether all of it came."""
    parts: list[bytes] = []
    try:
        if head.get("transfer-encoding") == "chunked":
            while part := await _chunk(reader):
                parts.append(part)
        elif head.get("content-length") is not None:
            parts.append(await reader.readexactly(int(head.get("content-length") or 0)))
        elif to_end:
            parts.append(await reader.read())
    except asyncio.IncompleteReadError as cut:
        return b"".join(parts) + cut.partial, False
    except ConnectionError:
        return b"".join(parts), False
    return b"".join(parts), True


class Wire:
    """One end of a connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def ended(self) -> bytes:
        """Wait until the other end closes; what it still sent."""
        async with asyncio.timeout(PATIENCE_S):
            try:
                return await self.reader.read()
            except ConnectionError:
                return b""

    def reset(self) -> None:
        """Close with RST."""
        linger = struct.pack("ii", 1, 0)
        self.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.writer.transport.abort()

    def close(self) -> None:
        self.writer.close()


class Client(Wire):
    """The caller's end."""

    async def head(self) -> Answer:
        async with asyncio.timeout(PATIENCE_S):
            return Answer(*await _head(self.reader))

    async def chunk(self) -> bytes:
        async with asyncio.timeout(PATIENCE_S):
            return await _chunk(self.reader)

    async def rest(self, answer: Answer, *, head: bool = False) -> Answer:
        """The body of an answer whose head is there."""
        if not (head or answer.status in (204, 304)):
            async with asyncio.timeout(PATIENCE_S):
                answer.body, answer.whole = await _body(self.reader, answer, to_end=True)
        return answer

    async def ask(self, request: bytes) -> Answer:
        await self.send(request)
        return await self.rest(await self.head(), head=request.startswith(b"HEAD "))


class Call(Wire):
    """The upstream's end of a connection, with a request on it."""

    request: Request

    async def reply(self, body: bytes = ANSWER, *fields: str, status: str = "200 OK") -> None:
        """A whole answer; JSON unless a field says otherwise."""
        if not any(one.lower().startswith("content-type:") for one in fields):
            fields = ("Content-Type: application/json", *fields)
        head = "\r\n".join([f"HTTP/1.1 {status}", *fields, f"Content-Length: {len(body)}"])
        await self.send(head.encode() + b"\r\n\r\n" + body)

    async def stream(self, *fields: str) -> None:
        """The head of a stream of events."""
        fields = ("Content-Type: text/event-stream", *fields, "Transfer-Encoding: chunked")
        await self.send("\r\n".join(["HTTP/1.1 200 OK", *fields]).encode() + b"\r\n\r\n")

    async def chunk(self, data: bytes) -> None:
        """One chunk; an empty one ends the body."""
        await self.send(b"%x\r\n%b\r\n" % (len(data), data))


Part = Callable[[Call], Awaitable[None]]


class Upstream:
    """A model API whose part each test writes: `answer` is called with each request."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.connections = 0
        self.url = ""
        self.answer: Part = Call.reply
        self.read_body = True
        self._changed = asyncio.Condition()
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._accepted, "127.0.0.1", 0, limit=2**20)
        host, port = self._server.sockets[0].getsockname()
        self.url = f"http://{host}:{port}"

    async def stop(self) -> None:
        assert self._server is not None
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def fresh(self) -> None:
        """Forget what was seen, and answer as at first."""
        self.requests.clear()
        self.connections = 0
        self.answer = Call.reply
        self.read_body = True

    async def until(self, count: int) -> None:
        """Wait until so many requests have come."""
        async with asyncio.timeout(PATIENCE_S), self._changed:
            await self._changed.wait_for(lambda: len(self.requests) >= count)

    async def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self.connections += 1
        try:
            call = Call(reader, writer)
            with suppress(ConnectionError, asyncio.IncompleteReadError):
                while not writer.is_closing():
                    await self._serve(call)
        except asyncio.CancelledError:
            pass
        finally:
            self._tasks.discard(task)
            writer.transport.abort() if writer.transport.is_closing() else writer.close()

    async def _serve(self, call: Call) -> None:
        call.request = Request(*await _head(call.reader))
        if self.read_body:
            call.request.body, whole = await _body(call.reader, call.request, to_end=False)
            if not whole:
                raise ConnectionResetError
        self.requests.append(call.request)
        async with self._changed:
            self._changed.notify_all()
        await self.answer(call)
