"""`gauger policy diff`: what changed, and whom it would have hit in recorded traffic."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from proxy.cli.policy_explain import Format
from proxy.cli.terminal import fail, told_plainly

SET = "A directory of policies, or the digest (sha256:…) of a set that was in force."


def diff(
    old: Annotated[str, typer.Argument(help=SET)],
    new: Annotated[str, typer.Argument(help=SET)],
    traffic: Annotated[
        Path | None, typer.Option(help="Recorded traffic that both sets are run over.")
    ] = None,
    config: Annotated[
        Path,
        typer.Option("--config", "-c", envvar="GAUGER_CONFIG", help="The settings, gauger.yaml."),
    ] = Path("gauger.yaml"),
    accounts: Annotated[
        Path | None, typer.Option(help="Account directory, instead of the configured one.")
    ] = None,
    geo: Annotated[
        list[Path] | None, typer.Option(help="MMDB file, instead of the configured; repeatable.")
    ] = None,
    anonymizers: Annotated[Path | None, typer.Option(help="List of anonymizers.")] = None,
    change_at: Annotated[
        str | None,
        typer.Option(
            metavar="TIME",
            help="When the new set is taken up (2026-12-01T12:00:00Z); until then the old one "
            "judges on both sides. Shows what counters that begin from nothing do.",
        ),
    ] = None,
    fail_over: Annotated[
        int | None,
        typer.Option(min=0, help="Exit code 1 if more accounts than this are newly refused."),
    ] = None,
    examples: Annotated[
        int, typer.Option(min=0, max=1000, help="Examples for each rule and direction.")
    ] = 3,
    out: Annotated[
        Path | None, typer.Option(help="A new file for all exchanges that flip, JSON Lines.")
    ] = None,
    skip_bad: Annotated[
        bool, typer.Option("--skip-bad", help="Count lines that cannot be read and go on.")
    ] = False,
    how: Annotated[Format, typer.Option("--format", help="text or json.")] = Format.TEXT,
) -> None:
    """What a change of policies changes: in words, and with --traffic in recorded exchanges.

    Both sets are run over the recording in one pass, each with its own counters, and it is told
    which exchanges and how many accounts flip, by rule. Nothing live is touched.
    """
    with told_plainly():
        # What this needs is imported when it runs, so that help is quick.
        from proxy.cli.diff_found import compared, fail_over_of, tell  # noqa: PLC0415
        from proxy.trial.run_diff import Asked  # noqa: PLC0415
        from proxy.trial.sources import Inputs  # noqa: PLC0415

        asked: Asked | None = None
        if traffic is None:
            given: dict[str, object] = {"--accounts": accounts, "--geo": geo, "--out": out}
            given |= {"--anonymizers": anonymizers, "--change-at": change_at}
            given |= {"--skip-bad": skip_bad, "--fail-over": fail_over is not None}
            _only_with_traffic(given)
        else:
            inputs = Inputs(config, accounts, geo or [], anonymizers, skip_bad)
            asked = Asked(traffic, inputs, examples, _instant(change_at), out)
        found = compared(old, new, config, asked)
    tell(found, as_json=how is Format.JSON)
    if fail_over is not None and (message := fail_over_of(found, fail_over)):
        fail(message)


def _only_with_traffic(given: Mapping[str, object]) -> None:
    if alone := [name for name, value in given.items() if value]:
        raise typer.BadParameter(f"{alone[0]} goes with --traffic only")


def _instant(text: str | None) -> int | None:
    from proxy.policy.schema_texts import instant_ns  # noqa: PLC0415

    if text is None:
        return None
    try:
        return instant_ns(text)
    except ValueError as error:
        raise typer.BadParameter(f"--change-at: {error}") from None
