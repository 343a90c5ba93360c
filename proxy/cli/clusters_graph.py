"""`gauger clusters graph`: a picture of accounts and shared traits."""

import os
from pathlib import Path
from typing import Annotated

import typer

from proxy.cli.clusters_options import DEFAULT_CONFIG, Config, Name, Results
from proxy.cli.terminal import fail, told_plainly


def graph(
    name: Name,
    out: Annotated[Path, typer.Option(help="The picture to write, a name that ends in .svg.")],
    config: Config = DEFAULT_CONFIG,
    results: Results = None,
) -> None:
    """Draw a cluster's accounts and the traits that they share, as SVG. It names accounts."""
    from proxy.investigate.picture import picture  # noqa: PLC0415
    from proxy.investigate.sources import source_of  # noqa: PLC0415

    with told_plainly():
        if out.suffix != ".svg":
            fail(f"{out}: write a name that ends in .svg")
        source = source_of(config, results, os.environ)
        drawn = picture(source.one(name))
        try:
            out.write_text(drawn, encoding="utf-8")
        except OSError as error:
            fail(f"{out}: cannot be written: {error.strerror}")
        typer.echo(str(out))
