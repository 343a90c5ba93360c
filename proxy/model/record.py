"""Entries of the audit log. Identities in them are keyed pseudonyms, never the raw ids."""

from msgspec import Struct

Json = str | int | float | bool | None | list["Json"] | dict[str, "Json"]


class Record(Struct, frozen=True, gc=False):
    """One entry before it is chained: `type` is decision, completion, settlement, policy,
    clusters, fuse, disarmed or admin.

    `exchange` is the id the caller was given; `at_ns` is Unix nanoseconds; `fields` is JSON.
    """

    type: str
    exchange: str
    at_ns: int
    fields: dict[str, Json] = {}
