import gzip
import json
from types import ModuleType

import pytest

from bench.tokens import measures
from bench.tokens.__main__ import text as page_of
from bench.tokens.corpus import PROMPTS, groups
from bench.tokens.vocabularies import Vocabulary, vocabularies

KNOWN = [Vocabulary("fifths", lambda text: max(1, len(text.encode()) // 5))]


def missing(name: str) -> ModuleType:
    raise ModuleNotFoundError(name=name)


def test_a_missing_tokenizer_says_what_to_install():
    with pytest.raises(SystemExit, match=r"bpe_openai is missing.*pip install bpe-openai"):
        vocabularies(missing)


def test_groups_come_from_own_texts_and_the_given_folders(tmp_path):
    texts, data = tmp_path / "texts", tmp_path / "data"
    texts.mkdir()
    data.mkdir()
    long = "a text that is long enough to be measured at all, and more"
    (texts / "Latin.txt").write_text(f"{long}\f{long}\fshort")
    for name in PROMPTS:
        with gzip.open(data / f"{name}.jsonl.gz", "wt") as out:
            out.write(json.dumps({"prompt": long}) + "\n" + json.dumps({"prompt": "hi"}) + "\n")
    found = groups(data, texts)
    assert found["Languages"]["Latin"] == [long, long]
    assert len(found["Languages"]["English"]) == 3
    assert found["Published prompts"]["benign_nq_open"] == [long]
    assert {"base64", "Python"} <= found["Content kinds"].keys()


def test_errors_and_the_learned_factor_are_what_they_say():
    found = measures.error([(110, 100), (80, 100), (150, 100)])
    assert (found.median, found.middle, found.p95) == pytest.approx((0.1, 0.2, 0.2))
    texts = [measures.Text(estimate=100, quarter=80, true=(125,)) for _ in range(40)]
    assert measures.factor(texts, 0) == pytest.approx(1.25, rel=0.02)


def test_the_page_has_a_row_for_each_group():
    found = groups(None, None)
    counted = {heading: measures.counted(texts, KNOWN) for heading, texts in found.items()}
    worst = measures.underestimated(KNOWN)
    page = page_of(["fifths"], counted, worst, {"English": (1.0, 2.0)}, (20.0, 16.0))
    for group in ("English", "Korean", "base64", "Python", worst[0][0]):
        assert f"\n| {group} |" in page
    assert "+25 %" in page
