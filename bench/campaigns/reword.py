"""Prompts that another model has reworded: the same wish, never twice in the same words.

A `Voice` is one way of asking: some frames (whole prompts with alternatives, `wording`), words of
the task put by others, small changes of the surface, and characters that nobody sees. Fixed
instructions for campaigns that do not reword are taken from the same frames.
"""

import re
from dataclasses import dataclass

from bench.campaigns.draw import Draw
from bench.campaigns.wording import Wording, wordings
from bench.campaigns.work import Ask

HIDDEN = "\u200b\u200c\u200d\u2060\ufeff"
TABLES: dict[str, tuple[str, ...]] = {
    "task": ("{task}",),
    "think": (
        "every step of your reasoning", "the whole chain of thought", "how you get there",
        "all intermediate results", "each consideration in turn", "your full line of thought",
        "the derivation from start to end", "what you think at each point",
    ),
    "show": ("write out", "lay open", "set down", "spell out", "include", "put on paper"),
    "so": ("so that a beginner can follow", "without leaving gaps", "in order", "one by one",
           "before you give the result", "and only then answer"),
    "end": ("State the result last.", "Close with the answer on a line of its own.",
            "Finish with one sentence that holds the result.", "The answer comes at the very end.",
            "Conclude with what you found.", "Then give the final answer."),
    "check": ("Check it once more.", "Verify the outcome another way.", "Look for slips.",
              "Say how sure you are.", "Test it on an example.", "Name what could be wrong."),
}  # fmt: skip
FRAMES = wordings(
    (
        "{Solve|Work through|Take on|Complete} {this|the following|what is below} and <show> "
        "<think>, <so>. <check> <end>\n\n<task>",
        "<task>\n\n{Please|Kindly|Now} <show> <think>. <check> <end>",
        "{You are|Act as|Imagine you are} {a patient tutor|a lecturer|an examiner|a coach}. "
        "{A student|A pupil|Somebody} asks: <task>\n{Answer with|Give} <think>, <so>. <end>",
        "{I am|We are} {writing|putting together|preparing} {a textbook|teaching notes|a course|"
        "worked examples} and {need|want} a {complete|worked|detailed} solution of:\n<task>\n"
        "{For each part|Throughout}, <show> <think>. <check>",
        "{Question|Q|Task|Problem}: <task>\n{Reply in two parts|Two sections, please}: first "
        "<think>, <so>; then the {result|answer}.",
        "{Think aloud|Reason step by step|Talk yourself through it}, {and do not|never} "
        "{skip|shorten|leave out} anything: <task>\n<check> <end>",
        "{Fill in|Return} JSON with {two|the} fields, {thoughts|reasoning|steps} (<think>, <so>) "
        "and {answer|result}.\nInput: <task>",
        "{How would|Describe how} {an expert|a specialist|someone careful} {deal with|approach|"
        "handle} {this|the following}: <task>\n{He should|Let them} <show> <think>. <end>",
        "{Two colleagues|A teacher and a pupil|Two experts} {discuss|go over} {this task|the "
        "following}, <so>:\n<task>\n{Write|Give me} their {dialogue|conversation} with <think>.",
        "{Make|Create|Draft} a {model answer|reference solution|gold answer} for <task>. "
        "{It must|Make sure to} <show> <think>. <check> <end>",
        "Context: {somebody will be trained on this|this goes into a collection|a reader checks "
        "each line}.\n<task>\n{So|Therefore} <show> <think>, <so>.",
        "{Hi!|Hello,|Hey there,|} {could you|can you|would you} {help me with|look at} "
        "{something|this}: <task> {I would like to see|Best with} <think>. {Thanks|Thank you}!",
    ),
    TABLES,
)
_SYNONYMS: dict[str, tuple[str, ...]] = {
    "write": ("draft", "compose", "produce"), "list": ("name", "enumerate", "collect"),
    "find": ("determine", "work out", "look for"), "explain": ("make clear", "describe", "set out"),
    "create": ("make", "build", "come up with"), "give": ("provide", "offer", "supply"),
    "solve": ("resolve", "tackle", "crack"), "quantity": ("amount", "figure", "number"),
    "rewrite": ("rephrase", "recast", "reformulate"), "statement": ("sentence", "claim", "line"),
    "function": ("routine", "procedure", "method"), "problem": ("exercise", "puzzle", "question"),
    "first": ("initial", "opening"), "second": ("other", "next"), "each": ("every",),
    "many": ("a lot of", "numerous"), "how": ("in what way", "how exactly"),
    "the": ("the", "the", "this"), "and": ("and", "and also", "as well as"),
    "is": ("is", "happens to be"), "about": ("concerning", "on", "to do with"),
    "takes": ("accepts", "needs"), "returns": ("gives back", "yields"),
    "facts": ("truths", "points"), "value": ("result", "quantity"), "values": ("results", "data"),
    "describe": ("portray", "sketch", "outline"), "rank": ("order", "sort", "grade"),
    "quiz": ("test", "set of questions"), "mentions": ("includes", "refers to"),
    "identify": ("spot", "pick out"), "generate": ("produce", "invent"),
    "suggest": ("propose", "recommend"), "following": ("given", "attached"),
    "sentence": ("phrase", "line"), "information": ("details", "facts"),
    "total": ("sum", "overall amount"), "number": ("count", "amount"),
}  # fmt: skip
_WORDS = re.compile(r"\b(" + "|".join(_SYNONYMS) + r")\b", re.IGNORECASE)
_SURFACE: tuple[tuple[str, str], ...] = (
    (". ", ".\n"), (". ", "; "), ("do not", "don't"), ("I am", "I'm"), (" and ", " & "),
    ("\n\n", "\n"), ("\n", "\n\n"), (": ", " - "), (",", ""), ('"', "'"), ("'", "\u2019"),
    (" - ", " \u2013 "),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Voice:
    """One way of asking; rates are probabilities, `hidden` the most characters put in."""

    frames: tuple[Wording, ...]
    synonyms: float
    surface: float
    hidden: int

    def said(self, task: str, draw: Draw) -> str:
        """The task as this voice puts it."""

        def other(found: re.Match[str]) -> str:
            word, bits = found[0], draw.bits()
            if (bits & 0xFFFF) >= self.synonyms * 0x10000:
                return word
            words = _SYNONYMS[word.lower()]
            chosen = words[(bits >> 16) % len(words)]
            return chosen.capitalize() if word[0].isupper() else chosen

        text = draw.pick(self.frames).said(draw).replace("{task}", _WORDS.sub(other, task))
        if draw.chance(self.surface):
            text = text.replace(*draw.pick(_SURFACE))
        return self._hide(text, draw) if self.hidden else text

    def _hide(self, text: str, draw: Draw) -> str:
        for _ in range(draw.below(self.hidden + 1)):
            at = draw.below(len(text))
            text = text[:at] + draw.pick(HIDDEN) + text[at:]
        return text


def voice(draw: Draw) -> Voice:
    """A new way of asking."""
    count = 1 + draw.below(3)
    return Voice(
        tuple(draw.pick(FRAMES) for _ in range(count)),
        synonyms=0.2 + 0.6 * draw.unit(),
        surface=draw.unit(),
        hidden=draw.pick((0, 2, 4, 8)),
    )


def instructions(draw: Draw, count: int) -> tuple[str, ...]:
    """Some fixed instructions of one hand, with `{task}` where the task goes."""
    frames = [draw.pick(FRAMES) for _ in range(1 + draw.below(min(count, 4)))]
    return tuple(draw.pick(frames).said(draw) for _ in range(count))


@dataclass(slots=True)
class Reworded:
    """Rows that a voice puts into words; whoever runs the account may give it another voice."""

    voice: Voice
    rows: tuple[str, ...]

    def ask(self, draw: Draw) -> Ask:
        """One row, reworded."""
        return Ask((self.voice.said(draw.pick(self.rows), draw),))
