import json
import math
import random
import string

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.tokens.texts import STORY, machine_made
from proxy.wire.tokens import (
    GrowingText,
    inside_tokens,
    json_tokens,
    part_tokens,
    text_tokens,
)

# Counted with the vocabulary o200k_base.
TRUE = {
    "English": 72, "German": 83, "French": 74, "Spanish": 72, "Portuguese": 67, "Italian": 77,
    "Dutch": 75, "Swedish": 83, "Polish": 92, "Czech": 95, "Hungarian": 102, "Finnish": 90,
    "Turkish": 80, "Vietnamese": 75, "Indonesian": 69, "Swahili": 87, "Welsh": 85, "Russian": 83,
    "Ukrainian": 99, "Greek": 103, "Hebrew": 90, "Arabic": 81, "Persian": 76, "Hindi": 80,
    "Bengali": 71, "Tamil": 70, "Thai": 94, "Georgian": 61, "Chinese": 88, "Japanese": 100,
    "Korean": 102,
}  # fmt: skip
TRUE_OF_MACHINES = {
    "JSON, compact": 86, "JSON, indented": 126, "JSON, tool schemas": 126, "CSV of numbers": 71,
    "log lines": 87, "table in Markdown": 63, "URLs": 30, "UUIDs": 72, "digits": 34,
    "hexadecimal": 112, "base64": 97, "base64 in lines": 98, "base85": 90, "emoji in prose": 112,
    "capitals": 91,
}  # fmt: skip


@pytest.mark.parametrize("language", STORY)
def test_prose_of_any_language_is_estimated_within_half_of_its_true_tokens(language):
    assert 0.7 <= text_tokens(STORY[language]) / TRUE[language] <= 1.5


def test_the_languages_together_are_estimated_closely():
    off = sorted(abs(text_tokens(STORY[language]) / true - 1) for language, true in TRUE.items())
    assert off[len(off) // 2] <= 0.12


@pytest.mark.parametrize("kind", TRUE_OF_MACHINES)
def test_what_machines_write_is_estimated_within_half_of_its_true_tokens(kind):
    assert 0.6 <= text_tokens(machine_made(3)[kind]) / TRUE_OF_MACHINES[kind] <= 1.5


def test_plain_english_stays_near_a_quarter_of_its_bytes():
    story = STORY["English"]
    assert text_tokens(story) == pytest.approx(len(story) / 4, rel=0.15)


def test_an_empty_text_costs_nothing():
    assert text_tokens("") == 0


# -- what somebody sends who knows the rule ------------------------------------------------------

DRAW = random.Random(5)


def of(characters, size=4000):
    return "".join(DRAW.choices(characters, k=size))


@pytest.mark.parametrize(
    ("text", "true"),  # counted with o200k_base, in tokens for each character
    [
        (of(string.ascii_lowercase), 0.52),
        (" ".join(of("vkwgbfhy", 5) for _ in range(660)), 0.49),
        (" ".join(of(string.ascii_lowercase, 2000)), 0.5),
        ("a\n" * 2000, 1.0),
        ("a1" * 2000, 1.0),
        (of(string.ascii_letters), 0.61),
        (of(string.punctuation), 0.67),
        (of([chr(c) for c in range(32)]), 1.0),
        (of([chr(c) for c in range(0x3400, 0x4DB0)]), 2.9),
        (of([chr(c) for c in range(0x13000, 0x13430)]), 4.0),
        (of([chr(c) for c in range(0x1F300, 0x1F600)]), 2.2),
        (of([chr(c) for c in range(0x300, 0x370)]), 1.9),
        (of([chr(c) for c in range(0xAC00, 0xD7A0)]), 2.2),
        (of([chr(c) for c in range(0x4E00, 0x9FA5)]), 1.9),
    ],
)
def test_nobody_uses_four_times_what_is_estimated_by_odd_characters(text, true):
    assert true * len(text) / text_tokens(text) < 4


def test_spaces_where_a_long_text_is_looked_at_do_not_hide_the_rest():
    dense = of(string.ascii_letters, 4000)
    step = (4000 - 256) // 3
    hidden = list(dense)
    for at in range(0, 4000 - 255, step):
        hidden[at : at + 256] = " " * 256
    rest = [character for character in hidden if character != " "]
    assert text_tokens("".join(hidden)) > 0.2 * len(rest)


def test_rare_signs_between_the_sampled_letters_of_prose_still_cost_something():
    prose = STORY["English"] * 20
    mixed = "".join(prose[at] if at % 3 == 0 else "\x01" for at in range(4000))
    assert text_tokens(mixed) > 0.2 * len(mixed)


@given(st.text(max_size=3000))
@settings(max_examples=150, deadline=None)
def test_any_text_costs_at_most_a_token_for_each_byte_and_never_less_than_nothing(text):
    size = len(text.encode("utf-8", "surrogatepass"))
    text = text.encode("utf-8", "ignore").decode()
    assert 0 <= text_tokens(text) <= 1.8 * size + 1


@given(st.binary(max_size=3000))
@settings(max_examples=150, deadline=None)
def test_bytes_that_are_no_utf8_are_estimated_all_the_same(data):
    assert part_tokens(data) >= 0
    assert inside_tokens(data) >= 0
    assert json_tokens(data) >= 0


@pytest.mark.parametrize("language", ["English", "German", "Russian", "Vietnamese", "Chinese"])
def test_a_text_costs_in_proportion_to_its_length(language):
    story = STORY[language] + "\n"
    assert text_tokens(story * 40) == pytest.approx(40 * text_tokens(story), rel=0.1)


# -- JSON ----------------------------------------------------------------------------------------


def test_an_escaped_text_costs_what_the_text_costs():
    text = 'Sie sagte: "Grüß Gott"\nund ging. 語'
    plain = part_tokens(text.encode())
    assert json_tokens(json.dumps(text).encode()) == pytest.approx(plain)
    assert json_tokens(json.dumps(text, ensure_ascii=False).encode()) == pytest.approx(plain)
    assert inside_tokens(json.dumps(text)[1:-1].encode()) == pytest.approx(plain)


def test_escapes_inside_of_an_object_cost_about_what_they_stand_for():
    value = [{"name": "语言模型" * 20, "why": 'said "no"' * 20}]
    plain = json_tokens(json.dumps(value, ensure_ascii=False).encode())
    assert json_tokens(json.dumps(value).encode()) == pytest.approx(plain, rel=0.3)


@pytest.mark.parametrize("text", [rb'"\ud800"', rb'"cut off \u00', rb'{"a": "\ud800"}', rb'"\x"'])
def test_json_that_cannot_be_read_is_taken_as_it_is_written(text):
    assert json_tokens(text) > 0


# -- texts that grow -----------------------------------------------------------------------------


def test_a_stream_of_pieces_costs_about_what_its_text_costs():
    for language in ("English", "Russian", "Chinese"):
        story = STORY[language] * 5
        growing = GrowingText()
        for word in story.split(" "):
            growing.add(json.dumps(word + " ")[1:-1].encode())
        assert growing.tokens == pytest.approx(math.ceil(text_tokens(story)), rel=0.12)


def test_a_text_that_has_not_begun_is_empty():
    assert GrowingText().tokens == 0
