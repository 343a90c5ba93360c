"""Evidence, times and numbers in words."""

from datetime import UTC, datetime

from proxy.investigate.found import Found
from proxy.model.cluster import Evidence

NS_PER_S = 1_000_000_000

# The traits of `proxy.model.trait` as people name them; links are named by the directory.
TRAITS = {
    "address": "client address",
    "network": "network (/24 or /48)",
    "asn": "autonomous system",
    "country": "country of the client",
    "anonymizer": "kind of anonymizer",
    "headers": "headers, their order and case",
    "agent": "user agent and SDK headers",
    "ja4": "TLS fingerprint (JA4)",
    "inconsistent": "client is not what it says",
    "system": "system prompt",
    "tools": "tool definitions",
    "template": "template of the first turn",
    "opening": "first words of a turn",
    "closing": "last words of a turn",
    "exact": "whole prompt",
    "shingle": "near-duplicate prompts",
    "system_shingle": "near-duplicate system prompts",
    "script": "scripts and language",
    "signature": "reasoning signature replayed",
    "model": "model",
    "parameters": "parameters",
    "shape": "size and turns",
    "asks": "asks for reasoning or grading",
    "end_user": "end user id",
    "rotation_of_addresses": "rotation of addresses",
    "exits_abroad": "exits abroad",
    "lockstep": "acts in lockstep",
    "payment": "payment card",
    "email_domain": "mail domain",
    "phone_prefix": "phone prefix",
    "signup_ip": "address at signup",
    "signup_ip/24": "network at signup",
    "referrer": "referrer",
    "device": "device",
    "owner": "owner",
}


def trait_words(trait: str) -> str:
    """A trait as people name it; one that is not in the table by its own name."""
    name = trait.lower().replace(" ", "_")
    return TRAITS.get(name, name.replace("_", " "))


def evidence_words(evidence: Evidence, accounts: int) -> str:
    """The numbers of one piece of evidence, in a sentence."""
    share = min(1.0, evidence.accounts / accounts) if accounts else 0.0
    said = f"{evidence.accounts:,} of its {accounts:,} accounts share it"
    if evidence.lift <= 0 or share == 0:
        return said
    return f"{said}, against {one_in(share / evidence.lift)} of everyone"


def one_in(rate: float) -> str:
    """A share of everyone: as 1 in so many, rounded to two digits, or per cent where common."""
    if rate >= 0.1:
        return f"{min(1.0, rate):.0%}"
    return f"1 in {rounded(1 / rate):,}"


def rounded(value: float, digits: int = 2) -> int:
    """A number rounded to so many digits: base rates are estimates."""
    whole = round(value)
    step: int = 10 ** max(0, len(str(whole)) - digits)
    return round(whole / step) * step


def moment_words(at_ns: int | None) -> str:
    """A time, UTC, to the minute; a dash for none."""
    if at_ns is None:
        return "-"
    return datetime.fromtimestamp(at_ns // NS_PER_S, UTC).strftime("%Y-%m-%d %H:%M")


def iso(at_ns: int | None) -> str | None:
    """A time for programs: RFC 3339, UTC, to the second."""
    if at_ns is None:
        return None
    return f"{datetime.fromtimestamp(at_ns // NS_PER_S, UTC).isoformat()[:19]}Z"


def use_words(found: Found) -> str:
    """What a cluster's accounts use together in a day; a dash where that was not kept."""
    return ", ".join(f"{short(amount)} {unit}" for unit, amount in found.use.items()) or "-"


def short(amount: float) -> str:
    """A number of at most some four digits: 950, 12.4 k, 3.1 M."""
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if amount >= size:
            return f"{amount / (1e3 if letter == 'k' else size):.1f} {letter}"
    return f"{amount:,.0f}"
