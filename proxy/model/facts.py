"""The flat, typed view of an exchange that rules read, and the catalogue of its names.

A fact that is not known is absent from the mapping; a rule says what it does then (`on_missing`).
Static facts are known before the store is asked.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

FactValue = str | int | float | bool | tuple[str, ...] | Mapping[int, int]
Facts = Mapping[str, FactValue]


class FactType(StrEnum):
    """Types of facts; `counts` maps a window in seconds to a number of accounts."""

    STRING = "string"
    INT = "int"
    BOOL = "bool"
    STRINGS = "strings"
    COUNTS = "counts"


@dataclass(frozen=True, slots=True)
class Fact:
    """One entry of the catalogue. `personal` facts are recorded only as keyed pseudonyms."""

    name: str
    type: FactType
    description: str
    personal: bool = False


CATALOGUE: dict[str, Fact] = {
    fact.name: fact
    for fact in (
        Fact("request.surface", FactType.STRING, "Surface, such as chat.completions or messages."),
        Fact("request.dialect", FactType.STRING, "Protocol of the caller: openai or anthropic."),
        Fact("request.model", FactType.STRING, "Model that the request names."),
        Fact("request.stream", FactType.BOOL, "Whether a streamed answer is asked for."),
        Fact("request.max_tokens", FactType.INT, "Upper bound of output tokens, where given."),
        Fact("request.choices", FactType.INT, "Number of answers asked for (n)."),
        Fact("request.input_tokens", FactType.INT, "Estimated input tokens."),
        Fact("request.body_bytes", FactType.INT, "Bytes of the request body."),
        Fact("account.id", FactType.STRING, "Account that pays.", personal=True),
        Fact("account.key", FactType.STRING, "Id of the key that was used.", personal=True),
        Fact("account.organization", FactType.STRING, "Organization.", personal=True),
        Fact("account.tier", FactType.STRING, "Tier in the account directory."),
        Fact("account.country", FactType.STRING, "Country the account declares."),
        Fact("account.billing_country", FactType.STRING, "Country of the billing address."),
        Fact("account.verified", FactType.BOOL, "Whether the identity was verified."),
        Fact("account.labels", FactType.STRINGS, "Labels in the account directory."),
        Fact("account.age_s", FactType.INT, "Seconds since the account was created."),
        Fact("account.honeypot", FactType.BOOL, "Whether the key is bait."),
        Fact("client.address", FactType.STRING, "Address of the client.", personal=True),
        Fact("client.country", FactType.STRING, "Country of the client's address."),
        Fact("client.asn", FactType.INT, "Autonomous system of the client's address."),
        Fact("client.anonymizer", FactType.STRING, "Kind of anonymizer the address belongs to."),
        Fact("client.ja4", FactType.STRING, "JA4 of the TLS client, from a trusted peer."),
        Fact("fingerprint.system", FactType.STRING, "Token of the system prompt."),
        Fact("fingerprint.template", FactType.STRING, "Token of the prompt's template skeleton."),
        Fact(
            "fingerprint.template_accounts",
            FactType.COUNTS,
            "Accounts that shared the template within each window that a rule asks for.",
        ),
    )
}
