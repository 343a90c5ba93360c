import pytest

from proxy.model.decision import LimitState
from proxy.model.exchange import Dialect
from proxy.model.verdict import Unit
from proxy.wire.limit_headers import is_limit_header, limit_headers

NS = 1_000_000_000
AT = 1_776_816_000 * NS  # 2026-04-22T00:00:00Z


def limit(unit=Unit.REQUESTS, rule="rpm", limit=100, remaining=40, window_s=60, left_s=30.0):
    return LimitState(rule, unit, limit, remaining, window_s, AT + int(left_s * NS))


def fields(dialect, *limits):
    return dict(limit_headers(dialect, limits, AT))


def test_openai_callers_get_the_fields_that_their_sdk_documents():
    found = fields(
        Dialect.OPENAI,
        limit(),
        limit(Unit.TOKENS, "tpm", 90_000, 89_000, left_s=360),
        limit(Unit.OUTPUT_TOKENS, "otpm", 8_000, 7_000),
    )
    assert found["x-ratelimit-limit-requests"] == "100"
    assert found["x-ratelimit-remaining-requests"] == "40"
    assert found["x-ratelimit-reset-requests"] == "30s"
    assert found["x-ratelimit-limit-tokens"] == "90000"
    assert found["x-ratelimit-remaining-tokens"] == "89000"
    assert found["x-ratelimit-reset-tokens"] == "6m0s"
    assert not any(name.startswith("anthropic-") for name in found)


@pytest.mark.parametrize(
    ("left_s", "written"),
    [
        (-5, "0s"),
        (0, "0s"),
        (0.0120001, "13ms"),
        (0.012, "12ms"),
        (0.9999, "1s"),
        (1, "1s"),
        (1.2, "2s"),
        (59.5, "1m0s"),
        (3600, "1h0m0s"),
        (86_399, "23h59m59s"),
    ],
)
def test_openai_spans_are_rounded_up_and_written_in_its_own_form(left_s, written):
    assert fields(Dialect.OPENAI, limit(left_s=left_s))["x-ratelimit-reset-requests"] == written


def test_anthropic_callers_get_rfc_3339_resets_and_the_most_restrictive_token_limit():
    found = fields(
        Dialect.ANTHROPIC,
        limit(Unit.INPUT_TOKENS, "itpm", 50_000, 49_000),
        limit(Unit.OUTPUT_TOKENS, "otpm", 8_000, 300, left_s=12.1),
    )
    assert found["anthropic-ratelimit-input-tokens-remaining"] == "49000"
    assert found["anthropic-ratelimit-output-tokens-limit"] == "8000"
    assert found["anthropic-ratelimit-tokens-remaining"] == "300"
    assert found["anthropic-ratelimit-tokens-reset"] == "2026-04-22T00:00:13Z"
    assert "anthropic-ratelimit-requests-limit" not in found


def test_of_several_limits_of_one_unit_the_most_restrictive_is_shown():
    found = fields(
        Dialect.OPENAI,
        limit(rule="rpm", limit=100, remaining=40, left_s=30),
        limit(rule="rpd", limit=1000, remaining=7, left_s=7200),
        limit(rule="rph", limit=500, remaining=7, left_s=600),
    )
    assert found["x-ratelimit-limit-requests"] == "1000"
    assert found["x-ratelimit-reset-requests"] == "2h0m0s"


def test_the_ietf_fields_name_every_limit_and_the_unit_of_token_limits():
    found = fields(
        Dialect.OPENAI,
        limit(),
        limit(Unit.INPUT_TOKENS, "itpd", 5_000, 0, 86_400, left_s=0.5),
    )
    assert found["RateLimit-Policy"] == '"rpm";q=100;w=60, "itpd";q=5000;qu="input-tokens";w=86400'
    assert found["RateLimit"] == '"rpm";r=40;t=30, "itpd";r=0;t=1'


def test_a_rule_that_limits_several_units_has_a_policy_of_its_own_name_for_each():
    found = fields(
        Dialect.ANTHROPIC,
        limit(rule="rpm"),
        limit(rule="daily", window_s=86_400),
        limit(Unit.INPUT_TOKENS, "daily", 5_000, 10, 86_400),
    )
    assert found["RateLimit-Policy"] == (
        '"rpm";q=100;w=60, "daily.requests";q=100;w=86400,'
        ' "daily.input-tokens";q=5000;qu="input-tokens";w=86400'
    )
    assert found["RateLimit"] == (
        '"rpm";r=40;t=30, "daily.requests";r=40;t=30, "daily.input-tokens";r=10;t=30'
    )


def test_rule_ids_are_quoted_as_structured_strings():
    found = fields(Dialect.OPENAI, limit(rule='a"b\\c\r\nü'))
    assert found["RateLimit"].startswith('"a\\"b\\\\c???";r=')


def test_absurd_numbers_stay_inside_what_the_formats_can_say():
    absurd = limit(limit=10**18, remaining=-3, window_s=10**16, left_s=10**12)
    found = fields(Dialect.ANTHROPIC, absurd)
    assert found["RateLimit-Policy"] == '"rpm";q=999999999999999;w=999999999999999'
    assert found["RateLimit"].startswith('"rpm";r=0;')
    assert found["anthropic-ratelimit-requests-remaining"] == "0"
    assert found["anthropic-ratelimit-requests-reset"] == "9999-12-31T23:59:59Z"


@pytest.mark.parametrize("dialect", Dialect)
def test_no_limits_no_fields(dialect):
    assert limit_headers(dialect, (), AT) == ()


@pytest.mark.parametrize("dialect", Dialect)
def test_every_field_of_ours_is_one_that_replaces_an_upstreams(dialect):
    limits = tuple(limit(unit) for unit in Unit)
    assert all(is_limit_header(name) for name, _ in limit_headers(dialect, limits, AT))


def test_other_fields_of_an_upstream_are_not_replaced():
    assert is_limit_header("X-RateLimit-Limit-Requests")
    assert is_limit_header("RATELIMIT")
    assert not is_limit_header("retry-after")
    assert not is_limit_header("x-request-id")
    assert not is_limit_header("ratelimits")


def test_what_no_time_brings_back_has_no_window_and_no_reset_and_is_in_no_vendors_field():
    found = fields(
        Dialect.OPENAI,
        limit(Unit.COST, "budget", 25_000_000, 1_500_000, window_s=0),
        limit(Unit.CONCURRENT, "at-once", 5, 3, window_s=0),
        limit(Unit.BYTES, "bytes", 900, 1, window_s=60),
    )
    assert found == {
        "RateLimit-Policy": '"budget";q=25000000;qu="cost", "at-once";q=5;qu="concurrent-requests",'
        ' "bytes";q=900;qu="content-bytes";w=60',
        "RateLimit": '"budget";r=1500000, "at-once";r=3, "bytes";r=1;t=30',
    }
