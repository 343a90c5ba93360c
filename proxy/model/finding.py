"""What an investigator says about a cluster that the detector found."""

from enum import StrEnum

from msgspec import Struct


class Action(StrEnum):
    """What is said of it. `reopen` takes back `confirm` and `dismiss`."""

    CONFIRM = "confirm"
    DISMISS = "dismiss"
    REOPEN = "reopen"
    ADD = "add"
    REMOVE = "remove"


class Finding(Struct, frozen=True, gc=False):
    """One line of `findings.jsonl` in the detector's directory.

    `at` is Unix seconds, `who` a person's name, `accounts` those that are added or removed.
    """

    at: float
    who: str
    action: Action
    cluster: str
    accounts: tuple[str, ...] = ()
    why: str = ""
