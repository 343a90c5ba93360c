"""A comparison of two policy sets, made and told as text or as JSON."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import typer

from proxy.cli.diff_text import changed_lines, traffic_lines
from proxy.cli.terminal import console, judging
from proxy.policy.rules import PolicySet
from proxy.replay.inputs import settings_of
from proxy.settings.schema import Settings
from proxy.trial.run_diff import Asked, Ran, diff_traffic
from proxy.trial.sets import DIGEST, named_set
from proxy.trial.tally import EXACT_ACCOUNTS
from proxy.trial.words import Words, words_of


@dataclass(frozen=True, slots=True)
class Compared:
    """What changed, and what came of it over a recording, if there was one."""

    words: Words
    ran: Ran | None


def compared(old: str, new: str, config: Path, asked: Asked | None) -> Compared:
    """Compare two sets that are named by directory or digest."""
    sets = _sets(old, new, config, needed=asked is not None)
    words = words_of(*sets)
    if asked is None:
        return Compared(words, None)
    with judging("Comparing", asked.traffic) as advance:
        return Compared(words, diff_traffic(*sets, words, asked, advance))


def tell(found: Compared, *, as_json: bool) -> None:
    """Print it."""
    if as_json:
        typer.echo(json.dumps(_as_json(found), indent=2, ensure_ascii=False))
        return
    out = console()
    traffic = traffic_lines(found.ran, found.words) if found.ran else ()
    for line in (*changed_lines(found.words), *traffic):
        out.print(line, soft_wrap=not out.is_terminal)


def fail_over_of(found: Compared, most: int) -> str:
    """What is told where more accounts than `most` are newly refused; "" where they are not."""
    if found.ran is None or found.ran.difference.refused.accounts.value <= most:
        return ""
    accounts = found.ran.difference.refused.accounts
    estimate = "" if accounts.exact else f" (an estimate, above {EXACT_ACCOUNTS:,})"
    return f"{accounts} accounts are newly refused{estimate}; --fail-over allows {most:,}"


def _sets(old: str, new: str, config: Path, *, needed: bool) -> tuple[PolicySet, PolicySet]:
    """Both sets; the settings are read where a digest, or a replay, needs them."""
    settings: Settings | None = None
    if needed or any(name.startswith(DIGEST) for name in (old, new)):
        settings = settings_of(config, environment=os.environ)
    return named_set(old, settings), named_set(new, settings)


def _as_json(found: Compared) -> Mapping[str, Any]:
    words, ran = found.words, found.ran
    said: dict[str, Any] = {
        "changed": list(words.difference.lines()),
        "resets": dict(words.reset),
        "difference": msgspec.to_builtins(words.difference, enc_hook=str),
    }
    if ran is not None:
        said["traffic"] = msgspec.to_builtins(ran.difference)
        said["skipped"] = {"lines": ran.skipped, "first": list(ran.skipped_first)}
    return said
