"""Arrivals: they follow their profile, keep their rate, and their state is one number."""

import math
from itertools import pairwise
from statistics import mean, stdev

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.campaigns.draw import Draw, running
from bench.campaigns.pace import DAY_S, Pace, profile, weibull_shape

rates = st.lists(st.floats(0.0, 100.0), min_size=1, max_size=48).filter(lambda r: sum(r) > 1e-3)


@settings(max_examples=40)
@given(rates, st.floats(0.3, 4.0), st.floats(1.0, 2000.0), st.integers(0, 1 << 30))
def test_arrivals_only_move_forward(hours, variation, per_day, seed):
    shape = profile("any", 3600.0, hours, variation, 1.0)
    draw = Draw(seed)
    pace = Pace(shape, per_day, 1000.0, seed % shape.period_s, draw)
    times = [pace.next_at(draw) for _ in range(50)]
    assert all(before <= after + 1e-6 for before, after in pairwise(times))
    assert times[0] >= 1000.0 - 1e-6


@settings(max_examples=40)
@given(rates, st.floats(0.0, 1.0, exclude_max=True))
def test_a_profile_inverts_its_own_mass(hours, share):
    shape = profile("any", 3600.0, hours, 1.0, 1.0)
    assert math.isclose(shape.mass_at(shape.offset_at(share)), share, abs_tol=1e-9)


@pytest.mark.parametrize("variation", [0.4, 1.0, 2.5])
def test_the_mean_rate_is_kept_whatever_the_bursts(variation):
    shape = profile("flat", 600.0, [1.0] * 144, variation, 1.0)
    draw = Draw("rate", variation)
    pace = Pace(shape, 400.0, 0.0, 0.0, draw)
    last = [pace.next_at(draw) for _ in range(8000)][-1]
    assert 8000 / (last / DAY_S) == pytest.approx(400.0, rel=0.12)


def test_nothing_arrives_in_silent_hours():
    shape = profile("nine to ten", 3600.0, [0.0] * 9 + [1.0] + [0.0] * 14, 1.0, 1.0)
    draw = Draw("silence")
    pace = Pace(shape, 50.0, 0.0, 0.0, draw)
    hours = {int(pace.next_at(draw) % DAY_S // 3600) for _ in range(500)}
    assert hours == {9}


@pytest.mark.parametrize("variation", [0.3, 1.0, 3.0])
def test_gaps_vary_as_much_as_asked(variation):
    draw = Draw("gaps", variation)
    gaps = [draw.weibull(weibull_shape(variation)) for _ in range(20_000)]
    assert stdev(gaps) / mean(gaps) == pytest.approx(variation, rel=0.15)
    assert mean(gaps) == pytest.approx(1.0, rel=0.1)


def test_draws_depend_on_nothing_but_their_name():
    assert [Draw(1, "a").bits() for _ in range(2)] == [Draw(1, "a").bits()] * 2
    assert Draw(1, "a").bits() != Draw(1, "b").bits()


def test_weights_decide_how_often_something_is_drawn():
    draw = Draw("weights")
    picked = [draw.index(running((1.0, 0.0, 3.0))) for _ in range(4000)]
    assert set(picked) == {0, 2}
    assert picked.count(2) / len(picked) == pytest.approx(0.75, abs=0.03)
