"""What may be set of the detector; the defaults are those that are measured."""

from dataclasses import dataclass

HOUR_S = 3_600
DAY_S = 24 * HOUR_S


@dataclass(frozen=True, slots=True)
class DetectorOptions:
    """Times in seconds.

    A step is taken at each multiple of `step_s` on the Unix clock and takes effect `delay_s`
    later. What was not seen for `horizon_s` is forgotten. `reference_age_s` is how old an account
    must be to count among those from which base rates are learned, `lag_s` how old a base rate
    must be. `max_pairs` bounds the (trait, account) pairs and `first_slots` (a power of two) the
    memory for traits seen from one account only.
    """

    step_s: int = 900
    delay_s: float = 5.0
    horizon_s: int = 14 * DAY_S
    reference_age_s: int = 30 * DAY_S
    lag_s: int = DAY_S
    max_accounts: int = 4_000_000
    max_pairs: int = 40_000_000
    first_slots: int = 1 << 22
    without: frozenset[str] = frozenset()  # families or links that are left out (ablations)
