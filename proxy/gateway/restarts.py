"""When a worker that ended is started again: at once the first time, then ever later."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Pace:
    """How patient a supervisor is.

    A worker that served for `steady_s` has a clean record again. The first restart waits for
    nothing, the second `first_s`, each after that twice as long, up to `most_s`. After `tries`
    starts in a row that never came to serving there is no other.
    """

    steady_s: float = 60.0
    first_s: float = 0.5
    most_s: float = 30.0
    tries: int = 8


class Restarts:
    """The record of one worker. Time is told, never asked."""

    def __init__(self, pace: Pace) -> None:
        self._pace = pace
        self._ends = 0
        self._failed_starts = 0

    def ended(self, lived_s: float, *, served: bool) -> float | None:
        """Seconds until the next start of a worker that lived so long; None where it is enough."""
        pace = self._pace
        if served and lived_s >= pace.steady_s:
            self._ends = 0
        self._failed_starts = 0 if served else self._failed_starts + 1
        if self._failed_starts >= pace.tries:
            return None
        self._ends += 1
        if self._ends == 1:
            return 0.0
        return min(pace.most_s, pace.first_s * 2.0 ** min(self._ends - 2, 60))
