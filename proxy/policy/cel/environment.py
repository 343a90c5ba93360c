"""The conditions of one policy set: what checks them all, and what they share at run time."""

from collections.abc import Callable

from cel_expr_python import cel

from proxy.policy.cel.checks import check, form_faults
from proxy.policy.cel.clauses import Clauses
from proxy.policy.cel.faults import explained, is_readable
from proxy.policy.cel.functions import Handles
from proxy.policy.cel.names import Lists, edited, guard_edits, lists_in, variables
from proxy.policy.cel.runtime import Runtime
from proxy.policy.cel.text import CelError, CelFault, Tokens, scan
from proxy.policy.cel.words import type_words
from proxy.policy.match import Atom, Keyed

MAX_CHARACTERS = 4000


class Environment:
    """Compiles the conditions of one policy set.

    `lists` are constants: lists.NAME in a condition is a list of texts.
    """

    def __init__(self, lists: Lists) -> None:
        self._lists = dict(lists)
        self._handles = Handles()
        self._names = variables(lists)
        self._cel = cel.NewEnv(variables=self._names, functions=self._handles.declarations())
        self._runtime = Runtime(self._cel, self._lists)

    def compile(self, text: str) -> tuple[Atom, ...]:
        """The atoms that must all hold; CelError with every fault of the text.

        Their facts are remembered by the identity of the mapping: a mapping of facts never changes
        once an atom was asked of it.
        """
        tokens = self._checked(text)
        return Clauses(text, self._lists, self._handles, self._runtime).atoms(tokens)

    def subject(self, text: str) -> Keyed:
        """An expression that names a subject by its value: a text, a whole number or a truth."""
        if not text.strip():
            raise CelError([CelFault(0, "an empty expression: write one in CEL")])
        tokens = self._checked(text, _no_subject)
        return Clauses(text, self._lists, self._handles, self._runtime).subject(tokens)

    def lists_in(self, text: str) -> frozenset[str]:
        """Names of the lists that a condition uses."""
        return lists_in(scan(text))

    def _checked(
        self, text: str, of_type: Callable[[cel.Type], list[CelFault]] | None = None
    ) -> Tokens:
        if len(text) > MAX_CHARACTERS:
            message = f"the condition has {len(text):,} characters; at most {MAX_CHARACTERS:,}"
            raise CelError([CelFault(0, f"{message} (long lists go under lists)")])
        tokens = scan(text)
        faults = form_faults(tokens, self._lists)
        readable = True
        try:
            program = self._cel.compile(edited(text, guard_edits(text, tokens), 0, len(text)))
        except RuntimeError as error:
            readable = is_readable(str(error))
            faults += explained(str(error), text, tokens, self._names, self._lists)
        else:
            faults += (of_type or _no_bool)(program.return_type())
        if readable:
            faults += check(tokens, self._lists, self._handles, self._cel)
        if faults:
            raise CelError(_first_at_each_place(faults))
        return tokens


def _no_bool(given: cel.Type) -> list[CelFault]:
    if given == cel.Type.BOOL:
        return []
    words = type_words(given.name().lower())
    return [CelFault(0, f"the condition gives {words}, not true or false")]


def _no_subject(given: cel.Type) -> list[CelFault]:
    if given in (cel.Type.STRING, cel.Type.INT, cel.Type.BOOL):
        return []
    words = type_words(given.name().lower())
    return [CelFault(0, f"the expression gives {words}, not a text, a whole number or a truth")]


def _first_at_each_place(faults: list[CelFault]) -> list[CelFault]:
    """What is told of a form is not told again as a matter of syntax or type."""
    places: dict[int, CelFault] = {}
    for fault in faults:
        places.setdefault(fault.offset, fault)
    return list(places.values())
