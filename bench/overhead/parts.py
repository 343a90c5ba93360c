"""Part by part: what the pipeline costs inside the process, against its budget.

The parts run in the gateway's order over the load's own requests, block by block: a block is one
part over all the requests, so that the clock is read twice a block and not twice an exchange.
"""

import asyncio
import os
import statistics
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from bench.overhead import gateway
from bench.overhead.http1 import HEAD_END, begin
from bench.overhead.requests import requests
from bench.overhead.upstream import ANSWER
from proxy.audit.format import Chain
from proxy.audit.log import AuditLog
from proxy.engine.judge import judge
from proxy.engine.plan import plan
from proxy.facts.behaviour_traits import behaviour_tokens
from proxy.facts.client_traits import client_tokens
from proxy.facts.clusters import IN_NO_CLUSTER
from proxy.facts.directory import Directory
from proxy.facts.fingerprints import NOWHERE, fingerprints
from proxy.facts.network_traits import Place, network_tokens
from proxy.facts.prompt_traits import prompt_tokens
from proxy.facts.relations import Relations
from proxy.model.account import Caller
from proxy.model.decision import Decision
from proxy.model.exchange import Arrival, Asked, Surface
from proxy.model.plan import Correction, Readings
from proxy.model.record import Record
from proxy.model.usage import Outcome
from proxy.model.verdict import Durability
from proxy.pipeline.pipeline import Pipeline
from proxy.pipeline.weigh import Lookups, Weighed, gather, place_of
from proxy.policy.candidates import CandidateIndex
from proxy.settings.assemble import assemble
from proxy.settings.load import load
from proxy.settings.secrets import configured
from proxy.store.memory import MemoryStore
from proxy.wire.request import read
from proxy.wire.response import ResponseReader

BUDGET_US = {
    "parse, identity": 10.0,
    "geography": 10.0,
    "fingerprints: network": 1.0,
    "fingerprints: client": 3.0,
    "fingerprints: prompt": 15.0,
    "fingerprints: behaviour": 1.0,
    "plan + judge": 60.0,
    "store, take and settle": 15.0,
    "records, hashing, fsync": 35.0,
}
OTHER_PARTS = ("facts put together", "sighting", "answer read for usage")
WHOLE = "all of it, exchange by exchange, but for the disk"
GROUP = 64  # exchanges whose records are made durable together
STEP_NS = 400_000  # between two exchanges on the parts' own clock

FINGERPRINT_KEY = bytes.fromhex("0f" * 32)
START_NS = 1_776_816_000_000_000_000
ANSWER_NS = 2_000_000
ANSWER_BODY = ANSWER.partition(HEAD_END)[2]

Corrections = tuple[Correction, ...]
In = TypeVar("In")
Out = TypeVar("Out")


@dataclass(slots=True)
class Stopwatch:
    """Microseconds an exchange for each part, one value a block."""

    blocks: dict[str, list[float]] = field(default_factory=dict)

    def time(self, part: str, do: Callable[[In], Out], over: Iterable[In]) -> list[Out]:
        """Do something over all items."""
        items = list(over)
        began_ns = time.perf_counter_ns()
        made = [do(item) for item in items]
        self.add(part, (time.perf_counter_ns() - began_ns) / 1000.0 / len(items))
        return made

    def add(self, part: str, us: float) -> None:
        """Note one block's mean."""
        self.blocks.setdefault(part, []).append(us)

    def add_to_last(self, part: str, us: float) -> None:
        """Add to the block that was noted last, for a part that comes in two pieces."""
        self.blocks[part][-1] += us

    def only(self, part: str) -> float:
        """The one block of a part."""
        (us,) = self.blocks[part]
        return us

    def result(self) -> dict[str, dict[str, float | None]]:
        """Median, least and most of each part, with its budget."""
        return {
            part: {
                "median_us": statistics.median(self.blocks[part]),
                "min_us": min(self.blocks[part]),
                "max_us": max(self.blocks[part]),
                "budget_us": BUDGET_US.get(part),
            }
            for part in (*BUDGET_US, *OTHER_PARTS, WHOLE)
        }


@dataclass(frozen=True, slots=True)
class Known:
    """An exchange once it is parsed and its caller known."""

    surface: Surface
    who: Caller
    asked: Asked


@dataclass(frozen=True, slots=True)
class Judged:
    """An exchange from its weighing to its settlement."""

    weighed: Weighed
    readings: Readings
    decision: Decision
    outcome: Outcome
    corrections: Corrections


def measure(
    folder: Path, *, rules: int, blocks: int, say: Callable[[str], None]
) -> dict[str, dict[str, float | None]]:
    """Time every part `blocks` times over all requests of the load."""
    config = gateway.write_folder(
        folder, port=1, admin_port=2, upstream_port=3, durability="before_answer", rules=rules
    )
    bench = Parts(_pipeline(config), Stopwatch())
    bench.judged()  # warm caches, as a running gateway's are
    bench.watch = Stopwatch()

    async def run() -> None:
        log = AuditLog.open(folder / "audit")
        try:
            for number in range(blocks):
                say(f"parts, block {number + 1} of {blocks}")
                await bench.recorded(log, bench.judged())
                bench.watch.time(WHOLE, bench.whole, bench.arrivals)
        finally:
            log.close()

    asyncio.run(run())
    return bench.watch.result()


def _pipeline(config: Path) -> Pipeline:
    settings = load(config, {**os.environ, **gateway.UPSTREAM_KEY})
    keys = configured(settings)
    assert keys is not None
    assert settings.accounts is not None
    return assemble(settings, keys, Directory.from_file(settings.accounts))


def arrivals() -> list[Arrival]:
    """The load's requests as the edge hands them on."""
    made = []
    for number, raw in enumerate(requests("api.example.com", "m-large")):
        message = begin(raw)
        assert message is not None
        first, *rest = message.head.decode().split("\r\n")
        headers = tuple((name, text) for name, _, text in (line.partition(": ") for line in rest))
        method, path, _ = first.split(" ")
        made.append(
            Arrival(
                id=f"x-{number:08d}",
                at_ns=START_NS + number * STEP_NS,
                method=method,
                path=path,
                query="",
                headers=headers,
                client_ip=dict(headers)["X-Forwarded-For"],
                body=message.body,
                body_bytes=len(message.body),
            )
        )
    return made


@dataclass(slots=True)
class Parts:
    """The parts over all requests; `watch` says how long each block took."""

    pipeline: Pipeline
    watch: Stopwatch
    arrivals: list[Arrival] = field(default_factory=arrivals)
    store: MemoryStore = field(default_factory=MemoryStore)
    chain: Chain = field(default_factory=Chain)

    def judged(self) -> list[Judged]:
        """Everything from the parsed request to the settled answer, part by part."""
        known = self.watch.time("parse, identity", self._known, self.arrivals)
        places = self.watch.time("geography", self._place, self.arrivals)
        self._print(known, places)
        self._facts(known, places)
        weighed = [
            self.pipeline.weigh(arrival, one.surface, one.who)
            for arrival, one in zip(self.arrivals, known, strict=True)
        ]
        taken = self._decided(weighed)
        outcomes = self.watch.time(
            "answer read for usage", lambda one: _outcome(one.surface, one.asked), known
        )
        judged = self._settled(weighed, taken, outcomes)
        self.watch.time("sighting", self._observe, enumerate(judged))
        return judged

    async def recorded(self, log: AuditLog, judged: list[Judged]) -> None:
        """Both records of every exchange, made, chained and synced; processor time of all threads.

        The log's own thread writes, so that the clock on the wall would count its waiting.
        """
        began_s = time.process_time()
        for start in range(0, len(judged), GROUP):
            for one in judged[start : start + GROUP]:
                log.append(self.pipeline.decision_record(one.weighed, one.readings, one.decision))
                ended_ns = one.weighed.arrival.at_ns + ANSWER_NS
                position = log.append(
                    self.pipeline.completion_record(
                        one.weighed, one.outcome, one.corrections, ended_ns
                    )
                )
            await log.wait_durable(position)
        spent_us = (time.process_time() - began_s) * 1e6
        self.watch.add("records, hashing, fsync", spent_us / len(judged))

    def whole(self, arrival: Arrival) -> None:
        """One exchange from end to end: what the parts cost when they push each other out of
        the processor's caches, as they do in a gateway."""
        pipeline = self.pipeline
        pipeline.advance(arrival.at_ns)
        surface = pipeline.surface(arrival.method, arrival.path, arrival.headers)
        who = pipeline.identify(arrival.headers, arrival.at_ns)
        weighed = pipeline.weigh(arrival, surface, who)
        readings = self.store.take(weighed.plan)
        decision = pipeline.decide(weighed, readings)
        position = self._line(pipeline.decision_record(weighed, readings, decision))
        pipeline.observe(weighed, decision, position)
        assert weighed.surface is not None
        assert weighed.asked is not None
        outcome = _outcome(weighed.surface, weighed.asked)
        corrections = pipeline.settle(weighed, readings, outcome)
        self.store.correct(weighed.plan, corrections)
        ended_ns = arrival.at_ns + ANSWER_NS
        self._line(pipeline.completion_record(weighed, outcome, corrections, ended_ns))

    def _line(self, record: Record) -> int:
        self.chain.line(record)
        return self.chain.seq

    def _known(self, arrival: Arrival) -> Known:
        surface = self.pipeline.surface(arrival.method, arrival.path, arrival.headers)
        who = self.pipeline.identify(arrival.headers, arrival.at_ns)
        assert surface is not None
        assert isinstance(who, Caller)
        asked = read(surface, arrival.body or b"", max_depth=64)
        assert isinstance(asked, Asked)
        return Known(surface, who, asked)

    def _place(self, arrival: Arrival) -> Place:
        return place_of(arrival.client_ip, self.pipeline.places, self.pipeline.anonymizers)

    def _print(self, known: list[Known], places: list[Place]) -> None:
        """Time the fingerprints, family by family."""
        key, watch = FINGERPRINT_KEY, self.watch
        watch.time("fingerprints: network", lambda place: network_tokens(place, key), places)
        watch.time(
            "fingerprints: client",
            lambda arrival: client_tokens(arrival.headers, arrival.ja4, key),
            self.arrivals,
        )
        asked = [one.asked for one in known]
        watch.time("fingerprints: prompt", lambda one: prompt_tokens(one.prompt, key), asked)
        watch.time("fingerprints: behaviour", lambda one: behaviour_tokens(one, key), asked)

    def _facts(self, known: list[Known], places: list[Place]) -> None:
        """Time `gather` with look-ups that cost nothing: they have a part of their own."""
        printed = [
            fingerprints(arrival, one.asked, NOWHERE, FINGERPRINT_KEY)
            for arrival, one in zip(self.arrivals, known, strict=True)
        ]
        relations = Relations(FINGERPRINT_KEY)
        free = Lookups(
            template_accounts=lambda _: {},
            model_group=lambda model: model,
            cluster=lambda _described, _tokens: IN_NO_CLUSTER,
            expected_output=lambda _model, _surface: None,
            input_factor=lambda _model, _surface: 1.0,
        )

        def gathered(number: int) -> None:
            one = known[number]
            described = relations.of(one.who.account)
            gather(
                self.arrivals[number],
                one.surface,
                one.asked,
                one.who,
                described,
                printed[number],
                places[number],
                free,
            )

        self.watch.time("facts put together", gathered, range(len(known)))

    def _decided(self, weighed: list[Weighed]) -> list[tuple[Readings, Decision]]:
        policy, own = self.pipeline.policy, Stopwatch()
        index = CandidateIndex(policy)
        plans = own.time(
            "plan",
            lambda one: plan(
                index.of(one.facts), one.facts, one.arrival.at_ns, Durability.BEFORE_ANSWER
            ),
            weighed,
        )
        readings = own.time("take", self.store.take, plans)
        decisions = own.time(
            "judge",
            lambda asked: judge(policy, asked[0], asked[1], 0, asked[2].facts),
            zip(plans, readings, weighed, strict=True),
        )
        self.watch.add("plan + judge", own.only("plan") + own.only("judge"))
        self.watch.add("store, take and settle", own.only("take"))
        return list(zip(readings, decisions, strict=True))

    def _settled(
        self,
        weighed: list[Weighed],
        taken: list[tuple[Readings, Decision]],
        outcomes: list[Outcome],
    ) -> list[Judged]:
        own = Stopwatch()

        def settle(number: int) -> Corrections:
            corrections = self.pipeline.settle(weighed[number], taken[number][0], outcomes[number])
            self.store.correct(weighed[number].plan, corrections)
            return corrections

        corrections = own.time("settle", settle, range(len(weighed)))
        self.watch.add_to_last("store, take and settle", own.only("settle"))
        return [
            Judged(one, readings, decision, outcome, changed)
            for one, (readings, decision), outcome, changed in zip(
                weighed, taken, outcomes, corrections, strict=True
            )
        ]

    def _observe(self, numbered: tuple[int, Judged]) -> None:
        number, one = numbered
        self.pipeline.observe(one.weighed, one.decision, number)


def _outcome(surface: Surface, asked: Asked) -> Outcome:
    """How an exchange ended, by what the fake model API answers."""
    reader = ResponseReader(
        surface,
        asked,
        content_type="application/json",
        content_encoding=None,
        hide_usage=False,
    )
    reader.feed(ANSWER_BODY)
    reader.finish()
    return Outcome(status=200, complete=True, usage=reader.usage)
