"""The clients: one function for each kind, which sends what such a client sends.

Prompts are numbered, so that no two requests of a kind are the same; models named `words-N` answer
N words.
"""

import asyncio
import json
import socket
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from bench.sloppy.world import key_of

CHAT, COMPLETIONS, MESSAGES = "/v1/chat/completions", "/v1/completions", "/v1/messages"
PROMPT = "Tell the officer how much the still made in the night, by the ledger."


@dataclass
class Client:
    """One account's client. `refused` counts answers of 429, `uploads` what went into batches."""

    base: str
    account: str
    session: aiohttp.ClientSession
    refused: int = 0
    sent: int = 0
    uploads: list[bytes] = field(default_factory=list)

    def headers(self, path: str = CHAT) -> dict[str, str]:
        """What says who it is, in the dialect of a path."""
        key = key_of(self.account)
        if path.startswith(MESSAGES):
            return {"x-api-key": key, "anthropic-version": "2023-06-01"}
        return {"Authorization": f"Bearer {key}"}

    def body(self, model: str, path: str = CHAT, **more: Any) -> dict[str, Any]:
        """A request that no other is like."""
        self.sent += 1
        text = f"{PROMPT} ({self.account} {self.sent})"
        asked = {"prompt": text} if path == COMPLETIONS else {"messages": [_turn(text)]}
        return {"model": model, **asked, **more}

    def post(self, body: dict[str, Any], path: str = CHAT) -> Any:
        """The request, to be entered."""
        return self.session.post(self.base + path, json=body, headers=self.headers(path))

    async def whole(self, body: dict[str, Any], path: str = CHAT) -> bytes:
        """Ask, and take all of the answer."""
        async with self.post(body, path) as answer:
            self.refused += answer.status == 429
            return bytes(await answer.read())

    async def leaves(self, body: dict[str, Any], after_s: float) -> None:
        """Ask, take what comes in a time, and hang up."""

        async def reading() -> None:
            async with self.post(body) as answer:
                async for _ in answer.content.iter_any():
                    pass

        task = asyncio.create_task(reading())
        await asyncio.sleep(after_s)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


Kind = Callable[[Client], Awaitable[object]]


def _turn(text: str) -> dict[str, str]:
    return {"role": "user", "content": text}


async def _together(*asked: Awaitable[object]) -> None:
    await asyncio.gather(*asked)


async def leaves_mid_stream(client: Client) -> None:
    """Hangs up after some hundred tokens."""
    bodies = [client.body("words-400", stream=True) for _ in range(10)]
    await _together(*(client.leaves(body, 1.5 + 0.1 * n) for n, body in enumerate(bodies)))


async def leaves_before_a_stream(client: Client) -> None:
    """Hangs up while the model still reads the prompt."""
    bodies = [client.body("words-400", stream=True) for _ in range(10)]
    await _together(*(client.leaves(body, 0.03 + 0.04 * n) for n, body in enumerate(bodies)))


async def leaves_before_a_whole_answer(client: Client) -> None:
    """Hangs up while the model writes an answer that would come whole."""
    bodies = [client.body("words-50", max_tokens=2000) for _ in range(10)]
    await _together(*(client.leaves(body, 0.05 + 0.04 * n) for n, body in enumerate(bodies)))


async def asks_for_no_usage(client: Client) -> None:
    """Streams without `include_usage`."""
    await _together(*(client.whole(client.body("words-150", stream=True)) for _ in range(10)))


async def gets_no_usage(client: Client) -> None:
    """The model API tells no usage, whatever is asked."""
    streams = (client.whole(client.body("no-usage", stream=True)) for _ in range(10))
    await _together(*streams, *(client.whole(client.body("no-usage")) for _ in range(10)))


async def tiny_max_tokens(client: Client) -> None:
    """One token at a time."""
    await _together(*(client.whole(client.body("words-99", max_tokens=1)) for _ in range(100)))


async def huge_max_tokens(client: Client) -> None:
    """A bound of 15,000 for answers of 50, several at once under a limit of 20,000."""
    await _together(*(client.whole(client.body("words-50", max_tokens=15_000)) for _ in range(10)))


async def long_answers(client: Client) -> None:
    """No bound, and answers of 1,800, two at once: their limit of 3,000 is not hard."""
    await _together(*(client.whole(client.body("words-1800", stream=True)) for _ in range(2)))
    await client.whole(client.body("words-50"))


async def long_answers_hard(client: Client) -> None:
    """No bound, and answers of 1,800, two at once: a hard limit of 3,000 ends them."""
    await _together(*(client.whole(client.body("words-1800", stream=True)) for _ in range(2)))
    await client.whole(client.body("words-50"))


async def bursts(client: Client) -> None:
    """200 at once under a limit of 100 requests."""
    await _together(*(client.whole(client.body("words-5")) for _ in range(200)))


async def several_choices(client: Client) -> None:
    """n of 4, streamed and whole, and older completions of 4."""
    both = [client.body("words-40", n=4, stream=stream) for stream in (True, False) * 5]
    older = [client.body("words-40", COMPLETIONS, n=4, max_tokens=40) for _ in range(5)]
    await _together(*map(client.whole, both), *(client.whole(one, COMPLETIONS) for one in older))


async def same_key_again(client: Client) -> None:
    """The same request three times under one Idempotency-Key, the first two given up."""
    for _ in range(5):
        body = client.body("words-50", max_tokens=200)
        for after_s in (0.1, 0.2):
            await client.leaves(body, after_s)
        await client.whole(body)


async def reads_slowly(client: Client) -> None:
    """Takes a piece of the stream, and sleeps."""

    async def one() -> None:
        async with client.post(client.body("words-200", stream=True)) as answer:
            async for _ in answer.content.iter_chunked(2000):
                await asyncio.sleep(0.05)

    await _together(*(one() for _ in range(10)))


async def _take_nothing(client: Client, path: str, model: str, **more: Any) -> None:
    """Open a stream, and take nothing of it for three seconds."""
    loop = asyncio.get_running_loop()
    host, _, port = client.base.removeprefix("http://").partition(":")
    body = json.dumps(client.body(model, stream=True, **more)).encode()
    fields = "".join(f"{name}: {value}\r\n" for name, value in client.headers(path).items())
    head = f"POST {path} HTTP/1.1\r\nHost: a\r\n{fields}Content-Length: {len(body)}\r\n\r\n"
    with socket.socket() as plug:
        plug.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        plug.setblocking(False)
        await loop.sock_connect(plug, (host, int(port)))
        await loop.sock_sendall(plug, head.encode() + body)
        await asyncio.sleep(3)


async def reads_nothing(client: Client) -> None:
    """Opens streams and takes nothing, then hangs up."""
    await _together(*(_take_nothing(client, CHAT, "words-400") for _ in range(10)))


async def reads_nothing_of_much(client: Client) -> None:
    """The same of 60,000 tokens that are all there at once: it is cut off."""
    asked = {"max_tokens": 60_000}
    await _together(*(_take_nothing(client, MESSAGES, "words-60000", **asked) for _ in range(2)))


async def breaks_uploads_off(client: Client) -> None:
    """Half a body; a body that is no JSON; half a file."""
    host, _, port = client.base.removeprefix("http://").partition(":")
    fields = "".join(f"{name}: {value}\r\n" for name, value in client.headers().items())
    for path in (CHAT, "/v1/files") * 5:
        client.sent += 1
        _, writer = await asyncio.open_connection(host, int(port))
        head = f"POST {path} HTTP/1.1\r\nHost: a\r\n{fields}Content-Length: 9000\r\n\r\n"
        writer.write(head.encode() + b'{"model": "words-9", "messages": [')
        await asyncio.sleep(0.05)
        writer.transport.abort()
    for _ in range(5):
        client.sent += 1
        text = b'{"model": "words-9", "messages": ['
        async with client.session.post(client.base + CHAT, data=text, headers=client.headers()):
            pass


async def file_batches(client: Client) -> None:
    """A batch of a file, whose results are fetched; lines without a bound among them."""
    bounds: list[dict[str, Any]] = [{"max_tokens": 2000}, {}]
    body = [client.body("words-60", **bounds[n % 2]) for n in range(20)]
    lines = [
        {"custom_id": f"r{n}", "method": "POST", "url": CHAT, "body": one}
        for n, one in enumerate(body)
    ]
    content = b"".join(json.dumps(line).encode() + b"\n" for line in lines)
    client.uploads.append(content)
    form = aiohttp.FormData({"purpose": "batch"})
    form.add_field("file", content, filename="in.jsonl")
    url = client.base + "/v1/files"
    async with client.session.post(url, data=form, headers=client.headers()) as answer:
        file = (await answer.json())["id"]
    asked = {"input_file_id": file, "endpoint": CHAT, "completion_window": "24h"}
    batch = json.loads(await client.whole(asked, "/v1/batches"))
    results = f"{client.base}/v1/files/{batch['output_file_id']}/content"
    async with client.session.get(results, headers=client.headers()) as answer:
        await answer.read()


async def message_batches(client: Client) -> None:
    """Anthropic's batches: the requests stand in the submission; results are fetched."""
    asked = [client.body("words-60", max_tokens=2000) for _ in range(20)]
    requests = [{"custom_id": f"r{n}", "params": one} for n, one in enumerate(asked)]
    batch = json.loads(await client.whole({"requests": requests}, "/v1/messages/batches"))
    async with client.session.get(batch["results_url"], headers=client.headers(MESSAGES)) as answer:
        await answer.read()


# By what the page calls them: the client, and the tier of its account.
KINDS: dict[str, tuple[Kind, str]] = {
    "hangs up in the middle of a stream": (leaves_mid_stream, "plain"),
    "hangs up before a stream's first byte": (leaves_before_a_stream, "plain"),
    "hangs up before a whole answer": (leaves_before_a_whole_answer, "plain"),
    "streams, and asks for no usage": (asks_for_no_usage, "plain"),
    "a model API that tells no usage": (gets_no_usage, "plain"),
    "max_tokens of 1": (tiny_max_tokens, "plain"),
    "max_tokens of 15,000, limit of 20,000 tokens": (huge_max_tokens, "tokens"),
    "no max_tokens, long answers, limit of 3,000": (long_answers, "soft"),
    "the same, hard limit of 3,000": (long_answers_hard, "hard"),
    "200 at once, limit of 100 requests": (bursts, "at-once"),
    "n of 4": (several_choices, "plain"),
    "the same idempotency key three times": (same_key_again, "plain"),
    "reads slowly": (reads_slowly, "plain"),
    "reads nothing": (reads_nothing, "plain"),
    "the same of 60,000 tokens sent at once": (reads_nothing_of_much, "plain"),
    "broken and malformed uploads": (breaks_uploads_off, "plain"),
    "a batch of a file": (file_batches, "plain"),
    "a batch of messages": (message_batches, "plain"),
}
