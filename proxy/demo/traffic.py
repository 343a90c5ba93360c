"""The demo's traffic, sent with the real SDKs: who asks what, how often, and what they got.

Every party sends a fixed number of requests spread over the given time, so that what is refused
does not hang on how fast the machine is.
"""

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import anthropic
import openai

from proxy.demo.world import HASTY, HYDRA, ISLANDER, ORDINARY, Party

STRANGER = Party("stranger", "", "CL", 9)
HASTY_REQUESTS = 90  # three times what a trial account may make in a minute
ISLANDER_REQUESTS = 9
HYDRA_REQUESTS = 6
STRANGER_REQUESTS = 3
_ORDINARY_AT_MOST = 24  # what a trial account may, with room to spare
_WITHIN = 0.9  # of the time; the rest is for answers on their way
_TIMEOUT_S = 30.0

# Colleagues with their own words; nobody else sends these templates.
WORDS = {
    "ada": "Explain {n} ways to keep a copper still clean.",
    "bruno": "Write a toast for {n} guests at a harvest dinner, in Portuguese and English.",
    "chiyo": "Which {n} museums in Kyoto open before nine? Answer as a list.",
    "daria": "Refactor this loop so that it runs {n} times at most: for i in rows: pass",
    "emeka": "I sell lanterns. Give me {n} names for a shop in Lagos.",
    "fleur": "Translate into French, formally: we received order {n} yesterday.",
}
# A prompt that colleagues copied from each other: shared, by too few to matter.
POPULAR = "Summarize the following text in one short sentence: {words}"
# The one prompt of many hands: only what stands in its slots changes.
TEMPLATE = (
    "You grade the work of a student model.\n"
    'Question {n}: "{question}"\n'
    "Think aloud in numbered steps, then give a grade from 0 to 100 and the full corrected answer."
)
QUESTIONS = (
    "What does the angels' share mean?",
    "Why is a pot still made of copper?",
    "How is proof measured without burning anything?",
    "Who was paid by the gauge, and who by the cask?",
    "When was the last illicit still on the river closed?",
)
_PIXEL = "R0lGODlhAQABAAAAACH5BAEKAAEALAAAAAABAAEAAAICTAEAOw=="
_TOOL = {
    "name": "gauge",
    "description": "Measure a cask.",
    "schema": {"type": "object", "properties": {"cask": {"type": "integer"}}},
}


@dataclass(frozen=True, slots=True)
class Clients:
    """SDK clients of one party; all parties share two connection pools."""

    oai: openai.AsyncOpenAI
    ant: anthropic.AsyncAnthropic


class Traffic:
    """One run. `raised` counts, for each account, the exceptions that its SDK raised."""

    def __init__(self, url: str, seconds: float) -> None:
        self.raised: dict[str, Counter[str]] = {}
        self.sent = 0
        self._seconds = seconds
        self._random = random.Random(1791)  # noqa: S311 - the same mix every time, no secret
        self._oai = openai.AsyncOpenAI(
            api_key="none", base_url=f"{url}/v1", max_retries=0, timeout=_TIMEOUT_S
        )
        self._ant = anthropic.AsyncAnthropic(
            api_key="none", base_url=url, max_retries=0, timeout=_TIMEOUT_S
        )

    async def run(self) -> None:
        """Send everything; returns once all is answered."""
        try:
            async with asyncio.TaskGroup() as group:
                for party in ORDINARY:
                    rounds = min(_ORDINARY_AT_MOST, max(4, int(2 * self._seconds)))
                    group.create_task(self._keep(party, rounds, self._ordinary))
                hasty = max(HASTY_REQUESTS, int(self._seconds))  # however long it lasts
                group.create_task(self._keep(HASTY, hasty, _hurry))
                group.create_task(self._keep(ISLANDER, ISLANDER_REQUESTS, _far_away))
                group.create_task(self._keep(STRANGER, STRANGER_REQUESTS, _hurry))
                for head in HYDRA:
                    group.create_task(self._keep(head, HYDRA_REQUESTS, self._one_template))
        finally:
            await self._oai.close()
            await self._ant.close()

    async def _keep(
        self, party: Party, rounds: int, act: Callable[[Clients, Party, int], Awaitable[Any]]
    ) -> None:
        """A party's requests, evenly spread with a little unrest."""
        clients = self._clients(party)
        pause_s = self._seconds * _WITHIN / rounds
        loop = asyncio.get_running_loop()
        due = loop.time() + pause_s * self._random.random()
        for number in range(rounds):
            await asyncio.sleep(due - loop.time())
            due += pause_s
            self.sent += 1
            try:
                await act(clients, party, number)
            except (openai.APIError, anthropic.APIError) as error:
                self._note(party, error)

    def _note(self, party: Party, error: Exception) -> None:
        kind = type(error)
        raised = self.raised.setdefault(party.account, Counter())
        raised[f"{kind.__module__.partition('.')[0]}.{kind.__name__}"] += 1

    def _clients(self, party: Party) -> Clients:
        headers = {"X-Forwarded-For": party.address}
        return Clients(
            self._oai.with_options(api_key=party.key, default_headers=headers),
            self._ant.with_options(api_key=party.key, default_headers=headers),
        )

    async def _ordinary(self, clients: Clients, party: Party, number: int) -> None:
        text = WORDS[party.account].format(n=number + 2)
        if number % 4 == 3:
            text = POPULAR.format(words=text)
        await _KINDS[(number + self._random.randrange(3)) % len(_KINDS)](clients, text)

    async def _one_template(self, clients: Clients, _: Party, number: int) -> None:
        question = self._random.choice(QUESTIONS)
        text = TEMPLATE.format(n=self._random.randrange(100, 9999), question=question)
        if number % 2:
            turns: Any = [{"role": "user", "content": text}]
            await clients.ant.messages.create(model="m-large", max_tokens=200, messages=turns)
        else:
            await _chat(clients, text, model="m-large")


async def _hurry(clients: Clients, _: Party, number: int) -> None:
    await _chat(clients, f"Next! This is number {number}.")


async def _far_away(clients: Clients, _: Party, number: int) -> None:
    """Two of three times the model that may not be used there."""
    model = "m-small" if number % 3 == 2 else "m-large"
    await _chat(clients, f"Will the supply ship come in {number} weeks?", model=model)


async def _chat(clients: Clients, text: str, model: str = "m-small") -> None:
    turns: Any = [{"role": "user", "content": text}]
    await clients.oai.chat.completions.create(model=model, messages=turns, max_tokens=64)


async def _chat_stream(clients: Clients, text: str) -> None:
    turns: Any = [{"role": "user", "content": text}]
    async for _ in await clients.oai.chat.completions.create(
        model="m-large", messages=turns, max_tokens=64, stream=True
    ):
        pass


async def _chat_tool(clients: Clients, text: str) -> None:
    function = {"name": _TOOL["name"], "parameters": _TOOL["schema"]}
    tools: Any = [{"type": "function", "function": function}]
    turns: Any = [{"role": "user", "content": text}]
    await clients.oai.chat.completions.create(model="m-small", messages=turns, tools=tools)


async def _responses_stream(clients: Clients, text: str) -> None:
    async for _ in await clients.oai.responses.create(
        model="m-small", input=text, max_output_tokens=64, stream=True
    ):
        pass


async def _embeddings(clients: Clients, text: str) -> None:
    await clients.oai.embeddings.create(model="embed-small", input=[text, text[::-1]])


async def _models(clients: Clients, _: str) -> None:
    await clients.oai.models.list()


async def _message(clients: Clients, text: str) -> None:
    source = {"type": "base64", "media_type": "image/gif", "data": _PIXEL}
    parts = [{"type": "image", "source": source}, {"type": "text", "text": text}]
    turns: Any = [{"role": "user", "content": parts}]
    await clients.ant.messages.create(model="m-small", max_tokens=64, messages=turns)


async def _message_stream(clients: Clients, text: str) -> None:
    tools: Any = [{"name": _TOOL["name"], "input_schema": _TOOL["schema"]}]
    turns: Any = [{"role": "user", "content": text}]
    async with clients.ant.messages.stream(
        model="m-large", max_tokens=64, messages=turns, tools=tools
    ) as stream:
        await stream.until_done()


async def _count(clients: Clients, text: str) -> None:
    turns: Any = [{"role": "user", "content": text}]
    await clients.ant.messages.count_tokens(model="m-small", messages=turns)


_KINDS: tuple[Callable[[Clients, str], Awaitable[None]], ...] = (
    _chat,
    _message_stream,
    _chat_stream,
    _embeddings,
    _message,
    _responses_stream,
    _chat_tool,
    _count,
    _models,
)
