"""The guide to policies: the page is carried out from its top to its end, in an empty folder.

A `yaml` fence is a file, whose first line is its name. A fence of no language has commands; the
`text` fence after it is what they print, to the letter, where `…` stands for the rest of a line, or
alone for any lines. `text exit-1` says that the last of them fails.
"""

import re
import shlex
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import pytest
from typer.testing import CliRunner

from proxy.cli.main import app

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "policy-guide.md").read_text()
FENCE = re.compile(r"^```([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SHELL = {"mkdir", "cp"}


@dataclass(frozen=True, slots=True)
class File:
    """A file that the reader writes."""

    name: str
    text: str


@dataclass(frozen=True, slots=True)
class Commands:
    """What the reader types; what is printed, if the page shows it; the last exit code."""

    typed: tuple[str, ...]
    printed: str | None = None
    code: int = 0


def steps(page: str) -> list[File | Commands]:
    """What a reader does, in order; a fence that is neither of these is a mistake of the page."""
    found: list[File | Commands] = []
    for info, text in FENCE.findall(page):
        match info.split():
            case ["yaml"]:
                found.append(File(text.splitlines()[0].removeprefix("# "), text))
            case []:
                found.append(Commands(tuple(text.splitlines())))
            case ["text", *more]:
                last = found.pop()
                assert isinstance(last, Commands)
                assert last.printed is None
                assert more in ([], ["exit-1"])
                found.append(Commands(last.typed, text, len(more)))
            case _:
                raise AssertionError(info)
    return found


def carry_out(page: str) -> None:
    """Do in the present folder what the page says; AssertionError where it comes out otherwise."""
    for step in steps(page):
        if isinstance(step, File):
            name = PurePosixPath(step.name)
            assert name.suffix == ".yaml"
            assert not name.is_absolute()
            Path(name).write_text(step.text)
            continue
        ran = [run(command) for command in step.typed]
        codes = [code for code, _ in ran]
        printed = "".join(output for _, output in ran)
        assert codes == [*[0] * (len(ran) - 1), step.code], (step.typed, printed)
        if step.printed is not None and not re.fullmatch(pattern(step.printed), printed):
            assert printed == step.printed, step.typed  # pytest shows what differs


def run(command: str) -> tuple[int, str]:
    """One command: its exit code, and all that it prints."""
    words = shlex.split(command)
    into = words[words.index(">") + 1] if ">" in words else None
    if into:
        words = words[: words.index(">")]
    if words[0] in SHELL:
        done = subprocess.run(words, check=False, capture_output=True, text=True)
        return done.returncode, done.stdout + done.stderr
    assert words[0] == "gauger", command
    result = CliRunner().invoke(app, words[1:])
    if into is None:
        return result.exit_code, result.output
    Path(into).write_text(result.stdout)
    return result.exit_code, result.stderr


def pattern(shown: str) -> str:
    """What a text of the page stands for."""
    return "".join(
        r"(?:[^\n]*\n)*" if line == "…\n" else re.escape(line).replace("…", r"[^\n]*")
        for line in shown.splitlines(keepends=True)
    )


@pytest.fixture(autouse=True)
def _empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_a_reader_who_does_what_the_page_says_sees_what_the_page_shows():
    carry_out(PAGE)


def test_the_page_uses_every_tool_for_policy_files():
    typed = [c for step in steps(PAGE) if isinstance(step, Commands) for c in step.typed]
    used = {command.split()[2] for command in typed if command.startswith("gauger policy ")}
    assert used == {"check", "test", "explain", "diff", "schema"}


@pytest.mark.parametrize(
    ("shown", "drifted"),
    [
        ('(did you mean "tiers"?)', '(did you mean "tier"?)'),
        ("```text exit-1\npolicies/quotas.yaml", "```text\npolicies/quotas.yaml"),
        ("1 rule in 1 file, in order\nsha256:…\n", "1 rule in 1 file, in order\n"),
        ("    window: 1m\n", "    window: 1h\n"),
        ("      cel: account.verified == false\n", "      cel: account.verified == true\n"),
        ("gauger policy check policies.new --against", "gauger policy check policies.new --from"),
    ],
)
def test_a_page_that_has_drifted_is_noticed(shown: str, drifted: str):
    assert shown in PAGE
    with pytest.raises(AssertionError):
        carry_out(PAGE.replace(shown, drifted))


def headings(page: Path) -> Iterator[str]:
    """The anchors that GitHub gives a page's headings."""
    for title in re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE):
        yield re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")


def test_what_the_page_links_to_is_there():
    links = re.findall(r"\]\(([^)]+)\)", PAGE)
    for link in links:
        if link.startswith("https://"):
            continue
        path, _, anchor = link.partition("#")
        assert (DOCS / path).exists(), link
        assert not anchor or anchor in headings(DOCS / path), link
    assert len(links) > 5
