"""What passes the gateway made into lines, in a process beside it: sketches, texts, JSON.

Messages to whoever records are JSON lines: {"line": …, "final": whether no answer will come} for an
exchange that was judged, {"ended": {"id", "response"}} for the end of its answer.
"""

from typing import Any

import msgspec

from proxy.facts.sketch import sketch
from proxy.model.exchange import Prompt
from proxy.pipeline.recorded import by_family

_encode = msgspec.json.Encoder().encode
_key = b""  # of fingerprints, in the process that makes lines


class Item(msgspec.Struct, gc=False):
    """What waits to be told: a line, with the prompt to sketch or the body to put in; or an end.

    `since_s` is when it began to wait, in Unix seconds.
    """

    line: dict[str, Any]
    prompt: Prompt | None
    body: bytes | None
    size: int
    final: bool
    is_end: bool = False
    since_s: float = 0.0


def begin(key: bytes) -> None:
    """Begin the process; `key` is that of fingerprints."""
    global _key  # noqa: PLW0603 (the process does nothing else)
    _key = key


def encoded(items: list[Item]) -> bytes:
    """Messages for whoever records."""
    return b"".join([_message(item) + b"\n" for item in items])


def _message(item: Item) -> bytes:
    if item.is_end:
        return _encode({"ended": item.line})
    line = item.line
    if item.prompt is not None and "fingerprints" in line:
        _add_sketches(line["fingerprints"]["tokens"], item.prompt)
    elif item.body:
        _add_body(line, item.body)
    return _encode({"line": line, "final": item.final})


def _add_sketches(tokens: dict[str, list[str]], prompt: Prompt) -> None:
    for family, sketched in by_family(sketch(prompt, _key)).items():
        tokens.setdefault(family, []).extend(sketched)


def _add_body(line: dict[str, Any], body: bytes) -> None:
    """The body as JSON where it is on one line, so that it goes into one; as text otherwise."""
    problem = line.pop("problem", None)
    if problem is None and b"\n" not in body and b"\r" not in body:
        line["body"] = msgspec.Raw(body)
        return
    try:
        line["body_text"] = body.decode()
    except UnicodeDecodeError:
        if problem is not None:  # why it was refused is told in place of what was sent
            line["problem"] = problem
