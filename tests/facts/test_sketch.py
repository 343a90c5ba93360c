import random
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.facts.sketch import sketch
from proxy.facts.words import powers, words_of
from proxy.model.exchange import Prompt
from proxy.model.trait import SKETCHED, Trait, trait_of
from tests.facts.hostile import HOSTILE

KEYS = [bytes([number]) * 32 for number in range(8)]
KEY = KEYS[0]


def some_words(seed: int, count: int) -> str:
    """Words that no other seed has."""
    rng = random.Random(seed)
    letters = "abcdefghijklmnopqrstuvwxyz"
    return " ".join("".join(rng.choices(letters, k=rng.randint(4, 9))) for _ in range(count))


def of(text: str, key: bytes = KEY) -> set[int]:
    return set(sketch(Prompt("", text, text, 1), key))


TEMPLATE = some_words(0, 60)


@pytest.mark.parametrize("form", [TEMPLATE + " {}", "{} " + TEMPLATE], ids=["before", "after"])
def test_prompts_of_one_template_share_runs_however_much_longer_their_content_is(form):
    for key in KEYS:
        texts = [form.format(some_words(seed, 300)) for seed in range(1, 9)]
        first, *others = [of(text, key) for text in texts]
        assert all(first & other for other in others)


@pytest.mark.parametrize(
    ("form", "share"),
    [
        (" ".join(TEMPLATE.split()[:30]) + " {} {} " + " ".join(TEMPLATE.split()[30:]), 0.9),
        ("{} " + TEMPLATE + " {}", 0.4),
    ],
    ids=["around", "in the middle"],
)
def test_most_prompts_of_a_template_that_is_elsewhere_share_runs(form, share):
    shared = 0
    for key in KEYS:
        texts = [form.format(some_words(n, 150), some_words(-n - 99, 150)) for n in range(1, 9)]
        first, *others = [of(text, key) for text in texts]
        shared += sum(bool(first & other) for other in others)
    assert shared > share * 7 * len(KEYS)


def test_prompts_that_share_no_four_words_in_a_row_share_nothing():
    texts = [some_words(seed, 200) for seed in range(1, 40)]
    sketches = [of(text) for text in texts]
    assert all(len(tokens) == 12 for tokens in sketches)
    assert len(set().union(*sketches)) == 12 * len(texts)


def test_a_changed_word_costs_few_of_the_runs():
    words = some_words(1, 200).split()
    changed = " ".join([*words[:100], "other", *words[101:]])
    assert len(of(" ".join(words)) & of(changed)) >= 7


@pytest.mark.parametrize(
    "changed",
    [
        TEMPLATE.upper(),
        TEMPLATE.replace(" ", "\n\t "),
        TEMPLATE.replace("a", "a\u200b"),
        TEMPLATE.replace(" ", ", ", 20),
        TEMPLATE.replace("a", "\u0430"),
    ],
    ids=["case", "spaces", "invisible", "marks", "look-alikes"],
)
def test_texts_of_the_same_words_have_the_same_sketch(changed):
    assert of(changed) == of(TEMPLATE)


def test_numbers_do_not_matter():
    one, other = (f"{TEMPLATE} number {number} {TEMPLATE}" for number in ("7", "250"))
    assert of(one) == of(other)


def test_eight_letters_are_a_run_where_there_are_no_spaces():
    letters = [chr(point) for point in range(0x4E00, 0x4E00 + 400)]
    random.Random(0).shuffle(letters)
    template, rest = "".join(letters[:60]), letters[60:]
    one, other = template + "".join(rest[:170]), template + "".join(rest[170:])
    assert of(one) & of(other)
    assert of("".join(rest[:170])).isdisjoint(of("".join(rest[170:])))
    seven = "".join(letters[:7])
    assert of("".join(rest[:50]) + seven).isdisjoint(of(seven + "".join(rest[100:150])))


def test_a_conversation_is_sampled_at_both_ends_and_keeps_what_opened_it():
    opening = some_words(1, 100)
    turns = [set(sketch(Prompt("", opening, some_words(n, 100), n), KEY)) for n in (2, 3)]
    assert all(len(tokens) == 12 for tokens in turns)
    assert turns[0] & turns[1] == of(opening) & turns[0] & turns[1] != set()
    assert len(turns[0] & turns[1]) == 6


def test_the_system_prompt_has_tokens_of_its_own():
    tokens = sketch(Prompt(TEMPLATE, TEMPLATE, TEMPLATE, 1), KEY)
    kinds = [trait_of(token) for token in tokens]
    assert kinds.count(Trait.SYSTEM_SHINGLE) == 8
    assert kinds.count(Trait.SHINGLE) == 12
    assert list(tokens) == sorted(set(tokens))


def test_another_key_samples_other_runs():
    text = some_words(1, 300)
    sampled = [of(text, key) for key in KEYS]
    assert len(set().union(*sampled)) == 12 * len(KEYS)


def test_tokens_are_spread_over_all_values():
    tokens = np.array([token for seed in range(60) for token in of(some_words(seed, 400))])
    assert abs(float(np.mean(tokens / 2**64)) - 0.5) < 0.06
    assert len({int(token) >> 56 for token in tokens}) > 200


def test_few_words_have_no_sketch():
    assert sketch(Prompt("Be brief", "yes, go on", "yes, go on", 1), KEY) == ()
    assert sketch(Prompt(), KEY) == ()


def test_a_text_that_repeats_itself_has_fewer_runs():
    assert 0 < len(of("one two three four five six seven eight " * 100)) <= 8


def test_words_are_runs_of_letters_and_the_same_wherever_they_stand():
    bases = powers(0x9E3779B97F4A7C15, 100)
    hashes = words_of("tea, more tea: 12 and 1b (tea)", bases).hashes.tolist()
    assert len(hashes) == 7
    assert hashes[0] == hashes[2] == hashes[6] != hashes[1]
    assert hashes[3] == hashes[5]
    assert words_of("caf\u00e9 tea", bases).hashes[1] == hashes[0]


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_hostile_text_is_sketched_in_bounded_time(text):
    began_s = time.thread_time()
    for number in range(5):  # each another text
        sketch(Prompt(f"{number} {text}", f"{number} {text}", text, 2), KEY)
    assert time.thread_time() - began_s < 3
    assert len(of(text)) <= 12


@given(st.text(max_size=400))
def test_any_text_has_a_sketch_of_at_most_twenty_tokens(text):
    tokens = sketch(Prompt(text, text, text[::-1], 1), KEY)
    assert len(tokens) <= 20
    assert all(0 <= token < 1 << 64 and trait_of(token) in SKETCHED for token in tokens)
