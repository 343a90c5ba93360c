"""One account of the synthetic world: who it is in the directory, and the exchanges it sends."""

import math
from dataclasses import dataclass, field
from typing import Any, Protocol

from bench.campaigns.clients import Client, Header
from bench.campaigns.draw import Draw
from bench.campaigns.networks import Addresses
from bench.campaigns.traces import Traces
from bench.campaigns.transcript import messages
from bench.campaigns.work import Ask, Work

Line = dict[str, Any]
MODELS = ("m-small", "m-mid", "m-large")
BYTES_PER_TOKEN = 4
UPSTREAM_TROUBLE = 0.003
PLAIN: Line = {"max_tokens": 1024}  # what most programs send beside the messages
MOST_TOKENS = 4096  # of an answer, where the caller sets no bound


class Timing(Protocol):
    """When an account sends."""

    def next_at(self, draw: Draw) -> float:
        """The next arrival, in Unix seconds; never before the one that was given last."""
        ...


@dataclass(frozen=True, slots=True)
class Move:
    """A change to another model: the share of the account's requests that ask for it rises from
    nothing at `at_s` (Unix seconds) to `share` in `over_s` seconds, and stays."""

    to: str
    at_s: float
    share: float = 1.0
    over_s: float = 0.0

    def taken(self, at_s: float, draw: Draw) -> bool:
        """Whether a request at `at_s` asks for the new model; draws only where that is open."""
        if at_s < self.at_s:
            return False
        rising = min(1.0, (at_s - self.at_s) / self.over_s) if self.over_s else 1.0
        share = self.share * rising
        return share >= 1.0 or draw.chance(share)


@dataclass(slots=True)
class Persona:
    """An account that sends. Memory is constant: references to shared tables and a few numbers."""

    account: str
    key: str
    client: Client
    headers: list[Header]
    addresses: Addresses
    work: Work
    pace: Timing
    model: str
    stream: bool
    draw: Draw
    traces: Traces
    move: Move | None = None
    parameters: Line = field(default_factory=lambda: PLAIN)  # of the body; shared, never changed
    spare: tuple[list[Header], ...] = ()  # headers with the account's other keys, used as often
    extraction: bool = False  # whether the latest line was marked as extraction
    expected: str = ""  # the verdict that the law asks for on the latest line, if any does

    def next_at(self) -> float:
        """When the next exchange is sent, in Unix seconds."""
        return self.pace.next_at(self.draw)

    def line(self, number: int, at_s: float) -> Line:
        """The exchange at `at_s` in the traffic format."""
        ask = self.work.ask(self.draw)
        self.extraction = ask.extraction
        return {
            "id": f"x-{number:08d}",
            "ts": at_s,
            "client_ip": self.addresses.at(at_s, self.draw),
            "headers": self.draw.pick((self.headers, *self.spare)) if self.spare else self.headers,
            "tls": {"ja4": self.client.ja4},
            "method": "POST",
            "path": self.client.path,
            "body": self._body(ask, self._model(ask, at_s)),
            "response": self._response(ask),
        }

    def _model(self, ask: Ask, at_s: float) -> str:
        if self.move is not None and self.move.taken(at_s, self.draw):
            return self.move.to
        return ask.model or self.model

    def _body(self, ask: Ask, model: str) -> Line:
        turns = messages(ask, self.client.dialect)
        body: Line = {"model": model, **self.parameters}
        if self.stream:
            body["stream"] = True
        if self.client.dialect == "anthropic":
            if ask.user:
                body["metadata"] = {"user_id": ask.user}
            if ask.system:
                body["system"] = ask.system
            body["messages"] = turns
            shaped = [_anthropic_tool(tool) for tool in ask.tools]
        else:
            if ask.user:
                body["user"] = ask.user
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
        characters += sum(len(step.result) + 60 for step in ask.steps)
        pool = self.traces.code_tokens if ask.code else self.traces.chat_tokens
        output = min(self.draw.pick(pool), self.parameters.get("max_tokens", MOST_TOKENS))
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
