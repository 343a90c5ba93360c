"""Messages as the two dialects write them: calls of tools with their results, signed reasoning.

Source of the forms: the published references of the Messages API (tool_use, tool_result and
thinking blocks) and of Chat Completions (tool_calls, role `tool`).
"""

import json
from typing import Any

from bench.campaigns.work import Ask, Step

Message = dict[str, Any]


def messages(ask: Ask, dialect: str) -> list[Message]:
    """The conversation of a request without its system prompt."""
    said: list[Message] = []
    for at, text in enumerate(ask.turns):
        if at % 2 == 0:
            said.append({"role": "user", "content": text})
        elif ask.signed and dialect == "anthropic":
            said.append({"role": "assistant", "content": _signed(ask.signed[at // 2], text)})
        else:
            said.append({"role": "assistant", "content": text})
    for number, step in enumerate(ask.steps):
        if step.said is None:
            write = _anthropic if dialect == "anthropic" else _openai
            step.said = write(number, step)
        said += step.said
    return said


def _signed(signature: str, text: str) -> list[Message]:
    thinking = {"type": "thinking", "thinking": "", "signature": signature}
    return [thinking, {"type": "text", "text": text}]


def _anthropic(number: int, step: Step) -> list[Message]:
    name = f"toolu_{number:02d}{step.call}"
    call = {"type": "tool_use", "id": name, "name": step.tool, "input": step.arguments}
    result = {"type": "tool_result", "tool_use_id": name, "content": step.result}
    return [{"role": "assistant", "content": [call]}, {"role": "user", "content": [result]}]


def _openai(number: int, step: Step) -> list[Message]:
    name = f"call_{number:02d}{step.call}"
    function = {"name": step.tool, "arguments": json.dumps(step.arguments)}
    call = {"id": name, "type": "function", "function": function}
    return [
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": name, "content": step.result},
    ]
