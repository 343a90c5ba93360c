"""The quick way to read text gives what the step-by-step way gives, wherever it gives anything."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.facts import prompt_text
from proxy.facts.folding import END, mapped, points_of, tables, text_of

MARKS = [chr(point) for point in range(END) if unicodedata.combining(chr(point))]
OFTEN = (
    "abXY \n\u0430\u0435\u041a\u03bf\u00df\u2026\u00bd\ufb01\u200b\u00ad\uac00\u1161\uff0c\u00a0"
)
ANY = st.text(st.one_of(st.characters(), st.sampled_from(OFTEN), st.sampled_from(MARKS)))


def slowly_visible(text: str) -> str:
    return prompt_text._visible(text, 100_000)


def slowly_folded(text: str) -> list[str]:
    return prompt_text._composed(slowly_visible(text).casefold(), 100_000).split()


def check(text: str) -> bool:
    """Whether both quick ways knew the text; that they are right is asserted."""
    visible, folded = mapped(text, tables().visible), mapped(text, tables().folded)
    assert visible is None or visible == slowly_visible(text)
    assert folded is None or folded.split() == slowly_folded(text)
    return visible is not None and folded is not None


@pytest.mark.parametrize("plane", range(3))
def test_every_character_between_latin_letters_is_read_as_slowly(plane: int):
    points = range(plane << 16, (plane + 1) << 16)
    known = sum(check(f"b{chr(point)}q") for point in points)
    assert known > 0.95 * len(points) or plane == 2


@given(ANY.filter(bool))
def test_any_text_is_read_as_slowly(text: str):
    check(text)


def test_texts_in_most_scripts_are_known_to_the_quick_way():
    texts = (
        "\u0421\u0447\u0435\u0442 \u2014 \u00abdocs\u00bb\u2026 \u0435\u0449\u0451",
        "\u6e2f\u53e3\u5f88\u5b89\u9759\uff0c\u65e7\u6e21\u8239\u3002",
        "\u201cIt\u2019s \ufb01ne\u201d \u2013 na\u00efve Stra\u00dfe \U0001f600\ufe0f",
        "\ud55c\uad6d\uc5b4 \u0939\u093f\u0928\u094d\u0926\u0940 \u0e44\u0e17\u0e22\u0e48",
    )
    assert all(check(text) for text in texts)


def test_points_of_a_text_with_lone_surrogates_come_back():
    text = "a\ud800\U0001f600\udfff"
    assert points_of(text).size == 4
    assert text_of(points_of(text)) == text
