"""Limits in words, for those who read decisions: operators, in records and explanations."""

from proxy.engine.refusal import shown
from proxy.model.plan import Charge
from proxy.model.verdict import Algorithm, Unit


def span(unit: Unit, window_s: int) -> str:
    """In what time a limit counts; a window of 0 seconds never ends."""
    if unit is Unit.CONCURRENT:
        return "at the same time"
    return f"in {window_s} s" if window_s else "for ever"


def within(charge: Charge) -> str:
    """The same of a charge; of a bucket that fills at another rate than its depth, the rate too."""
    words = span(charge.unit, charge.window_s)
    if charge.algorithm is Algorithm.GCRA and charge.rate != charge.limit:
        return f"at once, {shown(charge.unit, charge.rate)} {words}"
    return words


def asked(unit: Unit, before: int, amount: int, limit: int, when: str) -> str:
    """What was used and is asked for, against a limit; `when` is its time in words."""
    used, more = shown(unit, before), shown(unit, amount)
    return f"{unit.value}: {used} used and {more} asked for, limit {shown(unit, limit)} {when}"
