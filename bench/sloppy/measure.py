"""One kind of client, run, and what it was charged held against what it used."""

import asyncio
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp

from bench.sloppy.clients import KINDS, Client
from bench.sloppy.truth import used, used_by_lines
from bench.sloppy.world import LIMITS, PACE, PRICE, World, opened
from proxy.demo.emulator import Seen
from proxy.model.usage import Usage

UNITS = ("requests", "input_tokens", "output_tokens", "cost")


@dataclass(slots=True)
class Measured:
    """What became of one kind of client; `charged` and `true` by unit, cost in millionths."""

    kind: str
    sent: int
    refused: int
    leaked: int
    over: int | None  # how far a limit was passed; None where none was in reach
    charged: dict[str, int] = field(default_factory=dict)
    true: dict[str, int] = field(default_factory=dict)

    def ratio(self, unit: str) -> float | None:
        """Charged over true; None where nothing was used."""
        return self.charged.get(unit, 0) / self.true[unit] if self.true[unit] else None


async def measure(kinds: list[str]) -> list[Measured]:
    """Run kinds of clients one after the other, each with an account of its own."""
    accounts = {kind: f"acc-{number}" for number, kind in enumerate(kinds)}
    with tempfile.TemporaryDirectory() as folder:
        of_tiers = [(accounts[kind], KINDS[kind][1]) for kind in kinds]
        async with opened(Path(folder), of_tiers) as world:
            return [await _one(world, kind, accounts[kind]) for kind in kinds]


async def _one(world: World, kind: str, account: str) -> Measured:
    world.forget()
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector) as session:
        client = Client(world.base, account, session)
        await KINDS[kind][0](client)
        await _quiet(world)
    counted = world.counted(account)
    over = [counted[name] - most for name, most in LIMITS.items() if name in counted]
    return Measured(
        kind,
        client.sent,
        client.refused,
        world.leases(account),
        max(0, *over) if over else None,
        {unit: counted.get(f"counted.{unit}", 0) for unit in UNITS},
        _true(world.seen(), client),
    )


async def _quiet(world: World) -> None:
    """Wait until nothing is under way, and what batches have told is settled."""
    async with asyncio.timeout(30):
        gateway = world.server.gateway
        while gateway.under_way or gateway._enactor.batches._tasks:  # noqa: ASYNC110 (they tell nobody)
            await asyncio.sleep(0.01)


def _true(seen: list[Seen], client: Client) -> dict[str, int]:
    answers = [one for request in seen for one in used(request, PACE.first_s)]
    for content in client.uploads:
        answers.extend(used_by_lines(content))
    total = sum((usage for _, usage in answers), Usage())
    cost = sum(PRICE.of(usage, 0) for _, usage in answers)
    others = sum(not _answers(request) for request in seen)
    return dict(
        zip(
            UNITS,
            (len(answers) + others, total.input_tokens, total.output_tokens, cost),
            strict=True,
        )
    )


def _answers(request: Seen) -> bool:
    """Whether a request is counted by its answers: it makes some, or its batch does."""
    generates = any(True for _ in used(request, 0.0))
    return generates or request.path == "/v1/batches"
