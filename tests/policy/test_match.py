import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.policy.match import (
    Expression,
    Failed,
    Match,
    Missing,
    any_of,
    globbed,
    in_networks,
    one_of,
    wildcards,
)


@pytest.mark.parametrize(
    ("pattern", "text", "matches"),
    [
        ("m-large*", "m-large", True),
        ("m-large*", "m-large-2", True),
        ("m-large*", "xm-large", False),
        ("m-?", "m-a", True),
        ("m-?", "m-", False),
        ("m-?", "m-ab", False),
        ("m[1m]", "m[1m]", True),  # brackets stand for themselves
        ("m[1m]", "m1", False),
        ("m[1m]*", "m[1m]-x", True),
        ("m.a*", "mxa", False),
        ("M-A", "m-a", False),
        ("*", "a\nb", True),
    ],
)
def test_only_star_and_question_mark_are_wildcards(pattern: str, text: str, matches: bool):
    assert wildcards([pattern])(text) is matches
    assert wildcards(["other", "y*", pattern])(text) is matches


def test_a_request_that_concerns_no_model_matches_no_pattern():
    assert globbed("request.model", ["*", ""]).holds({"request.model": ""}) is False


def test_a_false_condition_settles_a_match_whatever_is_missing():
    match = Match((one_of("account.tier", ["free"]), globbed("request.model", ["m"])))
    assert match.holds({"request.model": "other"}) is False
    assert match.holds({"account.tier": "free"}) == Missing("request.model")
    assert match.holds({"request.model": "m", "account.tier": "free"}) is True
    assert match.holds({"request.model": "m"}) == Missing("account.tier")
    assert Match().holds({}) is True


def test_one_of_several_labels_is_enough():
    condition = any_of("account.labels", ["a", "b"])
    assert condition.holds({"account.labels": ("x", "b")}) is True
    assert condition.holds({"account.labels": ("x",)}) is False
    assert condition.holds({"account.labels": ()}) is False
    assert condition.holds({}) == Missing("account.labels")


@pytest.mark.parametrize(
    ("address", "within"),
    [
        ("10.1.2.3", True),
        ("11.1.2.3", False),
        ("203.0.113.9", True),
        ("203.0.113.10", False),
        ("2001:db8:1::5", True),
        ("2001:db9::5", False),
        ("::ffff:10.1.2.3", True),
        ("not an address", False),
    ],
)
def test_an_address_lies_in_one_of_the_networks(address: str, within: bool):
    condition = in_networks("client.address", ["10.0.0.0/8", "203.0.113.9", "2001:db8::/32"])
    assert condition.holds({"client.address": address}) is within
    assert condition.holds({}) == Missing("client.address")


def test_an_ipv4_network_within_ipv6_is_that_ipv4_network():
    """Else a rule over it would never act: addresses are taken out of IPv6 too."""
    condition = in_networks("client.address", ["::ffff:10.0.0.0/104", "::ffff:203.0.113.9"])
    for address in ("10.1.2.3", "::ffff:10.1.2.3", "203.0.113.9"):
        assert condition.holds({"client.address": address}) is True
    for address in ("11.1.2.3", "203.0.113.8", "::a01:203"):
        assert condition.holds({"client.address": address}) is False


def test_a_failed_condition_outweighs_a_missing_fact_and_a_false_one_outweighs_both():
    failed = Expression("x", frozenset(), lambda _: Failed("a division by zero"))
    unknown = one_of("account.tier", ["free"])
    assert Match((unknown, failed)).holds({}) == Failed("a division by zero")
    assert (
        Match((unknown, failed, one_of("request.model", ["m"]))).holds({"request.model": "n"})
        is False
    )


@given(st.text("ab*?", min_size=1, max_size=8), st.text("ab?", max_size=12))
def test_patterns_match_what_the_slow_and_plain_reading_of_them_matches(pattern: str, text: str):
    plain = re.escape(pattern).replace(r"\*", ".*").replace(r"\?", ".")
    assert wildcards([pattern])(text) is bool(re.fullmatch(plain, text, re.DOTALL))


def test_no_text_makes_a_pattern_with_many_wildcards_slow():
    """With a plain `.*` for each, this would outlast the machine."""
    assert wildcards(["*a" * 30 + "x"])("a" * 5_000) is False
    assert wildcards(["*" * 50 + "x", "?*" * 20 + "x"])("a" * 5_000) is False
