"""What an explanation says of each rule, and that it says what the judge did."""

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.engine.judge import judge
from proxy.engine.plan import plan
from proxy.model.plan import Reading, Readings
from proxy.model.verdict import Durability, Mode, Verdict
from proxy.policy.candidates import every_rule
from proxy.policy.load import compile_texts
from proxy.policy.rules import PolicySet
from proxy.trial.clauses import Withheld
from proxy.trial.explain import explain
from proxy.trial.explanation import Explained, Explanation, Mark

S = 1_000_000_000
NOON_NS = 1_776_816_000 * S
ORDINARY = {
    "request.surface": "chat.completions",
    "request.dialect": "openai",
    "request.model": "m-large",
    "request.stream": False,
    "request.choices": 1,
    "request.input_tokens": 100,
    "request.max_tokens": 50,
    "account.id": "acc-1",
    "account.tier": "free",
    "account.labels": (),
    "client.country": "SG",
    "fingerprint.template_accounts": {3600: 4},
    "time.now": NOON_NS,
}
POLICY = """
lists:
  embargoed: [CU, IR, KP, SY, SG, RU, BY]
quotas:
  - id: per-minute
    match: {tiers: [free]}
    mode: enforce
    limit: {requests: 3, tokens: 900}
    window: 1m
  - id: paid-only
    match: {tiers: [paid]}
    mode: enforce
    limit: {requests: 9}
    window: 1h
geography:
  - id: embargo
    match: {models: ["m-large*"]}
    mode: shadow
    deny_countries: $embargoed
access:
  - id: unverified
    match: 'request.model.startsWith("m-large") && account.verified == false'
    mode: enforce
    on_missing: abstain
    then: step_up
  - id: nearly-spent
    match: quota.used_share > 0.5
    mode: enforce
    then: delay
    delay: 2s
  - id: broken
    match: 10 / (request.choices - 1) > 1
    mode: enforce
    on_error: abstain
    then: deny
  - id: later
    not_before: 2030-01-01
    mode: enforce
    then: deny
  - id: few
    mode: enforce
    rollout: 0.1
    then: deny
fingerprints:
  - id: shared
    mode: enforce
    template: {accounts: 5, within: 1h}
exceptions:
  - id: migration
    rules: [per-minute]
    accounts: [acc-2]
    granted_by: j.doe
    reason: moves
    until: 2030-01-01
"""


def set_of(text: str) -> PolicySet:
    return compile_texts([("p.yaml", text.encode())])


def explained(
    policy: PolicySet, before: tuple[int, ...] = (), *, available: bool = True, **changed: Any
) -> Explanation:
    """An ordinary exchange with changed facts, after what was counted before."""
    facts = {**ORDINARY, **{name.replace("__", "."): v for name, v in changed.items()}}
    facts = {name: value for name, value in facts.items() if value is not None}
    wanted = plan(every_rule(policy), facts, NOON_NS, Durability.ASYNC)
    counts = [*before, *[0] * len(wanted.charges)][: len(wanted.charges)]
    readings = Readings(tuple(Reading(n, NOON_NS + 60 * S) for n in counts), taken=False)
    if not available:
        readings = Readings(available=False)
    decision = judge(policy, wanted, readings, 0, facts)
    return explain(policy, facts, wanted, readings, decision, NOON_NS)


def rule(explanation: Explanation, name: str) -> Explained:
    return next(rule for rule in explanation.rules if rule.id == name)


def test_what_decided_comes_with_its_reason_and_with_what_the_caller_was_told():
    decided = explained(set_of(POLICY), (3,)).decided
    assert (decided.verdict, decided.by) == ("throttle", ("per-minute",))
    assert decided.why == (
        "Refused for now: per-minute (requests: 3 used and 1 asked for, limit 3 in 60 s)."
    )
    assert decided.told is not None
    assert (decided.told.status, decided.told.kind) == (429, "rate_limit")
    assert decided.told.message == "Rate limit reached: 3 requests per minute."
    assert decided.told.retry_at == "2026-04-22T00:01:00Z"


def test_a_clause_has_its_text_its_values_and_its_truth():
    found = explained(set_of(POLICY))
    (clause,) = rule(found, "paid-only").clauses
    assert (clause.text, clause.mark) == ("tiers: [paid]", Mark.FALSE)
    assert clause.facts == (("account.tier", "free"),)
    model, verified = rule(found, "unverified").clauses
    assert (model.text, model.mark) == ('request.model.startsWith("m-large")', Mark.TRUE)
    assert (verified.mark, verified.why) == (Mark.MISSING, "account.verified is not known")
    (failed,) = rule(found, "broken").clauses
    assert failed.mark is Mark.FAILED
    assert failed.why


def test_a_rule_that_is_unsure_shows_what_it_did_then():
    unverified = rule(explained(set_of(POLICY)), "unverified")
    assert unverified.matches is Mark.MISSING
    (said,) = unverified.said
    assert (said.verdict, said.why) == (
        "allow",
        "account.verified is not known; on_missing: abstain",
    )


def test_a_rule_shows_the_condition_of_its_kind_with_its_values():
    found = explained(set_of(POLICY))
    (place,) = rule(found, "embargo").own
    assert place.text == (
        "client.country is among deny_countries: [BY, CU, IR, KP, RU, SG, … 7 in all]"
    )
    assert (place.mark, place.facts) == (Mark.TRUE, (("client.country", "SG"),))
    (shared,) = rule(found, "shared").own
    assert shared.text == "template shared by 5 or more accounts within 3600 s"
    assert (shared.mark, shared.facts) == (Mark.FALSE, (("fingerprint.template_accounts", 4),))


def test_a_quota_shows_what_was_counted_before_what_is_added_and_when_it_begins_anew():
    requests, tokens = rule(explained(set_of(POLICY), (1, 800)), "per-minute").counted
    assert (requests.before, requests.amount, requests.limit, requests.fits) == (1, 1, 3, True)
    assert (tokens.before, tokens.amount, tokens.limit, tokens.fits) == (800, 150, 900, False)
    assert tokens.resets_at == "2026-04-22T00:01:00Z"
    assert rule(explained(set_of(POLICY)), "paid-only").counted == ()


def test_a_quota_whose_limit_is_learned_shows_what_it_follows():
    policy = set_of(
        "quotas: [{id: one-hand, mode: enforce, per: cluster, window: 1d, "
        "limit: {requests: {ordinary: 0.25, until_known: 20}}}]"
    )
    clustered = {"cluster__ids": ("c-1",), "cluster__lineage": ()}
    (known,) = rule(explained(policy, ordinary__requests=80, **clustered), "one-hand").counted
    (unknown,) = rule(explained(policy, **clustered), "one-hand").counted
    assert (known.limit, known.learned) == (20, "0.25 of ordinary.requests 80")
    assert (unknown.limit, unknown.learned) == (20, "until ordinary.requests is known")


def test_a_quota_whose_counts_could_not_be_had_says_so():
    (requests, _) = rule(explained(set_of(POLICY), available=False), "per-minute").counted
    assert (requests.before, requests.fits, requests.resets_at) == (None, None, None)


def test_a_rule_over_readings_shows_the_reading():
    (clause,) = rule(explained(set_of(POLICY), (1,)), "nearly-spent").clauses
    assert clause.mark is Mark.TRUE
    assert clause.facts == (("quota.used_share", 2 / 3),)


def test_a_rule_that_does_not_work_now_says_since_when_or_until_when():
    later = rule(explained(set_of(POLICY)), "later")
    assert (later.rests, later.matches, later.said) == (
        "begins 2030-01-01T00:00:00Z",
        Mark.TRUE,
        (),
    )
    ended = set_of(POLICY.replace("not_before: 2030-01-01", "expires: 2020-01-01"))
    assert rule(explained(ended), "later").rests == "ended 2020-01-01T00:00:00Z"


def test_a_rule_that_is_lowered_says_by_what():
    few = rule(explained(set_of(POLICY)), "few")
    assert few.lowered == "rollout: it acts for 0.1 % of accounts, and this one is not among them"
    assert (few.mode, few.said[0].mode) == ("enforce", "shadow")
    found = explained(set_of(POLICY), account__id="acc-2")
    assert rule(found, "per-minute").lowered == "exception migration"
    (exception,) = found.exceptions
    assert (exception.matches, exception.lowers) == (Mark.TRUE, ("per-minute",))


def test_an_exchange_that_is_let_through_says_what_changes_it():
    decided = explained(set_of(POLICY), (1,)).decided
    assert (decided.verdict, decided.by, decided.delay_s) == ("delay", ("nearly-spent",), 2.0)
    assert decided.why == "Let through after a delay: nearly-spent (its match holds)."
    assert explained(set_of(POLICY), request__model="m-small").decided.why == (
        "Let through: no enforced rule says otherwise."
    )


def test_every_rule_is_there_and_those_that_do_not_govern_are_not_relevant():
    found = explained(set_of(POLICY))
    relevant = {rule.id for rule in found.rules if rule.relevant}
    assert {rule.id for rule in found.rules} - relevant == {"paid-only", "nearly-spent"}
    assert not found.exceptions[0].relevant


NETWORKED = """
access:
  - {id: net, match: {networks: [10.0.0.0/8], tiers: [free]}, mode: enforce, then: deny}
  - {id: guarded, match: "has(client.address) && account.tier != 'free'", mode: enforce, then: deny}
  - {id: either, match: "account.tier == 'free' || in_network(client.address, '10.0.0.0/8')",
     mode: shadow, then: deny}
  - {id: named, match: {accounts: [acc-9]}, mode: enforce, then: deny}
"""


def test_a_clause_over_a_fact_that_cannot_be_read_any_more_is_neither_true_nor_false():
    policy = set_of(NETWORKED)
    facts = {n: v for n, v in ORDINARY.items() if n != "account.id"}
    wanted = plan(every_rule(policy), facts, NOON_NS, Durability.ASYNC)
    decision = judge(policy, wanted, Readings(), 0, facts)
    withheld = {
        "client.address": Withheld("recorded as a pseudonym"),
        "account.id": Withheld("nobody's", none_named=True),
    }
    found = explain(policy, facts, wanted, Readings(), decision, NOON_NS, withheld=withheld)
    network, tier = sorted(rule(found, "net").clauses, key=lambda c: c.text)
    assert (network.mark, network.why) == (
        Mark.WITHHELD,
        "client.address: recorded as a pseudonym",
    )
    assert tier.mark is Mark.TRUE
    assert rule(found, "net").matches is Mark.WITHHELD
    known, other = rule(found, "guarded").clauses
    assert (known.mark, other.mark) == (Mark.WITHHELD, Mark.FALSE)
    assert rule(found, "guarded").matches is Mark.FALSE
    assert rule(found, "either").matches is Mark.TRUE
    assert rule(found, "named").matches is Mark.FALSE


# What an explanation says of any rules and facts is what the judge said.


def some(*values: object):
    return st.lists(st.sampled_from(values), min_size=1, max_size=2, unique=True)


MATCHES = st.fixed_dictionaries(
    {},
    optional={
        "models": some("m-*", "m-a", "x?"),
        "tiers": some("free", "paid"),
        "accounts": some("a1", "a2"),
        "networks": some("10.0.0.0/8", "203.0.113.0/24"),
        "labels": some("trusted", "beta"),
        "cel": st.sampled_from(
            [
                'account.tier == "free" && client.country != "CU"',
                'account.tier == "free" || account.verified',
                "10 / request.choices > 4",
                'has(account.tier) && account.tier in ["paid"]',
            ]
        ),
    },
)
FACTS = st.fixed_dictionaries(
    {
        "account.id": st.sampled_from(["a1", "a2"]),
        "request.choices": st.integers(0, 2),
        "request.input_tokens": st.integers(0, 5),
        "fingerprint.template_accounts": st.sampled_from([{}, {60: 2}, {60: 9}]),
    },
    optional={
        "request.model": st.sampled_from(["", "m-a", "xy", "other"]),
        "account.tier": st.sampled_from(["free", "paid"]),
        "account.verified": st.booleans(),
        "account.labels": st.sampled_from([(), ("trusted",), ("beta", "trusted")]),
        "client.country": st.sampled_from(["CU", "SG"]),
        "client.address": st.sampled_from(["10.1.2.3", "203.0.113.7", "2001:db8::1"]),
    },
)
KINDS = {
    "geography": st.just({"deny_countries": ["CU"]}),
    "access": st.sampled_from(
        [{"then": "deny"}, {"modify": {"max_tokens": 5}}, {"then": "delay", "delay": "2s"}]
    ),
    "fingerprints": st.just({"template": {"accounts": 3, "within": "1m"}}),
    "quotas": st.just({"limit": {"requests": 2}, "window": "1m"}),
}


@st.composite
def policies(draw) -> PolicySet:
    file: dict[str, list[dict[str, object]]] = {kind: [] for kind in KINDS}
    ids: list[str] = []
    for i in range(draw(st.integers(1, 5))):
        kind = draw(st.sampled_from(sorted(KINDS)))
        modes = ["enforce", "shadow"] if kind == "fingerprints" else ["enforce", "warn", "shadow"]
        more = draw(st.sampled_from([{}, {"rollout": 50}, {"expires": "1970-01-02"}]))
        unsure = {"on_missing": draw(st.sampled_from(["apply", "abstain"]))}
        match = draw(MATCHES)
        ids.append(f"r{i}")
        common = {"id": ids[-1], "match": match, "mode": draw(st.sampled_from(modes))}
        file[kind].append({**common, **draw(KINDS[kind]), **more, **unsure})
    granted = {"granted_by": "x", "reason": "y", "until": "2100-01-01", "accounts": ["a1"]}
    file["exceptions"] = [{"id": "e", "rules": [draw(st.sampled_from(ids))], **granted}]
    return compile_texts([("p.yaml", json.dumps(file).encode())])


@settings(max_examples=150)
@given(policy=policies(), facts=FACTS, before=st.lists(st.integers(0, 3), min_size=5, max_size=5))
def test_the_explanation_agrees_with_the_judge(policy, facts, before):
    at_ns = 10**18
    wanted = plan(every_rule(policy), facts, at_ns, Durability.ASYNC)
    readings = Readings(tuple(Reading(n, 0) for n, _ in zip(before, wanted.charges, strict=False)))
    decision = judge(policy, wanted, readings, 0, facts)
    found = explain(policy, facts, wanted, readings, decision, at_ns)
    assert found.decided.verdict == decision.verdict.word
    spoke = {outcome.rule for outcome in (*decision.spoke, *decision.shadow)} - {"e"}
    assert {rule.id for rule in found.rules if would_speak(rule)} == spoke
    enforced = [rule for rule in found.rules if rule.mode == "enforce" and not rule.lowered]
    strongest = max((Verdict[s.verdict.upper()] for r in enforced for s in r.said), default=0)
    assert strongest == decision.verdict
    if decision.verdict is not Verdict.ALLOW or decision.modifiers:
        assert {r.id for r in found.rules if r.decided} == set(found.decided.by) != set()
    for one in found.rules:
        lowers = one.mode != "shadow" and any(s.mode == Mode.SHADOW.value for s in one.said)
        assert not lowers or one.lowered


def would_speak(rule: Explained) -> bool:
    """Whether a rule speaks, from its clauses alone."""
    if rule.rests or rule.matches is Mark.FALSE:
        return False
    unsure = rule.matches is not Mark.TRUE
    if rule.kind == "quota":
        applies = not unsure or bool(rule.counted)
        return any(not counted.fits for counted in rule.counted) if applies else True
    if rule.kind in ("geography", "fingerprint"):
        return rule.own[0].mark is not Mark.FALSE
    return True
