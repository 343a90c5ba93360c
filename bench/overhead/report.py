"""The report of the overhead benchmark: one Markdown page and one plot."""

from pathlib import Path
from statistics import median
from typing import Any

from bench.overhead.parts import WHOLE
from bench.overhead.rounds import ASYNC, BARE, DIRECT, WAITING, Sample
from bench.report import COLOURS, FAINT, INK, figure, machine, save, table

Result = dict[str, Any]
TARGETS = (DIRECT, BARE, WAITING, ASYNC)
PLOT = "overhead.svg"


def write(folder: Path, result: Result) -> Path:
    """Write overhead.md and overhead.svg into `folder`; returns the page's path."""
    page = folder / "overhead.md"
    page.write_text(text(result), encoding="utf-8")
    plot(result, folder / PLOT)
    return page


def text(result: Result) -> str:
    """The page."""
    samples, sizes = result["samples"], result["sizes"]
    rounds, seconds, rules = sizes["rounds"], sizes["seconds"], sizes["rules"]
    return f"""# What Gauger adds to an exchange

{machine()}. {rounds} rounds over all targets in turn, {seconds} s for each measure of
each; medians, and least to most in brackets. {rules} rules of all three kinds, of which 5 govern
each request; 1.1 KB chat requests of 256 accounts, 0.4 KB answers; everything on the
loopback. The proxy has one core, load generator and fake model API the other. How it is measured
stands in `bench/README.md`.

*{WAITING}*: the answer waits until its decision is on disk (`before_answer`).
*{ASYNC}*: it does not (`async`).

## Throughput at saturation

{table(SATURATION_HEAD, saturation_rows(samples))}

## Latency at half load ({result["half_load_rate"]:,.0f} requests/s for everybody)

{table(LATENCY_HEAD, latency_rows(samples))}

## Streams

{table(STREAM_HEAD, stream_rows(samples))}

## Memory of open streams

{table(MEMORY_HEAD, memory_rows(result["memory"]))}

## Part by part, in the process

{table(PART_HEAD, part_rows(result["parts"]))}

![Throughput, latency and parts]({PLOT})
"""


SATURATION_HEAD = ("", "requests/s", "of the bare pass-through", "processor µs a request")
LATENCY_HEAD = ("", "p50 ms", "p99 ms", "added p50 ms", "added p99 ms")
STREAM_HEAD = (
    "", "first event p50 ms", "p99 ms", "added p50 ms", "each event p50 ms", "added p50 ms",
)  # fmt: skip
MEMORY_HEAD = ("", "streams", "KB a stream (RSS)", "KB a stream (PSS)", "idle MB")
PART_HEAD = ("part", "µs", "budget µs")


def spread(values: list[float], digits: int = 2) -> str:
    """Median and range."""
    low, middle, high = min(values), median(values), max(values)
    return f"{middle:,.{digits}f} ({low:,.{digits}f} to {high:,.{digits}f})"


def saturation_rows(samples: dict[str, dict[str, list[Sample]]]) -> list[tuple[str, ...]]:
    """Requests a second, and their share of the bare pass-through's in the same round."""
    saturated = samples["saturation"]
    rows: list[tuple[str, ...]] = []
    for name in TARGETS:
        rates = [sample["rate"] for sample in saturated[name]]
        shares = [
            100.0 * rate / bare["rate"] for rate, bare in zip(rates, saturated[BARE], strict=True)
        ]
        cpu = [sample["cpu_us"] for sample in saturated[name] if "cpu_us" in sample]
        rows.append(
            (name, spread(rates, 0), f"{spread(shares, 0)} %", spread(cpu, 0) if cpu else "-")
        )
    return rows


def latency_rows(samples: dict[str, dict[str, list[Sample]]]) -> list[tuple[str, ...]]:
    """Whole answers at the same rate; what is added is against no proxy in the same round."""
    paced = samples["half_load"]
    return [
        (
            name,
            spread(_times(paced[name], "took_us", "p50")),
            spread(_times(paced[name], "took_us", "p99")),
            spread(_added(paced, name, "took_us", "p50")),
            spread(_added(paced, name, "took_us", "p99")),
        )
        for name in TARGETS
    ]


def stream_rows(samples: dict[str, dict[str, list[Sample]]]) -> list[tuple[str, ...]]:
    """The first event, from the moment the request was written; each event, from its leaving."""
    streamed = samples["stream"]
    return [
        (
            name,
            spread(_times(streamed[name], "first_us", "p50")),
            spread(_times(streamed[name], "first_us", "p99")),
            spread(_added(streamed, name, "first_us", "p50")),
            spread(_times(streamed[name], "event_us", "p50")),
            spread(_added(streamed, name, "event_us", "p50")),
        )
        for name in TARGETS
    ]


def memory_rows(held: dict[str, dict[str, float]]) -> list[tuple[str, ...]]:
    """Memory by target."""
    return [
        (
            name,
            f"{row['streams']:,}",
            f"{row['rss_kb_per_stream']:,.1f}",
            f"{row['pss_kb_per_stream']:,.1f}",
            f"{row['idle_rss_kb'] / 1024:,.0f}",
        )
        for name, row in held.items()
    ]


def part_rows(parts: dict[str, dict[str, float | None]]) -> list[tuple[str, ...]]:
    """Each part with its budget, and the sums."""
    rows: list[tuple[str, ...]] = []
    summed = [row for name, row in parts.items() if name != WHOLE]
    total = sum(row["median_us"] or 0.0 for row in summed)
    allowed = sum(row["budget_us"] or 0.0 for row in summed)
    for name, row in parts.items():
        if name == WHOLE:
            rows.append(("**sum**", f"{total:.1f}", f"{allowed:.0f}"))
        middle, low, high, budget = (
            row[key] for key in ("median_us", "min_us", "max_us", "budget_us")
        )
        shown = f"{middle:.1f} ({low:.1f} to {high:.1f})"
        rows.append((name, shown, "-" if budget is None else f"{budget:.0f}"))
    return rows


def plot(result: Result, path: Path) -> None:
    """Throughput, latency at half load and parts against their budget, side by side."""
    drawn = figure(12.0, 3.4)
    left, middle, right = drawn.subplots(1, 3)
    samples = result["samples"]
    rates = [median(one["rate"] for one in samples["saturation"][name]) for name in TARGETS[1:]]
    left.barh(TARGETS[1:], rates, color=COLOURS[: len(rates)], height=0.5)
    left.set(title="saturation, one core", xlabel="requests/s")
    left.invert_yaxis()
    for number, quantile in enumerate(("p50", "p99")):
        values = [
            median(_times(samples["half_load"][name], "took_us", quantile)) for name in TARGETS
        ]
        places = [at + 0.36 * number - 0.18 for at in range(len(TARGETS))]
        middle.barh(places, values, height=0.32, color=(INK, FAINT)[number], label=quantile)
    middle.set(title="latency at half load", xlabel="ms", yticks=range(len(TARGETS)))
    middle.set_yticklabels(TARGETS)
    middle.invert_yaxis()
    middle.legend(frameon=False)
    parts = {name: row for name, row in result["parts"].items() if name != WHOLE}
    right.barh(list(parts), [row["median_us"] for row in parts.values()], color=INK, height=0.5)
    for at, row in enumerate(parts.values()):
        if row["budget_us"] is not None:
            right.plot([row["budget_us"]] * 2, [at - 0.4, at + 0.4], color=COLOURS[1], lw=2)
    right.set(title="parts (budget in red)", xlabel="µs")
    right.invert_yaxis()
    for axis in (left, middle, right):
        axis.set_axisbelow(True)
        axis.spines[["top", "right"]].set_visible(False)
        axis.grid(axis="x", color=FAINT, lw=0.5)
    save(drawn, path)


def _times(taken: list[Sample], what: str, quantile: str) -> list[float]:
    """A quantile of each round, in milliseconds."""
    return [sample[what][quantile] / 1000.0 for sample in taken]


def _added(taken: dict[str, list[Sample]], name: str, what: str, quantile: str) -> list[float]:
    direct = _times(taken[DIRECT], what, quantile)
    own = _times(taken[name], what, quantile)
    return [mine - without for mine, without in zip(own, direct, strict=True)]
