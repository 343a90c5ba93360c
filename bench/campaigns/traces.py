"""Profiles and token counts: from published traces where a data folder is given, else our own.

Files read (CSV, gzip): `trace_servegen_clients_<pool>.csv.gz` (client, window_start_s, rate_rps,
iat_cv: windows of 600 s; ServeGen, Apache-2.0) and `trace_azure_llm_2023_{code,conv}.csv.gz`
(ContextTokens, GeneratedTokens; Azure public dataset, CC-BY-4.0).
"""

import csv
import gzip
import math
from collections import defaultdict
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from bench.campaigns.draw import Draw
from bench.campaigns.pace import DAY_S, Profile, profile

WINDOW_S = 600.0
POOLS = ("m-large", "m-small", "mm-image", "deepseek-r1")


@dataclass(frozen=True, slots=True)
class Traces:
    """Shapes of clients, and output tokens of conversations and of code completion."""

    profiles: tuple[Profile, ...]
    chat_tokens: tuple[int, ...]
    code_tokens: tuple[int, ...]
    source: str


@cache
def load(data: Path | None) -> Traces:
    """The published traces below `data`, or invented ones."""
    if data is None:
        return _invented()
    profiles = tuple(shape for pool in POOLS for shape in _servegen(data, pool))
    return Traces(
        profiles,
        _azure(data / "trace_azure_llm_2023_conv.csv.gz"),
        _azure(data / "trace_azure_llm_2023_code.csv.gz"),
        "ServeGen clients, Azure LLM 2023",
    )


def _servegen(data: Path, pool: str) -> list[Profile]:
    rates: dict[str, dict[int, float]] = defaultdict(dict)
    variation: dict[str, list[tuple[float, float]]] = defaultdict(list)
    with gzip.open(data / f"trace_servegen_clients_{pool}.csv.gz", "rt") as lines:
        for row in csv.DictReader(lines):
            window = int(float(row["window_start_s"]) // WINDOW_S)
            rate = float(row["rate_rps"])
            rates[row["client"]][window] = rate
            variation[row["client"]].append((rate, float(row["iat_cv"] or 1.0)))
    last = max(window for windows in rates.values() for window in windows)
    days = math.ceil((last + 1) * WINDOW_S / DAY_S)
    total = math.fsum(rate for windows in rates.values() for rate in windows.values())
    return [
        profile(
            f"{pool}/{client}",
            WINDOW_S,
            [windows.get(at, 0.0) for at in range(int(days * DAY_S / WINDOW_S))],
            _mean_variation(variation[client]),
            math.fsum(windows.values()) / total,
        )
        for client, windows in sorted(rates.items(), key=lambda item: int(item[0]))
    ]


def _mean_variation(windows: list[tuple[float, float]]) -> float:
    """The variation of the gaps as a request meets it: weighted by rate."""
    total = math.fsum(rate for rate, _ in windows)
    return math.fsum(rate * cv for rate, cv in windows) / total


def _azure(path: Path) -> tuple[int, ...]:
    with gzip.open(path, "rt") as lines:
        return tuple(int(row["GeneratedTokens"]) for row in csv.DictReader(lines))


# Requests by hour of the day and the variation of the gaps, for five ways of working.
_WAYS: tuple[tuple[str, tuple[int, ...], float], ...] = (
    ("office", (1, 1, 1, 1, 1, 2, 6, 20, 60, 90, 100, 95,
                60, 85, 100, 95, 85, 60, 30, 18, 12, 8, 4, 2), 1.8),
    ("evening", (20, 10, 5, 2, 1, 1, 4, 10, 12, 14, 16, 20,
                 24, 22, 20, 22, 28, 40, 60, 85, 100, 95, 70, 40), 2.4),
    ("service", (50, 45, 40, 38, 38, 42, 50, 65, 80, 92, 98, 100,
                 96, 95, 97, 98, 96, 92, 88, 84, 80, 74, 66, 58), 1.2),
    ("nightly", (0, 0, 100, 100, 80, 10, *(18 * [0])), 3.5),
    ("clock", (*(24 * [10]),), 0.3),
)  # fmt: skip


def _invented() -> Traces:
    """Thirty clients of each way of working, with a heavy tail of sizes."""
    profiles = []
    for kind, hours, cv in _WAYS:
        for number in range(30):
            draw = Draw("profile", kind, number)
            rates = [hour * draw.lognormal(1.0, 0.8) for hour in hours for _ in range(6)]
            variation = max(0.2, cv * draw.lognormal(1.0, 0.3))
            profiles.append(
                profile(f"{kind}/{number}", WINDOW_S, rates, variation, draw.lognormal(1.0, 1.9))
            )
    draw = Draw("tokens")
    chat = tuple(1 + int(draw.lognormal(180.0, 0.9)) for _ in range(4096))
    code = tuple(1 + int(draw.lognormal(14.0, 1.1)) for _ in range(4096))
    return Traces(tuple(profiles), chat, code, "invented")
