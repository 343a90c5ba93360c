"""Every class of fault that a policy file can have, with its exact message."""

from pathlib import Path

import pytest

import proxy.policy
from proxy.policy.checked import WORDS
from proxy.policy.load import compile_texts
from proxy.policy.problem import ProblemsError
from tests.policy.golden import cases, expected, texts
from tests.policy.reached import unreached

FOLDER = Path(__file__).parent / "faults"
POLICY = Path(proxy.policy.__file__).parent
MODULES = (
    *("yamlfile", "checked", "schema", "schema_texts", "schema_rule", "schema_quota"),
    *("compile", "compile_match", "compile_quota", "reveals"),
)
CEL = [file for file in sorted((POLICY / "cel").glob("*.py")) if file.name != "runtime.py"]
FILES = [POLICY / f"{name}.py" for name in MODULES] + CEL
NO_FAULTS = (
    "A condition in CEL.",  # of the JSON Schema
    "cannot be named in a condition",  # names of lists are checked where they are defined
)
# Kinds of error of which no key of a policy file can be guilty; gauger.yaml can.
OF_SETTINGS = {"enum", "less_than", "model_attributes_type"}


def faults(given: list[tuple[str, bytes]]) -> str:
    with pytest.raises(ProblemsError) as caught:
        compile_texts(given)
    return caught.value.pictured


@pytest.mark.parametrize("case", cases(FOLDER), ids=lambda case: case.stem)
def test_a_fault_is_told_in_these_words(case: Path):
    said = faults(texts(case))
    assert said == expected(case, said)


def test_every_word_for_a_fault_is_in_a_golden_file(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("proxy.policy.yamlfile.MAX_NODES", 20_000)  # walked line by line here

    def run() -> None:
        for case in cases(FOLDER):
            faults(texts(case))
        faults([(name, text) for name, text in too_large() if name != "nodes.yaml"])

    missed = unreached(FILES, run)
    assert [line for line in missed if not any(known in line for known in NO_FAULTS)] == []


def too_large() -> list[tuple[str, bytes]]:
    """What no golden file should hold: megabytes."""
    return [
        ("bytes.yaml", b"#" * 4_000_001),
        ("nodes.yaml", b"lists: {a: [" + b"x, " * 200_001 + b"]}"),
        ("steps.yaml", COSTLY.format(", ".join(f"m-{i}" for i in range(9_000))).encode()),
    ]


COSTLY = """lists: {{models: [{}]}}
access:
  - id: costly
    match: lists.models.exists(m, m == request.model)
    mode: shadow
    then: deny
"""


def test_a_file_that_is_too_large_is_told():
    first, second, third, *picture = faults(too_large()).splitlines()
    assert first == "bytes.yaml: the file has 4000001 bytes; at most 4000000 are read"
    assert second == "nodes.yaml:1:600004: too large once aliases are expanded"
    assert third.startswith("steps.yaml:4:12: this takes about ")
    assert picture[0].startswith("    match: lists.models.exists(m, m == request.")
    assert picture[1] == "           ^"


@pytest.mark.parametrize("kind", sorted(WORDS.keys() - OF_SETTINGS))
def test_every_kind_of_wrong_value_is_in_a_golden_file(kind: str):
    beginning = WORDS[kind].split("{")[0]
    assert any(beginning in file.read_text() for file in FOLDER.glob("*.txt"))
