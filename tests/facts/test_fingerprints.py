import time
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from proxy.facts.fingerprints import fingerprints
from proxy.facts.network_traits import Place
from proxy.facts.prompt_text import normalize
from proxy.model.exchange import Arrival, Asked, Prompt
from proxy.model.trait import SKETCHED, Trait, trait_of
from tests.facts.hostile import HOSTILE

KEY = b"k" * 32
ANALYST = "You are a senior analyst. Explain step by step how the following company makes money"
LETTER = "Here is a letter from my aunt, who lives by the sea and loves her two old cats dearly"
HEADERS = (
    ("Host", "api.example.com"),
    ("User-Agent", "OpenAI/Python 2.3.0"),
    ("X-Stainless-Lang", "python"),
    ("Authorization", "Bearer sk-1"),
    ("Content-Length", "140"),
)
HERE = Place("203.0.113.7", "DE", 64500, "vpn")
ARRIVAL = Arrival("x-1", 0, "POST", "/v1/messages", "", HEADERS, HERE.address, ja4="t13d1516h1_a_b")
ASKED = Asked(
    model="m-large",
    input_tokens_estimate=900,
    prompt=Prompt("You are helpful", ANALYST, LETTER, 2, b"[{}]", (b'"c2lnbmF0dXJl"',)),
    parameters="max_tokens=10",
    end_user="user-7",
)


def all_of(
    arrival: Arrival = ARRIVAL, asked: Asked = ASKED, place: Place = HERE, key: bytes = KEY
) -> dict[Trait, set[int]]:
    found: dict[Trait, set[int]] = {}
    for token in fingerprints(arrival, asked, place, key):
        found.setdefault(trait_of(token), set()).add(token)
    return found


def of(trait: Trait, text: str) -> set[int]:
    """The tokens of one trait that a prompt of this text has."""
    prompt = Prompt(text if trait is Trait.SYSTEM else "", text, text, 1)
    return all_of(asked=replace(ASKED, prompt=prompt)).get(trait, set())


def test_an_exchange_has_a_token_of_each_trait_that_is_known_before_the_decision():
    asked = replace(ASKED, prompt=replace(ASKED.prompt, latest=LETTER + ". Use a rubric"))
    inconsistent = replace(ARRIVAL, headers=HEADERS[:2])
    found = {*all_of(asked=asked), *all_of(inconsistent)}
    assert found == set(Trait) - SKETCHED


def test_an_exchange_of_which_nothing_is_known_has_no_token_but_that_of_having_no_headers():
    bare = Arrival("x-1", 0, "GET", "/v1/models", "", (), None)
    assert set(all_of(bare, Asked(), Place())) == {Trait.HEADERS}


def test_tokens_are_of_64_bits_and_differ_by_trait_value_and_key():
    one, other = all_of(), all_of(key=b"j" * 32)
    assert all(0 <= token < 1 << 64 for tokens in one.values() for token in tokens)
    assert all(one[trait].isdisjoint(other[trait]) for trait in one)
    assert all_of(key=b"k" * 100) == all_of(key=b"k" * 64)
    same = all_of(asked=replace(ASKED, prompt=Prompt("same text", "", "", 1), end_user="same text"))
    assert {token >> 6 for token in same[Trait.SYSTEM]}.isdisjoint(
        token >> 6 for token in same[Trait.END_USER]
    )


@pytest.mark.parametrize(
    ("changed", "traits"),
    [
        ({"address": "203.0.113.8"}, {Trait.ADDRESS}),
        ({"address": "198.51.100.1"}, {Trait.ADDRESS, Trait.NETWORK}),
        ({"country": "SG"}, {Trait.COUNTRY}),
        ({"asn": 64501}, {Trait.ASN}),
        ({"anonymizer": "tor"}, {Trait.ANONYMIZER}),
    ],
)
def test_a_place_that_differs_changes_the_tokens_of_that_alone(changed, traits):
    before, after = all_of(), all_of(place=HERE._replace(**changed))
    assert {trait for trait in before if before[trait] != after[trait]} == traits


def test_an_address_that_no_list_has_is_no_trait():
    assert Trait.ANONYMIZER not in all_of(place=HERE._replace(anonymizer="none"))
    assert Trait.ANONYMIZER not in all_of(place=HERE._replace(anonymizer=None))


@pytest.mark.parametrize(
    ("changed", "traits"),
    [
        ({"model": "m-small"}, {Trait.MODEL}),
        ({"parameters": "max_tokens=11"}, {Trait.PARAMETERS}),
        ({"input_tokens_estimate": 1023}, set()),
        ({"input_tokens_estimate": 1024}, {Trait.SHAPE}),
        ({"end_user": "user-8"}, {Trait.END_USER}),
    ],
)
def test_another_way_to_ask_changes_the_tokens_of_that_alone(changed, traits):
    before, after = all_of(), all_of(asked=replace(ASKED, **changed))
    assert {trait for trait in before if before[trait] != after[trait]} == traits


@pytest.mark.parametrize("trait", [Trait.SYSTEM, Trait.EXACT, Trait.OPENING, Trait.CLOSING])
@pytest.mark.parametrize(
    "changed",
    [
        LETTER.replace(" ", " \n\t").upper(),
        LETTER.replace("letter", "let\u200bter").replace(" loves", "\u00a0lo\u00adves"),
        f"\ufeff{LETTER}\x00\u2060",
        LETTER.replace("aunt", "\uff41\uff55\uff4e\uff54"),
        LETTER.replace("aunt", "\u0430unt").replace("loves", "l\u03bfves").replace("by", "b\u0443"),
    ],
    ids=["case and spaces", "invisible", "marks and controls", "wide letters", "look-alikes"],
)
def test_a_text_that_looks_the_same_has_the_same_token(trait, changed):
    assert of(trait, changed) == of(trait, LETTER) != set()


def test_words_of_another_alphabet_stay_what_they_are():
    assert (
        normalize("\u0441\u043e\u0440\u0430 and \u03bf\u03b1")
        == "\u0441\u043e\u0440\u0430 and \u03bf\u03b1"
    )
    assert normalize("\u0441\u043e\u0440\u0430x p\u0430y") == "copax pay"


def test_texts_that_differ_in_a_word_have_other_tokens_of_the_whole():
    assert of(Trait.EXACT, LETTER) != of(Trait.EXACT, LETTER.replace("cats", "dogs"))
    assert of(Trait.SYSTEM, "Be brief") != of(Trait.SYSTEM, "Be brief.")


def test_a_template_is_known_by_its_first_words_and_by_its_last_ones():
    before = [f"{ANALYST}: {name} sells {name} to people of {name}" for name in ("Acme", "Bolt")]
    after = [f"{name} sells {name} to people of {name}. {ANALYST}" for name in ("Acme", "Bolt")]
    assert of(Trait.OPENING, before[0]) == of(Trait.OPENING, before[1]) != set()
    assert of(Trait.CLOSING, before[0]) != of(Trait.CLOSING, before[1])
    assert of(Trait.CLOSING, after[0]) == of(Trait.CLOSING, after[1]) != set()
    assert of(Trait.OPENING, after[0]) != of(Trait.OPENING, after[1])


def test_numbers_in_the_first_and_last_words_do_not_matter():
    one = "Give me 10 good reasons to buy a house near the lake in year 2024"
    other = one.replace("10", "250").replace("2024", "1999")
    assert of(Trait.OPENING, one) == of(Trait.OPENING, other) != set()
    assert of(Trait.CLOSING, one) == of(Trait.CLOSING, other) != set()


def test_two_letters_of_a_script_without_spaces_are_a_word():
    one, other = (
        f"\u8bf7\u5c06\u4ee5\u4e0b\u6587\u672c\u7ffb\u8bd1\u6210\u82f1\u6587\u5e76{end}"
        for end in ("\u732b", "\u72d7")
    )
    assert of(Trait.OPENING, one) == of(Trait.OPENING, other) != set()
    assert of(Trait.CLOSING, one) != of(Trait.CLOSING, other)


@pytest.mark.parametrize(
    "text", ["", "go on", "Yes, please continue.", "1 2 3 4 5 6 7 8 9 10 11 12"]
)
def test_few_words_join_nobody(text):
    for trait in (Trait.TEMPLATE, Trait.OPENING, Trait.CLOSING, Trait.EXACT):
        assert of(trait, text) == set()


@pytest.mark.parametrize(
    ("one", "other", "alike"),
    [
        ("What is the best way to get to the sea", "You are in the garden and it is late", True),
        (
            "What is the best way to get to the sea",
            "Wie kommt man mit der Bahn in die Stadt",
            False,
        ),
        (
            "What is the best way to get to the sea",
            "\u041a\u0430\u043a \u0431\u044b\u0442\u044c \u0434\u0430\u043b\u044c\u0448\u0435",
            False,
        ),
        (
            "\u8bf7\u7ffb\u8bd1\u8fd9\u6bb5\u8bdd",
            "\u4e3a\u4ec0\u4e48\u5929\u662f\u84dd\u7684",
            True,
        ),
        (
            "\u8bf7\u7ffb\u8bd1 the whole text below please",
            "\u8bf7\u7ffb\u8bd1\u8fd9\u6bb5\u8bdd",
            False,
        ),
    ],
)
def test_scripts_and_languages_are_told_apart(one, other, alike):
    assert (of(Trait.SCRIPT, one) == of(Trait.SCRIPT, other)) is alike
    assert of(Trait.SCRIPT, one) != set()


@pytest.mark.parametrize(
    "text",
    [
        "How do planes fly? Explain your reasoning.",
        "Solve it step by step: 2 + 2",
        "L\u00f6se die Aufgabe Schritt f\u00fcr Schritt",
        "\u8bf7\u4e00\u6b65\u4e00\u6b65\u5730\u89e3\u7b54",
        "\u0420\u0435\u0448\u0438 \u0448\u0430\u0433 \u0437\u0430 \u0448\u0430\u0433\u043e\u043c",
        "word " * 3_000 + "and show your work.",
    ],
)
def test_asking_for_written_out_reasoning_is_one_kind_of_request(text):
    assert of(Trait.ASKS, text) == of(Trait.ASKS, "Think step by step") != set()


@pytest.mark.parametrize(
    "text",
    [
        "Grade the essay below by this rubric",
        "On a scale from 1 to 5, how good is it?",
        "\u8bf7\u6839\u636e\u4ee5\u4e0b\u6807\u51c6\u8bc4\u5206",
    ],
)
def test_grading_by_a_rubric_is_another_kind_of_request(text):
    assert of(Trait.ASKS, text) == of(Trait.ASKS, "Use the rubric") != set()
    assert of(Trait.ASKS, text) != of(Trait.ASKS, "Think step by step")


def test_most_texts_ask_for_neither():
    assert of(Trait.ASKS, LETTER) == set()


def test_each_reasoning_signature_and_the_tools_have_tokens():
    prompt = Prompt("", "", "", 1, b'[{"name": "a"}]', (b'"s1"', b'"s2"'))
    found = all_of(asked=replace(ASKED, prompt=prompt))
    assert len(found[Trait.SIGNATURE]) == 2
    spaced = all_of(asked=replace(ASKED, prompt=replace(prompt, tools=b'[ {"name":"a"} ]')))
    assert spaced[Trait.TOOLS] == found[Trait.TOOLS]
    other = all_of(asked=replace(ASKED, prompt=replace(prompt, tools=b'[{"name": "b"}]')))
    assert other[Trait.TOOLS] != found[Trait.TOOLS]


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_hostile_text_is_read_in_bounded_time(text):
    prompt = Prompt(text, text, text, 1)
    asked = replace(ASKED, prompt=prompt)
    began_s = time.thread_time()
    for _ in range(10):
        found = fingerprints(ARRIVAL, asked, HERE, KEY)
    # A hundred times what it takes; a step that is quadratic in the text would take minutes.
    assert time.thread_time() - began_s < 3
    assert all(trait_of(token) in Trait for token in found)


@given(st.text(max_size=300))
def test_any_text_has_fingerprints(text):
    asked = replace(ASKED, prompt=Prompt(text, text, text, 1, text.encode("utf-8", "replace")))
    assert all(0 <= token < 1 << 64 for token in fingerprints(ARRIVAL, asked, HERE, KEY))


@given(st.text(max_size=300))
def test_normalizing_twice_changes_nothing_more(text):
    assert normalize(normalize(text)) == normalize(text)


@given(st.text("a\u0430\u0301\u03bf\u1e9e \uff41\u200b\n", max_size=30))
def test_normalizing_mixed_alphabets_twice_changes_nothing_more(text):
    assert normalize(normalize(text)) == normalize(text)


@given(st.text(max_size=100))
def test_composed_and_decomposed_text_are_the_same(text):
    assert normalize(unicodedata.normalize("NFD", text)) == normalize(text)


def test_only_the_head_of_a_text_is_normalized():
    assert normalize("a" * 10_000) == "a" * 8_192
