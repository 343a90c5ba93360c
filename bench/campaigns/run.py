"""One run: a scenario and a seed through a replay session, in a process of its own.

The process is fresh for each run, so that its peak memory is the run's own.
"""

import math
import time
from pathlib import Path
from typing import Any

from bench.campaigns.files import Setting, write_setting, write_truth
from bench.campaigns.measures import HOUR_S, Group, Observer, contained_from
from bench.campaigns.stage import Job, Stage, Step, stage
from proxy.replay import Session

REPORT_EVERY = 500
CLUSTER_EVENTS_EVERY_S = 60.0


def play(job: Job, step: Step) -> dict[str, Any]:
    """Run the job through a session and measure; returns plain values for the report."""
    on = stage(job)
    setting = write_setting(job.folder, on.casts)
    write_truth(job.folder, on.casts, on.world)
    groups = [Group(cast.name, cast.kind, len(cast.persons), cast.note) for cast in on.casts]
    hours = math.ceil(max(cast.length_s for cast in on.casts) / HOUR_S)
    observer = Observer(groups, on.world.start_s, hours)
    before_kb = peak_kb()
    began_s = time.perf_counter()
    busy_s = _replay(job, setting, on, observer, step)
    wall_s = time.perf_counter() - began_s
    sent = sum(group.sent for group in groups)
    return {
        "scenario": job.scenario,
        "seed": job.seed,
        "hours": hours,
        "corpus": on.world.corpus.source,
        "traces": on.world.traces.source,
        "exchanges": sent,
        "accounts": sum(group.accounts for group in groups),
        "wall_s": wall_s,
        "session_s": busy_s,
        "peak_kb": peak_kb(),
        "before_kb": before_kb,
        "clusters_stated": observer.clusters_stated(),
        "daily_use": observer.ordinary_daily_use(),
        "groups": [_summary(group, observer) for group in groups],
    }


def _replay(job: Job, setting: Setting, on: Stage, observer: Observer, step: Step) -> float:
    """Feed the session; returns the seconds that were spent inside it."""
    busy_s = 0.0
    next_look_s = on.world.start_s
    traffic = on.traffic()
    unreported = 0
    with Session(
        config=job.config, accounts=setting.accounts, geo=[str(path) for path in setting.geo]
    ) as session:
        for event in traffic:
            began_s = time.perf_counter()
            decision = session.exchange(event.line)
            busy_s += time.perf_counter() - began_s
            observer.saw(event, decision)
            traffic.react(event, decision)
            if event.line["ts"] >= next_look_s:
                next_look_s = event.line["ts"] + CLUSTER_EVENTS_EVERY_S
                for happened in session.cluster_events():
                    observer.cluster_event(happened)
            unreported += 1
            if unreported == REPORT_EVERY:
                step(unreported)
                unreported = 0
    step(unreported)
    return busy_s


def _summary(group: Group, observer: Observer) -> dict[str, Any]:
    hours = range(observer.hours)
    plain: dict[str, Any] = {
        "name": group.name,
        "kind": group.kind,
        "note": group.note,
        "accounts": group.accounts,
        "sent": group.sent,
        "served": group.served,
        "slowed": group.slowed,
        "refused_own": group.refused_own,
        "refused_fingerprint": group.refused_fingerprint,
        "seen": len(group.seen),
        "touched": len(group.touched),
        "sent_by_hour": [group.sent_by_hour[hour] for hour in hours],
        "served_by_hour": [group.served_by_hour[hour] for hour in hours],
    }
    if group.kind == "campaign":
        plain |= _stopped(group, observer)
    return plain


def _stopped(group: Group, observer: Observer) -> dict[str, Any]:
    """When the campaign was flagged and contained, and what it had been served by then."""
    flagged = observer.flagged.get(group.name)
    hour = contained_from(group.served_by_hour, observer.hours, observer.ordinary_daily_use())
    before = [group.served_by_hour[at] for at in range(observer.hours if hour is None else hour)]
    everyone = sum(len(other.touched) for other in observer.groups.values())
    return {
        "flagged_hours": (flagged[0] - observer.start_s) / HOUR_S if flagged else None,
        "flagged_share": flagged[1] / group.sent if flagged else None,
        "flagged_by": flagged[2] if flagged else None,
        "contained_hours": hour,
        "contained_share": sum(before) / group.sent if group.sent else 0.0,
        "recall": len(group.touched) / len(group.seen) if group.seen else 0.0,
        "precision": len(group.touched) / everyone if everyone else None,
    }


def peak_kb() -> int:
    """The peak of this process's resident memory so far (VmHWM, proc(5)), in KiB."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1])
    raise RuntimeError("/proc/self/status has no VmHWM line")
