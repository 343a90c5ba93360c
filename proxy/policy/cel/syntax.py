"""What the CEL parser says of a text that is no condition, in words."""

import re

from proxy.policy.cel.text import Tokens

_UNEXPECTED = re.compile(r"Syntax error: (?:mismatched|extraneous) input '(.+)' expecting")

# What other languages write, and CEL
WORDS = {"and": "&&", "or": "||", "not": "!", "is": "==", "eq": "==", "ne": "!="}


def syntax(offset: int, message: str, tokens: Tokens) -> str:
    """A syntax error in words."""
    if "'<EOF>'" in message and "missing" not in message:
        return "the condition ends too early: something must follow here"
    if missing := re.match(r"Syntax error: missing '(.)'", message):
        return f'a "{missing[1]}" is missing here'
    unexpected = _UNEXPECTED.match(message)
    if unexpected is None:
        return cleaned(message)
    word = unexpected[1].replace("\\n", " ")
    shown = word if word[0] in "\"'" else f'"{word}"'
    return f"{shown} does not belong here{_syntax_hint(word, offset, message, tokens)}"


def _syntax_hint(word: str, offset: int, message: str, tokens: Tokens) -> str:
    before = next((token for token in reversed(tokens) if token.start < offset), None)
    for near in (word, before.text if before else ""):
        if near.lower() in WORDS:
            return f": write {WORDS[near.lower()]} for {near}"
    if "','" in message:
        return " (is there a comma missing before it?)"
    apart = before is not None and before.end < offset
    if apart and (word.isidentifier() or word[0] in "\"'"):
        return " (conditions are joined by && and ||)"
    return ""


def cleaned(message: str) -> str:
    """A message of CEL without its talk of parsers."""
    text = re.sub(r"^(?:[A-Z_]+: )?(?:ERROR: <input>:-?\d+:-?\d+: )?", "", message)
    text = re.sub(r" expecting \{.*| \[[A-Z_]+\]$", "", text)
    text = re.sub(r"Syntax error: no viable alternative at input '(.*)'", _unread, text)
    return text.replace("Syntax error: ", "this cannot be read: ")


def _unread(found: re.Match[str]) -> str:
    return f'"{found[1].strip()}" does not belong here'
