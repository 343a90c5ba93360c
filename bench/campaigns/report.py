"""The report of the campaign benchmark: one Markdown page and one plot from the runs' figures."""

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

from bench.campaigns.measures import interval
from bench.report import COLOURS, FAINT, INK, figure, machine, save, table

Run = dict[str, Any]
PLOT = "campaigns.svg"


def write(folder: Path, runs: list[Run], how: str) -> Path:
    """Write campaigns.md and campaigns.svg into `folder`; returns the page's path."""
    page = folder / "campaigns.md"
    page.write_text(text(runs, how), encoding="utf-8")
    plot(runs, folder / PLOT)
    return page


def text(runs: list[Run], how: str) -> str:
    """The page."""
    found = sources(runs)
    return f"""# Campaigns and look-alikes: how far the detector has come

{how}. Prompts: {found[0]}. Arrivals: {found[1]}. {machine()}.
What each column means stands in `bench/README.md`.

The detector of this version counts how many accounts share one prompt template and does nothing
else; it states no clusters. *Found* therefore means: refused by the fingerprint rule.

## Campaigns

{table(CAMPAIGN_HEAD, campaign_rows(runs))}

## Unrelated accounts beside each of them

{table(BASE_HEAD, base_rows(runs))}

## Look-alikes: nobody here may be refused because of a cluster

{table(LOOKALIKE_HEAD, lookalike_rows(runs))}

## Speed and memory

{table(SPEED_HEAD, speed_rows(runs))}

![Share of each campaign that was served, by hour, and look-alikes refused]({PLOT})
"""


CAMPAIGN_HEAD = (
    "campaign", "seed", "accounts", "hours", "exchanges", "served before flagged",
    "served before contained", "served in all", "refused by fingerprint", "by own quota",
    "recall", "precision",
)  # fmt: skip
BASE_HEAD = (
    "scenario", "accounts", "exchanges", "refused by fingerprint: accounts", "per 100,000 (95 %)",
    "exchanges", "refused by own quota: exchanges",
)  # fmt: skip
LOOKALIKE_HEAD = (
    "look-alike", "seed", "accounts", "exchanges", "refused by fingerprint: accounts", "exchanges",
)  # fmt: skip
SPEED_HEAD = (
    "scenario", "accounts", "exchanges", "exchanges/s in the session", "of the wall time",
    "peak memory MB", "KB an account",
)  # fmt: skip


def sources(runs: list[Run]) -> tuple[str, str]:
    """Where prompts and arrivals came from."""
    return runs[0]["corpus"], runs[0]["traces"]


def campaign_rows(runs: list[Run]) -> list[tuple[str, ...]]:
    """One row for each campaign and seed."""
    return [
        (
            f"{group['name']} ({group['note']})" if group["note"] else group["name"],
            str(run["seed"]),
            f"{group['seen']:,}",
            str(run["hours"]),
            f"{group['sent']:,}",
            _when(group["flagged_share"], group["flagged_hours"]),
            _when(group["contained_share"], group["contained_hours"]),
            _percent(group["served"], group["sent"]),
            _percent(group["refused_fingerprint"], group["sent"]),
            _percent(group["refused_own"], group["sent"]),
            f"{group['recall']:.1%}",
            "-" if group["precision"] is None else f"{group['precision']:.1%}",
        )
        for run, group in groups(runs, "campaign")
    ]


def base_rows(runs: list[Run]) -> list[tuple[str, ...]]:
    """One row for each scenario, over all its seeds."""
    rows: list[tuple[str, ...]] = []
    for scenario, pooled in _by_scenario(runs, "base").items():
        accounts, touched = _sum(pooled, "seen"), _sum(pooled, "touched")
        low, high = interval(touched, accounts)
        rows.append(
            (
                scenario,
                f"{accounts:,}",
                f"{_sum(pooled, 'sent'):,}",
                f"{touched:,}",
                f"{1e5 * touched / max(1, accounts):,.0f} ({1e5 * low:,.0f} to {1e5 * high:,.0f})",
                f"{_sum(pooled, 'refused_fingerprint'):,}",
                f"{_sum(pooled, 'refused_own'):,}",
            )
        )
    return rows


def lookalike_rows(runs: list[Run]) -> list[tuple[str, ...]]:
    """One row for each look-alike and seed."""
    return [
        (
            group["name"],
            str(run["seed"]),
            f"{group['seen']:,}",
            f"{group['sent']:,}",
            f"{group['touched']:,} ({_percent(group['touched'], group['seen'])})",
            f"{group['refused_fingerprint']:,} "
            f"({_percent(group['refused_fingerprint'], group['sent'])})",
        )
        for run, group in groups(runs, "lookalike")
    ]


def speed_rows(runs: list[Run]) -> list[tuple[str, ...]]:
    """One row for each scenario: medians over its seeds."""
    by_name: dict[str, list[Run]] = defaultdict(list)
    for run in runs:
        by_name[run["scenario"]].append(run)
    return [
        (
            name,
            f"{median(run['accounts'] for run in same):,.0f}",
            f"{median(run['exchanges'] for run in same):,.0f}",
            f"{median(run['exchanges'] / run['session_s'] for run in same):,.0f}",
            f"{median(run['session_s'] / run['wall_s'] for run in same):.0%}",
            f"{median(run['peak_kb'] for run in same) / 1024:,.0f}",
            f"{median((run['peak_kb'] - run['before_kb']) / run['accounts'] for run in same):,.1f}",
        )
        for name, same in by_name.items()
    ]


def plot(runs: list[Run], path: Path) -> None:
    """Served share by hour for each campaign; refused share of each look-alike and the base."""
    names = list(dict.fromkeys(group["name"] for _, group in groups(runs, "campaign")))
    drawn = figure(4.0 * (len(names) + 1), 3.2)
    axes = drawn.subplots(1, len(names) + 1, squeeze=False)[0]
    for axis, name in zip(axes, names, strict=False):
        for run, group in groups(runs, "campaign"):
            if group["name"] == name:
                colour = COLOURS[run["seed"] % len(COLOURS)]
                axis.plot(_served_share(group), color=colour, label=f"seed {run['seed']}", lw=1.2)
        axis.set(title=name, xlabel="hour", ylabel="served, share of the hour", ylim=(-0.03, 1.03))
        axis.legend(frameon=False)
    _bars(axes[-1], runs)
    for axis in axes:
        axis.set_axisbelow(True)
        axis.spines[["top", "right"]].set_visible(False)
        axis.grid(color=FAINT, lw=0.5)
    save(drawn, path)


def groups(runs: list[Run], kind: str) -> list[tuple[Run, dict[str, Any]]]:
    """All groups of a kind with the run that they were in."""
    return [(run, group) for run in runs for group in run["groups"] if group["kind"] == kind]


def _bars(axis: Any, runs: list[Run]) -> None:
    shares = {
        name: _sum(pooled, "touched") / max(1, _sum(pooled, "seen"))
        for name, pooled in (
            *_by_scenario(runs, "lookalike").items(),
            ("unrelated", [group for _, group in groups(runs, "base")]),
        )
    }
    axis.barh(list(shares), list(shares.values()), color=INK, height=0.5)
    axis.set(title="wrongly refused", xlabel="share of accounts", xlim=(0, 1))


def _served_share(group: dict[str, Any]) -> list[float]:
    return [
        served / sent if sent else float("nan")
        for served, sent in zip(group["served_by_hour"], group["sent_by_hour"], strict=True)
    ]


def _by_scenario(runs: list[Run], kind: str) -> dict[str, list[dict[str, Any]]]:
    pooled: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for run, group in groups(runs, kind):
        pooled[run["scenario"]].append(group)
    return pooled


def _sum(pooled: Sequence[dict[str, Any]], name: str) -> int:
    return sum(int(group[name]) for group in pooled)


def _percent(part: float, whole: float) -> str:
    return f"{part / whole:.1%}" if whole else "-"


def _when(share: float | None, hours: float | None) -> str:
    """A share with the hours it took; a campaign that was never stopped was served to the end."""
    if hours is None:
        return "never" if share is None else f"never ({share:.1%})"
    return f"{share:.1%} in {hours:.1f} h"
