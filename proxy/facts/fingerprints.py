"""The fingerprints of an exchange that are known before the decision: one token for each trait.

Raw values go no further than this: a token is a keyed hash (`proxy.model.trait`). What stays the
same from call to call (places, headers, system prompts, parameters) is kept by its value.
"""

from proxy.facts.behaviour_traits import behaviour_tokens
from proxy.facts.client_traits import client_tokens
from proxy.facts.folding import tables
from proxy.facts.network_traits import Place, network_tokens
from proxy.facts.prompt_traits import prompt_tokens
from proxy.model.exchange import Arrival, Asked

NOWHERE = Place()


def prepare() -> None:
    """Make what the first exchange in another script than Latin would wait for."""
    tables()


def fingerprints(arrival: Arrival, asked: Asked, place: Place, key: bytes) -> tuple[int, ...]:
    """The tokens of one exchange; a trait that it does not have gives none.

    A trait has one token; of contradictions, kinds of request and reasoning signatures there may
    be several. A prompt of any size takes about as long as one of 4 KB; what that is, says
    `docs/benchmarks/fingerprints.md`.
    """
    return (
        *network_tokens(place, key),
        *client_tokens(arrival.headers, arrival.ja4, key),
        *prompt_tokens(asked.prompt, key),
        *behaviour_tokens(asked, key),
    )
