"""What the emulated model API truly used for a request that it saw, as far as it came with it.

A stream has used what was written of it when it ended. An answer that comes whole takes a time
for its making, and has used the part of it that had passed when its caller left. One word is one
token (`proxy.demo.upstream.generation`).
"""

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

import msgspec

from proxy.demo.emulator import GENERATING, Seen
from proxy.demo.upstream import chat, messages, responses
from proxy.demo.upstream.generation import Generation, generate
from proxy.demo.upstream.reply import Reply, positive
from proxy.model.usage import Usage

Body = dict[str, Any]
_WORD = re.compile(rb'"content":"[^"]|"text":"[^"]|output_text\.delta"')


def used(seen: Seen, whole_s: float) -> Iterator[tuple[str, Usage]]:
    """Model and usage of each answer to a request; `whole_s` is what a whole answer takes."""
    if seen.path in GENERATING:
        body = _decoded(seen.body)
        if body is not None:
            yield seen.model, _of_one(seen, body, whole_s)
    elif seen.path == "/v1/messages/batches" and seen.method == "POST":
        for entry in json.loads(seen.body)["requests"]:
            yield entry["params"]["model"], _whole("/v1/messages", entry["params"])


def used_by_lines(content: bytes) -> Iterator[tuple[str, Usage]]:
    """The same of the lines of a file that was submitted as a batch."""
    for line in content.splitlines():
        asked = json.loads(line)
        yield asked["body"]["model"], _whole(asked["url"], asked["body"])


def _decoded(body: bytes) -> Body | None:
    try:
        found = msgspec.json.decode(body)
    except msgspec.DecodeError:
        return None
    return found if isinstance(found, dict) else None


def _of_one(seen: Seen, body: Body, whole_s: float) -> Usage:
    whole = _whole(seen.path, body)
    if seen.done:
        return whole
    if body.get("stream"):
        return _with_output(whole, _words_of(_REPLIES[seen.path](body), seen.pieces))
    made = min(1.0, seen.lasted_s / whole_s) if whole_s else 1.0
    return _with_output(whole, round(whole.output_tokens * made))


def _words_of(reply: Reply, pieces: int) -> int:
    return sum(_WORD.search(event) is not None for event in reply.events[:pieces])


def _with_output(usage: Usage, output_tokens: int) -> Usage:
    return msgspec.structs.replace(usage, output_tokens=output_tokens)


def _whole(path: str, body: Body) -> Usage:
    made = _made(path, body)
    return Usage(
        input_tokens=made.input_tokens,
        cached_tokens=made.cached_tokens,
        cache_written_tokens=made.cache_written_tokens if path == "/v1/messages" else 0,
        output_tokens=made.output_tokens,
        reasoning_tokens=made.reasoning_tokens,
    )


def _made(path: str, body: Body) -> Generation:
    choices = positive(body, "n") or 1
    match path:
        case "/v1/chat/completions":
            limit = positive(body, "max_completion_tokens", "max_tokens")
            return generate(body, limit, choices)
        case "/v1/completions":
            prompt = body.get("prompt")
            prompts = len(prompt) if isinstance(prompt, list) and prompt else 1
            limit = positive(body, "max_tokens") or 16
            return generate(body | {"tools": []}, limit, prompts * choices)
        case "/v1/responses":
            return generate(body, positive(body, "max_output_tokens"))
        case _:
            return generate(body, positive(body, "max_tokens"))


_REPLIES: dict[str, Callable[[Body], Reply]] = {
    "/v1/chat/completions": chat.chat,
    "/v1/completions": chat.completions,
    "/v1/responses": responses.responses,
    "/v1/messages": messages.messages,
}
