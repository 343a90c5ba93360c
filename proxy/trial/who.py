"""Who a record is about: its pseudonyms compared with those of everybody who is known here.

Nothing is looked up in the other direction: a pseudonym says nothing by itself.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path

from proxy.facts.account_file import UNREADABLE, numbered_lines
from proxy.facts.account_lines import AccountLineError, read_account
from proxy.facts.address import network_of
from proxy.facts.directory import DirectoryError
from proxy.model.account import Account
from proxy.model.record import Json
from proxy.pipeline.records import WHO
from proxy.policy.match import Condition
from proxy.policy.rules import PolicySet
from proxy.trial.clauses import Withheld

Pseudonym = Callable[[str, str], str]
NO_KEY = "recorded as a pseudonym, and the key of pseudonyms is not here"
ADDRESS = "addresses are recorded as pseudonyms only"


def accounts_in(path: Path | None) -> Iterator[Account]:
    """The accounts of a directory's file; a line that is not in order is nobody's."""
    if path is None:
        return
    try:
        with path.open("rb") as file:
            for _, line in numbered_lines(file, path):
                try:
                    yield read_account(line)
                except AccountLineError:
                    continue
    except UNREADABLE as error:
        raise DirectoryError(f"{path}: cannot be read: {error}") from error


def identified(
    fields: Mapping[str, Json],
    policy: PolicySet,
    pseudonym: Pseudonym | None,
    accounts: Iterable[Account],
) -> tuple[dict[str, str], dict[str, Withheld]]:
    """The personal facts of a record that can be told, and those that cannot, with why.

    Tried are the accounts of the directory, and whoever the policy names.
    """
    given = {name: str(fields[name]) for name, _ in WHO if name in fields}
    if pseudonym is None:
        hidden = {fact: Withheld(NO_KEY) for name, fact in WHO if name in given}
        return {}, _with_network({}, hidden)
    account = _account(given, pseudonym, accounts)
    known: dict[str, str] = {}
    for name, fact in WHO:
        if name in given:
            tried = (*_of(account, name), *_named(policy, fact))
            found = (value for value in tried if pseudonym(name, value) == given[name])
            known.update((fact, value) for value in islice(found, 1))
    # Where somebody was recognized the key is that of the record: nobody else who was tried is it.
    ruled_out = bool(known)
    hidden = {
        fact: Withheld(ADDRESS) if name == "address" else Withheld(_why(name, account), ruled_out)
        for name, fact in WHO
        if name in given and fact not in known
    }
    return known, _with_network(known, hidden)


def _with_network(known: dict[str, str], hidden: dict[str, Withheld]) -> dict[str, Withheld]:
    """A network is told, or not, by the address that is in it."""
    if "client.address" in known:
        known["client.network"] = network_of(known["client.address"])
    if "client.address" in hidden:
        return hidden | {"client.network": hidden["client.address"]}
    return hidden


def _account(
    given: Mapping[str, str], pseudonym: Pseudonym, accounts: Iterable[Account]
) -> Account | None:
    sought = given.get("account")
    if sought is None:
        return None
    return next((one for one in accounts if pseudonym("account", one.account) == sought), None)


def _of(account: Account | None, name: str) -> Iterator[str]:
    """The values of this kind that an account has."""
    if account is None:
        return
    if name == "account":
        yield account.account
    elif name == "key":
        yield from (key.id for key in account.keys)
    elif name == "organization" and account.organization:
        yield account.organization


def _named(policy: PolicySet, fact: str) -> Iterator[str]:
    """The values of a fact that conditions of the policy list."""
    for rule in (*policy.exceptions, *policy.rules):
        for atom in rule.match.conditions:
            if isinstance(atom, Condition) and atom.fact == fact:
                yield from (str(value) for value in atom.values or ())


def _why(name: str, account: Account | None) -> str:
    if account is None:
        return "no account of the directory has this pseudonym"
    return f"the account has no {name} of this pseudonym now"
