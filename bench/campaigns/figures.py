"""From what was watched to the plain values that a report is made of."""

from collections.abc import Mapping
from typing import Any

from bench.campaigns.lengths import full, rest_days
from bench.campaigns.measures import (
    HOUR_S,
    MINUTE_S,
    Group,
    Observer,
    contained_from,
    projected,
    served_before,
)
from bench.campaigns.stage import Job, Stage
from bench.campaigns.stated import found
from bench.campaigns.watch import Watch

MINUTES_PER_HOUR = 60


def figures(job: Job, on: Stage, watch: Watch) -> dict[str, Any]:
    """All figures of a run but for time and memory."""
    groups, observer = watch.groups, watch.observer
    daily_use = observer.ordinary_daily_use()
    organizations = _organizations(on)
    told = [
        _summary(group, observer.minutes, organizations)
        | (_stopped(job, group, watch, daily_use) if group.kind == "campaign" else {})
        for group in groups
    ]
    campaigns = [account for first_s in watch.first_s.values() for account in first_s]
    others = [a for g in groups if g.kind in ("base", "lookalike") for a in g.seen]
    return {
        "job": job.told(),
        "scenario": job.scenario,
        "seed": job.seed,
        "variant": job.variant,
        "relations": job.relations,
        "minutes": observer.minutes,
        "corpus": on.world.corpus.source,
        "traces": on.world.traces.source,
        "exchanges": sum(group.all.sent for group in groups),
        "accounts": sum(group.accounts for group in groups),
        "clusters_stated": watch.stated.ever,
        "clusters": watch.scores.clusters(),
        "best_scores": {
            "campaign": watch.scores.histogram(campaigns),
            "others": watch.scores.histogram(others),
        },
        "daily_use": daily_use,
        "decisions": watch.digest.hexdigest(),
        "replaced": watch.replaced.summary(),
        "groups": told,
    }


def _organizations(on: Stage) -> dict[str, str]:
    """The organization of each account that sends; an account without one is its own."""
    return {
        account["account"]: account.get("organization") or account["account"]
        for cast in on.casts
        for account in (person.account for person in cast.persons)
        if "account" in account
    }


def _summary(group: Group, minutes: int, organizations: Mapping[str, str]) -> dict[str, Any]:
    return {
        "name": group.name,
        "kind": group.kind,
        "note": group.note,
        "accounts": group.accounts,
        "sent": group.all.sent,
        "served": group.all.served,
        "refused_own": group.refused_own,
        "refused_cluster": group.all.by_cluster,
        "slowed": group.slowed,
        "marked": group.marked.sent,
        "seen": len(group.seen),
        "touched": len(group.touched),
        "organizations": len({organizations.get(a, a) for a in group.seen}),
        "touched_organizations": len({organizations.get(a, a) for a in group.touched}),
        "judged_by_law": group.judged_by_law,
        "wrong": dict(sorted(group.wrong.items())),
        "sent_by_hour": _hourly(group.told.sent_by_minute, minutes),
        "served_by_hour": _hourly(group.told.served_by_minute, minutes),
    }


def _hourly(by_minute: Mapping[int, int], minutes: int) -> list[int]:
    hours = [0] * -(-minutes // MINUTES_PER_HOUR)
    for minute, count in by_minute.items():
        if minute < minutes:
            hours[minute // MINUTES_PER_HOUR] += count
    return hours


def _stopped(job: Job, group: Group, watch: Watch, daily_use: int) -> dict[str, Any]:
    """When the campaign was flagged and contained, what it had been served by then, and who was in
    its clusters. Hours count from the beginning of its harvest."""
    observer, told = watch.observer, group.told
    share = group.marked.sent / group.all.sent if group.marked.sent else 1.0
    minute = contained_from(told.served_by_minute, observer.minutes, daily_use)
    before = told.served if minute is None else served_before(told.served_by_minute, minute)
    end_s = observer.start_s + observer.minutes * MINUTE_S
    at_s = end_s if minute is None else observer.start_s + minute * MINUTE_S
    settled_s = max(at_s, _acted_s(group, watch)) if minute is not None else end_s
    first_s = watch.first_s[group.name]
    flag = watch.stated.flags.get(group.name)
    flagged_served = None
    if flag is not None:
        flagged_served = flag.served_marked if group.marked.sent else flag.served
    return {
        "full": full(group.name, job.scale, share),
        "projected": projected(
            told.served_by_minute, observer.minutes, rest_days(group.name, job.days)
        ),
        "counted_sent": told.sent,
        "counted_served": told.served,
        "most_in_a_day": _most_in_a_day(told.sent_by_minute, observer),
        "flagged_hours": None if flag is None else _hours(flag.at_s, group),
        "flagged_served": flagged_served,
        "contained_hours": None if minute is None else max(0.0, _hours(at_s, group)),
        "served_before": before,
        "when_contained": found(watch.stated, settled_s, group, first_s),
        "at_the_end": found(watch.stated, end_s, group, first_s),
    }


def _acted_s(group: Group, watch: Watch) -> float:
    """When the campaign was flagged and one of its accounts first refused. Containment is reckoned
    from earlier on, by as much as one account may use."""
    flag = watch.stated.flags.get(group.name)
    acted = [min(group.touched.values())] if group.touched else []
    return max([flag.at_s, *acted] if flag else acted, default=0.0)


def _most_in_a_day(sent: Mapping[int, int], observer: Observer) -> int:
    """What it sent in its busiest day, or in all of a shorter run."""
    by_hour = _hourly(sent, observer.minutes)
    return max(sum(by_hour[at : at + 24]) for at in range(max(1, len(by_hour) - 23)))


def _hours(at_s: float, group: Group) -> float:
    return round((at_s - group.begins_s) / HOUR_S, 3)
