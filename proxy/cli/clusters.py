"""`gauger clusters`: the file of clusters that people write, and what the detector found."""

from pathlib import Path
from typing import Annotated

import typer

from proxy.cli.clusters_exposure import exposure
from proxy.cli.clusters_findings import add, confirm, dismiss, remove, reopen
from proxy.cli.clusters_graph import graph
from proxy.cli.clusters_list import listed
from proxy.cli.clusters_show import show
from proxy.cli.terminal import told_plainly

app = typer.Typer(
    no_args_is_help=True,
    help="Accounts that one hand runs: what the detector found, and the file that people write.",
)
app.command("list")(listed)
app.command()(show)
app.command()(graph)
app.command()(exposure)
for said in (confirm, dismiss, reopen, add, remove):
    app.command()(said)


@app.command()
def check(
    file: Annotated[Path, typer.Argument(help="The file of clusters, .yaml or .jsonl.")],
    accounts: Annotated[
        Path | None,
        typer.Option(help="The account directory: warn of accounts that it does not have."),
    ] = None,
) -> None:
    """Tell every fault of a file of clusters; exit code 1 if there is one."""
    from proxy.facts.directory import Directory  # noqa: PLC0415
    from proxy.settings.cluster_census import strangers, summary  # noqa: PLC0415
    from proxy.settings.clusters import checked, version_of  # noqa: PLC0415
    from proxy.settings.clusters_file import read_file  # noqa: PLC0415

    with told_plainly():
        read = read_file(file)
        version = version_of(checked(read))
        if accounts is not None:
            for warning in strangers(read, Directory.from_file(accounts), accounts):
                typer.echo(f"warning: {warning}")
        typer.echo(f"{file}: {summary(read)}\n{version}")


@app.command()
def schema() -> None:
    """Print the JSON Schema (draft-07) of a file of clusters, for yaml-language-server."""
    from proxy.settings.clusters_schema import schema_text  # noqa: PLC0415

    typer.echo(schema_text(), nl=False)
