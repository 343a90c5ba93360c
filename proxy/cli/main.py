"""The `gauger` command. Each command imports what it needs when it runs, so that help is quick."""

import json
import os
import sys
import time
from pathlib import Path
from typing import Annotated

import typer

from proxy import __version__
from proxy.cli.clusters import app as clusters_app
from proxy.cli.policy import app as policy_app
from proxy.cli.terminal import bar, fail, judging, recording_bar, told_plainly

app = typer.Typer(
    name="gauger",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="A reverse proxy that meters a model API, finds accounts that are one customer in "
    "disguise, keeps models out of places where they may not go, and records every decision.",
)
audit_app = typer.Typer(no_args_is_help=True, help="The log of decisions.")
key_app = typer.Typer(no_args_is_help=True, help="Keys of accounts and tokens of principals.")
app.add_typer(audit_app, name="audit")
app.add_typer(policy_app, name="policy")
app.add_typer(clusters_app, name="clusters")
app.add_typer(key_app, name="key")

Config = Annotated[
    Path,
    typer.Option("--config", "-c", envvar="GAUGER_CONFIG", help="The settings file, gauger.yaml."),
]
Rule = Annotated[str, typer.Argument(help="The rule's id.")]
Why = Annotated[str, typer.Option("--why", help="Why, in one line, for the record.")]


def main() -> None:
    """Entry point of the console script."""
    app()


@app.command()
def serve(
    config: Config = Path("gauger.yaml"),
    workers: Annotated[
        int | None, typer.Option(help="Serving processes, instead of the configured number.")
    ] = None,
) -> None:
    """Run the gateway until SIGTERM or Ctrl-C."""
    from proxy.cli.serve import serve as run  # noqa: PLC0415

    with told_plainly():
        raise typer.Exit(run(config, os.environ, workers))


@app.command()
def detect(config: Config = Path("gauger.yaml")) -> None:
    """Find accounts that are one customer in disguise, for gateways that share a store.

    Runs until SIGTERM or Ctrl-C. Start two: one is active, the other takes over within seconds.
    Without a shared store the gateway does this itself.
    """
    from proxy.cli.detect import detect as run  # noqa: PLC0415

    with told_plainly():
        raise typer.Exit(run(config, os.environ))


@app.command()
def check(config: Config = Path("gauger.yaml")) -> None:
    """Check settings, policies, accounts and databases without starting anything."""
    from proxy.cli.check import report  # noqa: PLC0415

    with told_plainly():
        for line in report(config, os.environ, time.time_ns()):
            typer.echo(line)


@app.command()
def health(config: Config = Path("gauger.yaml")) -> None:
    """Ask the admin listener of a running gateway whether it is well; exit code 1 if not."""
    from proxy.cli.health import ask  # noqa: PLC0415

    with told_plainly():
        well, said = ask(config, os.environ)
        typer.echo(said)
        raise typer.Exit(0 if well else 1)


@app.command()
def rules(
    config: Config = Path("gauger.yaml"),
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")] = False,
) -> None:
    """List the rules of a running gateway: which act, which are disarmed, by whom and why.

    The token of any principal is taken from GAUGER_ADMIN_TOKEN, or asked for without echo.
    """
    from proxy.cli.rules import rules as listed  # noqa: PLC0415

    with told_plainly():
        typer.echo(listed(config, as_json=as_json))


@app.command()
def disarm(rule: Rule, why: Why, config: Config = Path("gauger.yaml")) -> None:
    """Lower a rule of a running gateway to shadow at once, until somebody arms it again.

    It is recorded in the audit log, with your name and why. The token of an operator is taken
    from GAUGER_ADMIN_TOKEN, or asked for without echo.
    """
    _change(config, rule, "disarm", why)


@app.command()
def arm(rule: Rule, why: Why, config: Config = Path("gauger.yaml")) -> None:
    """Let a rule act again that `gauger disarm` or its fuse had lowered to shadow.

    Recorded, and with a token, as for `gauger disarm`.
    """
    _change(config, rule, "arm", why)


@app.command()
def demo(
    seconds: Annotated[float, typer.Option(help="How long the traffic lasts.", min=2)] = 15.0,
    once: Annotated[
        bool, typer.Option("--once", help="End after the summary instead of serving on.")
    ] = False,
) -> None:
    """Show Gauger at work: a model API played locally, lively traffic, and what was refused."""
    from proxy.demo.run import run  # noqa: PLC0415

    with told_plainly():
        raise typer.Exit(run(seconds=seconds, once=once))


@app.command()
def replay(
    traffic: Annotated[Path, typer.Option(help="Recorded traffic: .jsonl, .jsonl.gz, .jsonl.zst.")],
    out: Annotated[Path, typer.Option(help="A new directory for the results.")],
    config: Config = Path("gauger.yaml"),
    accounts: Annotated[
        Path | None, typer.Option(help="Account directory, instead of the configured one.")
    ] = None,
    geo: Annotated[
        list[Path] | None, typer.Option(help="MMDB file, instead of the configured; repeatable.")
    ] = None,
    anonymizers: Annotated[Path | None, typer.Option(help="List of anonymizers.")] = None,
    audit: Annotated[str, typer.Option(help="full, digest (hashes only) or none.")] = "full",
    skip_bad: Annotated[
        bool, typer.Option("--skip-bad", help="Count lines that cannot be read and go on.")
    ] = False,
    workers: Annotated[
        int, typer.Option(min=1, max=64, help="Processes that read lines ahead; 1: none besides.")
    ] = 1,
) -> None:
    """Run recorded traffic through the same rules, on the recording's own clock."""
    from proxy.replay.run import ReplayOptions  # noqa: PLC0415
    from proxy.replay.run import replay as run  # noqa: PLC0415

    with told_plainly():
        if audit not in ("full", "digest", "none"):
            fail(f'--audit is full, digest or none, not "{audit}"')
        options = ReplayOptions(
            config=config,
            traffic=traffic,
            out=out,
            accounts=accounts,
            geo=geo or [],
            anonymizers=anonymizers,
            audit=audit,
            skip_bad=skip_bad,
            workers=workers,
        )
        with judging("Replaying", traffic) as progress:
            summary = run(options, progress)
        typer.echo(json.dumps(summary, indent=2))


@app.command()
def record(
    out: Annotated[Path, typer.Option(help="A new file: .jsonl.zst, .jsonl.gz or .jsonl.")],
    config: Config = Path("gauger.yaml"),
    admin: Annotated[
        str | None, typer.Option(help="http://host:port, instead of the configured admin.listen.")
    ] = None,
    for_: Annotated[
        str | None, typer.Option("--for", help="How long: 90s, 15m, 1h; else until Ctrl-C.")
    ] = None,
    capture: Annotated[
        bool,
        typer.Option("--capture", help="Record prompts, headers and addresses, in plain."),
    ] = False,
    why: Annotated[str, typer.Option(help="Why, in one line; needed for --capture.")] = "",
    rotate: Annotated[str | None, typer.Option(help="A new file at this size: 500MB.")] = None,
    limit: Annotated[str, typer.Option(help="The end at this size of all files.")] = "8GiB",
) -> None:
    """Record what passes a running gateway, in the format that `gauger replay` reads.

    Fingerprints and facts stand there for texts, headers and addresses, unless --capture is given.
    The token of an operator is taken from GAUGER_ADMIN_TOKEN, or asked for without echo. It is
    recorded in the audit log who recorded what.
    """
    from proxy.cli.record import CAPTURE_WARNING, RecordOptions, size_bytes  # noqa: PLC0415
    from proxy.cli.record import record as run  # noqa: PLC0415
    from proxy.policy.schema_texts import duration_s  # noqa: PLC0415

    with told_plainly():
        try:
            options = RecordOptions(
                out=out,
                config=config,
                admin=admin,
                for_s=duration_s(for_) if for_ else None,
                capture=capture,
                why=why,
                rotate_bytes=size_bytes(rotate) if rotate else None,
                limit_bytes=size_bytes(limit),
            )
        except ValueError as fault:
            fail(str(fault))
        if capture:
            typer.echo(CAPTURE_WARNING, err=True)
        with recording_bar() as shown:
            summary = run(options, shown)
        typer.echo(json.dumps(summary, indent=2))


@audit_app.command("verify")
def audit_verify(
    directory: Annotated[Path, typer.Argument(help="The log's directory.")],
) -> None:
    """Find any changed, missing or reordered entry; exit code 1 if there is one.

    A directory that holds the logs of several workers is verified as a whole.
    """
    from proxy.cli.audit import verified  # noqa: PLC0415

    with told_plainly():
        if not directory.is_dir():
            fail(f"{directory}: no such directory")
        with bar("Verifying", None) as advance:
            well, lines = verified(directory, advance)
        for line in lines:
            typer.echo(line)
        raise typer.Exit(0 if well else 1)


@key_app.command("hash")
def key_hash(
    as_json: Annotated[
        bool, typer.Option("--json", help='Print {"sha256": …} as an account\'s keys have it.')
    ] = False,
) -> None:
    """Print the SHA-256 of a key for the account directory, or of a token for the settings.

    The key is read from standard input (without echo at a terminal), never from the command
    line, where other users of the machine could see it.
    """
    from proxy.facts.directory import hash_key  # noqa: PLC0415

    secret = typer.prompt("Key", hide_input=True) if sys.stdin.isatty() else sys.stdin.readline()
    secret = secret.rstrip("\r\n")
    if not secret:
        fail("no key on standard input (try: printf %s 'sk-…' | gauger key hash)")
    if not all("!" <= character <= "~" for character in secret):
        fail("a key has visible ASCII characters only, no blanks: no request could carry this one")
    digest = hash_key(secret)
    typer.echo(json.dumps({"sha256": digest}) if as_json else digest)


@app.command()
def version() -> None:
    """Print the version."""
    typer.echo(f"gauger {__version__}")


def _change(config: Path, rule: str, verb: str, why: str) -> None:
    from proxy.cli.rules import change  # noqa: PLC0415

    with told_plainly():
        went_well, said = change(config, rule, verb, why)
        typer.echo(said, err=not went_well)
        raise typer.Exit(0 if went_well else 1)
