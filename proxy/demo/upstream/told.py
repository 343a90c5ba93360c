"""What answers tell beside their text: log probabilities, and what the model thought.

Log probabilities come where a request asks for them, and from a model named `…telling…` in any
case. A model named `…reason-aloud…` tells its thoughts on every surface, as servers that speak
OpenAI's dialect do: `reasoning_content` in chats, an item of type `reasoning` in responses.
"""

from typing import Any

from proxy.demo.upstream.generation import Choice, Generation

THOUGHT = "hm "
ENCRYPTED = "c2VjcmV0IHRob3VnaHRz"


def tells_logprobs(body: dict[str, Any]) -> bool:
    """Whether the answer to a request carries log probabilities."""
    included = body.get("include") or ()
    asked = body.get("logprobs") or "message.output_text.logprobs" in included
    return bool(asked) or "telling" in str(body.get("model", ""))


def thoughts(body: dict[str, Any], made: Generation) -> str:
    """What a model that reasons aloud thought; nothing of others."""
    aloud = "reason-aloud" in str(body.get("model", ""))
    return THOUGHT * made.reasoning_tokens if aloud else ""


def token_logprobs(words: tuple[str, ...], alternatives: int) -> list[dict[str, Any]]:
    """Log probabilities of words as chats and responses write them."""
    return [
        {**_token(word, -0.125), "top_logprobs": [_token(word, -0.125)] * alternatives}
        for word in words
    ]


def chat_logprobs(words: tuple[str, ...], alternatives: int) -> dict[str, Any]:
    """The `logprobs` of a choice of a chat."""
    return {"content": token_logprobs(words, alternatives), "refusal": None}


def completion_logprobs(choice: Choice) -> dict[str, Any]:
    """The `logprobs` of a choice of the older completions."""
    offsets = [sum(map(len, choice.words[:at])) for at in range(len(choice.words))]
    return {
        "tokens": list(choice.words),
        "token_logprobs": [-0.125] * len(choice.words),
        "top_logprobs": [{word: -0.125} for word in choice.words],
        "text_offset": offsets,
    }


def reasoning_item(name: str, text: str) -> dict[str, Any]:
    """An item of a response that tells what was thought."""
    return {
        "id": name,
        "type": "reasoning",
        "summary": [{"type": "summary_text", "text": text}] if text else [],
        "encrypted_content": ENCRYPTED if text else "",
    }


def _token(word: str, logprob: float) -> dict[str, Any]:
    return {"token": word, "logprob": logprob, "bytes": list(word.encode())}
