import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.facts.skeleton import HEAD_CHARS, QUICK_CHARS, SLOT, skeleton

ANALYST = "You are a senior analyst. Explain step by step how the following company makes money"


SAME_TEMPLATE = {
    "numbers": (
        "List 10 reasons why a bank should hold 4.5% of capital",
        "List 250 reasons why a bank should hold 11% of capital",
    ),
    "quoted text": (
        'Rewrite the sentence "It rains." in a way that a child understands',
        "Rewrite the sentence “The sun is far away” in a way that a child understands",
    ),
    "single quotes": (
        "Rewrite the sentence 'It rains, doesn't it' in a way that a child understands",
        "Rewrite the sentence 'Sunny days' in a way that a child understands",
    ),
    "names in a sentence": (
        "Name ten tasks that an Accountant can do together with an Art Critic today",
        "Name ten tasks that an Actor can do together with an Astronomer today",
    ),
    "addresses": (
        "Please read the page at https://a.example/x?y=1 and tell me what it sells",
        "Please read the page at http://b.example and tell me what it sells",
    ),
    "mail addresses": (
        "Write a polite reply to ann@mail.example about the invoice she sent us",
        "Write a polite reply to bob.b@other.example about the invoice she sent us",
    ),
    "digests": (
        "Say what the record with digest 9f86d081884c7d659a2feaa0c55ad015 does step by step",
        "Say what the record with digest "
        "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0 does step by step",
    ),
    "text after a label": (
        "Solve the problem and show each step of your thinking.\nQuestion: How far is it?",
        "Solve the problem and show each step of your thinking.\nQuestion: a train leaves at 9 and",
    ),
    "a label first": (
        "Question: how far is the moon\nSolve the question and show each step you take",
        "Question: who invented the wheel\nSolve the question and show each step you take",
    ),
    "text after a colon": (
        "Translate the following text into simple and friendly words: the cat sat",
        "Translate the following text into simple and friendly words: a long dog",
    ),
    "lines after a colon": (
        "Classify this review:\ngood stuff, would\nbuy again\n\nAnswer only with one word of two",
        "Classify this review:\nthe worst thing\n\nAnswer only with one word of two",
    ),
    "paragraphs after the instruction": (
        "Summarize the article below in three short plain sentences.\n\nA dark night.\n\nBut",
        "Summarize the article below in three short plain sentences.\n\nShares fell on Monday.",
    ),
    "code": (
        "Find the bug in ```def f(): return 1``` and explain how you found it",
        "Find the bug in ```\nfor x in y:\n  print(x)\n``` and explain how you found it",
    ),
    "elements": (
        "<document>one\n\ntwo</document> Write a short abstract of the document for a paper",
        "<document>three <b>4</b></document> Write a short abstract of the document for a paper",
    ),
    "case, spaces and invisible characters": (
        "write  a short story about a lonely lighthouse keeper",
        "Write a short\u200b story\nabout a lonely light\u00adhouse keeper",
    ),
    "a long tail": (
        ANALYST + ", name its three largest customers and the risk of losing each: alpha " * 3,
        ANALYST + ", name its three largest customers and the risk of losing each: omega " * 3,
    ),
    "text without spaces": (
        "请将以下文本翻译成英文并解释每个词的意思。问题: 为什么天是蓝的",
        "请将以下文本翻译成英文并解释每个词的意思。问题: 猫在哪里",
    ),
}


@pytest.mark.parametrize(("one", "other"), SAME_TEMPLATE.values(), ids=SAME_TEMPLATE)
def test_prompts_of_one_template_share_its_token(one, other):
    assert skeleton(one) == skeleton(other)
    assert skeleton(one) != ""


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("who wrote the song that plays at the end", "who sang the song that plays at the end"),
        (ANALYST, ANALYST.replace("money", "losses")),
        ("Instructions: name the best way to cook rice", "Instructions: name the best way to get"),
        ("<instructions>Sort these words by their length</instructions>",
         "<instructions>Count these words by their length</instructions>"),
    ],
)  # fmt: skip
def test_prompts_that_differ_in_their_words_have_other_skeletons(one, other):
    assert skeleton(one) != skeleton(other)


@pytest.mark.parametrize(
    "text",
    ["", "hi", "Go on.", "yes please continue", "   \n\n ", "12 34 56 78 90 12 34", "a" * 1_000_000,
     "Question: what is the capital of a country that borders two seas", '"' * 5_000,
     "Explain this: why do cats purr when they are petted by people they know"],
)  # fmt: skip
def test_what_is_too_short_or_too_common_has_no_template(text):
    assert skeleton(text) == ""


def test_the_skeleton_is_readable_and_ends_with_enough_words():
    text = "Write 3 haiku about “autumn” for Ada Lovelace, who likes them very much"
    assert skeleton(text) == f"write {SLOT} haiku about {SLOT} for {SLOT} who likes them very much"
    assert len(skeleton("word " * 1_000).split()) == 24


def test_only_the_head_of_a_text_is_read():
    assert skeleton(" " * HEAD_CHARS + ANALYST) == ""


@given(st.text(max_size=300))
def test_any_text_has_a_skeleton(text):
    assert skeleton(text) == skeleton(text).casefold() or not skeleton(text).isascii()


@given(st.lists(st.sampled_from(["word", "Name", "7", "it's", "(a", "b)", "end.", "x:", "\n"])))
def test_what_follows_the_last_word_that_counts_changes_nothing(words):
    text = " ".join([*words, "word " * QUICK_CHARS[0]])
    assert skeleton(text) == skeleton(text + ' "more" of <b>it</b>: 7')
