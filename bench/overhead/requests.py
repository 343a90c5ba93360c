"""The requests of the load: 1.1 KB chat requests of many accounts from many places."""

import json
from hashlib import sha256

from bench.campaigns import networks, texts
from bench.campaigns.draw import Draw
from bench.overhead.http1 import request

ACCOUNTS = 1_000
IN_TURN = 256  # different requests
BODY_BYTES = 1_100


def key(number: int) -> str:
    """The test key of an account."""
    return f"sk-load-{number:06d}"


def directory() -> list[dict[str, object]]:
    """The lines of the account directory."""
    return [
        {
            "account": f"acc-{number:06d}",
            "organization": f"org-{number // 3:06d}",
            "keys": [{"id": f"k-{number:06d}", "sha256": sha256(key(number).encode()).hexdigest()}],
            "tier": "build",
            "status": "active",
            "created_at": 1_700_000_000,
            "country": "DE",
            "links": {"payment": f"pay-{number}"},
        }
        for number in range(ACCOUNTS)
    ]


def body(number: int, model: str) -> bytes:
    """One chat request of BODY_BYTES bytes."""
    draw = Draw("load", number)
    asked = " ".join(" ".join(texts.talk(draw.below(6000))) for _ in range(30))

    def encoded(text: str) -> bytes:
        turns = [
            {"role": "system", "content": texts.firm(Draw("load", "firm", number))},
            {"role": "user", "content": text},
        ]
        extra = {"stream": True} if model != "m-large" else {}
        asks = {"model": model, "max_tokens": 512, "temperature": 0.7, **extra, "messages": turns}
        return json.dumps(asks).encode()

    spare = BODY_BYTES - len(encoded(""))
    return encoded(asked[:spare])


def requests(host: str, model: str) -> list[bytes]:
    """Whole requests to be sent in turn; each has its own account, address and text."""
    ready = []
    for number in range(IN_TURN):
        draw = Draw("load", "from", number)
        address = networks.address(draw, networks.country(draw), "hosting")
        headers = (
            ("Host", host),
            ("Accept", "application/json"),
            ("Content-Type", "application/json"),
            ("User-Agent", "OpenAI/Python 2.3.0"),
            ("X-Forwarded-For", address),
            ("Authorization", f"Bearer {key(number * 7 % ACCOUNTS)}"),
        )
        ready.append(request("/v1/chat/completions", body(number, model), headers))
    return ready
