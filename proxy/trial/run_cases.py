"""A case through the live engine: frozen clock, given counts, and what came of each exchange.

Whole requests take the way of the gateway and of replay: the pipeline's own methods, in the same
order. Where facts are given instead, everything after the facts is the same.
"""

import heapq
from dataclasses import dataclass, replace

from msgspec.structs import replace as replaced

from proxy.detect.sharing import TemplateSharing
from proxy.facts.directory import Directory
from proxy.facts.places import Anonymizers, Places
from proxy.facts.pseudonyms import Pseudonyms
from proxy.model.exchange import Arrival, Asked
from proxy.model.facts import Facts
from proxy.model.plan import Plan, Readings
from proxy.model.usage import Outcome
from proxy.model.verdict import Unit
from proxy.pipeline.borrowed import Borrowed
from proxy.pipeline.pipeline import Pipeline
from proxy.pipeline.weigh import Weighed
from proxy.policy.rules import PolicySet
from proxy.replay.traffic import RecordedResponse
from proxy.settings.schema import Detector
from proxy.settings.secrets import REPLAY_KEY
from proxy.store.memory import MemoryStore
from proxy.trial.case import Case, Step, World
from proxy.trial.case_facts import surface_of
from proxy.trial.case_world import GivenAnonymizers, GivenPlaces
from proxy.trial.told import Said, told

NS_PER_S = 1_000_000_000
UNAVAILABLE = Readings(available=False)
NEVER_SENT = Outcome(status=0, complete=False, usage=None, forwarded=False)
SECRET = REPLAY_KEY  # names in records are the same on every machine


@dataclass(frozen=True, slots=True)
class Ran:
    """What came of a case: of each of its steps the last exchange, and what was never used.

    `every` has each exchange, also those that are repeated.
    """

    case: Case
    said: tuple[Said, ...]
    every: tuple[Said, ...]
    uncounted: tuple[tuple[str, Unit], ...] = ()


class Trial:
    """Runs cases against one policy set."""

    def __init__(self, policy: PolicySet, worlds: "Worlds | None" = None) -> None:
        self.policy = policy
        self._worlds = worlds or Worlds()
        self._pipeline = Pipeline(
            policy=policy,
            directory=Directory.empty(),
            places=Places(),
            anonymizers=Anonymizers.empty(),
            detector=_detector(policy),
            pseudonyms=self._worlds.pseudonyms,
            fingerprint_key=SECRET,
        )

    def run(self, case: Case) -> Ran:
        """Everything that comes of a case."""
        self._enter(case)
        bench = _Bench(self._pipeline, case)
        said: list[Said] = []
        every: list[Said] = []
        for step in case.steps:
            every.extend(bench.exchange(step) for _ in range(step.repeat))
            said.append(every[-1])
        return Ran(case, tuple(said), tuple(every), bench.uncounted)

    def _enter(self, case: Case) -> None:
        """Begin from nothing in the case's world."""
        pipeline = self._pipeline
        pipeline.disarmed = case.disarmed
        pipeline.borrowed = Borrowed()
        if any(step.arrival for step in case.steps):
            looked_up = self._worlds.of(case.world)
            pipeline.directory, pipeline.places, pipeline.anonymizers = looked_up
            pipeline.detector = _detector(self.policy)


class Worlds:
    """Directories and places of cases, made once for all policy sets that they are run against."""

    def __init__(self) -> None:
        self.pseudonyms = Pseudonyms(SECRET)
        self._made: dict[World, tuple[Directory, Places, Anonymizers]] = {}

    def of(self, world: World) -> tuple[Directory, Places, Anonymizers]:
        """What the world's exchanges are looked up in."""
        if world not in self._made:
            directory = Directory.from_lines(world.accounts)
            places, anonymizers = GivenPlaces(world.places), GivenAnonymizers(world.anonymizers)
            self._made[world] = (directory, places, anonymizers)
        return self._made[world]


def _detector(policy: PolicySet) -> TemplateSharing:
    settings = Detector()
    return TemplateSharing(policy.template_windows_s, settings.step_s, settings.delay_s)


class _Bench:
    """One case under way: its store, its answers that are still to end."""

    def __init__(self, pipeline: Pipeline, case: Case) -> None:
        self._pipeline = pipeline
        self._case = case
        self._store = MemoryStore()
        self._due: list[tuple[int, int, Weighed, Readings, Outcome]] = []
        self._uncounted = dict(case.counters)
        self._number = 0

    @property
    def uncounted(self) -> tuple[tuple[str, Unit], ...]:
        """Counts that were given and that no exchange came upon."""
        return tuple(self._uncounted)

    def exchange(self, step: Step) -> Said:
        """Judge one exchange."""
        self._number += 1
        self._advance(step.at_ns)
        weighed = self._weighed(step)
        # One that is repeated is another exchange each time, and holds a lease of its own.
        weighed = replace(weighed, plan=replaced(weighed.plan, id=f"x-{self._number}"))
        self._count_before(weighed.plan)
        answers = self._case.store_answers
        readings = self._store.take(weighed.plan) if answers else UNAVAILABLE
        decision = self._pipeline.decide(weighed, readings)
        if decision.refusal is not None:
            corrections = self._pipeline.settle(weighed, readings, NEVER_SENT)
            self._store.correct(weighed.plan, corrections)
        elif step.response is not None:
            self._settle_later(step.response, weighed, readings)
        record = self._pipeline.decision_record(weighed, readings, decision)
        self._pipeline.observe(weighed, decision, self._number)
        return told(step, weighed, readings, decision, record)

    def _advance(self, to_ns: int) -> None:
        """Let the answers end, and the detector step, that are due."""
        while self._due and self._due[0][0] <= to_ns:
            _, _, weighed, readings, outcome = heapq.heappop(self._due)
            corrections = self._pipeline.settle(weighed, readings, outcome)
            self._store.correct(weighed.plan, corrections)
        self._pipeline.advance(to_ns)

    def _settle_later(
        self, response: RecordedResponse, weighed: Weighed, readings: Readings
    ) -> None:
        outcome = Outcome(status=response.status, complete=True, usage=response.read_usage())
        ends_ns = weighed.arrival.at_ns + round(response.duration_s * NS_PER_S)
        heapq.heappush(self._due, (ends_ns, self._number, weighed, readings, outcome))

    def _weighed(self, step: Step) -> Weighed:
        pipeline, arrival, detected = self._pipeline, step.arrival, self._case.detected
        if arrival is None:
            assert step.facts is not None
            return self._planned(_known(step), {**step.facts, **detected})
        surface = pipeline.surface(arrival.method, arrival.path, arrival.headers)
        who = pipeline.identify(arrival.headers, arrival.at_ns, named_key=arrival.named_key)
        weighed = pipeline.weigh(arrival, surface, who)
        if detected and weighed.refusal is None:
            return self._planned(weighed, {**weighed.facts, **detected})
        return weighed

    def _planned(self, weighed: Weighed, facts: Facts) -> Weighed:
        """The exchange with these facts, planned anew."""
        plan = self._pipeline.plan(facts, weighed.arrival.at_ns)
        return replace(weighed, facts=facts, plan=plan)

    def _count_before(self, plan: Plan) -> None:
        """Put in what the case says was counted, where a charge first comes upon it."""
        for charge in plan.charges:
            counted = self._uncounted.pop((charge.rule, charge.unit), None)
            if counted:
                before = replaced(charge, amount=counted, binding=False)
                self._store.take(Plan(plan.at_ns, (before,)))


def _known(step: Step) -> Weighed:
    """The exchange of which only facts are given, before it is planned."""
    facts = step.facts or {}
    surface = surface_of(str(facts["request.surface"]), facts.get("request.dialect"))
    address, model = facts.get("client.address"), facts.get("request.model")
    arrival = Arrival(
        id="x-1",
        at_ns=step.at_ns,
        method="POST",
        path="/",
        query="",
        headers=(),
        client_ip=address if isinstance(address, str) else None,
    )
    asked = Asked(model=model if isinstance(model, str) else None)
    plan = Plan(step.at_ns)
    return Weighed(arrival, surface, surface.dialect, asked, None, facts, (), plan, 0)
