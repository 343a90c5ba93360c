import pytest

from proxy.policy.match import Match, any_of, globbed, one_of, wildcards


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
    assert match.holds({"account.tier": "free"}) is None
    assert match.holds({"request.model": "m", "account.tier": "free"}) is True
    assert match.missing({"request.model": "m"}) == "account.tier"
    assert Match().holds({}) is True


def test_one_of_several_labels_is_enough():
    condition = any_of("account.labels", ["a", "b"])
    assert condition.holds({"account.labels": ("x", "b")}) is True
    assert condition.holds({"account.labels": ("x",)}) is False
    assert condition.holds({"account.labels": ()}) is False
    assert condition.holds({}) is None
