"""What is reserved besides while an answer grows beyond what was. Plain functions."""

from msgspec import Struct
from msgspec.structs import replace

from proxy.model.facts import Facts
from proxy.model.plan import PER_MILLION, Charge, Plan, Readings
from proxy.model.verdict import Algorithm

LEAST_STEP = 256  # output tokens of one top-up


class More(Struct, frozen=True, gc=False):
    """A plan that reserves `tokens` more of output."""

    plan: Plan
    tokens: int

    def tokens_of(self, readings: Readings) -> int:
        """How many of them were given: under a hard limit fewer, where fewer are left."""
        given = [self.tokens]
        for charge, reading in readings.of(self.plan):
            if charge.binding and reading.known:
                taken = charge.taken(reading.before, reading.share)
                if taken < charge.amount:
                    given.append(charge.output_for(taken))
        return max(1, min(given))


def may_grow(plan: Plan, facts: Facts) -> bool:
    """Whether an answer may use more than was reserved: where the request does not bound it."""
    if "request.max_tokens" in facts or plan.requests > 1:
        return False
    return any(_of_output(charge) for charge in plan.charges)


def is_hard(plan: Plan) -> bool:
    """Whether a limit ends streams that reach it."""
    return any(charge.hard and charge.binding and _of_output(charge) for charge in plan.charges)


def more(plan: Plan, number: int, at_ns: int) -> More:
    """The next top-up, the `number`-th, at a time: half of what was reserved at first.

    Only a hard limit refuses it: what any other limit lets through is counted beyond it.
    """
    tokens = max(LEAST_STEP, plan.output_tokens // 2)
    charges = tuple(_grown(charge, tokens) for charge in plan.charges if _of_output(charge))
    return More(Plan(at_ns, charges, id=f"{plan.id}+{number}"), tokens)


def _of_output(charge: Charge) -> bool:
    return charge.per_output > 0 and charge.algorithm is not Algorithm.CONCURRENT


def _grown(charge: Charge, tokens: int) -> Charge:
    amount = -(-tokens * charge.per_output // PER_MILLION)
    if not charge.hard:
        return replace(charge, amount=amount, base=0, least=-1, binding=False)
    return replace(charge, amount=amount, base=0, least=-(-charge.per_output // PER_MILLION))
