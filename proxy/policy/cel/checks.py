"""What the type check does not see: forms and constants that cannot be meant.

Constants are checked when the policy is loaded, so that a pattern, a network, a time zone or a
country with a slip of the pen is a fault with its place and not a condition that never holds.
"""

from collections.abc import Iterator

from cel_expr_python import cel

from proxy.policy.cel.calls import Call, calls
from proxy.policy.cel.functions import HELPERS, MACROS, ZONED, Handles
from proxy.policy.cel.names import (
    FACTS,
    GUARD,
    LIST,
    Lists,
    dotted,
    fact_named,
    guards_at,
    names_in,
)
from proxy.policy.cel.tables import constants, texts
from proxy.policy.cel.text import CelFault, Kind, Tokens, closing, ends_operand
from proxy.policy.cel.values import COUNTRY, each_known, place_of, unknown_values
from proxy.policy.cel.words import FUNCTIONS, unknown_function, unknown_name
from proxy.policy.countries import COUNTRIES

# What a function's last argument must be, tried on a value: the expression is CEL's.
TRIED = {
    "matches": '"".matches({})',
    "timestamp": "timestamp({}) == timestamp(0)",
    "duration": 'duration({}) == duration("0s")',
    **dict.fromkeys(ZONED, "timestamp(0).getHours({}) == 0"),
}


def form_faults(tokens: Tokens, lists: Lists) -> list[CelFault]:
    """Forms that CEL has and conditions do not; has() of what is no optional fact."""
    return [*_guards(tokens, lists), *_forms(tokens), *_reserved(tokens)]


def _guards(tokens: Tokens, lists: Lists) -> Iterator[CelFault]:
    for i in guards_at(tokens):
        end = closing(tokens, i + 1)
        inner = tokens[i + 2 : end]
        name = dotted(inner) if inner and inner[-1].text != ")" else None
        if end == len(tokens):
            continue  # CEL says that a bracket is missing
        if name is None:
            yield CelFault(tokens[i].start, "has() asks for one fact, as in has(account.tier)")
        elif name.startswith(LIST):
            yield CelFault(inner[0].start, "has() asks for a fact; a list is always there")
        elif name not in FACTS:
            yield CelFault(inner[0].start, unknown_name(name, lists))
        elif not FACTS[name].optional:
            yield CelFault(inner[0].start, f"{name} is always known: has() of it is always true")
        elif FACTS[name].reading:
            # Before the store is asked has() would be false, and settle a match that is still open.
            yield CelFault(
                inner[0].start,
                f"a rule over {name} is asked once it is known: has() of it is always true; "
                "on_unavailable says what happens while the store cannot answer",
            )


def _forms(tokens: Tokens) -> Iterator[CelFault]:
    for i, token in enumerate(tokens):
        if token.text == "{":
            yield CelFault(token.start, "a condition has no maps and no messages")
        elif token.text == "." and not (i and ends_operand(tokens[i - 1])):
            yield CelFault(token.start, "a name begins without a dot")


def _reserved(tokens: Tokens) -> Iterator[CelFault]:
    """Functions of CEL that take the type check away, or cost what nobody can foresee."""
    for call in calls(tokens):
        if call.name not in FUNCTIONS:
            yield CelFault(call.start, unknown_function(call.name))
    for i, name in names_in(tokens):
        if name.startswith(GUARD):
            yield CelFault(tokens[i].start, f"write has({name.removeprefix(GUARD)})")


def check(tokens: Tokens, lists: Lists, handles: Handles, environment: cel.Env) -> list[CelFault]:
    """Faults of a text that can be read; what the type check says is not said again."""
    faults: list[CelFault] = []
    for call in calls(tokens):
        if call.name in HELPERS:
            faults += _helper(call, lists, handles)
        elif call.name in MACROS:
            faults += _macro(call)
        elif call.name in TRIED:
            faults += _tried(call, environment)
    return [*faults, *_lists(tokens, lists), *unknown_values(tokens, lists)]


def _helper(call: Call, lists: Lists, handles: Handles) -> Iterator[CelFault]:
    if len(call.arguments) != 2:
        return
    second = call.arguments[1]
    given = texts(second, lists)
    at = second[0].start
    if given is None:
        yield CelFault(
            at, f"{call.name} takes a constant here: a text, a list of texts, or lists.NAME"
        )
        return
    if not given or "" in given:
        yield CelFault(at, "an empty list or text matches nothing: name values")
    elif call.name == "in_network":
        yield from _networks(call, given, handles)
    elif call.name in ("owned_share", "controlled_share"):
        if fact_named(call.arguments[0]) != "account.owners":
            yield CelFault(call.arguments[0][0].start, f"{call.name} takes account.owners here")
        yield from each_known(second, given, COUNTRY, (*COUNTRIES, "?"))


def _networks(call: Call, given: tuple[str, ...], handles: Handles) -> Iterator[CelFault]:
    for value in given:
        try:
            handles.handle(call.name, (value,))
        except ValueError as error:
            bits = " (host bits are set)" if "host bits" in str(error) else ""
            message = f'"{value}" is not a network{bits} (write 10.0.0.0/8 or 2001:db8::/32)'
            yield CelFault(place_of(call.arguments[1], value), message)


def _macro(call: Call) -> Iterator[CelFault]:
    """exists() and the like multiply: one goes through a fact or a list, and holds no other."""
    if len(call.arguments) != 2:
        return
    variable, *body = call.arguments
    if any(fact.startswith(f"{variable[0].text}.") for fact in (*FACTS, LIST, GUARD)):
        yield CelFault(
            variable[0].start, f'"{variable[0].text}" begins the names of facts: choose another'
        )
    inner = next((c for part in body for c in calls(part) if c.name in MACROS), None)
    if inner:
        yield CelFault(inner.start, f"{inner.name} stands inside {call.name}: that multiplies")
    target = call.target or ()
    if any(token.text == "(" for token in target):
        message = f'{call.name} goes through a fact, lists.NAME or ["…"], not through a result'
        yield CelFault(call.start, message)


def _tried(call: Call, environment: cel.Env) -> Iterator[CelFault]:
    if not call.arguments:
        return
    last = call.arguments[-1]
    literals = all(token.kind in (Kind.STRING, Kind.INT) for token in last) and len(last) == 1
    if not literals:
        if call.name not in ("timestamp", "duration"):
            yield CelFault(last[0].start, f"{call.name} takes a text in quotes here")
        return
    try:
        program = environment.compile(TRIED[call.name].format(last[0].text))
    except RuntimeError:
        return  # the type check speaks of it
    value = program.eval(data={}).value()
    if not isinstance(value, bool):
        yield CelFault(last[0].start, _untried(call.name, str(value)))


def _untried(name: str, said: str) -> str:
    match name:
        case "matches":
            return said.rpartition("INVALID_ARGUMENT: ")[2]
        case "timestamp":
            return "not a time (write 2027-01-01T00:00:00Z)"
        case "duration":
            return "not a length of time (write 36h, 90m, 1h30m, 500ms)"
        case _:
            return "no such time zone (write Europe/Berlin, +02:00 or UTC)"


def _lists(tokens: Tokens, lists: Lists) -> Iterator[CelFault]:
    """Lists of several types escape the type check; in an empty one there is nothing."""
    for i, token in enumerate(tokens):
        opens = token.text == "[" and not (i and ends_operand(tokens[i - 1]))
        if not opens:
            continue
        values = constants(tokens[i : closing(tokens, i) + 1], lists)
        if values is None:
            continue
        if len({type(value) for value in values}) > 1:
            yield CelFault(token.start, "the values of a list are of one type")
        if not values and i and tokens[i - 1].text == "in":
            yield CelFault(token.start, "an empty list matches nothing: name values")
