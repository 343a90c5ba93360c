"""What commands share: faults told plainly, text made safe to print, a bar over a recording."""

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

import typer
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

WIDE = 10_000  # columns: where a program reads, nothing is folded


@contextmanager
def told_plainly() -> Iterator[None]:
    """Faults of what the user gave are told in their own words; anything else is a bug's trace."""
    try:
        yield
    except KeyboardInterrupt:
        raise typer.Exit(130) from None
    except Exception as fault:
        # Only now: a supervisor of workers need not hold what every room's faults bring along.
        from proxy.cli.faults import FAULTS, in_words  # noqa: PLC0415

        if isinstance(fault, FAULTS):
            fail(in_words(fault))
        raise


def fail(message: str) -> NoReturn:
    """End with a message on standard error, and exit code 1."""
    typer.echo(message, err=True)
    raise typer.Exit(1)


def printable(text: str) -> str:
    """A text as a terminal may show it: callers choose the names of models."""
    return "".join(c if c.isprintable() else "?" for c in text)


def console() -> Console:
    """Where results are printed: folded and coloured at a terminal, plain lines elsewhere."""
    return Console(
        width=None if sys.stdout.isatty() else WIDE, highlight=False, markup=False, emoji=False
    )


@contextmanager
def waiting(title: str) -> Iterator[None]:
    """A sign of life on standard error, at terminals only."""
    shown = Console(stderr=True)
    if not shown.is_terminal:
        yield
        return
    with shown.status(title):
        yield


@contextmanager
def bar(title: str, total: int | None) -> Iterator[Callable[..., None]]:
    """A progress bar on standard error, at terminals only: (bytes done, text, total)."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TextColumn("{task.fields[said]}"),
        TimeRemainingColumn(),
    )
    shown = Console(stderr=True)
    with Progress(*columns, console=shown, disable=not shown.is_terminal) as progress:
        task = progress.add_task(title, total=total, said="")

        def advance(done: int, said: str = "", of: int | None = None) -> None:
            progress.update(task, completed=done, said=said, total=of or total)

        yield advance


@contextmanager
def judging(title: str, traffic: Path) -> Iterator[Callable[[int, int], None]]:
    """A bar over a recording: (bytes of it that were read, exchanges judged)."""
    size = traffic.stat().st_size if os.access(traffic, os.R_OK) else 0
    began_s = time.perf_counter()
    with bar(title, size or None) as advance:

        def judged(position: int, count: int) -> None:
            spent_s = time.perf_counter() - began_s
            rate = count / spent_s if spent_s > 0 else 0.0
            advance(position, f"{count:,} judged, {rate:,.0f}/s")

        yield judged


@contextmanager
def recording_bar() -> Iterator[Callable[[int, int, int], None]]:
    """A line on a recording under way: (bytes written, exchanges, those that were left out)."""
    with bar("Recording", None) as advance:

        def recorded(size: int, count: int, left_out: int) -> None:
            more = f", {left_out:,} left out" if left_out else ""
            advance(size, f"{count:,} exchanges{more}")

        yield recorded
