"""As much of HTTP/1.1 as the load generator and the fake model API need between themselves.

Only for peers that behave: one message at a time on a connection, bodies by Content-Length or
chunked without trailers or extensions.
"""

from dataclasses import dataclass

HEAD_END = b"\r\n\r\n"
LAST_CHUNK = b"0\r\n\r\n"


@dataclass(slots=True)
class Message:
    """A message that is being received. `length` is None where the body is chunked."""

    head: bytes
    length: int | None
    body: bytes

    @property
    def complete(self) -> bool:
        """Whether the whole body is here."""
        if self.length is None:
            return self.body.endswith(b"\r\n" + LAST_CHUNK) or self.body == LAST_CHUNK
        return len(self.body) >= self.length

    @property
    def status(self) -> int:
        """The status of an answer."""
        return int(self.head[9:12])


def begin(data: bytes) -> Message | None:
    """The message that `data` begins, or None while its head is not whole."""
    end = data.find(HEAD_END)
    if end < 0:
        return None
    head = data[:end]
    lowered = head.lower()
    at = lowered.find(b"\r\ncontent-length:")
    if at >= 0:
        stop = lowered.find(b"\r\n", at + 2)
        text = lowered[at + 17 : stop if stop >= 0 else None]
        return Message(head, int(text), data[end + 4 :])
    chunked = b"\r\ntransfer-encoding: chunked" in lowered
    return Message(head, None if chunked else 0, data[end + 4 :])


def request(path: str, body: bytes, headers: tuple[tuple[str, str], ...]) -> bytes:
    """A POST request."""
    lines = [f"POST {path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers)]
    lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join(lines).encode() + HEAD_END + body


def chunk(data: bytes) -> bytes:
    """One chunk of a chunked body."""
    return b"%x\r\n%b\r\n" % (len(data), data)
