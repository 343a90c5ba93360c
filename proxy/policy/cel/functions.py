"""What a condition may call: CEL's own functions, and the helpers for lists, networks and owners.

A helper's second argument is a constant (text, a list of texts, or lists.NAME), so that it can be
checked and prepared when the policy is loaded, and the request path never compiles a pattern.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache, partial

from cel_expr_python import cel

from proxy.policy.match import network_test, wildcards
from proxy.policy.ownership import controlled_share, owned_share

CACHED_OWNERS = 4096

Constants = tuple[str, ...]
Prepared = Callable[[object], object]


@dataclass(frozen=True, slots=True)
class Function:
    """A function as operators read of it. A `method` is called on a value: text.size()."""

    name: str
    usage: str
    description: str
    method: bool = False


@dataclass(frozen=True, slots=True)
class Helper:
    """One of Gauger's own functions: a fact and a constant, in that order.

    `prepare` makes what is called at run time from the constant; ValueError where it is none.
    """

    function: Function
    subject: cel.Type
    result: cel.Type
    prepare: Callable[[Constants], Prepared]


def _glob(patterns: Constants) -> Prepared:
    matches = wildcards(patterns)
    return lambda text: isinstance(text, str) and text != "" and matches(text)


def _in_network(networks: Constants) -> Prepared:
    contains = network_test(networks)
    return lambda text: isinstance(text, str) and contains(text)


def _share(
    measure: Callable[[tuple[str, ...], frozenset[str]], float], countries: Constants
) -> Prepared:
    wanted = frozenset(countries)

    @lru_cache(CACHED_OWNERS)
    def measured(ways: tuple[str, ...]) -> float:
        return measure(ways, wanted)

    def call(ways: object) -> float:
        return measured(tuple(map(str, ways)) if isinstance(ways, (list, tuple)) else ())

    return call


_TEXTS = cel.Type.List(cel.Type.STRING)

HELPERS: dict[str, Helper] = {
    helper.function.name: helper
    for helper in (
        Helper(
            Function(
                "glob",
                'glob(request.model, "m-large*")',
                "Whether a text matches a pattern, or one of a list of patterns, as a whole: * is "
                'any text, ? one character, all else itself. The empty text matches none, not "*".',
            ),
            cel.Type.STRING,
            cel.Type.BOOL,
            _glob,
        ),
        Helper(
            Function(
                "in_network",
                'in_network(client.address, ["10.0.0.0/8", "2001:db8::/32"])',
                "Whether an address lies in a network, or in one of a list (CIDR, or one address).",
            ),
            cel.Type.STRING,
            cel.Type.BOOL,
            _in_network,
        ),
        Helper(
            Function(
                "owned_share",
                "owned_share(account.owners, lists.embargoed) > 0.5",
                "The share, 0 to 1, that is owned from the countries, directly or through others: "
                "60 % of a holder of 60 % are 0.36. The country of an owner that is not "
                'known is "?": name it among the countries to count such owners.',
            ),
            _TEXTS,
            cel.Type.DOUBLE,
            partial(_share, owned_share),
        ),
        Helper(
            Function(
                "controlled_share",
                "controlled_share(account.owners, lists.embargoed) >= 0.5",
                "The share, 0 to 1, of direct owners that are in the countries or that are "
                "themselves held for half or more by such owners (the 50 percent rule): "
                "60 % of a holder of 60 % are 0.6.",
            ),
            _TEXTS,
            cel.Type.DOUBLE,
            partial(_share, controlled_share),
        ),
    )
}

STANDARD: dict[str, Function] = {
    function.name: function
    for function in (
        Function("size", "size(account.labels) > 2", "Length of a list, or characters of a text."),
        Function(
            "contains", 'request.model.contains("mini")', "Whether a text holds another.", True
        ),
        Function("startsWith", 'request.model.startsWith("m-")', "How a text begins.", True),
        Function("endsWith", 'request.model.endsWith("-preview")', "How a text ends.", True),
        Function(
            "matches",
            'request.model.matches("^m-[0-9]+$")',
            "Whether a regular expression (RE2) is found anywhere in a text.",
            True,
        ),
        Function(
            "exists",
            'account.labels.exists(label, label.startsWith("trial-"))',
            "Whether a condition holds for one element of a list.",
            True,
        ),
        Function(
            "all",
            'account.labels.all(label, label != "blocked")',
            "Whether a condition holds for every element of a list.",
            True,
        ),
        Function(
            "exists_one",
            'account.labels.exists_one(label, label.startsWith("plan-"))',
            "Whether a condition holds for exactly one element of a list.",
            True,
        ),
        Function(
            "filter",
            'account.labels.filter(label, label.startsWith("trial-")).size() > 1',
            "The elements of a list for which a condition holds.",
            True,
        ),
        Function(
            "timestamp",
            'time.now < timestamp("2027-01-01T00:00:00Z")',
            "A time (RFC 3339), or one in seconds since 1970.",
        ),
        Function(
            "duration",
            'time.now - timestamp("2027-01-01T00:00:00Z") > duration("36h")',
            "A length of time: h, m, s, ms.",
        ),
        Function("int", "int(cluster.score * 100.0) >= 95", "A number cut to a whole one."),
        Function("double", "double(request.choices) * 1.5 > 4.0", "A whole number as a double."),
        Function("string", 'string(client.asn).startsWith("65")', "A value as text."),
        Function("getFullYear", "time.now.getFullYear() == 2027", "The year.", True),
        Function("getMonth", "time.now.getMonth() == 11", "The month, 0 to 11.", True),
        Function("getDate", "time.now.getDate() == 31", "The day of the month, 1 to 31.", True),
        Function("getDayOfMonth", "time.now.getDayOfMonth() == 0", "Of the month, 0 to 30.", True),
        Function("getDayOfYear", "time.now.getDayOfYear() < 7", "Of the year, 0 to 365.", True),
        Function(
            "getDayOfWeek",
            'time.now.getDayOfWeek("Europe/Berlin") in [0, 6]',
            "The day of the week, 0 to 6 from Sunday.",
            True,
        ),
        Function(
            "getHours", 'time.now.getHours("Europe/Berlin") >= 22', "The hour, 0 to 23.", True
        ),
        Function("getMinutes", "time.now.getMinutes() < 5", "The minute, 0 to 59.", True),
        Function("getSeconds", "time.now.getSeconds() < 30", "The second, 0 to 59.", True),
        Function(
            "getMilliseconds",
            "time.now.getMilliseconds() < 500",
            "Its milliseconds.",
            True,
        ),
    )
}

MACROS = frozenset(("exists", "all", "exists_one", "filter"))
ZONED = frozenset(name for name in STANDARD if name.startswith("get"))


class Handles:
    """Prepared helpers by handle: what a compiled call names in place of its constant.

    A call such as glob(request.model, lists.large) is compiled as glob(request.model, "7").
    """

    def __init__(self) -> None:
        self._prepared: dict[str, Prepared] = {}
        self._handles: dict[tuple[str, Constants], str] = {}

    def handle(self, name: str, constants: Constants) -> str:
        """The handle of a helper over constants; ValueError where they do not fit it."""
        key = (name, constants)
        found = self._handles.get(key)
        if found is None:
            found = str(len(self._handles))
            self._prepared[found] = HELPERS[name].prepare(constants)
            self._handles[key] = found
        return found

    def declarations(self) -> list[cel.FunctionDecl]:
        """The helpers as CEL declares them."""
        return [
            cel.FunctionDecl(name, list(self._overloads(name, helper)))
            for name, helper in HELPERS.items()
        ]

    def _overloads(self, name: str, helper: Helper) -> list[cel.Overload]:
        return [
            cel.Overload(f"{name}_{kind}", helper.result, [helper.subject, second], impl=self._call)
            for kind, second in (("text", cel.Type.STRING), ("texts", _TEXTS))
        ]

    def _call(self, subject: object, handle: str) -> object:
        return self._prepared[handle](subject)
