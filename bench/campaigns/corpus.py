"""Prompts: published rows where a data folder is given, else our own, made from small tables.

Files read are JSON Lines, gzip, with `prompt` and, by file, `conv` and `turn`, `dataset` and
`template`. Their text is data: it is sent as the content of messages and nothing else.
"""

import gzip
import json
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from bench.campaigns import texts

Row = dict[str, object]
HARVEST = (
    "distill_alpaca5k",
    "distill_gsm8k_train",
    "distill_codealpaca2k",
    "distill_gpteacher_codegen",
)


@dataclass(frozen=True, slots=True)
class Corpus:
    """Texts by who would send them.

    `talks` are the human turns of conversations; `support` questions to a firm's assistant;
    `library` prompts that many people paste from the same place; `evals` and `batches` are groups
    of rows with one form; `harvest` the tasks that distillation campaigns feed to a model.
    """

    talks: tuple[tuple[str, ...], ...]
    support: tuple[str, ...]
    library: tuple[str, ...]
    evals: tuple[tuple[str, ...], ...]
    batches: tuple[tuple[str, ...], ...]
    harvest: tuple[str, ...]
    source: str


@cache
def load(data: Path | None) -> Corpus:
    """The published rows below `data`, or our own texts."""
    if data is None:
        return _own()
    return Corpus(
        talks=_talks(data),
        support=_prompts(data, "benign_banking77"),
        library=_prompts(data, "benign_prompts_chat"),
        evals=(
            _prompts(data, "lookalike_code_evals"),
            _prompts(data, "lookalike_anthropic_evals"),
            _prompts(data, "lookalike_gsm8k_test_fewshot"),
        ),
        batches=_batches(data),
        harvest=tuple(row for name in HARVEST for row in _prompts(data, name)),
        source="published rows",
    )


def _rows(data: Path, name: str) -> Iterator[Row]:
    with gzip.open(data / f"{name}.jsonl.gz", "rt", encoding="utf-8") as lines:
        for line in lines:
            yield json.loads(line)


def _prompts(data: Path, name: str) -> tuple[str, ...]:
    return tuple(str(row["prompt"]) for row in _rows(data, name))


def _talks(data: Path) -> tuple[tuple[str, ...], ...]:
    turns: dict[object, list[str]] = defaultdict(list)
    for row in _rows(data, "benign_hh_harmless_turns"):
        turns[row["conv"]].append(str(row["prompt"]))
    singles = (*_prompts(data, "benign_nq_open"), *_prompts(data, "benign_bench_human"))
    return (*map(tuple, turns.values()), *((single,) for single in singles))


def _batches(data: Path) -> tuple[tuple[str, ...], ...]:
    groups: dict[tuple[object, object], list[str]] = defaultdict(list)
    for row in _rows(data, "lookalike_p3_templates"):
        groups[row["dataset"], row["template"]].append(str(row["prompt"]))
    return tuple(map(tuple, groups.values()))


def _own() -> Corpus:
    return Corpus(
        talks=tuple(texts.talk(number) for number in range(6000)),
        support=tuple(texts.support(number) for number in range(4000)),
        library=tuple(texts.library(number) for number in range(400)),
        evals=tuple(
            tuple(texts.evaluation(form, number) for number in range(400)) for form in range(4)
        ),
        batches=tuple(
            tuple(texts.batch(form, number) for number in range(120)) for form in range(60)
        ),
        harvest=tuple(texts.harvest(number) for number in range(8000)),
        source="own texts",
    )
