"""What is known of a request beside its bytes: read by another process, or recorded in their place.

A recording may hold fingerprints and facts instead of body, headers and address. What it does not
hold is not known: it is taken out of the facts, so that rules do what they do without it, and
whoever replays can tell which judgements lacked it.
"""

from collections.abc import Mapping

from msgspec import Struct

from proxy.model.exchange import Asked, BadRequest
from proxy.model.facts import Facts, FactValue


class Given(Struct, frozen=True, gc=False):
    """What was read before; None for what is to be read from the request itself.

    `tokens` are fingerprints; those of the client's address come to them where it is known.
    `facts` take the place of those that the request would give, and `lacking` names those that
    nobody knows.
    """

    asked: Asked | BadRequest | None = None
    tokens: tuple[int, ...] | None = None
    facts: Mapping[str, FactValue] = {}
    lacking: tuple[str, ...] = ()

    def over(self, facts: Facts) -> Facts:
        """The facts of the exchange, as far as they are known."""
        if not self.facts and not self.lacking:
            return facts
        return {
            name: value
            for name, value in {**facts, **self.facts}.items()
            if name not in self.lacking
        }


NOTHING_GIVEN = Given()
