"""Faults found in files that people edit, each with its place."""

from dataclasses import dataclass, field
from unicodedata import east_asian_width

SHOWN_BEFORE = 60  # characters of a long line that are shown before the place, and after it
SHOWN_AFTER = 40


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One fault. `line` and `column` count from 1; 0 where a whole file is meant.

    `source` is the line of the file, where it helps to see it: then the text of the problem
    has two more lines, it and a caret under the place. `brief` is one line always.
    """

    file: str
    line: int
    column: int
    message: str
    source: str = field(default="", compare=False)

    def __post_init__(self) -> None:
        """A message quotes what somebody typed: one line of it, and no signs for the terminal."""
        object.__setattr__(self, "message", shown(self.message))

    @property
    def brief(self) -> str:
        """Place and message: what logs take, as a line of a policy may name an account."""
        place = f"{self.file}:{self.line}:{self.column}" if self.line else self.file
        return f"{place}: {self.message}"

    def __str__(self) -> str:
        return self.brief + (self._picture() if self.source else "")

    def _picture(self) -> str:
        line = self.source.rstrip()
        at = self.column - 1
        start = max(0, at - SHOWN_BEFORE)
        end = max(at, 0) + SHOWN_AFTER
        if start == 0 or not line[:start].strip():
            cut, start = "", 0
        else:
            cut = "…"
        shown = cut + line[start:end] + ("…" if end < len(line) else "")
        return f"\n{shown}\n{_blank(cut + line[start:at].ljust(at - start))}^"


class ProblemsError(Exception):
    """Every fault of a load at once; its text has one line for each.

    `pictured` is for the person at the keyboard: the lines of the files are shown with it.
    """

    def __init__(self, problems: list[Problem]) -> None:
        self.problems = tuple(sorted(set(problems)))
        super().__init__("\n".join(problem.brief for problem in self.problems))

    @property
    def pictured(self) -> str:
        """Each fault, with its line of the file and a caret where there is one to show."""
        return "\n".join(map(str, self.problems))


def shown(text: str) -> str:
    """The text with what is not printable written out: a line break as \\n."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def _blank(text: str) -> str:
    """As wide as the text on a terminal, with its tabs."""
    return "".join(
        "\t" if c == "\t" else "  " if east_asian_width(c) in "WF" else " " for c in text
    )
