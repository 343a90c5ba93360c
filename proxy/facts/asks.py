"""What kind of thing a text asks for: written-out reasoning, grading by a rubric.

Fixed phrases in a dozen languages, looked for in normalized text. They say what share of an
account's requests is of a kind, and nothing of anybody's intent: teachers ask for both.
"""

from collections.abc import Collection, Sequence

from proxy.facts.prompt_text import single_spaced

REASONING = "reasoning"
RUBRIC = "rubric"

# Phrases of scripts with spaces, by a whole word that each has: most texts have none of these.
_BY_WORD: dict[str, dict[str, tuple[str, ...]]] = {
    REASONING: {
        "step": ("step by step", "each step", "every step"),
        "step-by-step": ("step-by-step",),
        "reasoning": ("reasoning",),
        "thought": ("chain of thought", "thought process"),
        "chain-of-thought": ("chain-of-thought",),
        "work": ("show your work",),
        "aloud": ("think aloud",),
        "paso": ("paso a paso",), "passo": ("passo a passo",),
        "langkah": ("langkah demi langkah",),
        "schritt": ("schritt für schritt",), "étape": ("étape par étape",), "pas": ("pas à pas",),
        "razonamiento": ("razonamiento",), "raciocínio": ("raciocínio",),
        "raisonnement": ("raisonnement",),
        "ad\u0131m": ("ad\u0131m ad\u0131m",), "từng": ("từng bước",),
        "шаг": ("шаг за шагом",),
    },
    RUBRIC: {
        "rubric": ("rubric",), "grading": ("grading",), "grade": ("grade the", "grade this"),
        "score": ("score the", "score each", "score from", "score of", "a score between"),
        "scale": ("on a scale", "scale of"), "criteria": ("criteria",), "out": ("out of 10",),
        "rate": ("rate the", "rate each"), "skala": ("skala von", "skala 1"),
        "escala": ("una escala de", "uma escala de"),
        "rúbrica": ("rúbrica",), "barème": ("barème",), "échelle": ("sur une échelle",),
        "critères": ("critères",), "шкале": ("по шкале",), "оцените": ("оцените",),
    },
}  # fmt: skip
# Others, and words with many endings, by their script.
_ANYWHERE: dict[str, dict[str, tuple[str, ...]]] = {
    "Cyrl": {REASONING: ("пошагово", "рассуждени"), RUBRIC: ("критери",)},
    "Hani": {
        REASONING: ("逐步", "一步一步", "分步", "推理", "思维链", "思考过程", "段階的"),
        RUBRIC: ("评分", "打分", "評分", "評価基準", "採点"),
    },
    "Kana": {
        REASONING: ("ステップバイステップ", "段階的"), RUBRIC: ("評価基準", "採点"),
    },
    "Hang": {REASONING: ("단계별",), RUBRIC: ("채점", "평가 기준")},
    "Arab": {REASONING: ("خطوة بخطوة",), RUBRIC: ("معايير",)},
    "Deva": {REASONING: ("चरण दर चरण",), RUBRIC: ("मानदंड",)},
    "Thai": {REASONING: ("ทีละขั้นตอน",)},
}  # fmt: skip
_MARKS = ("", ".", ",", ":", ";", "!", "?", ")")
_PHRASES = {
    word + mark: [(kind, phrase) for kind in _BY_WORD for phrase in _BY_WORD[kind].get(word, ())]
    for words in _BY_WORD.values()
    for word in words
    for mark in _MARKS
}
_SEEDS = frozenset(_PHRASES)
_OF_SCRIPT = {
    script: [(kind, phrase) for kind, phrases in kinds.items() for phrase in phrases]
    for script, kinds in _ANYWHERE.items()
}


def asks(
    head: str, tail: str, first: Sequence[str], last: Sequence[str], scripts: Collection[str]
) -> tuple[str, ...]:
    """The kinds of request found in the folded head or tail of a text.

    `first` and `last` are some of its words: a phrase in a script with spaces is looked for where
    one of these is part of it. `scripts` are those of the text.
    """
    sought: list[tuple[str, str]] = []
    if not (_SEEDS.isdisjoint(first) and _SEEDS.isdisjoint(last)):
        for seed in _SEEDS.intersection((*first, *last)):
            sought += _PHRASES[seed]
    for script in scripts:
        sought += _OF_SCRIPT.get(script, ())
    if not sought:
        return ()
    head, tail = single_spaced(head), single_spaced(tail)
    found: dict[str, None] = {}
    for kind, phrase in sought:
        if kind not in found and (phrase in head or phrase in tail):
            found[kind] = None
    return tuple(found)
