"""Every class of warning about a policy set, with its exact message."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

import proxy.policy
from proxy.model.exchange import SURFACE_NAMES, BodyKind
from proxy.pipeline.weigh import ANSWERS, WRITES
from proxy.policy.lint import lint
from proxy.policy.lints.surfaces import DIALECTS, INPUT_ONLY, NAMELESS, TOKENLESS, WRITELESS
from proxy.policy.load import compile_texts, load
from proxy.wire.surfaces import SURFACES
from tests.policy.golden import cases, expected, texts
from tests.policy.reached import unreached

ROOT = Path(__file__).parents[2]
FOLDER = Path(__file__).parent / "lints"
LINTS = sorted((Path(proxy.policy.__file__).parent / "lints").glob("*.py"))
AT_NS = int(datetime(2026, 11, 24, tzinfo=UTC).timestamp()) * 1_000_000_000
SETS = {
    sample.parent for sample in (ROOT / "policies").rglob("*.yaml") if sample.name != "gauger.yaml"
}
SAMPLES = sorted(folder for folder in SETS if folder.name != "tests")


def warnings(given: list[tuple[str, bytes]]) -> str:
    return "\n".join(map(str, lint(compile_texts(given), AT_NS)))


@pytest.mark.parametrize("case", cases(FOLDER), ids=lambda case: case.stem)
def test_what_is_odd_is_told_in_these_words(case: Path):
    said = warnings(texts(case))
    assert said == expected(case, said)


def test_every_word_of_a_warning_is_in_a_golden_file():
    def run() -> None:
        for case in cases(FOLDER):
            warnings(texts(case))

    assert unreached(LINTS, run) == []


def test_warnings_come_in_the_order_of_their_places():
    found = lint(compile_texts(texts(FOLDER / "values.yaml")), AT_NS)
    assert list(found) == sorted(found)


@pytest.mark.parametrize("directory", SAMPLES, ids=lambda path: path.name)
def test_the_sets_that_are_shipped_mean_what_they_say(directory: Path):
    assert [str(warning) for warning in lint(load(directory), AT_NS)] == []


def test_what_is_known_of_surfaces_is_what_their_paths_say():
    served = [claim.surface for claims in SURFACES.values() for claim in claims]
    assert {surface.name for surface in served} | {"open"} == SURFACE_NAMES == DIALECTS.keys()
    for name in SURFACE_NAMES - {"open"}:
        own = [surface for surface in served if surface.name == name]
        assert DIALECTS[name] == {surface.dialect.value for surface in own}
        generates = name == "batches" or any(surface.generates for surface in own)
        assert (name in TOKENLESS) is not generates
        nameless = all(
            not surface.generates and surface.body is not BodyKind.JSON for surface in own
        )
        assert (name in NAMELESS) is nameless
        assert (name in INPUT_ONLY) is (name not in TOKENLESS | ANSWERS)
    assert WRITELESS.isdisjoint(WRITES)
