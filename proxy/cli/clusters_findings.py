"""`gauger clusters confirm`, `dismiss`, `reopen`, `add` and `remove`: what investigators found.

Each is one line for the detector, which takes it up at its next step and records it.
"""

import getpass
import os
import time
from pathlib import Path
from typing import Annotated

import typer

from proxy.cli.clusters_options import DEFAULT_CONFIG, Config, Name
from proxy.cli.terminal import fail, printable, told_plainly
from proxy.model.finding import Action, Finding

Who = Annotated[str | None, typer.Option(help="Your name for the record; default: the OS user.")]
Why = Annotated[str, typer.Option("--why", help="Why, in one line, for the record.")]
Accounts = Annotated[list[str], typer.Argument(metavar="ACCOUNT...", help="Ids of accounts.")]

MOST_WHY = 1_000
MOST_WHO = 100


def confirm(name: Name, why: Why = "", who: Who = None, config: Config = DEFAULT_CONFIG) -> None:
    """Say that a cluster is what the detector takes it for."""
    _say(Action.CONFIRM, name, (), why, who, config)


def dismiss(name: Name, why: Why, who: Who = None, config: Config = DEFAULT_CONFIG) -> None:
    """Say that a cluster is a mistake; what joined it stays dismissed."""
    _say(Action.DISMISS, name, (), why, who, config)


def reopen(name: Name, why: Why = "", who: Who = None, config: Config = DEFAULT_CONFIG) -> None:
    """Take back that a cluster was confirmed or dismissed."""
    _say(Action.REOPEN, name, (), why, who, config)


def add(
    name: Name, accounts: Accounts, why: Why = "", who: Who = None, config: Config = DEFAULT_CONFIG
) -> None:
    """Say that accounts belong to a cluster, whatever the evidence."""
    _say(Action.ADD, name, tuple(dict.fromkeys(accounts)), why, who, config)


def remove(
    name: Name, accounts: Accounts, why: Why = "", who: Who = None, config: Config = DEFAULT_CONFIG
) -> None:
    """Say that accounts do not belong to a cluster."""
    _say(Action.REMOVE, name, tuple(dict.fromkeys(accounts)), why, who, config)


def _say(
    action: Action, name: str, accounts: tuple[str, ...], why: str, who: str | None, config: Path
) -> None:
    from proxy.investigate.sources import Source  # noqa: PLC0415
    from proxy.settings.findings import append_finding  # noqa: PLC0415
    from proxy.settings.load import load  # noqa: PLC0415

    with told_plainly():
        settings = load(config, os.environ, upstreams=False)
        source = Source.of_gateway(settings)
        assert source.directory is not None
        found = source.one(name)
        members = {member for member, _ in found.members}
        reason = _one_line("--why", why, MOST_WHY)
        if action is Action.DISMISS and not reason:
            fail("--why: say why it is a mistake; others will want to know")
        if action is Action.REMOVE and (strangers := [a for a in accounts if a not in members]):
            fail(f"not in {name}: {', '.join(map(printable, strangers))}")
        if action is Action.ADD:
            _known(accounts, settings.accounts)
        person = _one_line("--who", getpass.getuser() if who is None else who, MOST_WHO)
        if not person:
            fail("--who: a name, for the record")
        finding = Finding(time.time(), person, action, name, accounts, reason)
        append_finding(source.directory, finding)
        typer.echo(_told(finding))


def _known(accounts: tuple[str, ...], directory: Path | None) -> None:
    """A slip of the pen would add nobody, in silence."""
    from proxy.investigate.people import names_in  # noqa: PLC0415

    if directory is None:
        return
    names = names_in(directory)
    if strangers := [account for account in accounts if account not in names]:
        fail(f"not in {directory}: {', '.join(map(printable, strangers))}")


def _one_line(option: str, text: str, most: int) -> str:
    text = text.strip()
    if not text.isprintable():
        fail(f"{option}: one line of text, without control characters")
    if len(text) > most:
        fail(f"{option}: at most {most:,} characters")
    return text


def _told(finding: Finding) -> str:
    what = {
        Action.CONFIRM: "confirmed",
        Action.DISMISS: "dismissed",
        Action.REOPEN: "open again",
        Action.ADD: f"{len(finding.accounts):,} added",
        Action.REMOVE: f"{len(finding.accounts):,} removed",
    }[finding.action]
    return f"{finding.cluster}: {what}, by {finding.who}; the detector takes it up at its next step"
