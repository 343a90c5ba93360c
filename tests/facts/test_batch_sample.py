import random

import pytest

from proxy.facts.batch_sample import LINES, MOST, BatchSample
from proxy.facts.behaviour_traits import behaviour_tokens
from proxy.facts.prompt_traits import prompt_tokens
from proxy.facts.sketch import sketch
from proxy.model.exchange import Asked, Prompt
from proxy.model.trait import Trait, trait_of

KEY = b"k" * 32


def line(number: int) -> Asked:
    text = f"Explain step by step why thing number {'x' * (number % 30)} {number} is as it is here"
    return Asked(model="m", prompt=Prompt("", text, text, 1))


def sampled(lines: list[Asked], key: bytes = KEY) -> tuple[int, ...]:
    sample = BatchSample(key)
    for asked in lines:
        sample.take(asked)
    return sample.tokens()


def test_a_small_batch_has_the_tokens_of_all_its_lines():
    lines = [line(number) for number in range(5)]
    wanted = {
        token
        for asked in lines
        for token in (
            *prompt_tokens(asked.prompt, KEY),
            *behaviour_tokens(asked, KEY),
            *sketch(asked.prompt, KEY),
        )
    }
    tokens = sampled(lines)
    assert set(tokens) == wanted
    assert len(tokens) == len(wanted)


def test_no_batch_has_more_tokens_than_a_bounded_sample_gives():
    tokens = sampled([line(number) for number in range(3_000)])
    kinds = [trait_of(token) for token in tokens]
    assert kinds.count(Trait.EXACT) == MOST
    assert len(tokens) < 400


def test_the_order_of_the_lines_and_their_repetition_change_nothing():
    lines = [line(number) for number in range(500)]
    mixed = lines * 2
    random.Random(1).shuffle(mixed)
    assert sampled(mixed) == sampled(lines)


def test_batches_that_share_half_of_their_lines_share_sampled_ones():
    one = {t for t in sampled([line(n) for n in range(1_000)]) if trait_of(t) is Trait.EXACT}
    other = {t for t in sampled([line(n) for n in range(500, 1_500)]) if trait_of(t) is Trait.EXACT}
    assert len(one & other) > MOST / 5


def test_another_key_samples_other_lines():
    """By what a line gives that does not depend on the key: how many lines of a kind there are."""
    long = [line(number) for number in range(2_000)]
    kept = []
    for key in (KEY, b"j" * 32):
        sample = BatchSample(key)
        for asked in long:
            sample.take(asked)
        exact = {t for t in sample.tokens() if trait_of(t) is Trait.EXACT}
        by_token = {t: n for n, a in enumerate(long) for t in prompt_tokens(a.prompt, key)}
        kept.append({by_token[token] for token in exact})
    assert len(kept[0] & kept[1]) < MOST / 4


def test_the_first_tokens_are_of_all_traits():
    tokens = sampled([line(number) for number in range(2 * LINES)])
    traits = {trait_of(token) for token in tokens}
    assert {trait_of(token) for token in tokens[: len(traits)]} == traits


def test_a_batch_of_nothing_has_no_tokens():
    assert sampled([]) == ()
    assert sampled([Asked()] * 1_000) == ()


@pytest.mark.parametrize("hidden", ["system", "opening"])
def test_a_last_turn_that_is_the_same_in_all_lines_hides_none_of_them(hidden: str):
    def posed(number: int) -> Asked:
        parts = {"system": "", "opening": "go on", hidden: line(number).prompt.latest}
        return Asked(model="m", prompt=Prompt(parts["system"], parts["opening"], "go on", 3))

    lines = [posed(number) for number in range(300)]
    shuffled = random.Random(2).sample(lines, len(lines))
    assert sampled(shuffled) == sampled(lines)
    wanted = {"system": Trait.SYSTEM, "opening": Trait.TEMPLATE}[hidden]
    assert len([token for token in sampled(lines) if trait_of(token) is wanted]) > 5


def test_another_system_prompt_for_each_account_changes_little_of_the_sample():
    def wrapped(system: str) -> set[int]:
        lines = [
            Asked(model="m", prompt=Prompt(system, text, text, 1))
            for text in (line(number).prompt.latest for number in range(1_000))
        ]
        return {t for t in sampled(lines) if trait_of(t) is Trait.EXACT}

    assert len(wrapped("You grade papers.") & wrapped("You are a pirate.")) > MOST / 2
