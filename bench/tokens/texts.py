"""Our own sample texts: one short story in many languages, and machine-made text of many kinds."""

import base64
import json
import random
import uuid
from pathlib import Path

# One short story in 31 languages.
STORY: dict[str, str] = json.loads(Path(__file__).with_name("story.json").read_text("utf-8"))

_WORDS = STORY["English"].replace(",", "").replace(".", "").replace(":", "").split()


def machine_made(seed: int) -> dict[str, str]:
    """One text of each kind; another seed, other texts."""
    draw = random.Random(seed)
    rows = [_row(draw) for _ in range(draw.choice((1, 4, 10)))]
    size = draw.choice((100, 500, 2000))
    data = draw.randbytes(size)
    return {
        "JSON, compact": json.dumps(rows, separators=(",", ":")),
        "JSON, indented": json.dumps(rows, indent=2),
        "JSON, tool schemas": json.dumps([_tool(draw) for _ in rows]),
        "CSV of numbers": "\n".join(
            ",".join(f"{draw.random() * 1000:.3f}" for _ in range(6)) for _ in range(size // 40 + 1)
        ),
        "log lines": "\n".join(_log(draw) for _ in range(size // 80 + 1)),
        "table in Markdown": "\n".join(_table_row(draw) for _ in range(size // 60 + 2)),
        "URLs": "\n".join(_url(draw) for _ in range(size // 60 + 1)),
        "UUIDs": "\n".join(_uuid(draw) for _ in range(size // 37 + 1)),
        "digits": "".join(draw.choices("0123456789", k=size)),
        "hexadecimal": data.hex(),
        "base64": base64.b64encode(data).decode(),
        "base64 in lines": base64.encodebytes(data).decode(),
        "base85": base64.b85encode(data).decode(),
        "emoji in prose": " ".join(
            word + draw.choice(("", "", "", " 😀", " 🎉", " 👍🏽", " ❤️")) for word in _WORDS
        ),
        "capitals": " ".join(_WORDS).upper(),
    }


def _uuid(draw: random.Random) -> str:
    return str(uuid.UUID(int=draw.getrandbits(128), version=4))


def _row(draw: random.Random) -> dict[str, object]:
    return {
        "id": draw.randrange(10**9),
        "uuid": _uuid(draw),
        "name": " ".join(draw.sample(_WORDS, 2)),
        "tags": draw.sample(_WORDS, 3),
        "price": round(draw.random() * 1000, 2),
        "at": f"2026-{draw.randrange(1, 13):02}-{draw.randrange(1, 29):02}T12:00:00Z",
        "nested": {"ok": True, "count": draw.randrange(1000), "note": None},
    }


def _tool(draw: random.Random) -> dict[str, object]:
    properties = {
        draw.choice(_WORDS).lower(): {
            "type": "string",
            "description": " ".join(_WORDS[at : at + 9]),
        }
        for at in draw.sample(range(40), 3)
    }
    return {
        "type": "function",
        "function": {
            "name": "_".join(draw.sample(_WORDS, 2)).lower(),
            "description": " ".join(draw.sample(_WORDS, 14)),
            "parameters": {"type": "object", "properties": properties, "required": []},
        },
    }


def _log(draw: random.Random) -> str:
    address = ".".join(str(draw.randrange(256)) for _ in range(4))
    return (
        f"{address} - - [{draw.randrange(1, 29)}/Nov/2026:10:{draw.randrange(60):02}:12 +0000] "
        f'"GET /{draw.choice(_WORDS)}/{draw.choice(_WORDS)} HTTP/1.1" 200 {draw.randrange(99999)}'
    )


def _table_row(draw: random.Random) -> str:
    return "| " + " | ".join(f"{draw.choice(_WORDS)} {draw.randrange(99)}" for _ in range(5)) + " |"


def _url(draw: random.Random) -> str:
    words = draw.sample(_WORDS, 3)
    return f"https://www.{words[0]}.example/{words[1]}/{draw.randrange(9999)}?q={words[2]}".lower()
