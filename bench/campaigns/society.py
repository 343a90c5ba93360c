"""Relationship facts of unrelated people: what they share because the world is small.

Mail domains, phone prefixes and referrers follow a few large providers and a long tail; sign-ups
follow a calendar with working hours, growth and days on which something was advertised.
"""

from bisect import bisect_right
from dataclasses import dataclass
from functools import cache

from bench.campaigns import exits, networks
from bench.campaigns.draw import Draw, digest, running
from bench.campaigns.pace import DAY_S, is_weekend

OLDEST_DAYS = 900
DOUBLING_DAYS = 300.0
ADVERTISED = 1 / 15  # of the days
UNDECLARED = 52  # of 100 accounts name no organization
NO_PAYMENT, NO_PHONE, NO_REFERRER, NO_DEVICE = 0.3, 0.35, 0.45, 0.12
OWN_DOMAIN = 0.35
MAIL = ("mail.example", "post.example", "inbox.example", "letters.example", "web.example")
PROVIDERS = (*MAIL, *(f"provider-{number}.example" for number in range(60)))
_PROVIDER_AT = running((52.0, 14.0, 9.0, 7.0, 5.0, *(13.0 / (2 + rank) for rank in range(60))))
_PREFIX_AT = running([1.0 / (2 + rank) for rank in range(90)])
_REFERRER_AT = running([1.0 / (1 + rank) for rank in range(40)])
_HOURS_AT = running((3, 2, 1, 1, 1, 2, 5, 12, 28, 40, 44, 42, 36, 40, 44, 44, 42, 38, 34, 34, 32,
                     26, 16, 8))  # fmt: skip


def organization(account: str) -> str | None:
    """The organization that an account declares by itself: its own, or none."""
    return None if digest("declares", account) % 100 < UNDECLARED else f"org-{account}"


def links(account: str, draw: Draw, place: str) -> dict[str, str]:
    """Links of an unrelated account, those that it has."""
    found: dict[str, str] = {}
    if not draw.chance(NO_PAYMENT):
        found["payment"] = f"pay-{draw.bits():016x}"
    found["email_domain"] = mail_domain(account, draw)
    if not draw.chance(NO_PHONE):
        found["phone_prefix"] = f"{place} {10 + draw.index(_PREFIX_AT)}"
    found["signup_ip"] = exits.signed_up_from(draw, place)
    if not draw.chance(NO_REFERRER):
        found["referrer"] = f"r-{draw.index(_REFERRER_AT)}"
    if not draw.chance(NO_DEVICE):
        found["device"] = f"d-{draw.bits():016x}"
    return found


def mail_domain(account: str, draw: Draw) -> str:
    """Its own domain, or a provider's."""
    if draw.chance(OWN_DOMAIN):
        return f"{account}.example"
    return PROVIDERS[draw.index(_PROVIDER_AT)]


@dataclass(frozen=True, slots=True)
class Calendar:
    """When accounts are opened: by day since `first_s` (Unix seconds, a midnight in UTC)."""

    first_s: float
    until_s: float
    cumulative: tuple[float, ...]

    def moment(self, draw: Draw, place: str) -> float:
        """The time of one sign-up, in Unix seconds, before `until_s`."""
        day = bisect_right(self.cumulative, draw.unit() * self.cumulative[-1])
        day = min(day, len(self.cumulative) - 1)
        local_s = 3600.0 * (draw.index(_HOURS_AT) + draw.unit())
        at_s = self.first_s + DAY_S * day + (local_s - east_s(place)) % DAY_S
        return at_s if at_s < self.until_s else at_s - DAY_S


def advert(draw: Draw, at_s: float) -> str | None:
    """The referrer of an advertisement, for most of those who came on its day."""
    day = int(at_s // DAY_S)
    pull = advertised(day)
    return f"ad-{day}" if pull > 1.0 and draw.chance(0.8 * (1.0 - 1.0 / pull)) else None


@cache
def calendar(start_s: float, length_s: float) -> Calendar:
    """Sign-ups from long before `start_s` until `length_s` after it: growth, weeks, adverts."""
    first_day = int(start_s // DAY_S) - OLDEST_DAYS
    last_day = int((start_s + max(length_s, 0.0) - 1.0) // DAY_S)
    weights = []
    for day in range(first_day, last_day + 1):
        share = min(1.0, (start_s + length_s - day * DAY_S) / DAY_S)
        growth = 2.0 ** ((day - first_day) / DOUBLING_DAYS)
        rest = 0.55 if is_weekend(day * DAY_S) else 1.0
        weights.append(share * growth * rest * advertised(day))
    return Calendar(first_day * DAY_S, start_s + length_s, running(weights))


@cache
def advertised(day: int) -> float:
    """How many times as many people come on this day (since 1970) as on others."""
    draw = Draw("advertised", day)
    return 3.0 + 6.0 * draw.unit() if draw.chance(ADVERTISED) else 1.0


def east_s(place: str) -> float:
    """The distance of a country's clock from UTC, in seconds."""
    return networks.HOURS_EAST[place] * 3600.0
