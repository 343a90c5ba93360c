import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.policy.cel.text import (
    CelError,
    CelFault,
    Kind,
    Tokens,
    chain,
    scan,
    shown,
    split,
    string_of,
    unwrapped,
)


def parts(text: str, sign: str = "&&") -> list[str]:
    return [shown(part) for part in split(scan(text), sign)]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('"a b"', "a b"),
        ("'it\"s'", 'it"s'),
        (r'"a\"b"', 'a"b'),
        (r'"\\"', "\\"),
        (r'"\x41\u00e9\U0001F600\101\n\?\`"', "Aé😀A\n?`"),
        (r'r"a\n"', r"a\n"),
        ("R'''a'b\n'''", "a'b\n"),
        ('"""a"b\\t"""', 'a"b\t'),
        ("''", ""),
        ("''''''", ""),
    ],
)
def test_a_text_in_quotes_is_read_as_cel_reads_it(text: str, value: str):
    (token,) = scan(text)
    assert token.kind is Kind.STRING
    assert string_of(token) == value


def test_every_token_knows_its_place_in_characters():
    text = 'é == "ü" // && "\n&& x'
    assert [(t.text, t.start) for t in scan(text[2:])][-1] == ("x", len(text) - 3)
    kinds = " ".join(token.kind.value for token in scan("a.b + 1 - .5e3 * 0x1F < 'x'"))
    assert kinds == "name sign name sign int sign double sign int sign string"


@pytest.mark.parametrize(
    ("text", "divided"),
    [
        ("a && b", ["a", "b"]),
        ('a == "x && y" && b', ['a == "x && y"', "b"]),
        ("a == 'it\\'s && ' && b", ["a == 'it\\'s && '", "b"]),
        ("r'\\' && b", ["r'\\'", "b"]),
        ("(a && b) && [c && d] && f(e && g)", ["(a && b)", "[c && d]", "f(e && g)"]),
        ("a // && x\n && b", ["a", "b"]),
        ("'''a'' && ''' && b", ["'''a'' && '''", "b"]),
        ("a", ["a"]),
    ],
)
def test_a_text_is_divided_only_between_tokens_that_stand_in_no_bracket(
    text: str, divided: list[str]
):
    assert parts(text) == divided


def test_brackets_around_all_of_it_are_taken_off_and_others_are_kept():
    assert shown(unwrapped(scan("((a && b))"))) == "a && b"
    assert shown(unwrapped(scan("(a) && (b)"))) == "(a) && (b)"


def test_a_method_is_no_part_of_the_name_that_it_is_called_on():
    assert chain(scan("request.model.size() > 3"), 0) == ("request.model", 3)
    assert chain(scan("request.model == x"), 0) == ("request.model", 3)
    assert chain(scan("size(x)"), 0) == ("", 0)


def test_a_clause_is_shown_in_one_line_without_comments():
    assert shown(scan('a\n  == // why\n  "x\\n"')) == 'a == "x\\n"'
    assert shown(scan("'''a\nb'''")) == "'''a\\nb'''"


@pytest.mark.parametrize(
    ("text", "offset", "said"),
    [
        ('a == "b', 5, "no closing quote"),
        (r'a == "\q"', 5, "begins no escape"),
        ('a = "b"', 2, "write =="),
        ('a === "b"', 4, '"===" is no comparison'),
        ("a & b", 2, "write &&"),
        ("a | b", 2, "write ||"),
        ("a == “b”", 5, "straight quotes"),
        ("a == $x", 5, "lists.NAME"),
        ("a /* b */", 2, "a comment begins with //"),
        ("a.`b`", 2, "without backquotes"),
        ("a\u00a0== b", 1, "U+00A0"),
        ("a == b'x'", 5, "without b before its quotes"),
        ('a == bR"x"', 5, "without b before its quotes"),
        ("a == 0x1Fu", 5, "without u after it"),
        ("a # b", 2, '"#" does not belong'),
        ("(" * 40, 32, "at most 32 levels"),
        ("[(" * 40 + "a", 32, "at most 32 levels"),
    ],
)
def test_what_cel_cannot_read_is_a_fault_at_its_place(text: str, offset: int, said: str):
    with pytest.raises(CelError) as raised:
        scan(text)
    (fault,) = raised.value.faults
    assert fault.offset == offset
    assert said in fault.message


def scanned(text: str) -> tuple[Tokens, CelFault | None]:
    try:
        return scan(text), None
    except CelError as error:
        return (), error.faults[0]


@settings(deadline=None)
@given(st.text(alphabet="ab.\"'\\rR&|=!()[]{}<>/*\n 0x1eE+-,?:u_`$é", max_size=40))
def test_tokens_cover_the_text_in_order_or_one_fault_is_raised(text: str):
    tokens, fault = scanned(text)
    if fault is not None:
        assert 0 <= fault.offset < len(text)
    end = 0
    for token in tokens:
        assert token.start >= end
        assert text[token.start : token.end] == token.text
        between = text[end : token.start]
        assert not between.strip() or between.strip().startswith("//")
        end = token.end
