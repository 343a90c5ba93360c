"""The flat, typed view of an exchange that rules read, and the catalogue of its names.

A fact that is not known is absent from the mapping; a rule says what it does then (`on_missing`).
Static facts are known before the store is asked, reading facts after: a rule over a reading fact is
judged once the counts are there, and cannot select what is charged.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

ANONYMIZER_KINDS = ("vpn", "tor", "hosting", "proxy", "residential_proxy")
NO_ANONYMIZER = "none"  # client.anonymizer, of an address that the list does not have
FactValue = str | int | float | bool | tuple[str, ...] | Mapping[int, int] | Mapping[str, int]
Facts = Mapping[str, FactValue]


# What an ordinary account uses in a day, by the unit that it is counted in.
ORDINARY_FACTS: Mapping[str, str] = {
    "requests": "ordinary.requests",
    "tokens": "ordinary.tokens",
}


class FactType(StrEnum):
    """Types of facts.

    `time` is held as Unix nanoseconds. `counts` maps a window in seconds to a number of accounts,
    `limits` the limits of rules ("rule.unit") to amounts; neither can be named in a condition.
    """

    STRING = "string"
    INT = "int"
    DOUBLE = "double"
    BOOL = "bool"
    STRINGS = "list(string)"
    TIME = "timestamp"
    COUNTS = "counts"
    LIMITS = "limits"


@dataclass(frozen=True, slots=True)
class Fact:
    """One entry of the catalogue.

    `optional` facts may be unknown. `personal` ones are recorded as keyed pseudonyms only.
    `reading` ones are known only after the store was asked.
    """

    name: str
    type: FactType
    description: str
    optional: bool = True
    personal: bool = False
    reading: bool = False

    @property
    def recognizes(self) -> bool:
        """Whether a rule that reads it rests on recognizing the caller, and must not tell so."""
        return self.name.startswith(("fingerprint.", "cluster."))


def _known(name: str, type_: FactType, description: str) -> Fact:
    return Fact(name, type_, description, optional=False)


_S, _I, _D, _B = FactType.STRING, FactType.INT, FactType.DOUBLE, FactType.BOOL

CATALOGUE: dict[str, Fact] = {
    fact.name: fact
    for fact in (
        _known("request.surface", _S, "Surface, such as chat.completions or messages."),
        _known("request.dialect", _S, "Protocol of the caller: openai or anthropic."),
        Fact("request.model", _S, 'Model that the request names; "" where it concerns none.'),
        _known("request.stream", _B, "Whether a streamed answer is asked for."),
        Fact("request.max_tokens", _I, "Upper bound of output tokens, where given."),
        _known("request.choices", _I, "Number of answers asked for (n)."),
        Fact(
            "request.model_group",
            _S,
            "Group of the model, by model_groups; its own name where none has it.",
        ),
        _known("request.requests", _I, "Requests in it: 1, or the lines of a batch."),
        _known("request.input_tokens", _I, "Estimated input tokens."),
        Fact(
            "request.expected_output_tokens",
            _I,
            "What 95 % of the model's answers stayed below of late, for each answer.",
        ),
        _known("request.body_bytes", _I, "Bytes of the request body."),
        Fact("account.id", _S, "Account that pays.", optional=False, personal=True),
        Fact("account.key", _S, "Id of the key that was used.", personal=True),
        Fact("account.organization", _S, "Organization.", personal=True),
        Fact("account.tier", _S, "Tier in the account directory."),
        Fact("account.country", _S, "Country the account declares."),
        Fact("account.billing_country", _S, "Country of the billing address."),
        Fact("account.verified", _B, "Whether the identity was verified."),
        _known("account.labels", FactType.STRINGS, "Labels in the account directory."),
        Fact("account.age_s", _I, "Seconds since the account was created."),
        Fact(
            "account.owners",
            FactType.STRINGS,
            "Owners and their owners, each as the way to it: 0.6:SG, 0.6:SG/0.9:XX. "
            "Read it with owned_share and controlled_share.",
        ),
        Fact(
            "account.limits",
            FactType.LIMITS,
            "Limits of its own that the directory gives the account, by rule and unit.",
        ),
        Fact("account.honeypot", _B, "Whether the key is bait."),
        Fact("client.address", _S, "Address of the client.", personal=True),
        Fact(
            "client.network",
            _S,
            "Network of the client's address: its /24 (IPv4) or /48 (IPv6).",
            personal=True,
        ),
        Fact("client.country", _S, "Country of the client's address."),
        Fact("client.asn", _I, "Autonomous system of the client's address."),
        Fact(
            "client.anonymizer",
            _S,
            'Kind of anonymizer the address belongs to; "none" where the list does not have it.',
        ),
        Fact("client.ja4", _S, "JA4 of the TLS client, from a trusted peer."),
        Fact("fingerprint.system", _S, "Token of the system prompt."),
        Fact("fingerprint.template", _S, "Token of the prompt's template skeleton."),
        Fact(
            "fingerprint.template_accounts",
            FactType.COUNTS,
            "Accounts that shared the template within each window that a rule asks for.",
        ),
        Fact("cluster.id", _S, 'Cluster that the account is in; "" where it is in none.'),
        Fact("cluster.ids", FactType.STRINGS, "Clusters that the account is in, the surest first."),
        Fact(
            "cluster.lineage",
            FactType.STRINGS,
            "Clusters that those were made from, each as child<parent.",
        ),
        Fact("cluster.score", _D, "How sure the evidence is that one hand runs it, 0 to 1."),
        Fact("cluster.accounts", _I, "Accounts in the cluster."),
        Fact("cluster.state", _S, "none, open, growing, quiet, confirmed or dismissed."),
        Fact("cluster.account_weight", _D, "How much the account belongs to it, 0 to 1."),
        Fact("cluster.exchange_match", _B, "Whether this exchange shows the cluster's traits."),
        Fact(
            "ordinary.requests",
            _I,
            "Requests that an ordinary account (99th percentile) makes in a day, as learned.",
        ),
        Fact(
            "ordinary.tokens",
            _I,
            "Tokens that an ordinary account (99th percentile) uses in a day, as learned.",
        ),
        _known("time.now", FactType.TIME, "When the request arrived (UTC)."),
        Fact(
            "quota.used_share",
            _D,
            "Largest share of an enforced limit of the account that is used, with this exchange; "
            "above 1 where one is passed.",
            reading=True,
        ),
    )
}
