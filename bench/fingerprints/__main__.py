"""`python -m bench.fingerprints`: what fingerprints and sketches cost. See bench/README.md."""

import gzip
import json
import random
import statistics
import time
from collections.abc import Callable, Sequence
from functools import partial
from hashlib import blake2b
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from bench.fingerprints.texts import KINDS
from bench.report import machine, table
from proxy.facts.fingerprints import fingerprints
from proxy.facts.network_traits import Place
from proxy.facts.sketch import sketch
from proxy.model.exchange import Arrival, Asked, Prompt

KEY = bytes.fromhex("0f" * 32)
HERE = Place("203.0.113.7", "DE", 64_500, "none")
HEADERS = (
    ("Host", "api.example.com"), ("User-Agent", "OpenAI/Python 2.3.0"),
    ("Accept", "application/json"), ("Content-Type", "application/json"),
    ("X-Stainless-Lang", "python"), ("X-Stainless-Package-Version", "2.3.0"),
    ("X-Stainless-OS", "Linux"), ("X-Stainless-Arch", "x64"),
    ("X-Stainless-Runtime", "CPython"), ("X-Stainless-Async", "false"),
    ("Authorization", "Bearer sk-1"), ("Content-Length", "4500"),
)  # fmt: skip
ARRIVAL = Arrival("x-1", 0, "POST", "/v1/chat/completions", "", HEADERS, HERE.address)
BLOCK = 16  # prompts timed together
HEAD = (
    "prompts", "bytes", "BLAKE2b, µs", "inline, µs", "of BLAKE2b", "sketch, µs", "of BLAKE2b",
)  # fmt: skip
Figures = dict[str, float]


def main(
    out: Annotated[Path, typer.Option(help="Where results go.")] = Path("bench/out"),
    blocks: Annotated[int, typer.Option(help="Blocks of 16 prompts for each kind.", min=1)] = 60,
    data: Annotated[Path | None, typer.Option(help="A folder of published prompts.")] = None,
) -> None:
    """Time fingerprints and sketches by kind of text against hashing the same bytes."""
    console = Console(stderr=True)
    out.mkdir(parents=True, exist_ok=True)
    measured: dict[str, Figures] = {}
    kinds = _kinds(blocks, data)
    for name, texts in kinds.items():
        with console.status(name):
            measured[name] = measure(texts(), blocks)
    (out / "fingerprints.json").write_text(json.dumps(measured, indent=1) + "\n")
    page = text(measured, blocks)
    (out / "fingerprints.md").write_text(page, encoding="utf-8")
    Console().print(page, markup=False, highlight=False)


def _kinds(blocks: int, data: Path | None) -> dict[str, Callable[[], list[str]]]:
    def made(kind: str) -> list[str]:
        make, size = KINDS[kind]
        rng = random.Random(kind)
        return [make(rng, size) for _ in range(BLOCK * (min(blocks, 2) if size > 10_000 else 8))]

    kinds: dict[str, Callable[[], list[str]]] = {kind: partial(made, kind) for kind in KINDS}
    for path in sorted(data.glob("*.jsonl.gz")) if data else ():
        if prompts := published(path):
            kinds[path.name.removesuffix(".jsonl.gz")] = partial(list, prompts)
    return kinds


def published(path: Path) -> list[str]:
    """Some prompts of a file that has any."""
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        found = [
            json.loads(line).get("prompt") for _, line in zip(range(2_000), lines, strict=False)
        ]
    prompts = [prompt for prompt in found if isinstance(prompt, str) and prompt]
    return random.Random(path.name).sample(prompts, min(len(prompts), 8 * BLOCK))


def measure(texts: Sequence[str], blocks: int) -> Figures:
    """Medians over blocks, µs a prompt; the ways are timed in turn within each block."""
    asked = [Asked(model="m-large", prompt=Prompt("You are helpful", one, one, 1)) for one in texts]
    encoded = [one.encode("utf-8", "surrogatepass") for one in texts]
    times: dict[str, list[float]] = {"hash": [], "inline": [], "sketch": []}
    for block in range(blocks + 1):
        chosen = [(block * BLOCK + place) % len(texts) for place in range(min(BLOCK, len(texts)))]
        some, prompts = [asked[i] for i in chosen], [asked[i].prompt for i in chosen]
        took = {
            "hash": _time(_hash, [encoded[i] for i in chosen]),
            "inline": _time(lambda one: fingerprints(ARRIVAL, one, HERE, KEY), some),
            "sketch": _time(lambda one: sketch(one, KEY), prompts),
        }
        if block:  # the first one makes tables
            for way, us in took.items():
                times[way].append(us)
    found = {way: statistics.median(taken) for way, taken in times.items()}
    return {"bytes": statistics.fmean(map(len, encoded)), **found}


def _hash(data: bytes) -> bytes:
    return blake2b(data, digest_size=8, key=KEY).digest()


def _time(do: Callable[[Any], object], over: Sequence[Any]) -> float:
    began_ns = time.thread_time_ns()
    for one in over:
        do(one)
    return (time.thread_time_ns() - began_ns) / 1000 / len(over)


def text(measured: dict[str, Figures], blocks: int) -> str:
    """The page."""
    rows = [
        (
            name,
            f"{found['bytes']:,.0f}",
            f"{found['hash']:.1f}",
            f"{found['inline']:.0f}",
            f"{found['inline'] / found['hash']:.1f}",
            f"{found['sketch']:.0f}",
            f"{found['sketch'] / found['hash']:.1f}",
        )
        for name, found in measured.items()
    ]
    return f"""# What fingerprints cost

{machine()}. Processor time of the thread for each prompt, medians of {blocks} blocks of {BLOCK}
prompts; the three ways are timed in turn within each block.

*BLAKE2b*: one keyed hash of the prompt's bytes, as a measure of the machine. *Inline*: all
fingerprints that are known before the decision (network, client, prompt, behaviour). *Sketch*: what
is made after the request has gone on. Places, headers and system prompts repeat, and their tokens
are kept; no two of a kind's prompts are alike.

{table(HEAD, rows)}
"""


if __name__ == "__main__":
    typer.run(main)
