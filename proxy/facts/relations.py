"""What the directory says of an account, as keyed tokens for the detector.

The same value of a link gives the same token for every account; no value leaves the process.
"""

from hashlib import blake2b

from proxy.facts.address import canonical, network_of
from proxy.facts.token import token_of
from proxy.model.account import Account, Owner
from proxy.model.sighting import Described
from proxy.model.trait import Trait

MAX_CACHED = 65_536
MAX_LINKS = 32


class Relations:
    """Accounts as the detector sees them; each is described once and kept."""

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._described: dict[str, tuple[Account, Described]] = {}

    def of(self, account: Account) -> Described:
        """The description of an account; the same object while its line does not change."""
        kept = self._described.get(account.account)
        if kept is not None and (kept[0] is account or kept[0] == account):
            return kept[1]
        described = describe(account, self._key)
        if len(self._described) >= MAX_CACHED:
            del self._described[next(iter(self._described))]
        self._described[account.account] = account, described
        return described


def describe(account: Account, key: bytes) -> Described:
    """An account as the detector sees it. An empty text says as little as a missing one."""
    links = []
    for name, written in sorted(account.links.items())[:MAX_LINKS]:
        if not (value := _plain(name, written)):
            continue
        links.append((name, _token(name, value, key)))
        if name == "signup_ip" and (network := _network(value)):
            links.append(("signup_ip/24", _token("signup_ip/24", network, key)))
    links += [("owner", _token("owner", name, key)) for name in _owners(account.owners)]
    organization = account.organization
    return Described(
        account=account.account,
        links=tuple(links),
        organization=_token("organization", organization, key) if organization else None,
        created_at=account.created_at,
        tier=account.tier,
        verified=account.verified,
        billing_country=account.billing_country,
        country=account.country,
        home=token_of(Trait.COUNTRY, account.country, key) if account.country else None,
    )


def _plain(name: str, value: str) -> str:
    """A link's value as it is compared. Only where its name says what it is may case not matter:
    operators put hashes there."""
    value = value.strip()
    if "email" in name or name.endswith("domain"):
        return value.casefold().rstrip(".")
    if name.startswith("phone"):
        return "".join(value.split())
    return canonical(value) if name.endswith("ip") else value


def _network(address: str) -> str | None:
    """The network of an address; None where the operator put something else there, as a hash."""
    try:
        return network_of(address)
    except ValueError:
        return None


def _owners(owners: tuple[Owner, ...]) -> list[str]:
    """The names of all owners and theirs, each once."""
    names: dict[str, None] = {}
    waiting = list(owners)
    while waiting and len(names) < MAX_LINKS:
        owner = waiting.pop()
        if name := " ".join(owner.name.casefold().split()):
            names[name] = None
        waiting += owner.owners
    return list(names)


def _token(name: str, value: str, key: bytes) -> int:
    data = f"{name}\0{value}".encode("utf-8", "surrogatepass")
    return int.from_bytes(
        blake2b(data, digest_size=8, key=key[:64], person=b"link").digest(), "big"
    )
