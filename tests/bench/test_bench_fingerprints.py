import gzip
import json
import random
from pathlib import Path

import pytest

from bench.fingerprints.__main__ import main
from bench.fingerprints.texts import KINDS


@pytest.mark.parametrize("kind", KINDS)
def test_prompts_of_a_kind_have_their_size_and_differ(kind: str):
    make, size = KINDS[kind]
    rng = random.Random(kind)
    texts = [make(rng, size) for _ in range(5)]
    assert len(set(texts)) == 5
    assert all(size - 8 <= len(t.encode("utf-8", "surrogatepass")) <= size for t in texts)


def test_the_benchmark_writes_its_page_with_published_prompts(tmp_path: Path):
    with gzip.open(tmp_path / "asked.jsonl.gz", "wt", encoding="utf-8") as file:
        file.write(json.dumps({"prompt": "How do planes fly?"}) + "\n")
    main(out=tmp_path, blocks=1, data=tmp_path)
    rows = (tmp_path / "fingerprints.md").read_text(encoding="utf-8").splitlines()
    assert [row.split(" | ")[0] for row in rows if row.startswith("| ")] == [
        "| prompts", "| ---", *(f"| {kind}" for kind in KINDS), "| asked",
    ]  # fmt: skip
