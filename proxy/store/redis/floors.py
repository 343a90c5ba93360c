"""What an exchange is charged if nothing more is heard of it."""

from proxy.model.plan import PER_MILLION, Charge, Plan
from proxy.model.verdict import Algorithm

CONCURRENT = Algorithm.CONCURRENT
OUTPUT_TOKENS_PER_S = 100  # of one answer: more than models write, so that dying is no bargain


def floor(charge: Charge, plan: Plan, interval_s: float) -> int:
    """What one charge comes to if its process dies before it is renewed for the first time.

    Requests and input in full, and the output of one interval between renewals; never more than
    was reserved. A lease is given back. A batch keeps all that it reserved.
    """
    if charge.algorithm is CONCURRENT:
        return 0
    if not charge.per_output or plan.requests > 1:  # a batch goes on without anybody
        return charge.amount
    written = int(OUTPUT_TOKENS_PER_S * interval_s) * plan.choices
    output = min(plan.output_tokens, written)
    return min(charge.amount, charge.base - -output * charge.per_output // PER_MILLION)
