"""A condition, divided and made into tables, means what CEL means by the whole of it."""

from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.model.facts import Facts
from proxy.policy.cel import CelError, Environment
from proxy.policy.cel.clauses import Clauses
from proxy.policy.cel.names import FACTS as FACT_NAMES
from proxy.policy.cel.text import scan
from proxy.policy.match import Failed, Match, Missing, Truth

LISTS = {"places": ("DE", "FR"), "globs": ("a*", "b?", "c"), "nets": ("10.0.0.0/8",)}
ENVIRONMENT = Environment(LISTS)

TEXTS = st.sampled_from(["", "a", "ab", "b", "bc", "c", "DE", "*", "é"])
INTS = st.sampled_from([0, 1, 2, -1, 7, 2**63 - 1, -(2**63) + 1])
DOUBLES = st.sampled_from([0.0, -0.0, 0.5, 1.0, float("nan"), float("inf"), 1e-9])
FACTS = st.fixed_dictionaries(
    {},
    optional={
        "request.model": TEXTS,
        "account.tier": TEXTS,
        "client.country": st.sampled_from(["DE", "US", "XK"]),
        "account.labels": st.lists(TEXTS, max_size=3).map(tuple),
        "request.max_tokens": st.one_of(INTS, st.just(2**70)),
        "client.asn": INTS,
        "cluster.score": DOUBLES,
        "request.stream": st.booleans(),
        "account.verified": st.booleans(),
        "client.address": st.sampled_from(["10.1.1.1", "192.0.2.1", "::1", "nonsense"]),
        "time.now": st.integers(0, 2**62),
    },
)


def quoted(text: str) -> str:
    return f'"{text}"'


STRING = TEXTS.map(quoted)
INT = INTS.map(str)
DOUBLE = st.sampled_from(["0.0", "0.5", "1.0", "-1.5", "1e3"])
COMPARES = st.sampled_from(["==", "!=", "<", "<=", ">", ">="])
EQUALS = st.sampled_from(["==", "!="])


def listed(values: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.lists(values, min_size=1, max_size=3).map(lambda v: f"[{', '.join(v)}]")


def joined(*parts: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.tuples(*parts).map(" ".join)


def named(*names: str) -> st.SearchStrategy[str]:
    return st.sampled_from(names)


STRINGS = named("request.model", "account.tier")
WHOLE = named("request.max_tokens", "client.asn")
PATTERNS = st.one_of(
    st.sampled_from(["a", "a*", "?", "*", "b?", "é"]).map(quoted), st.just("lists.globs")
)
CLAUSES = st.one_of(
    joined(STRINGS, EQUALS, STRING),
    joined(STRING, EQUALS, STRINGS),
    joined(STRINGS, COMPARES, STRING),
    joined(STRINGS, st.just("in"), listed(STRING)),
    joined(STRINGS, st.just("in"), named("lists.globs")),
    st.just("client.country in lists.places"),
    joined(STRING, st.just("in account.labels")),
    joined(WHOLE, COMPARES, INT),
    joined(INT, COMPARES, WHOLE),
    joined(WHOLE, st.just("in"), listed(INT)),
    joined(st.just("cluster.score"), COMPARES, DOUBLE),
    joined(DOUBLE, COMPARES, st.just("cluster.score")),
    named("request.stream", "account.verified", "true", "false"),
    joined(named("request.stream", "account.verified"), EQUALS, named("true", "false")),
    st.builds("glob({}, {})".format, STRINGS, PATTERNS),
    st.builds("glob({}, {})".format, STRINGS, listed(PATTERNS.filter(lambda p: p[0] == '"'))),
    named(
        "in_network(client.address, lists.nets)",
        'in_network(client.address, ["::/0", "192.0.2.1"])',
        "has(account.tier)",
        "has(client.asn)",
        "client.asn / client.asn == 1",
        "request.max_tokens + 1 > client.asn",
        'account.labels.exists(l, l == "a")',
        "account.tier == request.model",
        'time.now.getHours("Asia/Tokyo") < 12',
        "client.asn % 2 == 1 ? request.stream : account.verified",
    ),
)
CONDITIONS = st.recursive(
    CLAUSES,
    lambda inner: st.one_of(
        st.builds("{} && {}".format, inner, inner),
        st.builds("{} || {}".format, inner, inner),
        st.builds("({})".format, inner),
        st.builds("!({})".format, inner),
        st.builds("({}) ? ({}) : ({})".format, inner, inner, inner),
        st.builds("({}) == ({})".format, inner, inner),
    ),
    max_leaves=8,
)


def by_cel(text: str, facts: Facts) -> Truth:
    environment = ENVIRONMENT
    clauses = Clauses(text, LISTS, environment._handles, environment._runtime)
    return clauses.expression(scan(text)).holds(facts)


@settings(max_examples=250, deadline=None)
@given(CONDITIONS, st.lists(FACTS, min_size=1, max_size=4))
def test_a_divided_condition_says_what_cel_says_of_the_whole(text: str, every: list[Facts]):
    match = Match(ENVIRONMENT.compile(text))
    for facts in every:
        ours, whole = match.holds(facts), by_cel(text, facts)
        if isinstance(ours, bool) or isinstance(whole, bool):
            assert ours is whole, facts
        elif isinstance(ours, Missing):
            # where several things are unsure, each may name another of them
            assert ours.fact in match.facts
            assert ours.fact not in facts


@settings(deadline=None)
@given(CLAUSES, FACTS)
def test_one_clause_is_unsure_for_the_reason_that_cel_gives(text: str, facts: Facts):
    (atom,) = ENVIRONMENT.compile(text)
    ours, whole = atom.holds(facts), by_cel(text, facts)
    if isinstance(whole, Failed) or len(atom.facts) == 1:
        assert ours == whole


GUARDING = st.builds(
    "has({}) ? ({}) : ({})".format,
    named("account.tier", "client.asn", "cluster.score"),
    *[CLAUSES] * 2,
)


@settings(max_examples=40, deadline=None)
@given(GUARDING, st.lists(FACTS, min_size=2, max_size=6))
def test_what_was_said_of_other_exchanges_never_changes_what_is_said(text: str, every: list[Facts]):
    atoms = ENVIRONMENT.compile(text)
    asked_before = [Match(atoms).holds(facts) for facts in every]
    assert asked_before == [Match(Environment(LISTS).compile(text)).holds(facts) for facts in every]


PIECES = """
( ) [ ] { } , . ? : ! + - * / % < > && || == != _in_ has( glob( in_network( exists( owned_share(
timestamp( duration( map( .matches( .getHours( .size() account.tier account.teir lists.globs lists.x
account account.owners time.now x "a" ' 1 1.5 5u b"x" // true é
""".split()  # noqa: SIM905 (a table reads better than sixty quoted strings)


def compiled(text: str) -> CelError | Match:
    try:
        return Match(ENVIRONMENT.compile(text))
    except CelError as error:
        return error


@settings(max_examples=200, deadline=None)
@given(st.lists(st.sampled_from([*PIECES, "\n"]), max_size=12).map("".join))
def test_any_text_gives_atoms_or_faults_with_places_in_it(text: str):
    text = text.replace("_in_", " in ")
    outcome = compiled(text)
    if isinstance(outcome, Match):
        assert outcome.facts <= FACT_NAMES.keys()
        return
    assert outcome.faults
    for fault in outcome.faults:
        assert 0 <= fault.offset <= len(text)
        assert fault.message
        assert "\n" not in fault.message
        assert "<input>" not in fault.message
