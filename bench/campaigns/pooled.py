"""Runs pooled over their seeds, and what of them meets the goals.

The goals are for every campaign but those in `OTHER_GOALS`: under 1 % served before containment,
over 99 % of its accounts in its clusters when contained, fewer than one unrelated account in
100,000 touched, and no baseline better in what it serves or in whom it touches.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from statistics import median
from typing import Any

from bench.campaigns.measures import interval

Run = dict[str, Any]
GroupLine = dict[str, Any]
OTHER_GOALS = ("shared-keys", "embargo", "one-family-only", "framing")
CONTROL = "perfect"
MOST_SERVED, LEAST_RECALL, MOST_TOUCHED = 0.01, 0.99, 1e-5


@dataclass(frozen=True, slots=True)
class Campaign:
    """One campaign in some runs: its own figures in each, and the runs."""

    name: str
    runs: list[Run]
    groups: list[GroupLine]

    def shares(self, served: str) -> list[float]:
        """`served` as shares of the whole campaign, run by run."""
        return [group[served] / group["full"] for group in self.groups if group[served] is not None]

    def hours(self, name: str) -> list[float]:
        """Hours of the runs that have them."""
        return [group[name] for group in self.groups if group[name] is not None]

    def ending(self, name: str, when: str = "when_contained") -> list[float]:
        """Recall or precision, run by run, where there is one."""
        return [group[when][name] for group in self.groups if group[when][name] is not None]

    @property
    def contained(self) -> int:
        """In how many runs it was contained."""
        return len(self.hours("contained_hours"))

    @property
    def quiet(self) -> int:
        """In how many runs it never sent more in a day than one ordinary account uses."""
        return sum(
            group["most_in_a_day"] <= run["daily_use"]
            for run, group in zip(self.runs, self.groups, strict=True)
        )

    def meets_served(self) -> int:
        """In how many runs under 1 % was served before containment."""
        return sum(
            group["contained_hours"] is not None
            and group["served_before"] < MOST_SERVED * group["full"]
            for group in self.groups
        )

    def meets_recall(self) -> int:
        """In how many runs over 99 % of its accounts were found when it was contained."""
        return sum(
            group["contained_hours"] is not None
            and group["when_contained"]["recall"] > LEAST_RECALL
            for group in self.groups
        )

    def touched(self) -> tuple[int, int]:
        """Unrelated accounts beside it that were touched, and how many sent."""
        beside = [group for run in self.runs for group in run["groups"] if group["kind"] == "base"]
        return total(beside, "touched"), total(beside, "seen")

    @property
    def compared(self) -> bool:
        """Whether baselines ran beside it at all."""
        return any(run.get("baselines") for run in self.runs)

    def better_baselines(self) -> list[str]:
        """Baselines that served less of the whole campaign, or touched fewer unrelated accounts
        while the campaign was contained by them in as many runs."""
        names = dict.fromkeys(name for run in self.runs for name in run.get("baselines", {}))
        return [name for name in names if self._loses_to(name)]

    def _loses_to(self, name: str) -> bool:
        compared = [
            (run, group)
            for run, group in zip(self.runs, self.groups, strict=True)
            if name in run.get("baselines", {})
        ]
        served = sum(group["projected"] for _, group in compared)
        touched = sum(
            one["touched"] for run, _ in compared for one in run["groups"] if one["kind"] == "base"
        )
        theirs = [run["baselines"][name] for run, _ in compared]
        their_served = sum(one["campaigns"][self.name]["projected"] for one in theirs)
        their_touched = sum(one["touched"]["base"][0] for one in theirs)
        return bool(served > their_served or touched > their_touched)


def plain(runs: Iterable[Run]) -> list[Run]:
    """Runs of the whole detector over the whole directory, at a share of full scale."""
    return [
        run for run in runs if not run["variant"] and run["relations"] and not at_full_scale(run)
    ]


def at_full_scale(run: Run) -> bool:
    """Whether it is a campaign of the public reports at full scale."""
    return bool(run["job"]["against"])


def campaigns(runs: Iterable[Run], wanted: Callable[[str], bool] = bool) -> list[Campaign]:
    """The campaigns in some runs, pooled by name; only `wanted` names. Of runs with several
    campaigns none."""
    found: dict[str, Campaign] = {}
    for run in runs:
        if "+" in run["scenario"]:
            continue
        for group in run["groups"]:
            if group["kind"] == "campaign" and wanted(group["name"]):
                one = found.setdefault(group["name"], Campaign(group["name"], [], []))
                one.runs.append(run)
                one.groups.append(group)
    return list(found.values())


def has_goals(name: str) -> bool:
    """Whether the common goals are those of a campaign."""
    return name not in OTHER_GOALS


def of_kind(runs: Iterable[Run], kind: str) -> dict[str, list[GroupLine]]:
    """All groups of a kind, by name."""
    found: defaultdict[str, list[GroupLine]] = defaultdict(list)
    for run in runs:
        for group in run["groups"]:
            if group["kind"] == kind:
                found[group["name"]].append(group)
    return dict(found)


def total(groups: Iterable[GroupLine], name: str) -> int:
    """The sum of a figure."""
    return sum(int(group[name]) for group in groups)


def percent(part: float, whole: float = 1.0) -> str:
    """A share, with as many places as it needs to be no zero."""
    if not whole:
        return "-"
    share = part / whole
    return f"{share:.2%}" if share < 0.1 else f"{share:.1%}"


def spread(values: list[float], write: Callable[[float], str], worst: Callable[..., float]) -> str:
    """The median, and the worst where they differ."""
    if not values:
        return "-"
    middle, bad = write(median(values)), write(worst(values))
    return middle if middle == bad else f"{middle} ({bad})"


def per_100_000(hits: int, tries: int) -> str:
    """A rate with its interval."""
    low, high = interval(hits, tries)
    return f"{1e5 * hits / max(1, tries):.1f} ({1e5 * low:.1f} to {1e5 * high:.1f})"
