"""A limit that is said never to be reached refuses nothing that another one would let pass."""

import re

from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.engine.plan import plan
from proxy.engine.settle import settle
from proxy.model.plan import Plan, Readings
from proxy.model.usage import Outcome, Usage
from proxy.model.verdict import Durability
from proxy.policy.candidates import every_rule
from proxy.policy.lint import lint
from proxy.policy.load import compile_texts
from proxy.policy.rules import PolicySet
from proxy.store.memory import MemoryStore
from tests.engine.conftest import NOON_NS, ORDINARY

S = 1_000_000_000
NEVER = re.compile(r"p\.yaml:(\d+):\d+: [0-9.]+ (\w+) are never reached")
UNITS = (
    *("requests", "tokens", "input_tokens", "cached_tokens", "output_tokens"),
    *("reasoning_tokens", "cost", "bytes"),
)
OUTPUT = {"tokens", "output_tokens", "cost"}
PER = (
    *("account", "key", "organization", "everybody", "country"),
    *("[account, model]", "[organization, model_group]", "[model, country]", "[key, country]"),
)
PRICES = "prices: [{models: ['*'], input: 100000, output: 400000}]\nmodel_groups: {g: [m-1, m-2]}\n"


@st.composite
def quotas(draw: st.DrawFn, name: str, unit: str, least: int) -> str:
    """A quota of this unit, of at least so much, and perhaps of another one."""
    amounts = {unit: draw(st.integers(least, 8)) * (1 if unit == "requests" else 40)}
    if draw(st.booleans()):
        amounts[draw(st.sampled_from(UNITS))] = draw(st.integers(1, 8)) * 40
    said = {
        "id": name,
        "mode": "enforce",
        "per": draw(st.sampled_from(PER)),
        "limit": "{" + ", ".join(f"{unit}: {n}" for unit, n in amounts.items()) + "}",
        "window": draw(st.sampled_from(["1m", "2m", "2m", "day", "day"])),
        "on_missing": draw(st.sampled_from([None, None, "abstain"])),
        "assume_output_tokens": draw(st.sampled_from([None, None, 20, 30])),
    }
    if OUTPUT & amounts.keys():
        said["clamp"] = draw(st.sampled_from([None, None, 5, 9]))
        said["hard"] = draw(st.sampled_from([None, "true"]))
    if said["window"] != "day":
        said["algorithm"] = draw(st.sampled_from([None, None, None, "rolling", "gcra"]))
    return ", ".join(f"{key}: {value}" for key, value in said.items() if value is not None)


@st.composite
def pairs(draw: st.DrawFn) -> tuple[str, str]:
    """Two quotas of which one may well bind before the other."""
    unit = draw(st.sampled_from(UNITS))
    return draw(quotas("one", unit, 1)), draw(quotas("two", unit, 3))


EXCHANGES = st.lists(
    st.fixed_dictionaries(
        {
            "key": st.sampled_from([0, 0, 0, 1, 2]),
            "model": st.sampled_from(["m-1", "m-2", "m-3"]),
            "country": st.sampled_from(["DE", "SG", None]),
            "input": st.integers(0, 60),
            "bound": st.sampled_from([None, None, 0, 15, 50]),
            "expected": st.sampled_from([None, 10, 40]),
            "stream": st.booleans(),
            "after": st.sampled_from([0, 0, 0, 1, 40]),
            "used": st.integers(0, 60),
        }
    ),
    min_size=12,
    max_size=25,
)


def facts_of(one: dict) -> dict:
    account = one["key"] // 2
    facts = {
        **ORDINARY,
        "account.key": f"k{one['key']}",
        "account.id": f"a{account}",
        "account.organization": "o",
        "request.model": one["model"],
        "request.model_group": "g" if one["model"] != "m-3" else "m-3",
        "client.country": one["country"],
        "request.input_tokens": one["input"],
        "request.max_tokens": one["bound"],
        "request.expected_output_tokens": one["expected"],
        "request.stream": one["stream"],
        "request.body_bytes": one["input"] * 4,
    }
    return {name: value for name, value in facts.items() if value is not None}


def idle(policy: PolicySet) -> list[tuple[str, str]]:
    """Rule and unit of each limit that is said never to be reached."""
    by_line = {line: rule for rule, (_, line, _) in policy.places.items()}
    found = (NEVER.match(str(problem)) for problem in lint(policy, NOON_NS))
    return [(by_line[int(m[1])], m[2]) for m in found if m]


def refusing(wanted: Plan, readings: Readings) -> set[tuple[str, str]]:
    return {
        (charge.rule, charge.unit.value)
        for charge, reading in readings.of(wanted)
        if not charge.fits(reading.before)
    }


@settings(max_examples=120, deadline=None)
@given(pairs(), EXCHANGES)
def test_what_is_called_loose_refuses_nothing_alone(pair: tuple[str, str], exchanges: list[dict]):
    text = f"{PRICES}quotas:\n  - {{{pair[0]}}}\n  - {{{pair[1]}}}\n"
    policy = compile_texts([("p.yaml", text.encode())])
    never = idle(policy)
    if not never:
        return
    store, at_ns = MemoryStore(), NOON_NS
    for number, exchange in enumerate(exchanges):
        at_ns += exchange["after"] * S
        wanted = plan(
            every_rule(policy), facts_of(exchange), at_ns, Durability.ASYNC, id_=str(number)
        )
        readings = store.take(wanted)
        refused = refusing(wanted, readings)
        assert not refused or refused - set(never), (text, refused)
        if readings.taken:
            tokens, output = exchange["input"], exchange["used"]
            usage = Usage(tokens, tokens // 2, output_tokens=output, reasoning_tokens=output // 2)
            store.correct(wanted, settle(wanted, readings, Outcome(200, True, usage)))
