"""What the exchanges of a case are looked up in: accounts, places and anonymizers given in YAML."""

from collections.abc import Iterable, Mapping
from ipaddress import ip_network

from proxy.facts.account_lines import AccountLineError, account_line, read_account
from proxy.facts.directory import hash_key
from proxy.facts.networks import Networks
from proxy.facts.places import Anonymizers, Places
from proxy.model.account import Account
from proxy.policy.compile_match import COUNTRY_CODE
from proxy.policy.countries import COUNTRIES
from proxy.trial.case import World
from proxy.trial.case_facts import near
from proxy.trial.case_schema import AccountSpec, WorldSpec
from proxy.trial.spot import Spot


class GivenPlaces(Places):
    """Places of a case: the smallest network that holds an address says where it is."""

    def __init__(self, places: Mapping[str, tuple[str | None, int | None]]) -> None:
        super().__init__()
        self._given = places
        self._networks = Networks()
        for network in places:
            self._networks.add(network, network)

    def country(self, ip: str) -> str | None:
        """The country that the case gives for the address."""
        return self._of(ip)[0]

    def asn(self, ip: str) -> int | None:
        """The autonomous system that the case gives for the address."""
        return self._of(ip)[1]

    def _of(self, ip: str) -> tuple[str | None, int | None]:
        found = self._networks.find(ip)
        return self._given[found] if found else (None, None)


class GivenAnonymizers(Anonymizers):
    """Anonymizers of a case."""

    def __init__(self, given: Iterable[tuple[str, str]] = ()) -> None:
        super().__init__()
        for where, kind in given:
            self.take(where, kind)

    def take(self, where: str, kind: str) -> str | None:
        """Enter a network or an autonomous system; what is wrong with it, if anything is."""
        return self._take([where, kind])


def read_world(spec: WorldSpec, before: World, spot: Spot) -> World:
    """The world that `spec`, which stands at `spot`, lays over another one.

    An account replaces the one of the same id.
    """
    accounts = {read_account(line).account: line for line in before.accounts}
    for i, given in enumerate(spec.accounts or ()):
        if line := _account(given, spot.at("accounts", i)):
            accounts[read_account(line).account] = line
    if spec.accounts:
        _check_apart(map(read_account, accounts.values()), spot.at("accounts"))
    places = dict(before.places)
    for where, place in (spec.places or {}).items():
        _check_place(where, place.country, spot.at("places", where))
        places[where] = (place.country, place.asn)
    anonymizers = dict(before.anonymizers)
    for where, kind in (spec.anonymizers or {}).items():
        if wrong := GivenAnonymizers().take(where, kind):
            spot.at("anonymizers", where).fault(wrong)
        anonymizers[where] = kind
    return World(tuple(accounts.values()), places, tuple(anonymizers.items()))


def _account(given: AccountSpec, spot: Spot) -> bytes | None:
    """A line of the directory. A bare key is hashed here and kept nowhere."""
    if given.key is not None and given.keys is not None:
        spot.at("key").key_fault("give key or keys, not both")
    line = given.model_dump(exclude_none=True, exclude={"key"})
    if given.keys is None:
        # Without a key of its own it has one that a request can name by its id.
        id_ = f"k-{given.account}"
        line["keys"] = [{"id": id_, "sha256": hash_key(given.key or id_)}]
    try:
        written = account_line(line)
        read_account(written)
    except AccountLineError as error:
        spot.fault(str(error))
        return None
    return written


def _check_apart(accounts: Iterable[Account], spot: Spot) -> None:
    """Tell where two accounts have one key."""
    owners: dict[str, str] = {}
    for account in accounts:
        for key in account.keys:
            for known in {key.id, key.sha256}:
                first = owners.setdefault(known, account.account)
                if first != account.account:
                    wrong = f"{account.account} has a key of {first}: each key has one owner"
                    spot.fault(wrong)


def _check_place(where: str, country: str | None, spot: Spot) -> None:
    try:
        ip_network(where)
    except ValueError:
        spot.key_fault(f'"{where[:60]}" is not an address or network (write "203.0.113.7")')
    if country is not None and country not in COUNTRIES:
        wrong = f'"{country[:20]}" is not a {COUNTRY_CODE}{near(country, COUNTRIES)}'
        spot.at("country").fault(wrong)
