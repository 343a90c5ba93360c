"""The windows that quotas count in: when the one begins and ends that an instant falls in.

Windows of one kind follow each other without gap or overlap, whatever the clocks of a time zone
do: where a day begins at an hour that does not exist, it begins at the change.
"""

from calendar import monthrange
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, tzinfo

from proxy.model.plan import NEVER_NS

NS_PER_S = 1_000_000_000
CALENDAR = ("minute", "hour", "day", "week", "month")
LIFETIME = "lifetime"


@dataclass(frozen=True, slots=True)
class Window:
    """A window: of `length_s` seconds, or by its `name` in CALENDAR, or LIFETIME.

    A week begins on Monday, a month on its `billing_day` (the last day of a month that is too
    short), in the time zone `zone`.
    """

    name: str = ""
    length_s: int = 0
    zone: tzinfo = UTC
    billing_day: int = 1
    _latest: list[tuple[int, int]] = field(
        default_factory=lambda: [(0, 0)], init=False, repr=False, compare=False, hash=False
    )

    @property
    def word(self) -> str:
        """The window in a word that tells it from all others: it is a part of a counter's name."""
        if not self.name:
            return str(self.length_s)
        if self.name == LIFETIME or (self.zone is UTC and self.billing_day == 1):
            return self.name
        return f"{self.name}@{self.zone}+{self.billing_day}"

    @property
    def text(self) -> str:
        """The window as operators write it."""
        return self.name or f"{self.length_s} s"

    def around(self, at_ns: int) -> tuple[int, int]:
        """Beginning and end (Unix ns) of the window that `at_ns` falls in."""
        if not self.name:
            length_ns = self.length_s * NS_PER_S
            starts_ns = at_ns - at_ns % length_ns
            return starts_ns, starts_ns + length_ns
        if self.name == LIFETIME:
            return 0, NEVER_NS
        latest = self._latest[0]
        if not latest[0] <= at_ns < latest[1]:
            latest = self._latest[0] = self._of_calendar(at_ns)
        return latest

    def seconds(self, starts_ns: int, ends_ns: int) -> int:
        """The length of one of its windows; 0 where it never ends."""
        if self.name == LIFETIME:
            return 0
        return self.length_s or (ends_ns - starts_ns) // NS_PER_S

    def _of_calendar(self, at_ns: int) -> tuple[int, int]:
        local = datetime.fromtimestamp(at_ns // NS_PER_S, UTC).astimezone(self.zone)
        if self.name in ("minute", "hour"):
            return self._of_clock(local, at_ns)
        start = local.replace(hour=0, minute=0, second=0, microsecond=0, fold=0)
        if self.name == "week":
            start -= timedelta(days=start.weekday())
            return _ns(start), _ns(start + timedelta(days=7))
        if self.name == "month":
            start = self._billed(start)
            return _ns(start), _ns(self._next_billed(start))
        return _ns(start), _ns(start + timedelta(days=1))

    def _of_clock(self, local: datetime, at_ns: int) -> tuple[int, int]:
        """An hour or minute: as long as any other, also where the clocks change by an hour.

        Where they change by half an hour, the one at the change is in two parts or is shorter.
        """
        start = local.replace(second=0, microsecond=0)
        if self.name == "minute":
            return _ns(start), _ns(start) + 60 * NS_PER_S
        start = start.replace(minute=0)
        following_ns = _ns(start + timedelta(hours=1))
        ends_ns = min(_ns(start) + 3600 * NS_PER_S, following_ns)
        return (_ns(start), ends_ns) if at_ns < ends_ns else (ends_ns, following_ns)

    def _billed(self, day: datetime) -> datetime:
        """The latest billing day that is not after `day`."""
        billed = self._in_month(day)
        return billed if billed <= day else self._in_month(day.replace(day=1) - timedelta(days=1))

    def _next_billed(self, start: datetime) -> datetime:
        return self._in_month(start.replace(day=1) + timedelta(days=32))

    def _in_month(self, day: datetime) -> datetime:
        last = monthrange(day.year, day.month)[1]
        return day.replace(day=min(self.billing_day, last))


def _ns(at: datetime) -> int:
    return round(at.timestamp()) * NS_PER_S
