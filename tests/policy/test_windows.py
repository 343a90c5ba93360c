"""Windows follow each other without gap or overlap, whatever clocks and calendars do."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.model.plan import NEVER_NS
from proxy.policy.windows import CALENDAR, Window

NS = 1_000_000_000
ZONES = ["UTC", "Europe/Berlin", "America/Sao_Paulo", "Asia/Kathmandu", "Australia/Lord_Howe"]
# From 2000 to 2060, when Sao Paulo still began summer at midnight too.
INSTANTS = st.integers(946_684_800 * NS, 2_840_140_800 * NS)


def ns(text: str, zone: str = "UTC") -> int:
    return round(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp()) * NS


@given(
    INSTANTS,
    st.sampled_from(CALENDAR),
    st.sampled_from(ZONES),
    st.integers(1, 31),
)
def test_an_instant_is_in_its_window_and_the_next_window_begins_where_it_ends(at, name, zone, day):
    window = Window(name, 0, ZoneInfo(zone), day)
    starts, ends = window.around(at)
    assert starts <= at < ends
    assert window.around(starts) == window.around(ends - 1) == (starts, ends)
    assert window.around(ends)[0] == ends
    assert Window(name, 0, ZoneInfo(zone), day).around(at) == (starts, ends)


@pytest.mark.parametrize("name", CALENDAR)
@pytest.mark.parametrize("change", ["2026-04-04T15:00", "2025-10-04T15:30"])
def test_where_clocks_change_by_half_an_hour_every_instant_is_in_one_window(name, change):
    window = Window(name, 0, ZoneInfo("Australia/Lord_Howe"))
    previous = window.around(ns(change) - 7200 * NS)
    for at in range(ns(change) - 7200 * NS, ns(change) + 7200 * NS, 60 * NS):
        starts, ends = window.around(at)
        assert starts <= at < ends
        assert (starts, ends) == previous or starts == previous[1]
        previous = starts, ends


@given(INSTANTS, st.integers(1, 400 * 86_400))
def test_windows_of_a_length_are_aligned_to_the_epoch(at, length_s):
    starts, ends = Window(length_s=length_s).around(at)
    assert starts <= at < ends == starts + length_s * NS
    assert starts % (length_s * NS) == 0


@pytest.mark.parametrize(
    ("window", "at", "starts", "ends"),
    [
        (Window("day", 0, ZoneInfo("Europe/Berlin")), "2026-03-29T12:00", "03-28T23", "03-29T22"),
        (Window("day", 0, ZoneInfo("Europe/Berlin")), "2026-10-25T12:00", "10-24T22", "10-25T23"),
        (Window("hour", 0, ZoneInfo("Asia/Kathmandu")), "2026-05-01T00:20", "05-01T00:15",
         "05-01T01:15"),
        (Window("week"), "2026-11-25T10:00", "11-23T00", "11-30T00"),
        (Window("month", billing_day=31), "2026-02-28T00:00", "02-28T00", "03-31T00"),
        (Window("month", billing_day=31), "2026-03-30T00:00", "02-28T00", "03-31T00"),
        (Window("month", billing_day=15), "2026-01-14T23:59", "2025-12-15T00", "01-15T00"),
        (Window("minute"), "2026-01-14T23:59", "01-14T23:59", "01-15T00:00"),
    ],
)  # fmt: skip
def test_windows_of_the_calendar(window: Window, at: str, starts: str, ends: str):
    def full(text: str) -> str:
        text = text if text.startswith("20") else f"2026-{text}"
        return text if ":" in text else f"{text}:00"

    assert window.around(ns(at)) == (ns(full(starts)), ns(full(ends)))


def test_a_lifetime_never_ends():
    assert Window("lifetime").around(1) == (0, NEVER_NS)
    assert Window("lifetime").seconds(0, NEVER_NS) == 0


def test_every_window_has_a_word_of_its_own():
    zones = [ZoneInfo("Europe/Berlin"), UTC]
    windows = [Window(name, 0, zone, day) for name in CALENDAR for zone in zones for day in (1, 15)]
    words = [window.word for window in (*windows, Window("lifetime"), Window(length_s=86_400))]
    assert len(set(words)) == len(words)


def test_the_time_that_a_window_lasts_is_told_in_seconds():
    window = Window("day", 0, ZoneInfo("Europe/Berlin"))
    day_of_change = window.around(ns("2026-03-29T12:00"))
    assert window.seconds(*day_of_change) == timedelta(hours=23).total_seconds()
