"""Quota rules to charges: what an exchange would count against which limit."""

from collections.abc import Callable, Iterator, Mapping
from operator import attrgetter

from msgspec import Struct

from proxy.model.facts import ORDINARY_FACTS, Facts
from proxy.model.plan import PER_MILLION, Charge
from proxy.model.price import Price
from proxy.model.verdict import Algorithm, Cause, Mode, Unit
from proxy.policy.match import Failed, Missing, Truth
from proxy.policy.rules import DIMENSION_FACTS, UNNAMED_OUTPUT, Limit, QuotaRule

UNUSUAL = 4  # times what 95 % of answers stay below
MOST = 10**15  # of an amount: no limit is larger, and sums of it stay within 64 bits
MOST_LEARNED = 10**9  # buckets count up to it
BOUNDED = frozenset(("chat.completions", "completions", "responses", "messages"))
NOTHING = Price()
# An attribute of an enum is looked up slowly, and these are looked up for every charge.
FIXED, GCRA, CONCURRENT = Algorithm.FIXED, Algorithm.GCRA, Algorithm.CONCURRENT
COST, ENFORCE, SHADOW = Unit.COST, Mode.ENFORCE, Mode.SHADOW
NOBODY = "?"  # the subject of whatever is not known


class Asked(Struct, frozen=True, gc=False):
    """What a request may use at most, as far as it can be told before it is answered.

    `output_tokens` is that of all `choices` together; `images` are answers that are images.
    """

    input_tokens: int
    output_tokens: int
    choices: int
    requests: int
    body_bytes: int
    model: str | None
    images: int = 0


def asked_of(facts: Facts, rule: QuotaRule, max_tokens: int | None, model: str | None) -> Asked:
    """What the request may use; `max_tokens` is a bound put on its own, `model` the one asked."""
    choices = int_of(facts, "request.choices", 1)
    requests = int_of(facts, "request.requests", 1)
    named = facts.get("request.max_tokens")
    if isinstance(named, int):
        each = named
    else:
        each = (max_tokens or rule.assume_output_tokens or _expected(rule, facts)) * requests
    if max_tokens is not None:
        each = min(each, max_tokens * requests)
    return Asked(
        int_of(facts, "request.input_tokens", 0),
        min(MOST, each * choices),
        choices,
        requests,
        int_of(facts, "request.body_bytes", 0),
        model,
        choices if facts.get("request.surface") == "images" else 0,
    )


def _expected(rule: QuotaRule, facts: Facts) -> int:
    """What an answer is expected to use. One that comes whole cannot be ended at a hard limit: it
    is bounded beforehand, so that it must have room for what is unusual too."""
    expected = int_of(facts, "request.expected_output_tokens", UNNAMED_OUTPUT)
    return expected * UNUSUAL if rule.hard and not facts.get("request.stream") else expected


def charges_of(
    rule: QuotaRule,
    cause: Cause | None,
    facts: Facts,
    at_ns: int,
    asked: Asked,
) -> list[Charge]:
    """A charge for each limit of a quota and each subject that the exchange is counted by.

    `cause` is what lowers the rule to shadow. An exchange of an account in two clusters counts for
    both: the stricter one decides.
    """
    mode = rule.mode if cause is None else SHADOW
    binding = mode is ENFORCE
    bounded = facts.get("request.surface") in BOUNDED  # its requests take a max_tokens
    starts_ns, ends_ns = rule.window.around(at_ns) if rule.window_counts else (0, 0)
    window_s = rule.window.seconds(starts_ns, ends_ns)
    sizes = [_size(rule, limit, facts, at_ns, asked, bounded) for limit in rule.limits]
    charges: list[Charge] = []
    for subject, slot, parents in subjects(rule, facts):
        for i, limit in enumerate(rule.limits):
            prefix, suffix = rule.counters[i]
            amount, most, least, base, per_output, price = sizes[i]
            algorithm = limit.algorithm
            fixed = algorithm is FIXED
            charge = Charge(
                rule.id,
                f"{prefix}{subject}{suffix}",
                limit.unit,
                amount,
                _burst(limit, most) if algorithm is GCRA else most,
                0 if algorithm is CONCURRENT else window_s,
                mode,
                binding,
                rule.recognizes,
                cause,
                slot,
                algorithm,
                starts_ns if fixed else 0,
                ends_ns if fixed else 0,
                most,
                least,
                tuple([f"{prefix}{parent}{suffix}" for parent in parents]) if parents else (),
                rule.on_unavailable,
                base,
                per_output,
                price,
                rule.hard,
            )
            charges.append(charge)
    return charges


def _size(
    rule: QuotaRule, limit: Limit, facts: Facts, at_ns: int, asked: Asked, bounded: bool
) -> tuple[int, int, int, int, int, Price | None]:
    """Amount, limit, least, base, output and price of a charge, whoever is counted."""
    price = rule.prices.of(asked.model, at_ns) if limit.unit is COST else None
    base, per_output = _use(limit.unit, asked, price)
    amount = base
    if per_output:
        amount -= -asked.output_tokens * per_output // PER_MILLION
        amount = min(amount, MOST)
    least = _least(rule, asked, base, per_output, amount) if bounded else -1
    most = _learned(limit, facts) if limit.ordinary else limit.amount
    return amount, _own_limit(rule, limit, facts, most), least, base, per_output, price


def _burst(limit: Limit, most: int) -> int:
    """What may be used at once: another limit than the written one has a burst in proportion."""
    return limit.burst if most == limit.amount else max(1, limit.burst * most // limit.amount)


def _learned(limit: Limit, facts: Facts) -> int:
    """A limit that follows what ordinary accounts use in a day; it is never below 1."""
    used = facts.get(ORDINARY_FACTS[limit.unit])
    if not isinstance(used, int):
        return limit.amount
    return min(MOST_LEARNED, max(1, used * limit.ordinary // PER_MILLION))


def _own_limit(rule: QuotaRule, limit: Limit, facts: Facts, most: int) -> int:
    """The limit, or the one that the directory gives the account instead."""
    own = facts.get("account.limits")
    if not isinstance(own, dict) or rule.recognizes:
        return most
    return int(own.get(f"{rule.id}.{limit.unit.value}", most))


def _least(rule: QuotaRule, asked: Asked, base: int, per_output: int, amount: int) -> int:
    """What a request is given at least where it may be clamped; -1 where it takes all or none."""
    if rule.clamp is None or not per_output or asked.requests > 1:
        return -1
    least = base - -rule.clamp * asked.choices * per_output // PER_MILLION
    return min(least, amount)


def _use(unit: Unit, asked: Asked, price: Price | None) -> tuple[int, int]:
    """What is used before any output, and by a million tokens of output besides.

    How much of the input comes from a cache, and how much of the output is reasoning, shows only
    in the answer: all of it may.
    """
    if unit is COST:
        assert price is not None
        tokens = -(-asked.input_tokens * price.dearest_input // PER_MILLION)
        pieces = asked.requests * price.request + asked.images * price.image
        return min(MOST, tokens + pieces), price.dearest_output
    base, per_output = _USES[unit]
    return 1 if base is None else base(asked), per_output


# What each unit uses before any output (None: one), and by a million tokens of output.
_USES: Mapping[Unit, tuple[Callable[[Asked], int] | None, int]] = {
    Unit.REQUESTS: (attrgetter("requests"), 0),
    Unit.CONCURRENT: (None, 0),
    Unit.BYTES: (attrgetter("body_bytes"), 0),
    Unit.INPUT_TOKENS: (attrgetter("input_tokens"), 0),
    Unit.CACHED_TOKENS: (attrgetter("input_tokens"), 0),
    Unit.OUTPUT_TOKENS: (lambda _: 0, PER_MILLION),
    Unit.REASONING_TOKENS: (lambda _: 0, PER_MILLION),
    Unit.TOKENS: (attrgetter("input_tokens"), PER_MILLION),
}


def subject_known(rule: QuotaRule, facts: Facts) -> Truth:
    """True, or what is missing of the facts that name the subject."""
    if rule.by is not None:
        value = rule.by.evaluate(facts)
        return True if isinstance(value, str) else value
    for dimension in rule.per:
        fact = DIMENSION_FACTS.get(dimension)
        if fact is not None and fact not in facts and dimension not in STAND_FOR_THEMSELVES:
            return Missing(fact)
    return True


# An account without an organization, or a key, stands for itself.
STAND_FOR_THEMSELVES = ("account", "key", "organization")


def subjects(rule: QuotaRule, facts: Facts) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    """Whom the rule counts: (subject, slot, parents whose counts the subject's own begins with).

    What belongs to an account lies in the account's slot, so that its limits are taken at once.
    """
    if rule.by is not None:
        value = rule.by.evaluate(facts)
        named = NOBODY if isinstance(value, Missing | Failed) else value
        yield f"cel={named}", f"{rule.id}|{named}", ()
        return
    if "cluster" in rule.per:
        yield from _by_cluster(rule, facts)
        return
    subject = _joined(rule.per, facts)
    yield subject, _slot(rule, facts, subject), ()


def _joined(per: tuple[str, ...], facts: Facts) -> str:
    if len(per) == 1:
        return _named(per[0], facts)
    return "&".join([_named(name, facts) for name in per])


def _named(dimension: str, facts: Facts) -> str:
    """One dimension of a subject. An account that stands for itself is never taken for an
    organization, or a key, that has the same id."""
    fact = DIMENSION_FACTS.get(dimension)
    if fact is None:
        return "everybody"
    value = facts.get(fact)
    if not value and dimension in STAND_FOR_THEMSELVES:
        fact, value = "account.id", facts.get("account.id", "")
    text = NOBODY if value is None else str(value)
    # A caller chooses the name of a model: it must not read like two dimensions.
    return f"{fact}={text.replace('%', '%25').replace('&', '%26').replace('|', '%7C')}"


def _slot(rule: QuotaRule, facts: Facts, subject: str) -> str:
    if "account" in rule.per or "key" in rule.per:
        return f"account.id={facts.get('account.id', '')}"
    if "organization" in rule.per:
        return _named("organization", facts)
    return f"{rule.id}|{subject}"


def _by_cluster(rule: QuotaRule, facts: Facts) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    """One subject for each cluster that the account is in; none where it is in none."""
    clusters, lineage = facts.get("cluster.ids"), facts.get("cluster.lineage")
    lines = lineage if isinstance(lineage, tuple) else ()
    others = tuple([name for name in rule.per if name != "cluster"])
    rest = f"&{_joined(others, facts)}" if others else ""
    for cluster in clusters if isinstance(clusters, tuple) else ():
        parents = [
            f"cluster={parent}{rest}"
            for child, _, parent in (line.partition("<") for line in lines)
            if child == cluster
        ]
        yield f"cluster={cluster}{rest}", f"cluster={cluster}", tuple(parents)


def int_of(facts: Facts, name: str, default: int) -> int:
    """The value of a fact that is a whole number, or the default."""
    value = facts.get(name, default)
    return value if isinstance(value, int) else default
