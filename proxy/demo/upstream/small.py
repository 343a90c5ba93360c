"""The small OpenAI surfaces: models, embeddings, moderations, images, audio.

Shapes: https://platform.openai.com/docs/api-reference
"""

import base64
import hashlib
import struct
from typing import Any

from proxy.demo.upstream.generation import digest, input_tokens
from proxy.demo.upstream.reply import (
    CREATED_S,
    EVENT_STREAM,
    Reply,
    RequestError,
    event,
    json_reply,
    positive,
    required,
)

MODELS = ("m-large", "m-small", "m-reason", "embed-small")
_CATEGORIES = ("harassment", "hate", "self-harm", "sexual", "violence")
_PIXEL = base64.b64encode(
    bytes.fromhex(
        "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c489"
        "0000000d49444154789c6360606060000000050001a5f645400000000049454e44ae426082"
    )
).decode()


def list_models(anthropic: bool) -> Reply:
    """GET /v1/models in either dialect."""
    data = [_model(name, anthropic) for name in MODELS]
    if anthropic:
        ends = {"first_id": MODELS[0], "last_id": MODELS[-1], "has_more": False}
        return json_reply({"data": data, **ends})
    return json_reply({"object": "list", "data": data})


def one_model(name: str, anthropic: bool) -> Reply:
    """GET /v1/models/{name} in either dialect."""
    if name not in MODELS:
        raise RequestError(404, f"The model '{name}' does not exist", "model")
    return json_reply(_model(name, anthropic))


def embeddings(body: dict[str, Any]) -> Reply:
    """POST /v1/embeddings; floats, or base64 of little-endian 32-bit floats as asked for."""
    model = required(body, "model", str)
    asked = body.get("input")
    if not isinstance(asked, str | list) or not asked:
        raise RequestError(400, "'input' must be a string or a list of them", "input")
    inputs = asked if isinstance(asked, list) and isinstance(asked[0], str | list) else [asked]
    size = positive(body, "dimensions") or 16
    vectors = [_vector(repr(text), size) for text in inputs]
    in_base64 = body.get("encoding_format") == "base64"
    data = [
        {"object": "embedding", "index": at, "embedding": _packed(one) if in_base64 else one}
        for at, one in enumerate(vectors)
    ]
    tokens = input_tokens(body)
    used = {"prompt_tokens": tokens, "total_tokens": tokens}
    return json_reply({"object": "list", "data": data, "model": model, "usage": used})


def moderations(body: dict[str, Any]) -> Reply:
    """POST /v1/moderations; flags what says "moonshine"."""
    asked = body.get("input")
    if not isinstance(asked, str | list):
        raise RequestError(400, "'input' must be a string or a list", "input")
    inputs = asked if isinstance(asked, list) else [asked]
    results = [_moderated("moonshine" in repr(text)) for text in inputs]
    model = body.get("model", "moderation-small")
    return json_reply({"id": f"modr-{digest(body)[:24]}", "model": model, "results": results})


def images(body: dict[str, Any]) -> Reply:
    """POST /v1/images/…: one transparent pixel for each picture asked for."""
    count = positive(body, "n") or 1
    used = {"input_tokens": input_tokens(body), "output_tokens": 256 * count}
    total = {"total_tokens": used["input_tokens"] + used["output_tokens"]}
    details = {"input_tokens_details": {"text_tokens": used["input_tokens"], "image_tokens": 0}}
    data = [{"b64_json": _PIXEL} for _ in range(count)]
    return json_reply({"created": CREATED_S, "data": data, "usage": used | total | details})


def transcription(form: dict[str, str]) -> Reply:
    """POST /v1/audio/transcriptions and translations, JSON or a stream."""
    text = "barley and malt"
    used = {"type": "duration", "seconds": 1}
    if form.get("stream") == "true":
        deltas = [{"type": "transcript.text.delta", "delta": word} for word in text.split()]
        done = {"type": "transcript.text.done", "text": text}
        return Reply(events=tuple(event(one) for one in (*deltas, done)), content_type=EVENT_STREAM)
    return json_reply({"text": text, "usage": used})


def speech(body: dict[str, Any]) -> Reply:
    """POST /v1/audio/speech: bytes that only look like sound."""
    required(body, "input", str)
    return Reply(body=b"ID3\x04" + bytes.fromhex(digest(body)) * 32, content_type="audio/mpeg")


def _model(name: str, anthropic: bool) -> dict[str, Any]:
    if anthropic:
        dated = {"display_name": name, "created_at": "2026-04-22T00:00:00Z"}
        return {"type": "model", "id": name, **dated}
    return {"id": name, "object": "model", "created": CREATED_S, "owned_by": "gauger"}


def _vector(text: str, size: int) -> list[float]:
    data = hashlib.shake_256(text.encode()).digest(size)
    return [(byte - 128) / 128 for byte in data]


def _packed(vector: list[float]) -> str:
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()


def _moderated(flagged: bool) -> dict[str, Any]:
    return {
        "flagged": flagged,
        "categories": dict.fromkeys(_CATEGORIES, flagged),
        "category_scores": dict.fromkeys(_CATEGORIES, 0.9 if flagged else 0.01),
        "category_applied_input_types": {name: ["text"] for name in _CATEGORIES},
    }
