"""A case as it is run: frozen values, checked against the policy set that they are about."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from proxy.model.exchange import Arrival
from proxy.model.facts import Facts
from proxy.model.verdict import Unit
from proxy.policy.problem import Problem
from proxy.policy.yamlfile import Path
from proxy.replay.traffic import RecordedResponse
from proxy.trial.expect_schema import ExpectSpec


@dataclass(frozen=True, slots=True, eq=False)
class World:
    """What exchanges are looked up in: lines of the directory, and where addresses are.

    `places` gives country and autonomous system by address or network.
    """

    accounts: tuple[bytes, ...] = ()
    places: Mapping[str, tuple[str | None, int | None]] = field(default_factory=dict)
    anonymizers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Step:
    """One exchange of a case: what is known of it, or the whole request.

    `repeat` is how many times it comes, at the same moment. `path` is where `expect` stands.
    """

    at_ns: int
    facts: Facts | None = None
    arrival: Arrival | None = None
    response: RecordedResponse | None = None
    repeat: int = 1
    expect: ExpectSpec | None = None
    path: Path = ()


@dataclass(frozen=True, slots=True, eq=False)
class Case:
    """One case. `place` says where it stands, `detected` are facts that a detector would state.

    `values` are those with which it is run, of several. `counters` is what quotas counted before
    the first exchange that they count here.
    """

    name: str
    place: Problem
    steps: tuple[Step, ...]
    world: World = field(default_factory=World)
    counters: Mapping[tuple[str, Unit], int] = field(default_factory=dict)
    detected: Facts = field(default_factory=dict)
    store_answers: bool = True
    disarmed: frozenset[str] = frozenset()
    values: str = ""

    @property
    def title(self) -> str:
        """Its name, and the values with which it is run."""
        return f"{self.name} [{self.values}]" if self.values else self.name
