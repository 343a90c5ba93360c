"""All baselines over the same world, in which nobody reacts to what is refused.

The detector's own run is a closed loop: campaigns see its answers and react. Here they do not,
which is the easier case.
"""

from typing import Any

from bench.campaigns.baselines import OwnQuotas, all_baselines, sight_of
from bench.campaigns.lengths import rest_days
from bench.campaigns.measures import (
    DAY_MIN,
    MINUTE_S,
    Group,
    Observer,
    contained_from,
    projected,
    served_before,
)
from bench.campaigns.stage import Job, Stage, Step, stage
from bench.campaigns.stream import Event
from bench.campaigns.world import Account

ALLOW = {"verdict": "allow", "by_cluster": False, "delay_s": 0, "modifiers": []}
OWN = ALLOW | {"verdict": "throttle"}
JOINED = OWN | {"by_cluster": True}
REPORT_EVERY = 500


def groups_of(on: Stage) -> list[Group]:
    """Empty tallies for every cast."""
    start_s = on.world.start_s
    return [
        Group(
            cast.name,
            cast.kind,
            cast.accounts,
            cast.note,
            start_s if cast.harvest_begins_s is None else cast.harvest_begins_s,
        )
        for cast in on.casts
    ]


def compare(job: Job, daily_use: float, minutes: int, step: Step) -> dict[str, Any]:
    """What each baseline served and refused; `daily_use` is what one ordinary account uses.

    `minutes` is how much of the run they see. A mapping from their names to figures.
    """
    on = stage(job)
    lines = {
        person.account.get("account", ""): person.account
        for cast in on.casts
        for person in cast.persons
    }
    named = all_baselines(daily_use)
    observers = {name: Observer(groups_of(on), on.world.start_s, minutes) for name in named}
    own = OwnQuotas()
    nobody: Account = {}
    unreported = 0
    for event in on.traffic():
        if event.line["ts"] >= on.world.start_s + minutes * MINUTE_S:
            break
        seen = sight_of(event, lines.get(event.persona.account, nobody))
        over = own.refuses(seen)
        for name, baseline in named.items():
            refused = baseline.refuses(seen)
            _note(observers[name], event, over=over, refused=refused)
        unreported += 1
        if unreported == REPORT_EVERY:
            step(unreported)
            unreported = 0
    step(unreported)
    return {name: _figures(job, observer, daily_use) for name, observer in observers.items()}


def _note(observer: Observer, event: Event, *, over: bool, refused: bool) -> None:
    observer.saw(event, OWN if over else JOINED if refused else ALLOW)


def _figures(job: Job, observer: Observer, daily_use: float) -> dict[str, Any]:
    """Of the campaigns what was served before containment; of the others who was touched."""
    campaigns: dict[str, Any] = {}
    touched: dict[str, list[int]] = {}
    for group in observer.groups.values():
        if group.kind == "campaign":
            served, minutes = group.told.served_by_minute, observer.minutes
            minute = contained_from(served, minutes, daily_use)
            before = group.told.served if minute is None else served_before(served, minute)
            campaigns[group.name] = {
                "minute": minute,
                "served_before": before,
                "projected": projected(served, minutes, _rest_days(job, group.name, minutes)),
                "sent": group.told.sent,
                "served": group.told.served,
            }
        elif group.kind != "decoy":
            touched[group.name] = [len(group.touched), len(group.seen)]
    return {"campaigns": campaigns, "touched": touched}


def _rest_days(job: Job, scenario: str, minutes: int) -> float:
    """Days of harvest that the baselines do not see."""
    return rest_days(scenario, min(job.lasts(), minutes / DAY_MIN))
