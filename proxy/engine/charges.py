"""Quota rules to charges: what an exchange would count against which limit."""

from collections.abc import Iterator

from proxy.model.facts import Facts
from proxy.model.plan import Charge
from proxy.model.verdict import Cause, Mode, Unit
from proxy.policy.rules import Limit, QuotaRule

ALGORITHM = "fixed"  # windows of fixed length, aligned to the Unix epoch


def charges_of(
    rule: QuotaRule, cause: Cause | None, facts: Facts, max_tokens: int | None
) -> Iterator[Charge]:
    """A charge for each limit of a quota.

    `cause` is what lowers the rule to shadow, `max_tokens` a bound put on the request's own.
    """
    mode = rule.mode if cause is None else Mode.SHADOW
    subject = _subject(rule, facts)
    for limit in rule.limits:
        yield Charge(
            rule.id,
            f"{rule.id}|{limit.unit.value}|{subject}|{ALGORITHM}",
            limit.unit,
            _amount(rule, limit, facts, max_tokens),
            limit.amount,
            rule.window_s,
            mode,
            mode is Mode.ENFORCE,
            rule.recognizes,
            cause,
        )


def _subject(rule: QuotaRule, facts: Facts) -> str:
    """Whom the rule counts. An account without an organization, or a key, stands for itself, and
    never for an organization that has the same id."""
    named = facts.get(rule.subject)
    return f"{rule.subject}={named}" if named else f"account.id={facts.get('account.id', '')}"


def _amount(rule: QuotaRule, limit: Limit, facts: Facts, max_tokens: int | None) -> int:
    match limit.unit:
        case Unit.REQUESTS:
            return 1
        case Unit.INPUT_TOKENS:
            return int_of(facts, "request.input_tokens", 0)
        case Unit.OUTPUT_TOKENS:
            return _output_tokens(rule, facts, max_tokens)
        case Unit.TOKENS:
            reserved = _output_tokens(rule, facts, max_tokens)
            return int_of(facts, "request.input_tokens", 0) + reserved


def _output_tokens(rule: QuotaRule, facts: Facts, max_tokens: int | None) -> int:
    each = int_of(facts, "request.max_tokens", max_tokens or rule.assume_output_tokens)
    if max_tokens is not None:
        each = min(each, max_tokens)
    return each * int_of(facts, "request.choices", 1)


def int_of(facts: Facts, name: str, default: int) -> int:
    """The value of a fact that is a whole number, or the default."""
    value = facts.get(name, default)
    return value if isinstance(value, int) else default
