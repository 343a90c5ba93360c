"""What is measured: texts by group, which is a language or a kind of content."""

import gzip
import json
import random
from collections import defaultdict
from pathlib import Path

from bench.tokens.texts import STORY, machine_made

ROOT = Path(__file__).parents[2]
SEEDS = range(60)
MOST_TEXTS = 300  # of a group
SHORTEST = 40  # characters: of shorter texts the rounding is all there is
OWN_FILES = {
    "Python": "proxy/**/*.py",
    "Markdown": "docs/*.md",
    "YAML": "policies/**/*.yaml",
}
PROMPTS = (
    "benign_hh_harmless_turns",
    "benign_prompts_chat",
    "benign_nq_open",
    "benign_bench_human",
    "benign_banking77",
    "distill_alpaca5k",
    "distill_gsm8k_train",
    "distill_codealpaca2k",
    "distill_gpteacher_codegen",
    "distill_gpteacher_toolformer",
    "lookalike_code_evals",
    "lookalike_p3_templates",
    "lookalike_anthropic_evals",
)

Groups = dict[str, list[str]]


def groups(data: Path | None, texts: Path | None) -> dict[str, Groups]:
    """Groups of texts under the heading that they stand under in the page."""
    found: dict[str, Groups] = {
        "Languages": {language: _parts(story) for language, story in STORY.items()},
        "Content kinds": _kinds(),
    }
    if texts is not None:
        found["Languages"] |= _files(texts)
    if data is not None:
        found["Published prompts"] = {name: _prompts(data, name) for name in PROMPTS}
    return found


def _parts(story: str) -> list[str]:
    """A story as a whole, and its halves."""
    middle = len(story) // 2
    return [story, story[:middle], story[middle:]]


def _kinds() -> Groups:
    found: Groups = defaultdict(list)
    for seed in SEEDS:
        for kind, text in machine_made(seed).items():
            found[kind].append(text)
    for kind, pattern in OWN_FILES.items():
        draw = random.Random(kind)
        for path in sorted(ROOT.glob(pattern)):
            found[kind].append(_cut(path.read_text("utf-8"), draw))
    return {kind: kept[:MOST_TEXTS] for kind, kept in found.items()}


def _cut(text: str, draw: random.Random) -> str:
    size = draw.choice((300, 1000, 4000))
    at = draw.randrange(max(1, len(text) - size))
    return text[at : at + size]


def _files(folder: Path) -> Groups:
    """Each `NAME.txt` is a group; a form feed ends a text."""
    return {
        path.stem: [text for text in path.read_text("utf-8").split("\f") if len(text) >= SHORTEST]
        for path in sorted(folder.glob("*.txt"))
    }


def _prompts(data: Path, name: str) -> list[str]:
    with gzip.open(data / f"{name}.jsonl.gz", "rt", encoding="utf-8") as lines:
        found = [str(json.loads(line)["prompt"]) for line in lines]
    long_enough = [text for text in found if len(text) >= SHORTEST]
    return random.Random(name).sample(long_enough, min(MOST_TEXTS, len(long_enough)))
