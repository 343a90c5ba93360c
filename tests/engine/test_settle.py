import pytest

from proxy.engine.settle import settle
from proxy.model.plan import Charge, Plan, Reading, Readings
from proxy.model.usage import Outcome, Usage
from proxy.model.verdict import Mode, Unit

TAKEN = Readings((Reading(0, 60),) * 4, taken=True)
USED = Usage(input_tokens=90, cached_tokens=40, output_tokens=30, reasoning_tokens=10)


def plan_of() -> Plan:
    amounts = {Unit.REQUESTS: 1, Unit.TOKENS: 600, Unit.INPUT_TOKENS: 100, Unit.OUTPUT_TOKENS: 500}
    charges = tuple(
        Charge("r", unit.value, unit, amount, 10_000, 60, Mode.ENFORCE, binding=True)
        for unit, amount in amounts.items()
    )
    return Plan(at_ns=5, charges=charges, input_tokens=100)


@pytest.mark.parametrize(
    ("outcome", "charged"),
    [
        # reported in full: what was reported
        (
            Outcome(200, True, USED),
            {"requests": 1, "tokens": 120, "input_tokens": 90, "output_tokens": 30},
        ),
        # never went upstream: released in full
        (
            Outcome(0, False, None, forwarded=False),
            {"requests": 0, "tokens": 0, "input_tokens": 0, "output_tokens": 0},
        ),
        # the upstream refused it: the request counts, tokens do not
        (
            Outcome(429, True, None),
            {"requests": 1, "tokens": 0, "input_tokens": 0, "output_tokens": 0},
        ),
        # any answer of 400 and above is a refusal
        (
            Outcome(400, True, None),
            {"requests": 1, "tokens": 0, "input_tokens": 0, "output_tokens": 0},
        ),
        # a broken stream that had reported more than its text shows (reasoning)
        (
            Outcome(200, False, USED, delivered_output_tokens=7),
            {"requests": 1, "tokens": 120, "input_tokens": 90, "output_tokens": 30},
        ),
        # the client left before usage came: the estimate and what was delivered
        (
            Outcome(200, False, None, delivered_output_tokens=7, error="client_gone"),
            {"requests": 1, "tokens": 107, "input_tokens": 100, "output_tokens": 7},
        ),
        # a broken stream that had reported its input and one token of output
        (
            Outcome(200, False, Usage(input_tokens=90, output_tokens=1), delivered_output_tokens=7),
            {"requests": 1, "tokens": 97, "input_tokens": 90, "output_tokens": 7},
        ),
        # sent and never answered: the input was used
        (
            Outcome(0, False, None),
            {"requests": 1, "tokens": 100, "input_tokens": 100, "output_tokens": 0},
        ),
    ],
)
def test_what_is_charged_in_the_end(outcome: Outcome, charged: dict[str, int]):
    plan = plan_of()
    deltas = {c.charge.counter: c.delta for c in settle(plan, TAKEN, outcome)}
    assert {c.counter: c.amount + deltas.get(c.counter, 0) for c in plan.charges} == charged


@pytest.mark.parametrize(
    ("outcome", "tokens"),
    [
        (Outcome(200, True, None, unknown=True), 600),
        (Outcome(0, False, None, unknown=True), 600),
        (Outcome(200, False, None, delivered_output_tokens=900, unknown=True), 1000),
        (Outcome(200, True, USED, unknown=True), 120),
        (Outcome(400, True, None, unknown=True), 0),
        (Outcome(0, False, None, forwarded=False, unknown=True), 0),
    ],
)
def test_what_nobody_can_tell_stays_reserved(outcome: Outcome, tokens: int):
    deltas = {c.charge.counter: c.delta for c in settle(plan_of(), TAKEN, outcome)}
    assert 600 + deltas.get("tokens", 0) == tokens


def test_corrections_never_change_nothing():
    corrections = settle(plan_of(), TAKEN, Outcome(200, True, USED))
    assert corrections
    assert all(c.delta for c in corrections)
