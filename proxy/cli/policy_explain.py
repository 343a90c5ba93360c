"""`gauger policy explain`: for one exchange every rule, every clause with its values, and what
decided."""

import os
import time
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from proxy.cli.terminal import judging, told_plainly, waiting

NOTHING = "say what is to be explained: an exchange's id, --traffic FILE, or DIR --facts FILE"
NOT_ASKED = "is a directory: say what its policies are asked, with --facts FILE or --traffic FILE"


class Format(StrEnum):
    """For people or for programs."""

    TEXT = "text"
    JSON = "json"


def explain(
    subject: Annotated[
        str | None,
        typer.Argument(
            metavar="EXCHANGE|DIR",
            help="Id of an exchange in the audit log; or, with --facts or --traffic, a directory "
            "of policies.",
        ),
    ] = None,
    config: Annotated[
        Path,
        typer.Option("--config", "-c", envvar="GAUGER_CONFIG", help="The settings, gauger.yaml."),
    ] = Path("gauger.yaml"),
    traffic: Annotated[
        Path | None,
        typer.Option(help="Recorded traffic, or a .json file with one exchange."),
    ] = None,
    exchange: Annotated[
        str | None, typer.Option("--id", help="Which exchange of the recording.")
    ] = None,
    facts: Annotated[
        Path | None, typer.Option(help="YAML with the facts of an exchange, as a case gives them.")
    ] = None,
    accounts: Annotated[
        Path | None, typer.Option(help="Account directory, instead of the configured one.")
    ] = None,
    geo: Annotated[
        list[Path] | None, typer.Option(help="MMDB file, instead of the configured; repeatable.")
    ] = None,
    anonymizers: Annotated[Path | None, typer.Option(help="List of anonymizers.")] = None,
    skip_bad: Annotated[
        bool, typer.Option("--skip-bad", help="Leave out lines that cannot be read.")
    ] = False,
    how: Annotated[Format, typer.Option("--format", help="text or json.")] = Format.TEXT,
    everything: Annotated[
        bool, typer.Option("--all", help="Also the rules that do not govern the exchange.")
    ] = False,
) -> None:
    """For one exchange: every rule, every clause with its values, and what decided.

    Three ways to name it. Its id in the audit log: its record is judged again by the set that
    judged it. --traffic FILE --id ID: a recorded exchange, after what came before it, by the
    configured policies or those in DIR. DIR --facts FILE: bare facts, by the policies in DIR.
    """
    with told_plainly():
        # What this needs is imported when it runs, so that help is quick.
        from proxy.cli import explain_found as making  # noqa: PLC0415
        from proxy.trial.sources import Inputs  # noqa: PLC0415

        if traffic is not None:
            if facts is not None:
                raise typer.BadParameter("--facts does not go with --traffic")
            inputs = Inputs(config, accounts, geo or [], anonymizers, skip_bad)
            with judging("Replaying", traffic) as advance:
                found = making.found_in_recording(inputs, traffic, exchange, subject, advance)
        else:
            replacing = {"--accounts": accounts, "--geo": geo, "--anonymizers": anonymizers}
            _only_with_traffic(**replacing, **{"--skip-bad": skip_bad, "--id": exchange})
            if subject is None:
                raise typer.BadParameter(NOTHING)
            if facts is not None:
                found = making.found_of_facts(Path(subject), facts, time.time_ns())
            elif Path(subject).is_dir():
                raise typer.BadParameter(f"{subject} {NOT_ASKED}")
            else:
                with waiting("Reading the audit log"):
                    found = making.found_in_record(config, subject, os.environ)
    making.tell(found, as_json=how is Format.JSON, everything=everything)


def _only_with_traffic(**others: object) -> None:
    """What goes with another way of naming an exchange is a mistake here, and is told."""
    if given := [name for name, value in others.items() if value]:
        raise typer.BadParameter(f"{given[0]} goes with --traffic only")
