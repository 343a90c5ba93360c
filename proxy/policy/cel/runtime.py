"""Compiled CEL at work: facts to an activation, once for each exchange, and values to a truth.

Whatever goes wrong in an evaluation becomes Missing or Failed and never an exception. The text of
an error of CEL may hold values of facts; none of it is passed on but the name of a fact.
"""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from cel_expr_python import cel

from proxy.model.facts import Facts, FactType, FactValue
from proxy.policy.cel.names import FACTS, GUARD, LIST, Lists
from proxy.policy.match import Failed, Missing, Truth

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
LAST_US = (datetime(9999, 1, 1, tzinfo=UTC) - EPOCH) // timedelta(microseconds=1)
# Facts that differ from one exchange to the next: what was said of them is not worth remembering.
VARYING = frozenset(
    {
        "account.age_s",
        "client.address",
        "quota.used_share",
        "request.body_bytes",
        "request.input_tokens",
        "request.max_tokens",
        "time.now",
    }
)
MAX_REMEMBERED = 250_000  # answers of all conditions of a set together
MIN_INT, MAX_INT = -(2**63), 2**63 - 1

_UNKNOWN = re.compile(r'No value with name "([a-z0-9_.]+)"')
_REASONS = (
    (re.compile("divi(de|sion) by zero"), "a division by zero"),
    (re.compile("modul(us|o) by zero"), "a division by zero"),
    (re.compile("overflow|out of range|too big", re.IGNORECASE), "a number is out of range"),
    (re.compile("[Ii]ndex|subscript"), "a list has no such element"),
    (re.compile("timezone|[Tt]imestamp|[Dd]uration"), "not a time, or no such time zone"),
    (re.compile("owner"), "the account's owners cannot be read"),
    (re.compile("conver|cast"), "a value cannot be converted"),
)


class Runtime:
    """The facts that compiled conditions name, and the activation of the last exchange.

    An activation is remembered by the identity of its mapping: a mapping of facts never
    changes once conditions were asked of it.
    """

    def __init__(self, environment: cel.Env, lists: Lists) -> None:
        self._environment = environment
        self._lists = lists
        self._facts: dict[str, Callable[[FactValue], object] | None] = {}
        self._guards: set[str] = set()
        self._constants: dict[str, list[str]] = {}
        self._last: tuple[Facts, cel.Activation] | None = None
        self._memory = _Memory()

    def evaluator(
        self, text: str, facts: frozenset[str], guarded: frozenset[str], lists: frozenset[str]
    ) -> Callable[[Facts], Truth]:
        """What evaluates a checked clause that names these facts, guards and lists."""
        valued = self._valued(text, facts, guarded, lists)

        def evaluate(facts: Facts) -> Truth:
            value = valued(facts)
            if value is True or value is False:
                return value
            return _unsure(str(value))

        hangs_on = facts | guarded
        if VARYING & hangs_on:
            return evaluate
        return self._memory.remembering(evaluate, tuple(hangs_on))

    def valuer(
        self, text: str, facts: frozenset[str], guarded: frozenset[str], lists: frozenset[str]
    ) -> Callable[[Facts], str | Missing | Failed]:
        """The same for an expression whose value is a text, a whole number or a truth: as a text.

        An error of CEL is told from a text by its type.
        """
        valued = self._valued(f"[{text}]", facts, guarded, lists)

        def evaluate(facts: Facts) -> str | Missing | Failed:
            value = valued(facts)
            if not isinstance(value, list):
                return _unsure(str(value))
            one = value[0].value() if hasattr(value[0], "value") else value[0]
            return str(one).lower() if isinstance(one, bool) else str(one)

        return evaluate

    def _valued(
        self, text: str, facts: frozenset[str], guarded: frozenset[str], lists: frozenset[str]
    ) -> Callable[[Facts], object]:
        """What evaluates a checked expression; an error of CEL is its value then."""
        program = self._environment.compile(text)
        self._facts |= {name: _CONVERT.get(FACTS[name].type) for name in facts}
        self._guards |= guarded
        self._constants |= {LIST + name: list(self._lists[name]) for name in lists}
        self._last = None

        def valued(facts: Facts) -> object:
            last = self._last
            activation = last[1] if last and last[0] is facts else self._activation(facts)
            try:
                return program.eval(activation).value()
            except Exception:
                return _again(program, self, facts)

        return valued

    def _activation(self, facts: Facts) -> cel.Activation:
        activation = self._environment.Activation(self._data(facts))
        self._last = (facts, activation)
        return activation

    def _data(self, facts: Facts) -> dict[str, object]:
        data: dict[str, object] = dict(self._constants)
        for name, convert in self._facts.items():
            value = facts.get(name)
            if value is not None:
                data[name] = convert(value) if convert else value
        for name in self._guards:
            data[GUARD + name] = facts.get(name) is not None
        return data

    def cleaned(self, facts: Facts) -> cel.Activation:
        """The activation with texts that are no Unicode mended: a caller may send any."""
        data = {name: _mended(value) for name, value in self._data(facts).items()}
        activation = self._environment.Activation(data)
        self._last = (facts, activation)
        return activation


class _Memory:
    """What conditions said of the values of facts, bounded whatever callers send."""

    def __init__(self) -> None:
        self._of_each: list[dict[tuple[FactValue | None, ...], Truth]] = []
        self._held = 0

    def remembering(
        self, evaluate: Callable[[Facts], Truth], names: tuple[str, ...]
    ) -> Callable[[Facts], Truth]:
        """The same, with what it said of the values of these facts remembered.

        They are all that it hangs on: a fact that it only asks has() of is one of them.
        """
        remembered: dict[tuple[FactValue | None, ...], Truth] = {}
        self._of_each.append(remembered)

        def recalled(facts: Facts) -> Truth:
            get = facts.get
            key = tuple([get(name) for name in names])
            truth = remembered.get(key)
            if truth is None:
                self._make_room()
                truth = remembered[key] = evaluate(facts)
            return truth

        return recalled

    def _make_room(self) -> None:
        if self._held >= MAX_REMEMBERED:
            for remembered in self._of_each:
                remembered.clear()
            self._held = 0
        self._held += 1


def _again(program: cel.Expression, runtime: Runtime, facts: Facts) -> object:
    try:
        return program.eval(runtime.cleaned(facts)).value()
    except Exception as error:
        return str(error)


def _unsure(error: str) -> Missing | Failed:
    """What an error stands for: CEL names a variable that has no value."""
    named = _UNKNOWN.search(error)
    return Missing(named[1]) if named and named[1] in FACTS else Failed(reason(error))


def reason(error: str) -> str:
    """The kind of an error of CEL, in words that hold nothing of its text."""
    return next((said for kind, said in _REASONS if kind.search(error)), "it cannot be evaluated")


def _mended(value: object) -> object:
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return [_mended(item) for item in value] if isinstance(value, list) else value


def _int(value: FactValue) -> object:
    return min(max(value, MIN_INT), MAX_INT) if isinstance(value, int) else value


def _list(value: FactValue) -> object:
    return list(value) if isinstance(value, tuple) else value


def _time(value: FactValue) -> object:
    """To microseconds; what lies before 1970 or after 9998 is cut to these."""
    at_us = value // 1000 if isinstance(value, int) else 0
    return EPOCH + timedelta(microseconds=min(max(at_us, 0), LAST_US))


_CONVERT: dict[FactType, Callable[[FactValue], object]] = {  # the others are taken as they are
    FactType.INT: _int,
    FactType.STRINGS: _list,
    FactType.TIME: _time,
}
