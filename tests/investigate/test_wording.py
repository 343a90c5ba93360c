"""Numbers in words: rounded as estimates are, never more exact than they can be."""

import pytest

from proxy.investigate.wording import evidence_words, one_in, short, trait_words
from proxy.model.cluster import Evidence


@pytest.mark.parametrize(
    ("rate", "said"),
    [(1.7, "100%"), (0.5, "50%"), (0.1, "10%"), (0.09, "1 in 11"), (1 / 40_973, "1 in 41,000")],
)
def test_a_share_of_everyone_is_one_in_so_many_or_per_cent(rate: float, said: str):
    assert one_in(rate) == said


@pytest.mark.parametrize(
    ("evidence", "said"),
    [
        (("x", 312, 37_600.0), "312 of its 340 accounts share it, against 1 in 41,000 of everyone"),
        (("x", 0, 5.0), "0 of its 340 accounts share it"),
        (("x", 340, 0.0), "340 of its 340 accounts share it"),
        (("x", 340, 1e6), "340 of its 340 accounts share it, against 1 in 1,000,000 of everyone"),
    ],
)
def test_evidence_is_a_sentence_with_its_numbers(evidence: tuple[str, int, float], said: str):
    assert evidence_words(Evidence("prompt", *evidence, ""), 340) == said


def test_a_trait_has_its_name_however_it_is_written():
    assert trait_words("SYSTEM_SHINGLE") == trait_words("system shingle")
    assert trait_words("loyalty_card") == "loyalty card"


@pytest.mark.parametrize(
    ("amount", "said"), [(0, "0"), (950.4, "950"), (12_400, "12.4 k"), (3.12e6, "3.1 M")]
)
def test_large_numbers_are_short(amount: float, said: str):
    assert short(amount) == said
