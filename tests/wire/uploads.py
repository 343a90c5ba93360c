"""Uploads and batch files, as clients write them, and ways to cut them."""

import json
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

from hypothesis import strategies as st

BOUNDARY = "boundary-of-7"
FORM = f"multipart/form-data; boundary={BOUNDARY}"


def part(name: str, value: bytes, *, filename: str | None = None, more: str = "") -> bytes:
    file = "" if filename is None else f'; filename="{filename}"'
    head = f'Content-Disposition: form-data; name="{name}"{file}\r\n{more}\r\n'
    return f"--{BOUNDARY}\r\n{head}".encode() + value + b"\r\n"


def form(*parts: bytes) -> bytes:
    return b"".join(parts) + f"--{BOUNDARY}--\r\n".encode()


def line(body: dict[str, Any], url: str = "/v1/chat/completions", **style: Any) -> bytes:
    request = {"custom_id": "r", "method": "POST", "url": url, "body": body}
    return json.dumps(request, **style).encode() + b"\n"


def chat(model: str = "m", text: str = "Hello there", **more: Any) -> dict[str, Any]:
    return {"model": model, "messages": [{"role": "user", "content": text}], **more}


def cuts(data: bytes, at: list[int]) -> Iterator[bytes]:
    """The data cut at these places, wherever they are."""
    places = [0, *sorted(place % (len(data) + 1) for place in at), len(data)]
    return (data[a:b] for a, b in pairwise(places))


PLACES = st.lists(st.integers(0, 100_000), max_size=12)
