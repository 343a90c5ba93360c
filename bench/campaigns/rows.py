"""The tables of the report. A figure is the median over seeds, and in brackets the worst."""

from collections import defaultdict
from collections.abc import Sequence
from statistics import median
from typing import Any

from bench.campaigns.plans import VARIANTS
from bench.campaigns.pooled import (
    CONTROL,
    LEAST_RECALL,
    MOST_TOUCHED,
    Campaign,
    GroupLine,
    Run,
    campaigns,
    has_goals,
    of_kind,
    per_100_000,
    percent,
    spread,
    total,
)

Rows = list[tuple[str, ...]]
GOAL_HEAD = (
    "campaign", "seeds", "under 1 % served", "served before contained", "recall over 99 %",
    "unrelated touched", "baselines that do better", "goals",
)  # fmt: skip
CAMPAIGN_HEAD = (
    "campaign", "seeds", "accounts", "whole campaign", "an ordinary day", "flagged after",
    "served by then", "contained", "after", "served before", "recall", "recall at the end",
    "precision", "merged with",
)  # fmt: skip
SHORT_HEAD = (
    "campaign", "seeds", "contained", "after", "served before", "recall", "precision",
    "unrelated touched",
)  # fmt: skip
BASE_HEAD = (
    "beside", "accounts", "exchanges", "touched", "per 100,000 (95 %)", "organizations touched",
    "refused by own quota",
)  # fmt: skip
LOOKALIKE_HEAD = (
    "look-alike", "seeds", "accounts", "touched", "exchanges refused", "clusters stated",
    "of them from 0.9",
)  # fmt: skip
OTHER_HEAD = ("campaign", "seeds", "what counts", "measured", "met")
SPEED_HEAD = (
    "scenario", "accounts", "exchanges", "exchanges/s and core", "of the run's time",
    "peak memory MB", "KB an account", "saved state, bytes an account",
)  # fmt: skip


def goal_rows(runs: list[Run]) -> Rows:
    """One row for each campaign that has the common goals."""
    rows: Rows = []
    for one in campaigns(runs, has_goals):
        count = len(one.runs)
        touched, accounts = one.touched()
        better = one.better_baselines()
        met = (
            one.meets_served() == one.meets_recall() == count
            and touched <= MOST_TOUCHED * accounts
            and not better
        )
        rows.append(
            (
                one.name,
                str(count),
                f"{one.meets_served()} of {count}",
                _served(one),
                f"{one.meets_recall()} of {count}",
                f"{touched} of {accounts:,}",
                (", ".join(better) or "none") if one.compared else "not run",
                ("met" if one.compared else "met, baselines apart") if met else "missed",
            )
        )
    return rows


def campaign_rows(runs: list[Run]) -> Rows:
    """One row for each campaign, with all its measures."""
    return [
        (
            one.name,
            str(len(one.runs)),
            f"{median(group['accounts'] for group in one.groups):,.0f}",
            f"{median(group['full'] for group in one.groups):,.0f}",
            f"{median(run['daily_use'] for run in one.runs):,.0f}",
            f"{spread(one.hours('flagged_hours'), _hours, max)}",
            spread(one.shares("flagged_served"), percent, max),
            f"{one.contained} of {len(one.runs)}",
            spread(one.hours("contained_hours"), _hours, max),
            _served(one),
            spread(one.ending("recall"), percent, min),
            spread(one.ending("recall", "at_the_end"), percent, min),
            spread(one.ending("precision"), percent, min),
            ", ".join(sorted({n for g in one.groups for n in g["at_the_end"]["merged"]})) or "-",
        )
        for one in campaigns(runs)
        if one.name != "embargo"
    ]


def short_rows(runs: list[Run], named: str = "") -> Rows:
    """One row for each campaign, with its main measures; `named` begins each of them."""
    return [
        (
            f"{named}{one.name}",
            str(len(one.runs)),
            f"{one.contained} of {len(one.runs)}",
            spread(one.hours("contained_hours"), _hours, max),
            _served(one),
            spread(one.ending("recall"), percent, min),
            spread(one.ending("precision"), percent, min),
            "{} of {:,}".format(*one.touched()),
        )
        for one in campaigns(runs)
    ]


def together_rows(runs: list[Run]) -> Rows:
    """Campaigns at the same time, run by run: which other ones are in their clusters."""
    return [
        (
            f"{group['name']}, seed {run['seed']}",
            "-" if group["contained_hours"] is None else _hours(group["contained_hours"]),
            percent(group["served_before"], group["full"]),
            percent(group["at_the_end"]["recall"]),
            ", ".join(group["at_the_end"]["merged"]) or "none",
        )
        for run in runs
        if "+" in run["scenario"]
        for group in run["groups"]
        if group["kind"] == "campaign"
    ]


def ablation_rows(runs: list[Run]) -> Rows:
    """What each variant does to each campaign; in the first row the whole detector, same seeds."""
    lacking = [run for run in runs if run["variant"] not in ("", "again")]
    there = {(run["scenario"], run["seed"]) for run in lacking}
    same = [run for run in runs if not run["variant"] and (run["scenario"], run["seed"]) in there]
    rows: Rows = []
    for scenario in dict.fromkeys(run["scenario"] for run in lacking):
        for name, variant in VARIANTS.items():
            one = [
                r for r in [*same, *lacking] if (r["scenario"], r["variant"]) == (scenario, name)
            ]
            rows += short_rows([run for run in one if run["relations"]], f"{variant.said}: ")
        rows += short_rows(
            [r for r in same if r["scenario"] == scenario and not r["relations"]],
            "a directory without what joins accounts: ",
        )
    return rows


def base_rows(runs: list[Run]) -> Rows:
    """One row for each scenario, over its seeds, and one for all."""
    by_scenario: defaultdict[str, list[GroupLine]] = defaultdict(list)
    for run in runs:
        by_scenario[run["scenario"]] += [g for g in run["groups"] if g["kind"] == "base"]
    everything = [group for groups in by_scenario.values() for group in groups]
    return [_base_row(name, groups) for name, groups in by_scenario.items()] + [
        _base_row("all", everything)
    ]


def _base_row(name: str, groups: list[GroupLine]) -> tuple[str, ...]:
    touched, seen = total(groups, "touched"), total(groups, "seen")
    organizations = total(groups, "touched_organizations")
    return (
        name,
        f"{seen:,}",
        f"{total(groups, 'sent'):,}",
        str(touched),
        per_100_000(touched, seen),
        f"{organizations} of {total(groups, 'organizations'):,}",
        f"{total(groups, 'refused_own'):,}",
    )


def lookalike_rows(runs: list[Run]) -> Rows:
    """One row for each look-alike, by name."""
    rows: Rows = []
    for name, groups in of_kind(runs, "lookalike").items():
        stated = [
            cluster
            for run in runs
            for cluster in run["clusters"]
            if cluster["of"] == name and cluster["share"] > 0.5
        ]
        rows.append(
            (
                f"{name} (the control)" if name == CONTROL else name,
                str(len(groups)),
                f"{total(groups, 'seen'):,}",
                f"{total(groups, 'touched'):,}",
                f"{total(groups, 'refused_cluster'):,} of {total(groups, 'sent'):,}",
                str(len(stated)),
                str(sum(cluster["score"] >= 0.9 for cluster in stated)),
            )
        )
    return rows


def other_rows(runs: list[Run]) -> Rows:
    """Campaigns that have goals of their own."""
    rows: Rows = []
    for one in campaigns(runs, lambda name: not has_goals(name)):
        for counts, measured, met in _counts(one):
            said = "-" if met is None else "met" if met else "missed"
            rows.append((one.name, str(len(one.runs)), counts, measured, said))
    return rows


def _counts(one: Campaign) -> list[tuple[str, str, bool | None]]:
    """What counts of one of these campaigns, what was measured, and whether it is as it should be;
    None where nothing is asked."""
    beside = [group for run in one.runs for group in run["groups"]]
    victims = [group for group in beside if group["kind"] == "victim"]
    refused, sent = total(victims, "refused_cluster"), total(victims, "sent")
    hurt = f"{refused:,} of {sent:,} of their own exchanges refused"
    match one.name:
        case "shared-keys":
            served, whole = total(one.groups, "projected"), total(one.groups, "full")
            touched = f"{total(victims, 'touched')} of {total(victims, 'seen')} touched"
            return [
                ("owners go on as before", f"{hurt}; {touched}", refused == 0),
                ("extraction served in the whole", percent(served, whole), None),
            ]
        case "framing":
            return [
                ("the victim goes on as before", hurt, refused == 0),
                ("served before contained", _served(one), None),
            ]
        case "one-family-only":
            acted, stated = total(one.groups, "touched"), _stated(one)
            return [
                (
                    "nobody is refused",
                    f"{acted} of {total(one.groups, 'seen')} accounts",
                    not acted,
                ),
                ("it is reported", f"a cluster in {stated} of {len(one.runs)} runs", stated > 0),
            ]
        case _:
            wrong: defaultdict[str, int] = defaultdict(int)
            for group in beside:
                for what, count in group["wrong"].items():
                    wrong[what] += count
            said = "; ".join(f"{count:,} times {what}" for what, count in sorted(wrong.items()))
            judged = total(beside, "judged_by_law")
            return [("verdicts as the law asks", f"{said or 'all'} of {judged:,}", not wrong)]


def _stated(one: Campaign) -> int:
    """In how many runs a cluster was mostly its."""
    return sum(
        any(c["of"] == one.name and c["share"] > 0.5 for c in run["clusters"]) for run in one.runs
    )


def baseline_table(runs: list[Run]) -> tuple[tuple[str, ...], Rows]:
    """Head and rows: what the detector and each baseline serve of the whole campaign, if the rest
    went like the end of the run, and how many unrelated accounts and look-alikes they touch."""
    compared = [run for run in runs if run.get("baselines")]
    names = list(dict.fromkeys(name for run in compared for name in run["baselines"]))
    rows: Rows = []
    for one in campaigns(compared):
        whole = total(one.groups, "full")
        row = [one.name, _both(total(one.groups, "projected"), whole, *one.touched())]
        for name in names:
            theirs = [run["baselines"][name] for run in one.runs]
            served = sum(their["campaigns"][one.name]["projected"] for their in theirs)
            touched = [their["touched"]["base"] for their in theirs]
            row.append(_both(served, whole, *map(sum, zip(*touched, strict=True))))
        rows.append(tuple(row))
    return ("campaign", "detector", *names), rows


def baseline_lookalikes(runs: list[Run]) -> tuple[tuple[str, ...], Rows]:
    """Head and rows: shares of each look-alike's accounts that are touched."""
    compared = [run for run in runs if run.get("baselines")]
    names = list(dict.fromkeys(name for run in compared for name in run["baselines"]))
    rows: Rows = []
    for look, groups in of_kind(compared, "lookalike").items():
        row = [look, percent(total(groups, "touched"), total(groups, "seen"))]
        for name in names:
            pairs = [
                run["baselines"][name]["touched"][look]
                for run in compared
                if look in run["baselines"][name]["touched"]
            ]
            row.append(percent(*map(sum, zip(*pairs, strict=True))))
        rows.append(tuple(row))
    return ("look-alike", "detector", *names), rows


def replaced_rows(runs: list[Run]) -> Rows:
    """How soon accounts that took the place of lost ones were refused, too."""
    rows: Rows = []
    for one in campaigns(runs):
        hours = [hour for run in one.runs for hour in run["replaced"]["hours"]]
        served = [count for run in one.runs for count in run["replaced"]["served"]]
        started = sum(run["replaced"]["started"] for run in one.runs)
        if started:
            rows.append(
                (
                    one.name,
                    f"{started:,}",
                    f"{len(hours):,}",
                    spread([float(hour) for hour in hours], _hours, max),
                    spread([float(count) for count in served], lambda n: f"{n:,.0f}", max),
                )
            )
    return rows


def calibration_rows(bins: Sequence[tuple[float, float, int, int]]) -> Rows:
    """Of the clusters whose best score was in a range, how many were real."""
    return [
        (f"{low:.2f} to {high:.2f}", str(count), str(real), percent(real, count))
        for low, high, count, real in bins
    ]


def again_rows(runs: list[Run]) -> Rows:
    """Runs that were made twice: digests of all decisions."""
    first = {
        (run["scenario"], run["seed"]): run
        for run in runs
        if not run["variant"] and run["relations"]
    }
    rows: Rows = []
    for run in runs:
        one = first.get((run["scenario"], run["seed"]))
        if run["variant"] == "again" and one is not None:
            same = one["decisions"] == run["decisions"]
            rows.append(
                (f"{run['scenario']}, seed {run['seed']}", f"{run['exchanges']:,}",
                 one["decisions"], "the same" if same else f"differs: {run['decisions']}")
            )  # fmt: skip
    return rows


def speed_rows(runs: list[Run]) -> Rows:
    """One row for each scenario: medians over its seeds."""
    by_name: defaultdict[str, list[Run]] = defaultdict(list)
    for run in runs:
        by_name[run["scenario"]].append(run)
    return [
        (
            name,
            f"{median(run['accounts'] for run in same):,.0f}",
            f"{median(run['exchanges'] for run in same):,.0f}",
            f"{median(run['exchanges'] / run['session_s'] for run in same):,.0f}",
            f"{median(run['session_s'] / run['all_s'] for run in same):.0%}",
            f"{median(run['peak_kb'] for run in same) / 1024:,.0f}",
            f"{median((run['peak_kb'] - run['before_kb']) / run['accounts'] for run in same):,.1f}",
            f"{median(run['state_bytes'] / run['accounts'] for run in same):,.0f}",
        )
        for name, same in by_name.items()
    ]


def _served(one: Campaign) -> str:
    """The share that was served before containment, or in all where it never came."""
    said = spread(one.shares("served_before"), percent, max)
    never = len(one.runs) - one.contained
    notes = [f"{never} never contained"] if never else []
    if one.quiet:
        notes.append(f"{one.quiet} below one account's use")
    return f"{said}, {', '.join(notes)}" if notes else said


def _both(served: float, whole: float, touched: int, accounts: int) -> str:
    return f"{percent(served, whole)}; {per_account(touched, accounts)}"


def per_account(touched: int, accounts: int) -> str:
    """How many of the unrelated accounts, as a share unless it is none."""
    return percent(touched, accounts) if touched else "none"


def _hours(hours: float) -> str:
    return f"{hours:.1f} h"


def numbers(runs: list[Run]) -> dict[str, Any]:
    """The few figures that the text of the page states."""
    of_goals = campaigns(runs, has_goals)
    seeds = sum(len(one.runs) for one in of_goals)
    base = [group for run in runs for group in run["groups"] if group["kind"] == "base"]
    touched_looks = [
        name for name, groups in of_kind(runs, "lookalike").items() if total(groups, "touched")
    ]
    return {
        "campaign_runs": seeds,
        "served": sum(one.meets_served() for one in of_goals),
        "recall": sum(one.meets_recall() for one in of_goals),
        "least_recall": LEAST_RECALL,
        "touched": total(base, "touched"),
        "unrelated": total(base, "seen"),
        "lookalikes": touched_looks,
        "beaten": sum(one.compared and not one.better_baselines() for one in of_goals),
        "compared": sum(one.compared for one in of_goals),
    }
