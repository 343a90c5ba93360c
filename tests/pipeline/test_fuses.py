"""Fuses: when they blow, what stays disarmed, and that they hold little."""

import json
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.model.decision import Decision, RuleOutcome
from proxy.model.verdict import Cause, Durability, Mode, RuleKind, Verdict
from proxy.pipeline.fuses import BY_FUSE, SET_BACK_NS, Blown, Disarmed, Fuses
from proxy.policy.load import compile_texts
from proxy.policy.rules import PolicySet

S = 1_000_000_000
NOON_NS = 1_776_816_000 * S


def rules(
    *fuses: tuple[str, int, str] | str, mode: str = "enforce", legal: tuple[str, ...] = ()
) -> PolicySet:
    """A set of access rules, each with (id, accounts, within) of its fuse, or without one."""
    lines = ["access:"]
    for fuse in fuses:
        rule, more = fuse, ""
        if isinstance(fuse, tuple):
            rule, accounts, within = fuse
            more = f", fuse: {{accounts: {accounts}, within: {within}}}"
        more += ", legal: true" if rule in legal else ""
        lines.append(f"  - {{id: {rule}, mode: {mode}, then: deny{more}}}")
    return compile_texts([("p.yaml", "\n".join(lines).encode())])


def decision(*spoke: str, verdict: Verdict = Verdict.DENY, mode: Mode = Mode.ENFORCE) -> Decision:
    lowered = Cause.DISARMED if mode is Mode.SHADOW else None
    said = tuple(RuleOutcome(rule, RuleKind.ACCESS, mode, verdict, "", lowered) for rule in spoke)
    acts = mode is Mode.ENFORCE and bool(spoke)
    return Decision(
        verdict=verdict if acts else Verdict.ALLOW,
        spoke=() if mode is Mode.SHADOW else said,
        shadow=said if mode is Mode.SHADOW else (),
        refusal=None,
        limits=(),
        durability=Durability.ASYNC,
        policy="sha256:p",
        index=0,
    )


REFUSED = decision("r")


def refuse(fuses: Fuses, accounts: range, at_ns: int = NOON_NS) -> list[Blown]:
    return [
        blown for number in accounts for blown in fuses.observe(REFUSED, f"acc-{number}", at_ns)
    ]


def test_a_fuse_blows_at_one_account_more_than_it_allows_and_the_rule_is_disarmed():
    fuses = Fuses(rules(("r", 3, "10m")))
    assert refuse(fuses, range(3)) == []
    assert fuses.names == frozenset()
    assert refuse(fuses, range(3, 4)) == [Blown("r", 4, 600, NOON_NS, "sha256:p")]
    assert fuses.names == {"r"}
    why = "4 accounts refused within 600 s; the fuse allows 3"
    assert fuses.disarmed == (Disarmed("r", BY_FUSE, why, NOON_NS),)


def test_one_account_that_is_refused_again_and_again_blows_nothing():
    fuses = Fuses(rules(("r", 1, "10m")))
    assert [fuses.observe(REFUSED, "acc-1", NOON_NS + n) for n in range(100)] == [()] * 100


def test_accounts_count_until_the_window_has_passed_since_their_last_refusal():
    fuses = Fuses(rules(("r", 2, "10s")))
    refuse(fuses, range(2))
    fuses.observe(REFUSED, "acc-0", NOON_NS + 9 * S)
    assert refuse(fuses, range(2, 3), NOON_NS + 10 * S) == []  # acc-1 has just fallen out
    assert len(refuse(fuses, range(3, 4), NOON_NS + 19 * S - 1)) == 1


@pytest.mark.parametrize(
    "harmless",
    [
        decision("r", mode=Mode.WARN),
        decision("r", mode=Mode.SHADOW),
        decision("r", verdict=Verdict.ALLOW),
        decision("r", verdict=Verdict.DELAY),
        decision("another"),
        decision(),
    ],
)
def test_only_what_an_enforced_rule_refuses_counts(harmless):
    fuses = Fuses(rules(("r", 1, "10m"), "another"))
    assert [fuses.observe(harmless, f"acc-{n}", NOON_NS) for n in range(9)] == [()] * 9


@pytest.mark.parametrize("verdict", [Verdict.STEP_UP, Verdict.THROTTLE, Verdict.DENY])
def test_every_verdict_that_refuses_counts(verdict):
    fuses = Fuses(rules(("r", 1, "10m")))
    fuses.observe(decision("r", verdict=verdict), "acc-1", NOON_NS)
    assert fuses.observe(decision("r", verdict=verdict), "acc-2", NOON_NS)


def test_each_rule_of_a_decision_has_its_own_fuse():
    fuses = Fuses(rules(("r", 1, "10m"), ("s", 2, "10m"), "t"))
    both = decision("r", "s", "t")
    blown = [fuses.observe(both, f"acc-{n}", NOON_NS) for n in range(3)]
    assert [[one.rule for one in each] for each in blown] == [[], ["r"], ["s"]]


def test_a_quota_that_speaks_for_two_of_its_limits_counts_an_account_once():
    fuses = Fuses(rules(("r", 1, "10m")))
    assert fuses.observe(decision("r", "r"), "acc-1", NOON_NS) == ()


def test_a_blown_fuse_says_so_once():
    fuses = Fuses(rules(("r", 1, "10m")))
    assert len(refuse(fuses, range(50))) == 1


def test_a_legal_rule_cannot_be_disarmed():
    fuses = Fuses(rules("r", legal=("r",)))
    with pytest.raises(ValueError, match="nothing but a change of the policy"):
        fuses.disarm("r", "otto", "it refuses everybody", NOON_NS)
    assert fuses.disarmed == ()


def test_a_disarmed_rule_acts_while_a_policy_set_has_it_legal_and_no_longer():
    fuses = Fuses(rules("r"))
    fuses.disarm("r", "otto", "wrong list", NOON_NS)
    fuses.adopt(rules("r", legal=("r",)))
    assert fuses.names == frozenset()
    assert [held.rule for held in fuses.overruled] == ["r"]
    fuses.adopt(rules("r"))
    assert fuses.names == {"r"}
    assert fuses.overruled == ()


def test_a_disarmed_rule_stays_so_until_it_is_armed_also_while_it_is_not_in_the_set():
    fuses = Fuses(rules("r"))
    assert fuses.disarm("r", "otto", "wrong list", NOON_NS) is None
    fuses.adopt(rules("other"))
    fuses.adopt(rules("r"))
    assert fuses.names == {"r"}
    assert fuses.arm("r") == Disarmed("r", "otto", "wrong list", NOON_NS)
    assert fuses.names == frozenset()
    assert fuses.arm("r") is None


def test_who_disarms_a_disarmed_rule_takes_it_over_and_hears_who_had():
    fuses = Fuses(rules("r"))
    fuses.disarm("r", "otto", "first", NOON_NS)
    before = fuses.disarm("r", "anna", "second", NOON_NS + S)
    assert before == Disarmed("r", "otto", "first", NOON_NS)
    assert fuses.disarmed == (Disarmed("r", "anna", "second", NOON_NS + S),)


def test_an_armed_rule_counts_from_nothing_and_may_blow_again():
    fuses = Fuses(rules(("r", 2, "10m")))
    refuse(fuses, range(3))
    fuses.arm("r")
    assert refuse(fuses, range(2)) == []
    assert len(refuse(fuses, range(2, 3))) == 1


def test_arming_a_rule_that_is_armed_does_not_forget_whom_it_refused():
    fuses = Fuses(rules(("r", 2, "10m")))
    refuse(fuses, range(2))
    fuses.arm("r")
    assert len(refuse(fuses, range(2, 3))) == 1


def test_a_policy_set_that_keeps_a_fuse_keeps_its_count():
    fuses = Fuses(rules(("r", 2, "10m")))
    refuse(fuses, range(2))
    fuses.adopt(rules("before-it", ("r", 2, "10m")))
    assert len(refuse(fuses, range(2, 3))) == 1


def test_a_smaller_fuse_blows_at_the_next_refusal_where_more_were_refused_already():
    fuses = Fuses(rules(("r", 9, "10m")))
    refuse(fuses, range(5))
    fuses.adopt(rules(("r", 3, "10m")))
    assert [blown.accounts for blown in refuse(fuses, range(1))] == [4]


def test_a_shorter_window_counts_only_what_lies_in_it():
    fuses = Fuses(rules(("r", 2, "10m")))
    refuse(fuses, range(2))
    fuses.observe(REFUSED, "acc-1", NOON_NS + 30 * S)
    fuses.adopt(rules(("r", 1, "20s")))
    assert len(refuse(fuses, range(2, 3), NOON_NS + 31 * S)) == 1
    fuses.arm("r")
    refuse(fuses, range(1), NOON_NS + 40 * S)
    fuses.adopt(rules(("r", 1, "10s")))
    assert refuse(fuses, range(1, 2), NOON_NS + 50 * S) == []


def test_a_refusal_older_than_the_window_counts_for_nothing():
    fuses = Fuses(rules(("r", 1, "10s")))
    refuse(fuses, range(1), NOON_NS)
    assert refuse(fuses, range(1, 20), NOON_NS - 10 * S) == []
    assert len(refuse(fuses, range(1, 2), NOON_NS - 10 * S + 1)) == 1


def test_a_clock_that_was_set_back_does_not_blind_a_fuse():
    fuses = Fuses(rules(("r", 1, "10s")))
    refuse(fuses, range(1), NOON_NS)
    assert refuse(fuses, range(1, 2), NOON_NS - SET_BACK_NS) == []
    assert len(refuse(fuses, range(2, 3), NOON_NS - SET_BACK_NS)) == 1


def test_what_is_disarmed_survives_as_json_without_any_account():
    fuses = Fuses(rules(("r", 1, "10m"), "s"))
    refuse(fuses, range(2))
    fuses.disarm("s", "otto", "wrong list", NOON_NS)
    text = json.dumps(fuses.save())
    assert "acc-" not in text
    again = Fuses(rules(("r", 1, "10m"), "s"))
    again.load(json.loads(text))
    assert (again.disarmed, again.names) == (fuses.disarmed, {"r", "s"})


@pytest.mark.parametrize(
    ("saved", "told"),
    [
        ([], "expected a mapping"),
        ({"R": {}}, '"R" is not the id of a rule'),
        ({"r": None}, '"r" needs who, why and since_ns'),
        ({"r": {"who": "otto", "why": "x"}}, '"r" needs who, why and since_ns'),
        ({"r": {"who": "o", "why": "x", "since_ns": 1, "more": 1}}, "and nothing else"),
        ({"r": {"who": "otto", "why": None, "since_ns": 1}}, "who and why are texts"),
        ({"r": {"who": "otto", "why": "x", "since_ns": True}}, "Unix nanoseconds"),
        ({"r": {"who": "otto", "why": "x", "since_ns": 2**63}}, "Unix nanoseconds"),
    ],
)
def test_saved_state_that_is_damaged_is_told_and_changes_nothing(saved, told):
    fuses = Fuses(rules("r"))
    fuses.disarm("r", "otto", "wrong list", NOON_NS)
    with pytest.raises(ValueError, match=told):
        fuses.load(saved)
    assert fuses.names == {"r"}


class Model:
    """What a fuse is, said without thrift: it remembers every refusal."""

    def __init__(self, accounts: int, within_s: int) -> None:
        self.accounts, self.within_ns = accounts, within_s * S
        self.seen: list[tuple[str, int]] = []
        self.now_ns = 0

    def blows(self, account: str, at_ns: int) -> bool:
        if at_ns <= self.now_ns - max(self.within_ns, SET_BACK_NS):
            self.seen, self.now_ns = [], at_ns
        self.now_ns = max(self.now_ns, at_ns)
        self.seen.append((account, at_ns))
        refused = {who for who, when in self.seen if when > self.now_ns - self.within_ns}
        return len(refused) > self.accounts


def held(fuses: Fuses) -> Iterator[int]:
    for window in fuses._windows.values():
        yield len(window._latest)
        yield len(window._heap)


TIMES = st.one_of(st.integers(0, 60), st.integers(0, 4000))


@given(
    accounts=st.integers(1, 5),
    within_s=st.sampled_from([1, 7, 30, 1200]),
    refusals=st.lists(st.tuples(st.integers(0, 9), TIMES), max_size=60),
)
def test_a_fuse_blows_exactly_when_its_definition_says_and_holds_no_more_than_it_may(
    accounts, within_s, refusals
):
    fuses = Fuses(rules(("r", accounts, f"{within_s}s")))
    model = Model(accounts, within_s)
    for number, at_s in refusals:
        at_ns = NOON_NS + at_s * S
        wanted = model.blows(f"acc-{number}", at_ns)
        assert bool(fuses.observe(REFUSED, f"acc-{number}", at_ns)) is wanted
        assert max(held(fuses)) <= accounts + 1
        if wanted:
            model = Model(accounts, within_s)
            fuses.arm("r")
            assert max(held(fuses)) == 0
