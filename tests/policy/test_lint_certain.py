"""What the lints call certain holds for every exchange, as the engine itself judges it."""

from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.engine.plan import plan
from proxy.model.facts import Facts
from proxy.model.verdict import Durability, Mode, OnMissing, Verdict
from proxy.policy.candidates import every_rule
from proxy.policy.cel import Environment
from proxy.policy.lints.certain import Acting, acts_wherever
from proxy.policy.lints.globs import covers, meet
from proxy.policy.lints.never import contradiction
from proxy.policy.lints.reach import Reach
from proxy.policy.match import Atom, Match, any_of, globbed, in_networks, one_of, wildcards
from proxy.policy.rules import AccessRule, GeographyRule, PolicySet

CEL = Environment({"large": ("m-large", "m-huge"), "near": ("DE", "FR")})
CLAUSES = (
    'account.tier == "free"',
    'account.tier != "free"',
    'account.tier in ["free", "trial"]',
    'account.tier.startsWith("f")',
    'account.tier == "free" || client.country == "DE"',
    'has(account.tier) && account.tier != "trial" || client.country == "FR"',
    "has(account.tier)",
    "!has(account.tier)",
    "client.country in lists.near",
    'client.country == "DE"',
    "client.country != account.country",
    "account.age_s < 10",
    "account.age_s >= 10 && account.age_s != 12",
    "account.age_s > 5 * 2",
    "account.age_s == 12 || account.age_s < -1",
    "account.age_s / request.choices > 3",
    "10 / request.choices > 3",
    "cluster.score > 0.5",
    "cluster.score >= 1.5",
    "cluster.score <= 0.5 || cluster.score == 0.75",
    "request.choices >= 1",
    "request.stream",
    "!request.stream",
    "request.stream || !request.stream",
    "request.model in lists.large",
    'glob(request.model, "m-*")',
    'glob(request.model, "m-large*")',
    'request.surface == "files"',
    'request.surface in ["messages", "files"]',
    'request.dialect == "anthropic"',
    '"a" in account.labels',
    'account.labels.exists(label, label == "b")',
    'in_network(client.address, "10.0.0.0/8")',
    "1 == 2",
    "2 > 1",
)
ATOMS: tuple[Atom, ...] = (
    *(atom for clause in CLAUSES for atom in CEL.compile(clause)),
    one_of("account.tier", ["free"], "tiers: [free]"),
    one_of("account.tier", ["free", "paid"], "tiers: [free, paid]"),
    one_of("client.country", ["DE", "SG"], "countries: [DE, SG]"),
    one_of("request.surface", ["messages"], "surfaces: [messages]"),
    one_of("request.surface", ["models", "open"], "surfaces: [models, open]"),
    any_of("account.labels", ["a"], "labels: [a]"),
    any_of("account.labels", ["a", "b"], "labels: [a, b]"),
    globbed("request.model", ["m-?arge", "x"], "models: [m-?arge, x]"),
    globbed("request.model", ["m-large*"], "models: [m-large*]"),
    in_networks("client.address", ["10.1.0.0/16"], "networks: [10.1.0.0/16]"),
    in_networks("client.address", ["192.0.2.1", "10.1.2.3"], "networks: [192.0.2.1, 10.1.2.3]"),
)


KNOWN = ("request.surface", "request.dialect", "request.stream", "request.choices")
DIALECTS = {"messages": ["anthropic"], "chat.completions": ["openai"]}
NAMELESS = ("files", "models", "open")


def exchange(draw: Random) -> Facts:
    """Facts as they are gathered: what a surface rules out is not there."""
    surface = draw.choice(["messages", "chat.completions", *NAMELESS])
    models = ["m-large", "m-huge", "m-small", "m-large-2", "x"]
    facts: dict[str, Any] = {
        "request.surface": surface,
        "request.dialect": draw.choice(DIALECTS.get(surface, ["openai", "anthropic"])),
        "request.model": "" if surface in NAMELESS else draw.choice(models),
        "request.stream": draw.random() < 0.5,
        "request.choices": draw.randint(1, 5),
        "account.id": "acc-1",
        "account.labels": tuple(draw.sample("abc", draw.randint(0, 3))),
        "account.tier": draw.choice(["free", "trial", "paid", "other"]),
        "account.country": draw.choice(["DE", "SG"]),
        "account.age_s": draw.randint(-3, 15),
        "client.country": draw.choice(["DE", "FR", "SG", "CU"]),
        "client.address": draw.choice(["10.1.2.3", "10.2.0.1", "192.0.2.1", "::1"]),
        "cluster.score": draw.choice([0.0, 0.25, 0.5, 0.625, 0.75, 1.0]),
    }
    may_miss = sorted(facts.keys() - {*KNOWN, "account.labels"})
    missing = draw.sample(may_miss, draw.choice([0, 0, 1, 2, len(may_miss)]))
    return {name: value for name, value in facts.items() if name not in missing}


SEEN = [exchange(Random(seed)) for seed in range(400)]
matches = st.lists(st.sampled_from(ATOMS), max_size=4).map(tuple)
told = st.sampled_from(OnMissing)


@settings(max_examples=400)
@given(matches)
def test_conditions_that_are_called_at_odds_hold_in_no_exchange(atoms: tuple[Atom, ...]):
    culprits = contradiction(atoms)
    if culprits:
        assert set(culprits) <= set(atoms)
        assert not any(Match(culprits).holds(facts) is True for facts in SEEN)


@settings(max_examples=400)
@given(matches, st.sampled_from(ATOMS))
def test_a_condition_that_is_called_implied_is_false_only_where_the_others_are(
    atoms: tuple[Atom, ...], implied: Atom
):
    if Reach(atoms).implies(implied):
        for facts in SEEN:
            if Match(atoms).holds(facts) is not False:
                assert implied.holds(facts) is not False


@st.composite
def rules(draw: st.DrawFn, name: str) -> AccessRule | GeographyRule:
    common = {
        "id": name,
        "match": Match(draw(matches)),
        "mode": Mode.ENFORCE,
        "on_missing": draw(told),
        "on_error": draw(told),
    }
    if draw(st.booleans()):
        countries = draw(st.sampled_from([("DE",), ("DE", "FR"), ("CU",)]))
        return GeographyRule(**common, countries=frozenset(countries), inverted=draw(st.booleans()))
    return AccessRule(**common, verdict=Verdict.DENY)


@settings(max_examples=400)
@given(rules("one"), rules("other"))
def test_a_rule_that_is_said_to_act_wherever_another_does_is_heard_to(
    one: AccessRule | GeographyRule, other: AccessRule | GeographyRule
):
    if not acts_wherever(Acting(one, 0), Acting(other, 1), at_ns=0):
        return
    both = (one, other)
    policy = PolicySet(
        digest="sha256:0",
        geography=tuple(rule for rule in both if isinstance(rule, GeographyRule)),
        access=tuple(rule for rule in both if isinstance(rule, AccessRule)),
    )
    for facts in SEEN:
        outcomes = plan(every_rule(policy), facts, 0, Durability.ASYNC).outcomes
        acting = {o.rule for o in outcomes if o.verdict is Verdict.DENY}
        assert acting != {"other"}, facts


def test_the_reasoning_finds_what_it_is_there_for():
    free = one_of("account.tier", ["free"], "tiers: [free]")
    both = one_of("account.tier", ["free", "paid"], "tiers: [free, paid]")
    assert Reach((free,)).implies(both)
    assert not Reach((both,)).implies(free)
    (young,), (older,) = CEL.compile("account.age_s < 10"), CEL.compile("account.age_s < 11")
    assert Reach((young,)).implies(older)
    assert not Reach((older,)).implies(young)


PATTERNS = st.text("ab*?", min_size=1, max_size=5)


@given(PATTERNS, PATTERNS, st.text("abc", min_size=1, max_size=6))
def test_patterns_are_compared_as_the_sets_of_texts_that_they_match(
    one: str, other: str, text: str
):
    in_one, in_other = wildcards([one])(text), wildcards([other])(text)
    if covers(one, other):
        assert in_one or not in_other
    if in_one and in_other:
        assert meet(one, other)


@pytest.mark.parametrize(
    ("wide", "narrow", "covered", "met"),
    [
        ("m-*", "m-large", True, True),
        ("m-*", "m-l*e", True, True),
        ("m-?", "m-*", False, True),
        ("?*", "a", True, True),
        ("a*", "b*", False, False),
        ("*a", "b*", False, True),
        ("a?c", "abd", False, False),
        ("a", "a", True, True),
    ],
)
def test_patterns_that_cover_or_meet(wide: str, narrow: str, covered: bool, met: bool):
    assert (covers(wide, narrow), meet(wide, narrow)) == (covered, met)
