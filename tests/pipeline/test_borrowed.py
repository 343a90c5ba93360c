"""An account that was told that its limit is used up is shown so until it may come back."""

from msgspec.structs import replace

from proxy.model.decision import Decision, LimitState, Refusal
from proxy.model.verdict import Durability, RefusalKind, Unit, Verdict
from proxy.pipeline.borrowed import Borrowed

S = 1_000_000_000
OWN = LimitState("own", Unit.REQUESTS, 60, 57, 60, 60 * S)
OTHER = LimitState("other", Unit.TOKENS, 9000, 8000, 60, 60 * S)
USED_UP = replace(OWN, remaining=0)
BORROWED = Refusal(RefusalKind.RATE_LIMIT, "…", limit=USED_UP, retry_at_ns=60 * S)


def decision(refusal: Refusal | None = None, *, by_cluster: bool = False) -> Decision:
    verdict = Verdict.THROTTLE if refusal else Verdict.ALLOW
    limits = (USED_UP if refusal else OWN, OTHER)
    return Decision(
        verdict, (), (), refusal, limits, Durability.ASYNC, "p", 0, by_cluster=by_cluster
    )


def shown(borrowed: Borrowed, account: str, at_s: int) -> tuple[LimitState, ...]:
    return borrowed.shown(account, decision(), at_s * S).limits


def told(borrowed: Borrowed, account: str, at_s: int = 10) -> None:
    refused = decision(BORROWED, by_cluster=True)
    assert borrowed.shown(account, refused, at_s * S) is refused


def test_until_then_the_limit_stays_used_up_and_afterwards_it_is_as_it_is():
    borrowed = Borrowed()
    told(borrowed, "a")
    assert shown(borrowed, "a", 20) == shown(borrowed, "a", 59) == (USED_UP, OTHER)
    assert shown(borrowed, "a", 60) == shown(borrowed, "a", 20) == (OWN, OTHER)


def test_nobody_else_is_shown_anything_else():
    borrowed = Borrowed()
    told(borrowed, "a")
    allowed = decision()
    assert borrowed.shown("b", allowed, 20 * S) is allowed


def test_no_verdict_changes():
    borrowed = Borrowed()
    told(borrowed, "a")
    allowed = decision()
    assert replace(borrowed.shown("a", allowed, 20 * S), limits=allowed.limits) == allowed


def test_a_refusal_by_the_accounts_own_limit_is_nothing_to_remember():
    borrowed = Borrowed()
    borrowed.shown("a", decision(BORROWED), 10 * S)
    assert shown(borrowed, "a", 20) == (OWN, OTHER)


def test_it_remembers_a_bounded_number_of_accounts_the_latest_longest():
    borrowed = Borrowed(most=2)
    for account in ("a", "b", "a", "c"):
        told(borrowed, account)
    assert [shown(borrowed, name, 20)[0] for name in "abc"] == [USED_UP, OWN, USED_UP]
