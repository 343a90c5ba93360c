"""What would tell a caller that he was recognized.

A rule over fingerprint or cluster facts may only look like the account's own limit (a throttle in
borrowed words, or a quota). Whatever else it does shows in the answer and needs `reveals: true`.
A quota that refuses looks like another limit; one that shortens answers looks like none.
"""

from collections.abc import Iterator

from proxy.policy.schema import AccessSpec, ActionSpec, GeographySpec
from proxy.policy.schema_quota import QuotaSpec
from proxy.policy.schema_rule import RuleSpec

_ACCEPT = "accept that with reveals: true"


def giving_away(spec: RuleSpec, *, selects: bool = True) -> Iterator[tuple[str, str]]:
    """The keys of a rule that recognizes callers which would tell them so, and why.

    `selects` says that its match does so: it then governs their exchanges and no others, and a
    durability class of its own would show in how long they take.
    """
    if spec.mode == "warn":
        yield "mode", f"a warning tells the caller that he was recognized; use shadow, or {_ACCEPT}"
    if spec.message is not None:
        yield (
            "message",
            "a refusal of a recognized caller looks like the account's own limit; "
            "a message of its own needs reveals: true",
        )
    if selects and (key := _own_durability(spec)):
        yield (
            key,
            "an exchange of a recognized caller would take another time than others, as its record "
            f"is waited for otherwise; remove {key}, or {_ACCEPT}",
        )
    if isinstance(spec, GeographySpec):
        key = "deny_countries" if spec.deny_countries is not None else "allow_countries"
        yield key, f"a refusal by place tells the caller that he was recognized; {_ACCEPT}"
    if isinstance(spec, ActionSpec):
        yield from _by_action(spec)
    if isinstance(spec, QuotaSpec):
        yield from _by_length(spec)


def _own_durability(spec: RuleSpec) -> str | None:
    if isinstance(spec, AccessSpec | GeographySpec) and spec.legal:
        return "legal"
    return None if spec.durability is None else "durability"


def _by_action(spec: ActionSpec) -> Iterator[tuple[str, str]]:
    if spec.then not in (None, "throttle"):
        yield (
            "then",
            f"{spec.then} tells the caller that he was recognized; use throttle, or {_ACCEPT}",
        )
    if spec.modify is not None:
        yield "modify", f"a changed answer tells the caller that he was recognized; {_ACCEPT}"


def _by_length(spec: QuotaSpec) -> Iterator[tuple[str, str]]:
    if spec.clamp is not None:
        yield (
            "clamp",
            "an answer shorter than asked for tells the caller that he was recognized; "
            f"remove clamp, or {_ACCEPT}",
        )
    if spec.hard:
        yield (
            "hard",
            "an answer that is cut off tells the caller that he was recognized; "
            f"remove hard, or {_ACCEPT}",
        )
