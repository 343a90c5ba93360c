"""Every class of fault that a condition can have, with its message and its place."""

import pytest

from proxy.policy.cel import CelError, Environment

LISTS = {
    "embargoed": ("CU", "IR"),
    "large": ("m-large*",),
    "high-risk": ("x",),
    "wrong": ("CU", "Cuba"),
    "nets": ("10.0.0.0/8", "10.0.0.1/8"),
}


def faults(text: str) -> list[tuple[str, str]]:
    """What is under the place of each fault, and its message."""
    with pytest.raises(CelError) as raised:
        Environment(LISTS).compile(text)
    return [(text[f.offset :][:12], f.message) for f in raised.value.faults]


QUOTES = "(a text stands in quotes)"
NUMBERS = "(1.0 is a double, 1 an int; double(…) and int(…) convert)"
NO_LIST = "(there are embargoed, high-risk, large, nets, wrong)"
COUNTRY = "is not a country code (ISO 3166, two capitals)"

NAMES = [
    (
        'account.teir == "x"',
        "account.teir",
        'no fact "account.teir" (did you mean "account.tier"?)',
    ),
    ('client.tier == "x"', "client.tier ", 'no fact "client.tier" (did you mean "account.tier"?)'),
    ("time.xyzzy == 1", "time.xyzzy =", 'there is no fact "time.xyzzy" (there are time.now)'),
    ("account.country == DE", "DE", 'there is no fact "DE" (a text stands in quotes: "DE")'),
    ('account == "x"', 'account == "', 'there is no fact "account"'),
    ("account.tier.length > 1", "account.tier", "account.tier is a string; it has no parts"),
    ("fingerprint.template_accounts > 1", "fingerprint.", "cannot be used in a condition"),
    ('"x" in lists.embargo', "lists.embarg", 'no list "embargo" (did you mean "lists.embargoed"?)'),
    ('"x" in lists.zzz', "lists.zzz", f'there is no list "zzz" {NO_LIST}'),
    ('glub(request.model, "x")', "glub(request", 'no function "glub" (did you mean "glob"?)'),
    ('request.model.startswith("x")', 'startswith("', '(did you mean "startsWith"?)'),
    ("foo(account.teir) == 1", "foo(account.", '"foo" (gauger policy facts lists them)'),
    ("account.labels.map(l, l) == []", "map(l, l) ==", "map is not supported: ask with exists"),
    ("dyn(1) == 1", "dyn(1) == 1", 'there is no function "dyn"'),
    ("glob(request.model)", "glob(request", 'glob is used as in glob(request.model, "m-large*")'),
    (".account.tier == 'x'", ".account.tie", "a name begins without a dot"),
    ("if == 1", "if == 1", '"if" is a reserved word'),
]
TYPES = [
    (
        "account.tier == 5",
        "== 5",
        f"account.tier is a string; it cannot be compared with an int {QUOTES}",
    ),
    (
        "5 == account.tier",
        "== account.t",
        "account.tier is a string; it cannot be compared with an int",
    ),
    (
        "cluster.score > 1",
        "> 1",
        f"cluster.score is a double; it cannot be compared with an int {NUMBERS}",
    ),
    (
        "request.stream == 'yes'",
        "== 'yes'",
        "request.stream is a bool; it cannot be compared with a string",
    ),
    ("time.now > '2027'", "> '2027'", 'with a string (timestamp("2027-01-01T00:00:00Z"))'),
    (
        "account.tier == null",
        "== null",
        "account.tier is a string; it cannot be compared with null",
    ),
    ("size(account.tier) == 'x'", "== 'x'", f"an int cannot be compared with a string {QUOTES}"),
    (
        "account.tier + 1 == 'x'",
        "+ 1 == 'x'",
        "account.tier is a string; it cannot be combined with an int",
    ),
    (
        "account.tier && request.stream",
        "&& request.s",
        '&& joins conditions; account.tier is a string (compare it: account.tier == "…")',
    ),
    ("request.stream || client.asn", "|| client.as", "|| joins conditions; client.asn is an int"),
    ("!account.tier", "!account.tie", "! stands before a condition; account.tier is a string"),
    ("-account.tier == 'x'", "-account.tie", "- stands before a number; account.tier is a string"),
    (
        "client.asn ? true : false",
        "? true : fal",
        "before ? stands a condition; client.asn is an int",
    ),
    (
        "request.stream ? 1 : 'x'",
        "? 1 : 'x'",
        "values of one type, not between an int and a string",
    ),
    ("account.tier in 'free'", "in 'free'", 'this is a string: write ["…"]'),
    (
        "client.asn in lists.large",
        "in lists.lar",
        "in looks for an int in a list of such; lists.large is a list of strings",
    ),
    (
        "client.asn[0] == 1",
        "[0] == 1",
        "[…] takes an element of a list by number; client.asn is an int",
    ),
    (
        "account.tier.startsWith(5)",
        "startsWith(5",
        "startsWith does not take a string, an int; use it as in request.model",
    ),
    (
        "account.tier.exists(x, true)",
        "account.tier",
        "account.tier is a string; it has no elements",
    ),
    ("'abc'.exists(x, true)", "'abc'.exists", "a string has no elements to go through"),
    ("account.labels.exists(x, x)", "exists(x, x)", "exists asks a condition of each element"),
    ("account.tier", "account.tier", "the condition gives a string, not true or false"),
    ("client.asn == 99999999999999999999", "999999999999", "the number does not fit in 64 bits"),
]
FORMS = [
    ("", "", "the condition ends too early: something must follow here"),
    ("account.tier ==", "", "the condition ends too early: something must follow here"),
    ("// nothing", "", "the condition ends too early"),
    ("(request.stream", "", 'a ")" is missing here'),
    ("has(account.tier", "", 'a ")" is missing here'),
    ("request.stream)", ")", '")" does not belong here'),
    ("request.stream and true", "and true", '"and" does not belong here: write && for and'),
    ("not request.stream", "request.stre", '"request" does not belong here: write ! for not'),
    ("account.tier is 'x'", "is 'x'", '"is" does not belong here: write == for is'),
    ("account.tier 'x'", "'x'", "'x' does not belong here (conditions are joined by && and ||)"),
    ("account.tier in ['a' 'b']", "'b']", "'b' does not belong here (is there a comma missing"),
    ("account..tier == 1", ".tier == 1", "a name begins without a dot"),
    ("account.tier. == 1", "== 1", '". ==" does not belong here'),
    ("account.tier = 'x'", "= 'x'", 'a single "=" is not a comparison: write =='),
    ("{1: 2}[1] == 2", "{1: 2}[1] ==", "a condition has no maps and no messages"),
    ("account.tier == b'x'", "b'x'", "a text is written without b before its quotes"),
    ("client.asn == 5u", "5u", "a number is written without u after it"),
    ("client.asn in [1, 2.5]", "[1, 2.5]", "the values of a list are of one type"),
    ("client.asn in []", "[]", "an empty list matches nothing: name values"),
    ("(" * 33 + "true" + ")" * 33, "(true)))))))", "nested too deeply: at most 32 levels"),
    ("1" + " + 1" * 200 + " == 1", "1 + 1 + 1 + ", "nested too deeply: at most 32 levels"),
    ("'" + "x" * 4000 + "' == account.tier", "'xxxxxxxxxxx", "has 4,018 characters; at most 4,000"),
]
GUARDS = [
    ("has(account.teir)", "account.teir", '(did you mean "account.tier"?)'),
    (
        "has(quota.used_share) && quota.used_share > 0.9",
        "quota.used_s",
        "a rule over quota.used_share is asked once it is known: has() of it is always true",
    ),
    ("has(account.id)", "account.id)", "account.id is always known: has() of it is always true"),
    ("has(request.model.size())", "has(request.", "has() asks for one fact"),
    ("has(lists.large)", "lists.large)", "has() asks for a fact; a list is always there"),
    ("has(1)", "has(1)", "has() asks for one fact, as in has(account.tier)"),
    ("has()", "has()", "has() asks for one fact, as in has(account.tier)"),
    ("has.account.tier", "has.account.", "write has(account.tier)"),
]
CONSTANTS = [
    (
        "in_network(client.address, ['10.0.0.0/8', '10.0.0.0/40'])",
        "'10.0.0.0/40",
        '"10.0.0.0/40" is not a network (write 10.0.0.0/8',
    ),
    (
        "in_network(client.address, '10.0.0.1/8')",
        "'10.0.0.1/8'",
        '"10.0.0.1/8" is not a network (host bits are set)',
    ),
    (
        "in_network(client.address, lists.nets)",
        "lists.nets)",
        '"10.0.0.1/8" is not a network (host bits are set)',
    ),
    (
        "glob(request.model, account.tier)",
        "account.tier",
        "glob takes a constant here: a text, a list of texts, or lists.NAME",
    ),
    ("glob(request.model, 'a' + 'b')", "'a' + 'b')", "glob takes a constant here"),
    ("lists.large.exists(p, glob(request.model, p))", "p))", "glob takes a constant here"),
    ("glob(request.model, '')", "'')", "an empty list or text matches nothing"),
    ("glob(request.model, [])", "[])", "an empty list or text matches nothing"),
    ("owned_share(account.owners, ['CU', 'UK']) > 0.5", "'UK']) > 0.5", f'"UK" {COUNTRY}'),
    (
        "controlled_share(account.owners, lists.wrong) > 0.5",
        "lists.wrong)",
        f'"Cuba" {COUNTRY} (in lists.wrong)',
    ),
    (
        "owned_share(account.labels, ['CU']) > 0.5",
        "account.labe",
        "owned_share takes account.owners here",
    ),
    ("request.model.matches('a[')", "'a[')", "invalid regular expression: missing ]: ["),
    ("matches(request.model, '(')", "'(')", "invalid regular expression"),
    ("request.model.matches('(a{1000}){1000}')", "'(a{1000}){1", "invalid regular expression"),
    ("request.model.matches(account.tier)", "account.tier", "matches takes a text in quotes here"),
    (
        "time.now.getHours('Europe/Berln') > 1",
        "'Europe/Berl",
        "no such time zone (write Europe/Berlin, +02:00 or UTC)",
    ),
    ("time.now.getHours(account.tier) > 1", "account.tier", "getHours takes a text in quotes here"),
    (
        "time.now < timestamp('2027-01-01')",
        "'2027-01-01'",
        "not a time (write 2027-01-01T00:00:00Z)",
    ),
    (
        "time.now - time.now < duration('1 day')",
        "'1 day')",
        "not a length of time (write 36h, 90m, 1h30m, 500ms)",
    ),
    ("client.country == 'UK'", "'UK'", f'"UK" {COUNTRY}'),
    ("'us' != account.country", "'us' != acco", f'"us" {COUNTRY} (did you mean "US"?)'),
    ("request.stream || client.country in ['DE', 'XY']", "'XY']", f'"XY" {COUNTRY}'),
    ("account.billing_country in lists.wrong", "lists.wrong", f'"Cuba" {COUNTRY} (in lists.wrong)'),
    (
        "request.surface == 'chat.completion'",
        "'chat.comple",
        'is not a surface (did you mean "chat.completions"?)',
    ),
    (
        "request.dialect == 'anthropc'",
        "'anthropc'",
        '"anthropc" is not a dialect (did you mean "anthropic"?)',
    ),
    ("cluster.state in ['closed']", "'closed']", '"closed" is not a state of a cluster'),
]
COSTS = [
    (
        "account.labels.exists(a, lists.large.exists(b, a == b))",
        "exists(b, a ",
        "exists stands inside exists: that multiplies",
    ),
    (
        "account.labels.filter(a, a > 'b').exists(b, b == 'c')",
        "exists(b, b ",
        "exists goes through a fact, lists.NAME or",
    ),
    (
        "account.labels.exists(account, account == 'x')",
        "account, acc",
        '"account" begins the names of facts: choose another',
    ),
]


@pytest.mark.parametrize(
    ("text", "place", "message"), [*NAMES, *TYPES, *FORMS, *GUARDS, *CONSTANTS, *COSTS]
)
def test_a_fault_has_its_place_and_the_likely_fix(text: str, place: str, message: str):
    found = faults(text)
    assert len(found) == 1, found
    assert found[0][0] == place
    assert message in found[0][1]


def test_every_fault_of_a_condition_is_told_at_once_in_order():
    text = (
        'has(account.teir) &&\r\n\tclient.country == 5 && "é" == account.trie // no\n'
        "&& client.country in ['UK'] && in_network(client.address, lists.nets)"
        "&& time.now < timestamp('soon') && lists.zzz.exists(x, x == 'a')"
    )
    assert [place for place, _ in faults(text)] == [
        "account.teir",
        '== 5 && "é" ',
        "account.trie",
        "'UK'] && in_",
        "lists.nets)&",
        "'soon') && l",
        "lists.zzz.ex",
    ]


def test_a_list_whose_name_cannot_stand_in_a_condition_is_told_so():
    assert faults("account.tier in lists.high-risk")[0] == (
        "lists.high-r",
        'the list "high-risk" cannot be named in a condition: rename it with letters, digits and '
        "_ only",
    )


def test_what_is_in_a_call_of_no_function_is_no_fault_of_its_own():
    assert [place for place, _ in faults("cel.bind(x, 1, x == 1) && nope == 1")][-1] == "nope == 1"
