"""Texts that a fact never has: a comparison with one never holds, and somebody meant another."""

from collections.abc import Iterable, Iterator, Mapping

from proxy.model.cluster import NO_CLUSTER, ClusterState
from proxy.model.exchange import SURFACE_NAMES, Dialect
from proxy.model.facts import ANONYMIZER_KINDS, NO_ANONYMIZER
from proxy.policy.cel.names import Lists, names_in
from proxy.policy.cel.tables import texts
from proxy.policy.cel.text import CelFault, Kind, Tokens, closing, shown, string_of
from proxy.policy.cel.words import nearest
from proxy.policy.countries import COUNTRIES

COUNTRY = "country code (ISO 3166, two capitals)"
_COUNTRIES = ("client.country", "account.country", "account.billing_country")
STATES = (*(state.value for state in ClusterState), NO_CLUSTER)

# Facts whose values are known beforehand: what a value is called, and which there are.
KNOWN: Mapping[str, tuple[str, Iterable[str]]] = {
    **dict.fromkeys(_COUNTRIES, (COUNTRY, COUNTRIES)),
    "request.surface": ("surface", SURFACE_NAMES),
    "request.dialect": ("dialect", [dialect.value for dialect in Dialect]),
    "client.anonymizer": ("kind of anonymizer", (*ANONYMIZER_KINDS, NO_ANONYMIZER)),
    "cluster.state": ("state of a cluster", STATES),
}


def unknown_values(tokens: Tokens, lists: Lists) -> Iterator[CelFault]:
    """Texts that are compared with a fact which never has such a value."""
    for i, name in names_in(tokens):
        if name not in KNOWN:
            continue
        end = i + 1 + 2 * name.count(".")
        after, before = tokens[end : end + 1], tokens[max(i - 1, 0) : i]
        what, known = KNOWN[name]
        if after and after[0].text in ("==", "!="):
            yield from _one(tokens[end + 1 : end + 2], what, known)
        elif after and after[0].text == "in":
            stop = closing(tokens, end + 1) + 1 if tokens[end + 1].text == "[" else end + 4
            values = tokens[end + 1 : stop]
            given = texts(values, lists)
            yield from each_known(values, given or (), what, known)
        elif before and before[0].text in ("==", "!=") and i > 1:
            yield from _one(tokens[i - 2 : i - 1], what, known)


def _one(tokens: Tokens, what: str, known: Iterable[str]) -> Iterator[CelFault]:
    if tokens and tokens[0].kind is Kind.STRING:
        yield from each_known(tokens, (string_of(tokens[0]),), what, known)


def each_known(
    tokens: Tokens, values: Iterable[str], what: str, known: Iterable[str]
) -> Iterator[CelFault]:
    """A fault for each value among the constants in `tokens` that is none of the known ones."""
    names = list(known)
    for value in values:
        if value not in names:
            hint = nearest(value.upper() if what == COUNTRY else value, names)
            of = f" (in {shown(tokens)})" if tokens[0].text == "lists" else ""
            yield CelFault(place_of(tokens, value), f'"{value}" is not a {what}{of}{hint}')


def place_of(tokens: Tokens, value: str) -> int:
    """The offset of a text among constants; of a list's name, that of the name."""
    for token in tokens:
        if token.kind is Kind.STRING and string_of(token) == value:
            return token.start
    return tokens[0].start
