import pytest
import yaml
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from proxy.policy.problem import Problem, ProblemsError
from proxy.policy.yamlfile import MAX_DEPTH, Path, parse


def said(text: str) -> list[str]:
    return [str(problem) for problem in parse("p.yaml", text.encode()).problems]


def test_scalars_follow_yaml_1_2_so_that_norway_is_a_country_and_half_past_twelve_is_text():
    text = "a: NO\nb: 12:30\nc: yes\nd: true\ne: 0o17\nf: 1.5\ng: ~\nh: 2026-01-01\ni: 1_000\n"
    assert parse("p.yaml", text.encode()).data == {
        "a": "NO",
        "b": "12:30",
        "c": "yes",
        "d": True,
        "e": 15,
        "f": 1.5,
        "g": None,
        "h": "2026-01-01",
        "i": "1_000",
    }


def test_every_value_and_every_key_keeps_its_place():
    document = parse("p.yaml", b"rules:\n  - id: one\n    limit: {requests: 5}\n")
    assert document.keys["rules", 0, "limit"] == (3, 5)
    assert document.places["rules", 0, "limit", "requests"] == (3, 23)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\na: 2\n", 'p.yaml:2:1: duplicate key "a" (first on line 1)'),
        ("a: [1, 2\n", "p.yaml:2:1: not valid YAML: did not find expected ',' or ']'"),
        ("a: !!python/name:os.system x\n", "p.yaml:1:4: the tag"),
        ("? [a]\n: 1\n", "p.yaml:1:3: a key must be text"),
        ("a: 1\n---\nb: 2\n", "p.yaml:2:1: not valid YAML: but found another document"),
        ("a: !!int abc\n", "p.yaml:1:4: the text does not fit its tag"),
        ("a: !!float abc\n", "p.yaml:1:4: the text does not fit its tag"),
        ("a: \x07\n", "p.yaml: not valid YAML: unacceptable character #x0007"),
        ("a: *nowhere\n", "p.yaml:1:4: not valid YAML: found undefined alias"),
        ("\tb: 1\n", "p.yaml:1:1: not valid YAML: found character that cannot start any token"),
    ],
)
def test_a_fault_is_told_with_file_line_and_column(text: str, message: str):
    assert said(text)[0].startswith(message)


def test_text_that_is_not_utf8_is_told_with_its_line():
    document = parse("p.yaml", b"a: 1\nb: \xff\n")
    assert str(document.problems[0]).startswith("p.yaml:2:1: not UTF-8 text")


@pytest.mark.parametrize("text", ["[" * 100_000, "- " * 100_000 + "a", "{a: " * 5_000])
def test_deep_nesting_is_a_fault_and_never_a_crash(text: str):
    assert f"nested deeper than {MAX_DEPTH} levels" in said(text)[0]


def test_aliases_that_multiply_are_a_fault():
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 8)]
    assert "too large once aliases are expanded" in said("\n".join(lines))[0]


def test_an_alias_to_itself_is_a_fault():
    assert "nested deeper" in said("a: &a [*a]\n")[0]


def test_a_run_of_digits_too_long_for_a_number_is_text():
    assert parse("p.yaml", b"a: " + b"9" * 5_000).data == {"a": "9" * 5_000}


def told(text: str, path: Path = ("match",)) -> str:
    """A fault at the first X of the value at `path`."""
    document = parse("p.yaml", text.encode())
    assert not document.problems
    value = document.data
    for step in path:
        value = value[step]
    return str(document.problem_in(path, value.index("X"), "here"))


@pytest.mark.parametrize(
    ("text", "line", "column"),
    [
        ("match: a X\n", 1, 10),
        ("match:   X", 1, 10),
        ("é😀: 1\nmatch: é日 X\n", 2, 11),
        ("match: a\n  b\n\n  X\n", 4, 3),
        ("match: &here !!str a X\n", 1, 22),
        ("match: 'it''s ''X'\n", 1, 17),
        ("match: 'a\n\n  b X'\n", 3, 5),
        ('match: "\\"\\u00e9\\U0001F600\\x41\\n\\t X"\n', 1, 36),
        ('match: "a \\\n    b\\\n\n   X"\n', 4, 4),
        ('match: "a\n\n\n   X"\n', 4, 4),
        ("match: |\n  a\n   b\n\n  \tX\n", 5, 4),
        ("match: |- # why\n    a\n    X\n", 3, 5),
        ("match: |2\n    a\n  X\n", 3, 3),
        ("match: |+\n\n\n  a X\n\n\n", 4, 5),
        ("match: >\n  a &&\n  b &&\n\n  X\n", 5, 3),
        ("match: >-\n\n  a\n    b\n\n    c\n  d\n  X", 8, 3),
        ("match: >2\n    a\n  b\n  X\n", 4, 3),
        ("match: >+\n  a\n  \n\n  b X\n\n", 5, 5),
        ("match: |\r\n  a\r\n  X\r\n", 3, 3),
        ("match: >\r\n  a\r\n\r\n  X\r\nb: 1\r\n", 4, 3),
        ("a: &a |\n  b\n  X\nmatch: *a\n", 3, 3),
        ("\ufeffmatch: X", 1, 8),
        ("{match: X}", 1, 9),
    ],
)
def test_a_place_in_a_text_is_found_however_the_text_is_written(text: str, line: int, column: int):
    place, source, caret = told(text).split("\n")
    assert place == f"p.yaml:{line}:{column}: here"
    lines = text.removeprefix("\ufeff").splitlines()
    assert source == lines[line - 1]
    assert source[column - 1] == "X"
    assert caret.endswith("^")


@pytest.mark.parametrize("style", ["", "'", '"', "|", ">"])
@settings(max_examples=50, deadline=None)
@given(
    value=st.text(st.sampled_from("ab \n\t'\"\\:#é😀-"), max_size=30),
    at=st.integers(0, 30),
    indent=st.integers(1, 4),
)
def test_every_character_of_a_written_text_is_found_again(
    style: str, value: str, at: int, indent: int
):
    """PyYAML writes the text; where it stands in what was written is known by its neighbours."""
    value = f"{value[:at]}X{value[at:]}"
    text = yaml.dump(
        {"k": [{"match": value}]},
        default_style=style,
        indent=indent,
        width=12,
        allow_unicode=True,
        Dumper=yaml.CSafeDumper,
    )
    # libyaml folds lines that begin with a space, and then reads a line break back itself.
    assume(style != ">" or yaml.safe_load(text)["k"][0]["match"] == value)
    document = parse("p.yaml", text.encode())
    path: Path = ("k", 0, "match")
    assert document.data["k"][0]["match"] == value
    found = document.problem_in(path, value.index("X"), "here")
    assert found.source[found.column - 1] == "X"
    assert text.split("\n")[found.line - 1] == found.source


def test_the_end_of_a_text_has_a_place_too():
    document = parse("p.yaml", b'a: "b"\nc: |\n  d\n')
    assert document.problem_in(("a",), 1, "m").column == 6
    assert document.problem_in(("a",), 99, "m").column == 6
    end = document.problem_in(("c",), 2, "m")
    assert (end.line, end.source) == (4, "")
    assert document.problem_in(("c",), 1, "m").line == 3


def test_a_path_that_leads_past_a_text_means_the_text():
    document = parse("p.yaml", b"rules:\n  - match: a b\n")
    problem = document.problem_in(("rules", 0, "match", "cel"), 2, "m")
    assert (problem.line, problem.column, problem.source) == (2, 14, "  - match: a b")


def test_where_there_is_no_text_the_nearest_place_is_told():
    document = parse("p.yaml", b"rules:\n  - match: {a: b}\n")
    assert str(document.problem_in(("rules", 0, "match", "cel"), 2, "m")) == "p.yaml:2:12: m"


def test_the_caret_stands_under_its_place_after_tabs_and_wide_characters():
    assert told('match: "日本\tX"').split("\n")[2] == f"{' ' * 12}\t^"
    assert told("match: |\n  a\tX").split("\n")[2] == "   \t^"


def test_of_a_long_line_the_part_around_the_place_is_shown():
    _, source, caret = told(f"match: {'ab ' * 50}X{' cd' * 50}\n").split("\n")
    assert source == "…" + ("ab " * 50)[-60:] + "X" + (" cd" * 50)[:39] + "…"
    assert source[caret.index("^")] == "X"


def test_a_fault_without_its_line_is_told_in_one_line_and_sorts_as_ever():
    plain = Problem("a.yaml", 2, 1, "m")
    shown = Problem("a.yaml", 2, 1, "m", source="x: y")
    assert str(plain) == "a.yaml:2:1: m"
    assert str(shown) == "a.yaml:2:1: m\nx: y\n^"
    assert plain == shown
    error = ProblemsError([Problem("b.yaml", 1, 1, "m"), shown, plain])
    assert [problem.file for problem in error.problems] == ["a.yaml", "b.yaml"]
    assert str(error) == "a.yaml:2:1: m\nb.yaml:1:1: m"
    assert ProblemsError([shown]).pictured == str(shown)
