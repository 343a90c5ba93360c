"""How an exchange is asked, as tokens: model, parameters, shape, kind of request, end user."""

from functools import lru_cache

from proxy.facts.token import token_of
from proxy.model.exchange import Asked
from proxy.model.trait import Trait

MAX_CACHED = 4_096
_MODEL, _PARAMETERS, _SHAPE, _END_USER = map(
    int, (Trait.MODEL, Trait.PARAMETERS, Trait.SHAPE, Trait.END_USER)
)


def behaviour_tokens(asked: Asked, key: bytes) -> tuple[int, ...]:
    """The tokens of what is asked for; none for what is asked without a model."""
    user = asked.end_user
    ends = () if user is None else (token_of(_END_USER, user, key),)
    if asked.model is None:
        return ends
    turns, size = asked.prompt.turns.bit_length(), asked.input_tokens_estimate.bit_length()
    return _kept(asked.model, asked.parameters, turns, size, key) + ends


@lru_cache(maxsize=MAX_CACHED)
def _kept(model: str, parameters: str, turns: int, size: int, key: bytes) -> tuple[int, ...]:
    """Kept by all of them: user turns and input tokens are powers of two."""
    return (
        token_of(_MODEL, model, key),
        token_of(_PARAMETERS, parameters, key),
        token_of(_SHAPE, f"{turns}:{size}", key),
    )
