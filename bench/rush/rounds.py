"""Rounds of clients that all ask at once, each round on a limit that nobody has used."""

import asyncio
from collections import Counter
from dataclasses import dataclass
from typing import Any

import aiohttp

from bench.rush.gateway import KEY, LIMIT, WAYS, key_of, served
from proxy.demo.emulator import Emulator

CHAT = "/v1/chat/completions"


@dataclass(slots=True)
class Rushed:
    """What came of the rounds of one way to count, at one store."""

    store: str
    way: str
    rounds: int
    most: int  # admitted in a round
    least: int
    refused_falsely: int  # of all that there was room for
    unavailable: int  # refused because the store did not answer in time
    others: int  # answers that are neither

    @property
    def too_many(self) -> bool:
        """Whether a round admitted more than the limit."""
        return self.most > LIMIT


async def rush(
    name: str, store: dict[str, Any] | None, workers: int, rounds: int, clients: int
) -> list[Rushed]:
    """Every way to count, at one store."""
    accounts = {f"{tier}-{n}": tier for tier in WAYS.values() for n in range(rounds)}
    connector = aiohttp.TCPConnector(limit=0)
    async with (
        Emulator(key=KEY) as api,
        served(api.url, accounts, store, workers) as base,
        aiohttp.ClientSession(connector=connector) as session,
    ):
        return [
            _summed(
                name,
                way,
                [await _round(session, base, f"{tier}-{n}", clients) for n in range(rounds)],
            )
            for way, tier in WAYS.items()
        ]


async def _round(
    session: aiohttp.ClientSession, base: str, account: str, clients: int
) -> Counter[str]:
    """All clients at once; how many got which answer."""
    headers = {"Authorization": f"Bearer {key_of(account)}"}
    body = {"model": f"m-{account}", "messages": [{"role": "user", "content": "Hi"}]}

    async def ask() -> str:
        async with session.post(base + CHAT, json=body, headers=headers) as answer:
            await answer.read()
            return str(answer.status)

    return Counter(await asyncio.gather(*(ask() for _ in range(clients))))


def _summed(store: str, way: str, answers: list[Counter[str]]) -> Rushed:
    admitted = [one["200"] for one in answers]
    unavailable = sum(one["503"] for one in answers)
    known = sum(one[status] for one in answers for status in ("200", "429", "503"))
    room = sum(LIMIT - n for n in admitted if n < LIMIT)
    return Rushed(
        store,
        way,
        len(answers),
        max(admitted),
        min(admitted),
        room,
        unavailable,
        sum(one.total() for one in answers) - known,
    )
