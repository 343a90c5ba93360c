"""Traits: what exchanges and accounts have in common, each of one family.

A fingerprint is a keyed 64-bit token of one trait. Its low six bits are the trait's code, the
others a keyed hash of the value, so that a token says which trait it is of, and nothing else to
whoever lacks the key.
"""

from enum import IntEnum, StrEnum

CODE_BITS = 6
CODE_MASK = (1 << CODE_BITS) - 1


class Family(StrEnum):
    """What kind of thing joins accounts. Traits of one family often share one innocent cause."""

    NETWORK = "network"
    CLIENT = "client"
    PROMPT = "prompt"
    BEHAVIOUR = "behaviour"
    RELATIONSHIP = "relationship"


class Trait(IntEnum):
    """The traits of an exchange, by code (1 to 63). Those of accounts are named by the directory.

    Codes stand in saved state and in audit records: they never change their meaning.
    """

    ADDRESS = 1  # of the client
    NETWORK = 2  # its /24 or /48
    ASN = 3
    COUNTRY = 4
    ANONYMIZER = 5

    HEADERS = 8  # names of the headers in order and case
    AGENT = 9  # stable values: user agent, SDK headers
    JA4 = 10
    INCONSISTENT = 11  # a client that is not what it says it is

    SYSTEM = 16  # the system prompt
    TOOLS = 17  # tool definitions
    TEMPLATE = 18  # skeleton of the first user turn
    OPENING = 19  # first words of the latest user turn
    CLOSING = 20  # its last words
    EXACT = 21  # the whole of it
    SHINGLE = 22  # sampled runs of words of it: near-duplicates share some
    SYSTEM_SHINGLE = 23  # the same of the system prompt
    SCRIPT = 24  # mix of scripts and language
    SIGNATURE = 25  # a reasoning signature that another session was given

    MODEL = 32
    PARAMETERS = 33  # output bound, temperature and other parameters
    SHAPE = 34  # turns, size of the request
    ASKS = 35  # written-out reasoning, grading by rubric
    END_USER = 36  # `user` or `metadata.user_id`

    @property
    def family(self) -> Family:
        """The family that a trait belongs to."""
        if self < Trait.HEADERS:
            return Family.NETWORK
        if self < Trait.SYSTEM:
            return Family.CLIENT
        return Family.PROMPT if self < Trait.MODEL else Family.BEHAVIOUR


# Computed after the request has gone on; all others before the decision.
SKETCHED = frozenset({Trait.SHINGLE, Trait.SYSTEM_SHINGLE})


def trait_of(token: int) -> Trait:
    """The trait that a token is of. ValueError for a code that is none."""
    return Trait(token & CODE_MASK)
