"""The plots of the report, as SVG: the same figures give the same bytes."""

from pathlib import Path
from typing import Any

from bench.campaigns.measures import interval
from bench.campaigns.pooled import Campaign, Run, campaigns, has_goals
from bench.campaigns.scored import account_curve, calibration, cluster_curve
from bench.report import COLOURS, FAINT, INK, figure, save

ACROSS = 5
SMALLEST = 1e-6


def served(runs: list[Run], path: Path) -> None:
    """The share of each campaign that is served, hour by hour."""
    found = campaigns(runs)
    if not found:
        return
    down = -(-len(found) // ACROSS)
    drawn = figure(2.6 * ACROSS, 2.0 * down)
    axes = drawn.subplots(down, ACROSS, squeeze=False).flatten()
    for axis, one in zip(axes, found, strict=False):
        for number, group in enumerate(one.groups):
            axis.plot(_by_hour(group), color=COLOURS[number % len(COLOURS)], lw=1.0)
        axis.set(title=one.name, ylim=(-0.03, 1.03))
        _plain(axis)
    for axis in axes[len(found) :]:
        axis.set_axis_off()
    save(drawn, path)


def against_baselines(runs: list[Run], path: Path) -> None:
    """What is served of each whole campaign, against the unrelated accounts that are touched."""
    found = campaigns([run for run in runs if run.get("baselines")], has_goals)
    if not found:
        return
    names = list(found[0].runs[0]["baselines"])
    drawn = figure(8.0, 4.6)
    axis = drawn.subplots()
    for number, name in enumerate(("detector", *names)):
        points = [_point(one, name) for one in found]
        axis.scatter(
            [max(SMALLEST, touched) for touched, _ in points],
            [max(SMALLEST, share) for _, share in points],
            s=28 if number == 0 else 14,
            color=INK if number == 0 else COLOURS[(number - 1) % len(COLOURS)],
            marker="o" if number <= len(COLOURS) else "^",
            label=name,
        )
    axis.set(xscale="log", yscale="log", ylabel="served of the whole campaign")
    axis.set_xlabel("unrelated accounts touched (one in a million: none)")
    axis.legend(frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5))
    _plain(axis)
    save(drawn, path)


def scores(runs: list[Run], path: Path) -> None:
    """ROC of accounts and clusters, and calibration of clusters."""
    drawn = figure(9.5, 3.4)
    accounts, clusters, real = drawn.subplots(1, 3)
    for axis, curve, what in (
        (accounts, account_curve(runs), "accounts"),
        (clusters, cluster_curve(runs), "clusters"),
    ):
        axis.plot([x for x, _ in curve], [y for _, y in curve], color=INK, lw=1.4, marker=".", ms=3)
        axis.set(title=f"ROC of {what}", xlabel="others", ylabel="campaigns'")
        axis.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02))
        _plain(axis)
    _calibrated(real, runs)
    save(drawn, path)


def _calibrated(axis: Any, runs: list[Run]) -> None:
    bins = [one for one in calibration(runs) if one[2]]
    for low, high, count, hits in bins:
        below, above = interval(hits, count)
        middle, share = (low + high) / 2, hits / count
        axis.errorbar(
            [middle], [share], [[max(0.0, share - below)], [max(0.0, above - share)]],
            color=INK, marker="o", ms=4, capsize=2,
        )  # fmt: skip
        axis.annotate(str(count), (middle, share), (4, -9), textcoords="offset points")
    axis.plot([0, 1], [0, 1], color=FAINT, lw=1.0)
    axis.set(title="calibration of clusters", xlabel="score", ylabel="are real")
    axis.set(xlim=(0.25, 1.02), ylim=(-0.02, 1.05))
    _plain(axis)


def _point(one: Campaign, name: str) -> tuple[float, float]:
    whole = sum(group["full"] for group in one.groups)
    if name == "detector":
        touched, accounts = one.touched()
        return touched / max(1, accounts), sum(g["projected"] for g in one.groups) / whole
    theirs = [run["baselines"][name] for run in one.runs]
    touched = sum(their["touched"]["base"][0] for their in theirs)
    accounts = sum(their["touched"]["base"][1] for their in theirs)
    share = sum(their["campaigns"][one.name]["projected"] for their in theirs) / whole
    return touched / max(1, accounts), share


def _by_hour(group: dict[str, Any]) -> list[float]:
    return [
        hour / sent if sent else float("nan")
        for hour, sent in zip(group["served_by_hour"], group["sent_by_hour"], strict=True)
    ]


def _plain(axis: Any) -> None:
    axis.set_axisbelow(True)
    axis.spines[["top", "right"]].set_visible(False)
    axis.grid(color=FAINT, lw=0.5)
