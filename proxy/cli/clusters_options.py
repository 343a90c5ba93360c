"""What the commands about found clusters have in common."""

from pathlib import Path
from typing import Annotated, Any

import typer

Config = Annotated[
    Path,
    typer.Option("--config", "-c", envvar="GAUGER_CONFIG", help="The settings file, gauger.yaml."),
]
Results = Annotated[
    Path | None,
    typer.Option("--from", help="A replay's results (its --out) instead of the gateway's state."),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]
Name = Annotated[str, typer.Argument(metavar="ID", help="The cluster's name, such as c-7f3a.")]

DEFAULT_CONFIG = Path("gauger.yaml")


def plain(evidence: Any) -> dict[str, Any]:
    """A value of the model as JSON has it."""
    return {name: getattr(evidence, name) for name in evidence.__struct_fields__}
