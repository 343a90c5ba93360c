"""What is certain of each surface: which protocol has it, whether it names a model, what it uses.

The same is known where requests are read; tests hold both together.
"""

from collections.abc import Mapping

from proxy.model.exchange import SURFACE_NAMES, Dialect

_OPENAI, _ANTHROPIC = Dialect.OPENAI.value, Dialect.ANTHROPIC.value

DIALECTS: Mapping[str, frozenset[str]] = {
    **dict.fromkeys(SURFACE_NAMES, frozenset((_OPENAI,))),
    **dict.fromkeys(
        ("messages", "messages.count_tokens", "messages.batches"), frozenset((_ANTHROPIC,))
    ),
    **dict.fromkeys(("files", "models", "open"), frozenset((_OPENAI, _ANTHROPIC))),
}
# Their exchanges never name a model: request.model is "".
NAMELESS = frozenset(("files", "models", "open"))
# Their exchanges use no tokens. A batch is charged by the lines of its file.
TOKENLESS = frozenset(("files", "models", "open", "moderations", "messages.count_tokens"))
# Their exchanges use tokens of input only.
INPUT_ONLY = frozenset(("embeddings",))
# Their answers have no text of a model.
WRITELESS = frozenset(
    ("files", "models", "moderations", "embeddings", "images", "messages.count_tokens")
)
