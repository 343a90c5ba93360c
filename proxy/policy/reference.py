"""The reference page of facts and functions, made from the tables that the compiler itself uses."""

from collections.abc import Iterable, Iterator
from itertools import groupby

from proxy.model.facts import CATALOGUE, Fact, FactType
from proxy.policy.cel.clauses import MAX_STEPS
from proxy.policy.cel.environment import MAX_CHARACTERS
from proxy.policy.cel.functions import HELPERS, STANDARD, Function
from proxy.policy.cel.text import MAX_DEPTH

GROUPS = {
    "request": "What the exchange asks for.",
    "account": "Who pays, from the account directory.",
    "client": "Where it comes from.",
    "fingerprint": "What it has in common with others, by keyed tokens.",
    "cluster": "What the detector knows of the account.",
    "ordinary": "What one ordinary account uses, learned from the traffic.",
    "time": "When it arrived.",
    "quota": "What the counters say.",
}

# A condition, and what it says. Those with lists.… take embargoed and partners from `lists`.
EXAMPLES = (
    ('account.tier == "free" && glob(request.model, "m-large*")', "free accounts on large models"),
    (
        "client.country in lists.embargoed || account.country in lists.embargoed",
        "an embargoed country, by address or by what the account declares",
    ),
    (
        "has(account.age_s) && account.age_s < 86400 && request.max_tokens > 8000",
        "an account less than a day old asks for much; one of unknown age is let be",
    ),
    (
        '!account.verified && request.surface in ["batches", "messages.batches"]',
        "batches of accounts that are not verified",
    ),
    (
        'in_network(client.address, ["192.0.2.0/24", "2001:db8::/32"])',
        "two networks",
    ),
    (
        "controlled_share(account.owners, lists.embargoed) >= 0.5",
        "held for half or more from the listed countries, at any depth",
    ),
    (
        "account.labels.exists(label, label in lists.partners) && cluster.score < 0.9",
        "a partner's label, unless the account is very likely in a cluster",
    ),
    (
        'time.now.getHours("Europe/Berlin") >= 22 || time.now.getHours("Europe/Berlin") < 6',
        "by night",
    ),
    (
        'has(client.ja4) ? glob(client.ja4, "t13d*") : request.stream',
        "one test where the TLS client is known, another where it is not",
    ),
)

HEAD = """\
# Facts and functions

<!-- Written by `gauger policy facts`; renew it with: gauger policy facts > docs/facts.md -->

What a rule's `match` may ask. The simple keys (`models`, `tiers`, `countries` …) are in
[policies](policies.md); anything else is a condition in
[CEL](https://github.com/google/cel-spec/blob/master/doc/langdef.md) over the facts below:

```yaml
match: account.tier == "free" && glob(request.model, "m-large*")
```

A condition is checked when the file is read. A name that does not exist, a comparison of a text
with a number, a time zone or a country code that there is not: each is a fault with its place.
"""

LANGUAGE = f"""\
## Conditions

- Operators: `==` `!=` `<` `<=` `>` `>=` `in` `&&` `||` `!` `? :` `+` `-` `*` `/` `%`. A comment
  begins with `//`.
- A text stands in quotes: `"free"`. `1` is an int and `1.0` a double, and the two are not compared
  with each other. `true` and `false` are bools, `["a", "b"]` is a list.
- `lists.NAME` is an entry of `lists`, if its name has letters, digits and `_` only.
- Clauses that are joined by `&&` are told apart wherever a match is explained, and one that is
  false settles it. To compare a fact with constants, `in`, `glob` and `has` cost about 1 µs, and
  `in_network` 10; other clauses are evaluated by CEL in 5 to 20 µs each.
- A condition has at most {MAX_CHARACTERS:,} characters and {MAX_DEPTH} levels of brackets.
- It takes at most {MAX_STEPS:,} steps: about one for each word and sign, and for each element of a
  list that is gone through. `exists` and the like go through a fact, `lists.NAME` or `["…"]`, and
  none stands inside another.
- In YAML, write a condition in single quotes or below `|` if it begins with `!`, `"` or `[`, or has
  `: ` or ` #` in it.

## Unknown facts and has()

An optional fact may be unknown: no database knows the address, the directory does not say. A clause
over an unknown fact is neither true nor false. If another clause of the `match` is false, the rule
is silent; if a clause is true either way (`||`), it holds; otherwise the rule's `on_missing`
decides, and the record says which fact was missing.

`has(account.country)` is true where the fact is known, and never unsure. Write
`has(account.country) && …` where the unknown shall not match, and `!has(account.country) || …`
where it shall.

A rule over `quota.used_share` is asked once that is known, so `has()` of it is refused: its
`on_unavailable` says what happens while the store cannot answer.

What cannot be evaluated, such as a division by zero, is treated alike, and `on_error` decides.
"""


def facts_page() -> str:
    """The page in Markdown."""
    return "\n".join((HEAD, *_facts(), LANGUAGE, *_functions(), *_examples()))


def _facts() -> Iterator[str]:
    yield "## Facts\n"
    for group, facts in groupby(CATALOGUE.values(), lambda fact: fact.name.split(".")[0]):
        yield f"### {group}\n\n{GROUPS[group]}\n"
        yield _table(("fact", "type", "", "what it is"), map(_fact, facts))


def _fact(fact: Fact) -> tuple[str, ...]:
    notes = [
        "optional" if fact.optional else "always known",
        *(["recorded as a pseudonym"] if fact.personal else []),
        *(["known only once the counters were read; cannot select a quota"] * fact.reading),
        *(["not in conditions"] if fact.type in (FactType.COUNTS, FactType.LIMITS) else []),
    ]
    return f"`{fact.name}`", fact.type.value, ", ".join(notes), fact.description


def _functions() -> Iterator[str]:
    yield "## Functions\n"
    yield "The second argument of these is a constant: a text, a list of texts, or `lists.NAME`.\n"
    yield _table(("function", "what it says"), (_function(h.function) for h in HELPERS.values()))
    yield "These are CEL's own. Those of a time take a time zone, and speak of UTC without one.\n"
    yield _table(("function", "what it says"), map(_function, STANDARD.values()))


def _function(function: Function) -> tuple[str, ...]:
    return f"`{function.usage}`", function.description


def _examples() -> Iterator[str]:
    yield "## Examples\n"
    shown = "\n\n".join(f"// {meaning}\n{text}" for text, meaning in EXAMPLES)
    yield f"```\n{shown}\n```\n"


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "".join(f"| {' | '.join(map(_cell, line))} |\n" for line in lines)


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
