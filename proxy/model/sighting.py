"""One exchange as the detector sees it, whose it is, and what the detector hands back."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from msgspec import Struct

from proxy.model.cluster import Membership


class Described(Struct, frozen=True, gc=False):
    """An account as the detector sees it: what the directory says, as keyed tokens.

    `links` are (name, token) of every link and owner, with names such as "payment", "signup_ip",
    "signup_ip/24", "owner"; a value that two accounts share gives both one token. `organization`
    is its token, None where none is declared. `created_at` is Unix seconds. `home` is the
    fingerprint (`Trait.COUNTRY`) that exchanges from the declared country show.
    """

    account: str
    links: tuple[tuple[str, int], ...] = ()
    organization: int | None = None
    created_at: float | None = None
    tier: str | None = None
    verified: bool | None = None
    billing_country: str | None = None
    country: str | None = None
    home: int | None = None


class Sighting(Struct, frozen=True, gc=False):
    """An exchange of a known account. `position` is its place in the audit log.

    `tokens` are fingerprints (`proxy.model.trait`); prompt text and addresses never get this far.
    `requests` is 1, or the lines of a batch, whose tokens are then those of a sample of them.
    `honeypot` says that the key was bait.
    """

    position: int
    at_ns: int
    account: str
    tokens: tuple[int, ...]
    served: bool
    turns: int = 1  # user turns
    input_tokens: int = 0
    requests: int = 1
    honeypot: bool = False


class SharingIndex(Protocol):
    """How many accounts share a template. Immutable; `version` is pinned in the record."""

    version: int

    def template_accounts(self, token: int) -> dict[int, int]:
        """Accounts that shared a template token, by window in seconds."""
        ...


class ClusterIndex(Protocol):
    """Who is in which cluster, as of one step of the detector. Immutable.

    `version` names it in records. `ordinary` is what an ordinary account uses in a day, by unit
    ("requests", "tokens"), empty while too little is known.
    """

    @property
    def version(self) -> str:
        """Its name."""
        ...

    @property
    def ordinary(self) -> Mapping[str, int]:
        """Uses in a day, by unit."""
        ...

    def of(self, account: Described, tokens: Sequence[int]) -> tuple[Membership, ...]:
        """The clusters of an account, or of what an exchange with these fingerprints shows.

        `tokens` are those that are known before the decision. The surest cluster is first.
        """
        ...
