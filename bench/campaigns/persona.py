"""One account of the synthetic world: who it is in the directory, and the exchanges it sends."""

import math
from dataclasses import dataclass
from typing import Any

from bench.campaigns.clients import Client, Header
from bench.campaigns.draw import Draw
from bench.campaigns.networks import Addresses
from bench.campaigns.pace import Pace
from bench.campaigns.traces import Traces
from bench.campaigns.work import Ask, Work

Line = dict[str, Any]
MODELS = ("m-small", "m-mid", "m-large")
BYTES_PER_TOKEN = 4
UPSTREAM_TROUBLE = 0.003


@dataclass(slots=True)
class Persona:
    """An account that sends. Memory is constant: references to shared tables and a few numbers."""

    account: str
    key: str
    client: Client
    headers: list[Header]
    addresses: Addresses
    work: Work
    pace: Pace
    model: str
    stream: bool
    draw: Draw
    traces: Traces

    def next_at(self) -> float:
        """When the next exchange is sent, in Unix seconds."""
        return self.pace.next_at(self.draw)

    def line(self, number: int, at_s: float) -> Line:
        """The exchange at `at_s` in the traffic format."""
        ask = self.work.ask(self.draw)
        return {
            "id": f"x-{number:08d}",
            "ts": at_s,
            "client_ip": self.addresses.at(at_s, self.draw),
            "headers": self.headers,
            "tls": {"ja4": self.client.ja4},
            "method": "POST",
            "path": self.client.path,
            "body": self._body(ask),
            "response": self._response(ask),
        }

    def _body(self, ask: Ask) -> Line:
        turns = [
            {"role": "assistant" if at % 2 else "user", "content": text}
            for at, text in enumerate(ask.turns)
        ]
        body: Line = {"model": self.model, "max_tokens": 1024}
        if self.stream:
            body["stream"] = True
        if self.client.dialect == "anthropic":
            if ask.system:
                body["system"] = ask.system
            body["messages"] = turns
            shaped = [_anthropic_tool(tool) for tool in ask.tools]
        else:
            opening = [{"role": "system", "content": ask.system}] if ask.system else []
            body["messages"] = opening + turns
            shaped = [{"type": "function", "function": tool} for tool in ask.tools]
        if shaped:
            body["tools"] = shaped
        return body

    def _response(self, ask: Ask) -> Line:
        if self.draw.chance(UPSTREAM_TROUBLE):
            return {"status": self.draw.pick((429, 500, 529)), "duration_s": 0.4}
        characters = sum(map(len, ask.turns)) + len(ask.system)
        pool = self.traces.code_tokens if ask.code else self.traces.chat_tokens
        output = min(self.draw.pick(pool), 1024)
        usage = {
            "input_tokens": 8 + math.ceil(characters / BYTES_PER_TOKEN),
            "output_tokens": output,
            "cached_tokens": 0,
            "reasoning_tokens": 0,
        }
        return {"status": 200, "usage": usage, "duration_s": round(0.3 + output / 60.0, 3)}


def _anthropic_tool(tool: dict[str, object]) -> dict[str, object]:
    shaped = dict(tool)
    shaped["input_schema"] = shaped.pop("parameters")
    return shaped
