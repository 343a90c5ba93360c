"""`python -m bench.tokens`: the error of the token estimate. See bench/README.md."""

import json
from dataclasses import asdict
from itertools import chain
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from bench.report import machine, table
from bench.tokens import measures
from bench.tokens.corpus import groups
from bench.tokens.measures import Text
from bench.tokens.texts import STORY, machine_made
from bench.tokens.vocabularies import vocabularies

Counted = dict[str, dict[str, list[Text]]]
SPEED_TEXTS = {
    "English": STORY["English"],
    "German": STORY["German"],
    "Russian": STORY["Russian"],
    "Vietnamese": STORY["Vietnamese"],
    "Chinese": STORY["Chinese"],
    "JSON, indented": machine_made(0)["JSON, indented"],
    "base64": machine_made(0)["base64"],
}


def main(
    out: Annotated[Path, typer.Option(help="Where results go.")] = Path("bench/out"),
    data: Annotated[Path | None, typer.Option(help="A folder of published prompts.")] = None,
    texts: Annotated[
        Path | None,
        typer.Option(help="A folder of texts by language: NAME.txt, cut by form feeds."),
    ] = None,
) -> None:
    """Measure the token estimate against real tokenizers, and write a page."""
    console = Console(stderr=True)
    out.mkdir(parents=True, exist_ok=True)
    known = vocabularies()
    names = [vocabulary.name for vocabulary in known]
    counted: Counted = {}
    for heading, found in groups(data, texts).items():
        with console.status(heading):
            counted[heading] = measures.counted(found, known)
    with console.status("Hostile prompts and speed"):
        worst = measures.underestimated(known)
        speed = {
            name: (measures.speed_us(text, 4096), measures.speed_us(text, 409_600))
            for name, text in SPEED_TEXTS.items()
        }
        parse = measures.parse_us((STORY["English"] * 12)[:4000])
    page = text(names, counted, worst, speed, parse)
    (out / "tokens.md").write_text(page, encoding="utf-8")
    (out / "tokens.json").write_text(
        json.dumps(
            {
                "vocabularies": names,
                "texts": {
                    h: {g: [asdict(t) for t in ts] for g, ts in c.items()}
                    for h, c in counted.items()
                },
                "hostile": worst,
                "speed_us": speed,
                "parse_us": parse,
            }
        )
        + "\n"
    )
    Console().print(page, markup=False, highlight=False)


def text(
    names: list[str],
    counted: Counted,
    worst: list[tuple[str, list[float], float]],
    speed: dict[str, tuple[float, float]],
    parse: tuple[float, float],
) -> str:
    """The page."""
    prompts = counted.get("Published prompts") or counted["Languages"]
    factors = [measures.factor(list(chain(*prompts.values())), at) for at in range(len(names))]
    tables = "\n\n".join(
        f"## {heading}\n\n{table(_group_head(names), _group_rows(found, factors[0]))}"
        for heading, found in counted.items()
    )
    hostile = [
        (name, *(f"{ratio:.2f}" for ratio in ratios), f"{old:.2f}")
        for name, ratios, old in worst[:12]
    ]
    times = [
        (name, f"{small:.1f}", f"{large / 1000:.2f}") for name, (small, large) in speed.items()
    ]
    return f"""# Estimating tokens

{machine()}. *Error*: estimated over true tokens, less one. *Old rule*:
a quarter of the bytes. What the columns mean stands in `bench/README.md`.

## All texts

{table(SUMMARY_HEAD, _summary(names, counted, factors))}

{tables}

## Prompts made to be underestimated

True over estimated tokens; the worst twelve of {len(worst)} kinds of 4,000 characters.

{table(("text", *names, "old rule"), hostile)}

## Speed

{table(("text", "4 KB, µs", "400 KB, ms"), times)}

A chat request with 4 KB of English is read in {parse[0]:.1f} µs, and in {parse[1]:.1f} µs with
the old rule in its place ({100 * (parse[0] / parse[1] - 1):+.0f} %).
"""


SUMMARY_HEAD = (
    "texts",
    "vocabulary",
    "number",
    "median error",
    "median size",
    "p95 size",
    "learned factor",
    "corrected: median error",
    "median size",
    "p95 size",
    "old rule: median error",
    "p95 size",
)


def _summary(names: list[str], counted: Counted, factors: list[float]) -> list[tuple[object, ...]]:
    rows: list[tuple[object, ...]] = []
    for heading, found in counted.items():
        texts = list(chain(*found.values()))
        for at, name in enumerate(names):
            raw = measures.error((t.estimate, t.true[at]) for t in texts)
            mended = measures.error((t.estimate * factors[at], t.true[at]) for t in texts)
            old = measures.error((t.quarter, t.true[at]) for t in texts)
            rows.append(
                (
                    heading,
                    name,
                    f"{len(texts):,}",
                    *(_signed(raw.median), _share(raw.middle), _share(raw.p95)),
                    f"{factors[at]:.2f}",
                    *(_signed(mended.median), _share(mended.middle), _share(mended.p95)),
                    *(_signed(old.median), _share(old.p95)),
                )
            )
    return rows


def _group_head(names: list[str]) -> tuple[str, ...]:
    return (
        "group",
        "number",
        f"{names[0]}: median error",
        "p95 size",
        "corrected: median error",
        "p95 size",
        "old rule: median error",
        "p95 size",
        *(f"{name}: median error" for name in names[1:]),
    )


def _group_rows(found: dict[str, list[Text]], factor: float) -> list[tuple[object, ...]]:
    rows: list[tuple[object, ...]] = []
    for group, texts in found.items():
        raw = measures.error((t.estimate, t.true[0]) for t in texts)
        mended = measures.error((t.estimate * factor, t.true[0]) for t in texts)
        old = measures.error((t.quarter, t.true[0]) for t in texts)
        others = (
            measures.error((t.estimate, t.true[at]) for t in texts).median
            for at in range(1, len(texts[0].true))
        )
        rows.append(
            (
                group,
                len(texts),
                *(_signed(raw.median), _share(raw.p95)),
                *(_signed(mended.median), _share(mended.p95)),
                *(_signed(old.median), _share(old.p95)),
                *map(_signed, others),
            )
        )
    return rows


def _signed(share: float) -> str:
    return f"{100 * share:+.0f} %"


def _share(share: float) -> str:
    return f"{100 * share:.0f} %"


if __name__ == "__main__":
    typer.run(main)
