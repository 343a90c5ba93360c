"""Who pays: a key belongs to an account, an account to an organization."""

from dataclasses import dataclass, field
from enum import StrEnum


class AccountStatus(StrEnum):
    """Whether an account may use the API at all."""

    ACTIVE = "active"
    SUSPENDED = "suspended"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True)
class Key:
    """One credential of an account; the bare key is never held, only its SHA-256."""

    id: str
    sha256: str
    honeypot: bool = False


@dataclass(frozen=True, slots=True)
class Owner:
    """A holder of a share (0 to 1) in an account's organization, and its own owners in turn."""

    name: str
    share: float
    country: str | None = None
    owners: tuple["Owner", ...] = ()


@dataclass(frozen=True, slots=True)
class Account:
    """One line of the account directory. Times are Unix seconds, countries ISO 3166-1 alpha-2.

    `limits` are limits of its own, by rule and unit, as a policy file would have them.
    """

    account: str
    keys: tuple[Key, ...]
    organization: str | None = None
    tier: str | None = None
    status: AccountStatus = AccountStatus.ACTIVE
    created_at: float | None = None
    country: str | None = None
    billing_country: str | None = None
    verified: bool | None = None
    labels: tuple[str, ...] = ()
    owners: tuple[Owner, ...] = ()
    links: dict[str, str] = field(default_factory=dict)
    limits: dict[str, dict[str, float]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Caller:
    """The account an exchange is for, and the key that said so (absent when a front proxy did)."""

    account: Account
    key: Key | None
