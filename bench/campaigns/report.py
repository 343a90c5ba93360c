"""The report of the campaign benchmark: one Markdown page, its plots, and the raw figures."""

import json
from pathlib import Path
from typing import Any

from bench.campaigns import plots, rows
from bench.campaigns.answers import tell
from bench.campaigns.plans import DEFAULT_HOURS, HOURS
from bench.campaigns.pooled import Run, at_full_scale, percent, plain
from bench.campaigns.scored import calibration
from bench.report import machine, table

PAGE, FIGURES, ANSWERS = "campaigns.md", "campaigns.json", "answers.json"
Answers = dict[str, Any] | None


def answers_of(out: Path, config: Path, seed: int, *, ask: bool, resume: bool) -> Answers:
    """What single refusals tell: measured now, or with `resume` taken from `out`."""
    path = out / ANSWERS
    if resume and path.exists():
        told: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return told
    if not ask:
        return None
    told = tell(config, seed)
    out.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(told) + "\n", encoding="utf-8")
    return told


def write(folder: Path, runs: list[Run], answers: Answers) -> Path:
    """Write page, plots and figures into `folder`; returns the page's path."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / FIGURES).write_text(
        json.dumps({"answers": answers, "runs": runs}, indent=1) + "\n", encoding="utf-8"
    )
    whole = plain(runs)
    plots.served(whole, folder / "campaigns-served.svg")
    plots.against_baselines(whole, folder / "campaigns-baselines.svg")
    plots.scores(whole, folder / "campaigns-scores.svg")
    page = folder / PAGE
    page.write_text(text(runs, answers), encoding="utf-8")
    return page


def text(runs: list[Run], answers: Answers) -> str:
    """The page."""
    whole = plain(runs)
    parts = [
        "# Campaigns and look-alikes",
        _how(runs),
        _short(whole),
        *_section("Goals", rows.GOAL_HEAD, rows.goal_rows(whole), GOALS),
        *_section(
            "Campaigns of the public reports, at full scale",
            rows.CAMPAIGN_HEAD,
            rows.campaign_rows([run for run in runs if at_full_scale(run)]),
        ),
        *_section("Campaigns", rows.CAMPAIGN_HEAD, rows.campaign_rows(whole), CAMPAIGNS),
        *_plot(whole, "campaigns-served.svg", "Share of each campaign that is served, by hour"),
        *_section("Campaigns with goals of their own", rows.OTHER_HEAD, rows.other_rows(whole)),
        *_section(
            "Without relationship facts",
            rows.SHORT_HEAD,
            rows.short_rows([r for r in runs if not r["relations"] and not r["variant"]]),
            NO_RELATIONS,
        ),
        *_section("Look-alikes", rows.LOOKALIKE_HEAD, rows.lookalike_rows(whole), LOOKALIKES),
        *_section("Unrelated accounts", rows.BASE_HEAD, rows.base_rows(whole)),
        *_baselines(whole),
        *_section(
            "Campaigns at the same time",
            ("campaign", "contained after", "served before", "recall", "merged with"),
            rows.together_rows(whole),
        ),
        *_section("Ablations", rows.SHORT_HEAD, rows.ablation_rows(runs)),
        *_scores(whole),
        *_section(
            "Replaced accounts",
            ("campaign", "replacements", "refused", "after the ban", "served to each"),
            rows.replaced_rows(whole),
            REPLACED,
        ),
        *_answers(answers),
        *_section(
            "The same seed twice",
            ("run", "exchanges", "digest of all decisions", "again"),
            rows.again_rows(runs),
        ),
        *_section("Speed and memory", rows.SPEED_HEAD, rows.speed_rows(whole)),
        *_section(
            "Speed and memory at full scale",
            rows.SPEED_HEAD,
            rows.speed_rows([run for run in runs if at_full_scale(run)]),
        ),
    ]
    return "\n\n".join(parts) + "\n"


GOALS = (
    "For every seed: under 1 % of the whole campaign served before it is contained, over 99 % of "
    "the accounts that had sent by then in its clusters; over all seeds fewer than one unrelated "
    "account in 100,000 touched; and no baseline that serves less or touches fewer."
)
CAMPAIGNS = "Figures are medians over seeds; in brackets the worst seed."
NO_RELATIONS = (
    "The same campaigns where payment, mail, device, sign-up and age of their accounts are as "
    "unremarkable as anybody's."
)
LOOKALIKES = "Nobody here may be refused because of a cluster. Stating one is no harm by itself."
REPLACED = (
    "An operator who gives up an account and starts another: from there to its first refusal by "
    "cluster, and what each was served before."
)
BASELINES = (
    "Shares of the whole campaign that are served if the rest goes like the end of the run; then "
    "unrelated accounts touched. The detector faces campaigns that react to its answers, the "
    "baselines the same campaigns without; all share the quotas per account. What a baseline joins "
    "shares a quarter of an ordinary account's use, which it is told."
)


def _how(runs: list[Run]) -> str:
    """What was run, on what."""
    jobs = [run["job"] for run in runs if not at_full_scale(run)] or [run["job"] for run in runs]
    scales = sorted({f"{job['scale']:g}" for job in jobs})
    seeds = sorted({job["seed"] for job in jobs})
    ratios = sorted({f"{job['ratio']:g}" for job in jobs})
    longer = ", ".join(f"{name} {hours:g}" for name, hours in HOURS.items())
    table_cut = f"{DEFAULT_HOURS:g} hours ({longer})"
    days = {(job["scenario"], job["days"]) for job in jobs}
    cut = ", ".join(sorted({f"{(d or 0) * 24:g}" for _, d in days}))
    return (
        f"Scale {', '.join(scales)}; seeds {_ranges(seeds)}; unrelated traffic {', '.join(ratios)} "
        f"times the largest campaign's. Runs are cut to {cut} hours (0: whole; by default "
        f"{table_cut}), and shares are of the whole campaign at that scale. Prompts: "
        f"{runs[0]['corpus']}. Arrivals: {runs[0]['traces']}. {machine()}. Settings: "
        f"`policies/examples/{jobs[0]['config']}` and the detector's defaults. Columns and "
        "measures are explained in `bench/README.md`."
    )


def _short(runs: list[Run]) -> str:
    """The result in a few sentences, drawn from the figures."""
    if not runs:
        return ""
    n = rows.numbers(runs)
    looks = ", ".join(n["lookalikes"]) or "none"
    return (
        f"- Under 1 % served before containment: {n['served']} of {n['campaign_runs']} runs.\n"
        f"- Recall over 99 % when contained: {n['recall']} of {n['campaign_runs']} runs.\n"
        f"- Unrelated accounts touched: {n['touched']} of {n['unrelated']:,}.\n"
        f"- Look-alikes of which anybody was refused: {looks}.\n"
        f"- Campaigns in which no baseline does better in anything: {n['beaten']} of "
        f"{n['compared']} in which baselines ran."
    )


def _ranges(numbers: list[int]) -> str:
    """Numbers as ranges: 0, 3-5."""
    parts: list[list[int]] = []
    for number in numbers:
        if parts and number == parts[-1][-1] + 1:
            parts[-1].append(number)
        else:
            parts.append([number])
    return ", ".join(str(p[0]) if len(p) == 1 else f"{p[0]}-{p[-1]}" for p in parts)


def _section(title: str, head: tuple[str, ...], body: rows.Rows, said: str = "") -> list[str]:
    """A heading, a few words and a table; nothing where there are no rows."""
    if not body:
        return []
    return [f"## {title}", *([said] if said else []), table(head, body)]


def _plot(runs: list[Run], name: str, said: str) -> list[str]:
    return [f"![{said}]({name})"] if runs else []


def _baselines(runs: list[Run]) -> list[str]:
    head, body = rows.baseline_table(runs)
    if not body:
        return []
    look_head, look_body = rows.baseline_lookalikes(runs)
    parts = _section("Baselines", head, body, BASELINES)
    parts.append("![What is served against whom it touches](campaigns-baselines.svg)")
    if look_body:
        parts += ["Accounts of look-alikes that are touched:", table(look_head, look_body)]
    return parts


def _scores(runs: list[Run]) -> list[str]:
    bins = calibration(runs)
    if not any(count for _, _, count, _ in bins):
        return []
    head = ("best score", "clusters", "real", "share")
    said = "A cluster is real if most of its accounts are one campaign's."
    return [
        *_section("Scores", head, rows.calibration_rows(bins), said),
        "![ROC of accounts and clusters, calibration of clusters](campaigns-scores.svg)",
    ]


def _answers(answers: Answers) -> list[str]:
    if answers is None:
        return []
    chance = answers["low"] <= 0.5 <= answers["high"]
    verdict = "no better than chance" if chance or answers["high"] < 0.5 else "better than chance"
    return [
        "## What answers tell",
        "A decision tree over single refusals (status, headers, body, delay, second of the minute) "
        "that was trained on other accounts is to tell *refused because clustered* from *over my "
        f"own limit*. It is right in {percent(answers['accuracy'])} ({percent(answers['low'])} to "
        f"{percent(answers['high'])}) of {answers['refusals']} refusals, of which half are of each "
        f"kind: {verdict}.",
    ]
