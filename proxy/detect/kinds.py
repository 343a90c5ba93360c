"""Kinds of traits, numbered, and the strand of evidence to which each belongs.

Traits of one strand often have one innocent cause: a program brings its prompts, its headers and
its parameters; a firm its payment and its mail domain. So strands, not traits, are what must agree.
"""

from enum import IntEnum

from proxy.model.trait import Family, Trait

FIRST_LINK = 64
MAX_KINDS = 256


class Strand(IntEnum):
    """Lines of evidence that nothing innocent joins."""

    PRODUCT = 0  # what is asked, by which program, how
    RELATION = 1  # who pays, owns, signed up
    NETWORK = 2  # from where
    PROFILE = 3  # what kind of account it is; never evidence by itself


EVIDENT = (Strand.PRODUCT, Strand.RELATION, Strand.NETWORK)


class Derived(IntEnum):
    """Traits that the detector makes from what it saw of an account."""

    AGE = 48
    TIER = 49
    VERIFIED = 50
    DECLARED = 51  # country
    BILLING = 52  # country
    PACE = 53  # exchanges a day
    ROTATION = 54  # addresses for each exchange
    ABROAD = 55  # exchanges from elsewhere than it declares
    SIGNUP = 56  # hour in which it was created
    BAIT = 57  # keys that nobody honest has


_DERIVED: dict[Derived, tuple[Family, Strand, str]] = {
    Derived.AGE: (Family.RELATIONSHIP, Strand.PROFILE, "age"),
    Derived.TIER: (Family.RELATIONSHIP, Strand.PROFILE, "tier"),
    Derived.VERIFIED: (Family.RELATIONSHIP, Strand.PROFILE, "verified"),
    Derived.DECLARED: (Family.RELATIONSHIP, Strand.PROFILE, "country"),
    Derived.BILLING: (Family.RELATIONSHIP, Strand.PROFILE, "billing country"),
    Derived.PACE: (Family.BEHAVIOUR, Strand.PROFILE, "pace"),
    Derived.ROTATION: (Family.NETWORK, Strand.NETWORK, "rotation of addresses"),
    Derived.ABROAD: (Family.NETWORK, Strand.NETWORK, "exits abroad"),
    Derived.SIGNUP: (Family.RELATIONSHIP, Strand.PROFILE, "hour of sign-up"),
    Derived.BAIT: (Family.RELATIONSHIP, Strand.RELATION, "honeypot key"),
}

# Where somebody lives explains what he shares with his neighbours: a prefix, a provider.
WHEREABOUTS = frozenset({Trait.COUNTRY, Trait.ASN})

# Of an exchange's user turn: what a template in it leaves behind.
CONTENT = frozenset({Trait.TEMPLATE, Trait.OPENING, Trait.CLOSING, Trait.EXACT, Trait.SHINGLE})


class Kinds:
    """Numbers of kinds: traits and derived ones by their codes, links by name from 64 on."""

    def __init__(self) -> None:
        self.links: dict[str, int] = {}

    def of_link(self, name: str) -> int | None:
        """The kind of a link's name; None once there are too many names."""
        kind = self.links.get(name)
        if kind is None and len(self.links) < MAX_KINDS - FIRST_LINK:
            kind = self.links[name] = FIRST_LINK + len(self.links)
        return kind

    def family(self, kind: int) -> Family:
        """The family of a kind."""
        if kind >= FIRST_LINK:
            return Family.RELATIONSHIP
        if kind in _DERIVED:
            return _DERIVED[Derived(kind)][0]
        return Trait(kind).family

    def strand(self, kind: int) -> Strand:
        """The strand of a kind."""
        if kind >= FIRST_LINK:
            return Strand.RELATION
        if kind in _DERIVED:
            return _DERIVED[Derived(kind)][1]
        if kind in WHEREABOUTS:
            return Strand.PROFILE
        return Strand.NETWORK if Trait(kind).family is Family.NETWORK else Strand.PRODUCT

    def name(self, kind: int) -> str:
        """What people call it."""
        if kind >= FIRST_LINK:
            return next(name for name, number in self.links.items() if number == kind)
        if kind in _DERIVED:
            return _DERIVED[Derived(kind)][2]
        return Trait(kind).name.lower().replace("_", " ")

    def strands(self) -> list[int]:
        """The strand of every kind number; numbers of no kind are PROFILE."""
        known = {*map(int, Trait), *map(int, Derived), *self.links.values()}
        return [int(self.strand(k)) if k in known else Strand.PROFILE for k in range(MAX_KINDS)]
