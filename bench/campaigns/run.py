"""One run: a scenario and a seed through a replay session, in a process of its own.

The process is fresh for each run, so that its peak memory is the run's own.
"""

import math
import shutil
import time
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any, TextIO

from bench.campaigns.figures import figures
from bench.campaigns.files import Setting, write_setting, write_truth
from bench.campaigns.measures import MINUTE_S
from bench.campaigns.open_loop import compare
from bench.campaigns.plans import VARIANTS
from bench.campaigns.stage import Job, Stage, Step, stage
from bench.campaigns.stream import Event
from bench.campaigns.watch import Watch
from proxy.detect.detector import Detector
from proxy.replay import Session
from proxy.replay.inputs import settings_of
from proxy.settings.detector import detector_options
from proxy.settings.secrets import REPLAY_KEY, configured

REPORT_EVERY = 500
LOOK_EVERY_S = 60.0


def play(job: Job, step: Step) -> dict[str, Any]:
    """Run the job through a session, measure, and let the baselines see the same world.

    Returns plain values for the report.
    """
    on = stage(job)
    setting = write_setting(job.folder, on.casts)
    write_truth(job.folder, on.casts, on.world)
    minutes = math.ceil(max(cast.length_s for cast in on.casts) / MINUTE_S)
    watch = Watch.over(on, minutes)
    detector = _detector(job, setting)
    before_kb = peak_kb()
    began_s = time.process_time()
    busy_s = _replay(job, setting, on, watch, detector, step)
    all_s = time.process_time() - began_s
    result = figures(job, on, watch) | {
        "all_s": all_s,
        "session_s": busy_s,
        "peak_kb": peak_kb(),
        "before_kb": before_kb,
        "state_bytes": len(detector.save()),
    }
    if not job.keep:
        shutil.rmtree(job.folder)
    if job.baseline_days != 0 and job.law is None:
        seen = minutes if job.baseline_days is None else round(job.baseline_days * 1440)
        result["baselines"] = compare(job, result["daily_use"], min(minutes, seen), step)
    return result


def _detector(job: Job, setting: Setting) -> Detector:
    """The detector of the settings, less what the variant leaves out."""
    settings = settings_of(job.law or job.config, setting.geo)
    keys = configured(settings, missing=REPLAY_KEY)
    assert keys is not None
    variant, options = VARIANTS[job.variant], detector_options(settings)
    options = replace(options, without=frozenset(variant.without))
    if variant.delay_s is not None:
        options = replace(options, delay_s=variant.delay_s)
    return Detector(keys.fingerprint, options)


def _replay(
    job: Job, setting: Setting, on: Stage, watch: Watch, detector: Detector, step: Step
) -> float:
    """Feed the session; returns the processor seconds that were spent inside it."""
    busy_s = 0.0
    next_look_s = on.world.start_s
    traffic, changes = on.traffic(), on.changes()
    unreported = 0
    with ExitStack() as stack:
        session = stack.enter_context(
            Session(
                config=job.law or job.config,
                accounts=setting.accounts,
                geo=[str(path) for path in setting.geo],
                anonymizers=setting.anonymizers if job.law else None,
                audit=job.audit,
                audit_directory=job.folder / "audit",
                detector=detector,
            )
        )
        marks = _Marks(job.folder, stack)
        for event in traffic:
            while changes and changes[-1][0] <= event.line["ts"]:
                session.add_account(changes.pop()[1])
            began_s = time.thread_time()
            decision = session.exchange(event.line)
            busy_s += time.thread_time() - began_s
            watch.saw(event, decision)
            if event.extraction:
                marks.add(event)
            for account in traffic.react(event, decision):
                session.add_account(account)
            if event.line["ts"] >= next_look_s:
                next_look_s = event.line["ts"] + LOOK_EVERY_S
                watch.look(session, detector)
            unreported += 1
            if unreported == REPORT_EVERY:
                step(unreported)
                unreported = 0
        began_s = time.thread_time()
        session.advance(traffic.end_s)
        busy_s += time.thread_time() - began_s
        watch.look(session, detector)
    step(unreported)
    return busy_s


class _Marks:
    """extraction.txt: ids of the exchanges that are marked, where any is."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self._path = folder / "extraction.txt"
        self._path.unlink(missing_ok=True)
        self._stack = stack
        self._file: TextIO | None = None

    def add(self, event: Event) -> None:
        """Note a marked exchange."""
        if self._file is None:
            self._file = self._stack.enter_context(self._path.open("w", encoding="utf-8"))
        self._file.write(event.line["id"] + "\n")


def peak_kb() -> int:
    """The peak of this process's resident memory so far (VmHWM, proc(5)), in KiB."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1])
    raise RuntimeError("/proc/self/status has no VmHWM line")
