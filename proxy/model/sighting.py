"""One exchange as the detector sees it, and what the detector hands back."""

from typing import Protocol

from msgspec import Struct


class Sighting(Struct, frozen=True, gc=False):
    """An exchange of a known account. `position` is its place in the audit log.

    `tokens` are keyed 64-bit fingerprints in hex by trait ("template", "system"); prompt text
    and addresses never get this far.
    """

    position: int
    at_ns: int
    account: str
    tokens: tuple[tuple[str, str], ...]
    served: bool


class ClusterIndex(Protocol):
    """What the request path may look up. Immutable; `version` is pinned in the record."""

    version: int

    def template_accounts(self, token: str) -> dict[int, int]:
        """Accounts that shared a template token, by window in seconds."""
        ...
