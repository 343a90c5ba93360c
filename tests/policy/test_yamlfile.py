import pytest

from proxy.policy.yamlfile import MAX_DEPTH, parse


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
