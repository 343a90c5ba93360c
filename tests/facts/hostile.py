"""Texts that are made to be slow to read."""

from proxy.facts.skeleton import SLOT

HOSTILE = {
    "no spaces": "a" * 1_000_000,
    "open quotes": '"a ' * 100_000,
    "apostrophes": "'a " * 100_000,
    "open elements": "<a>" * 100_000,
    "labels": "task: " * 100_000,
    "surrogates": "\ud800 word" * 10_000,
    "combining marks": "e" + "\u0301\u0316" * 100_000,
    "expanding letters": "\ufdfa" * 100_000,
    "zero width": "\u200b" * 100_000 + "six plain words are enough here",
    "lines": "\n" * 100_000,
    "slots": f"{SLOT} " * 10_000,
    "mixed alphabets": "\u0430a" * 100_000,
    "mixed words": "p\u0430y " * 100_000,
    "Cyrillic": "\u0430" * 200_000,
    "no spaces in Han": "\u8bf7" * 200_000,
    "numbers": "1 " * 100_000,
}
