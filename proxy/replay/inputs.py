"""What a replay works with: settings over given databases, and the account directory."""

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from proxy.facts.directory import Directory
from proxy.settings.load import load
from proxy.settings.schema import Settings

FilePath = str | os.PathLike[str]


def settings_of(
    config: FilePath,
    geo: Iterable[FilePath] = (),
    anonymizers: FilePath | None = None,
    environment: Mapping[str, str] | None = None,
) -> Settings:
    """The configuration's settings; `geo` and `anonymizers` replace its databases.

    Replay forwards nothing, so that upstream credentials are neither needed nor looked for. Raises
    ProblemsError.
    """
    settings = load(
        Path(config), os.environ if environment is None else environment, upstreams=False
    )
    places = settings.geo.model_copy(
        update={
            "databases": [Path(path) for path in geo] or settings.geo.databases,
            "anonymizers": Path(anonymizers) if anonymizers else settings.geo.anonymizers,
        }
    )
    return settings.model_copy(update={"geo": places})


def directory_of(source: FilePath | Directory | None) -> Directory:
    """The account directory in a file, or one that is loaded already. Raises DirectoryError."""
    if isinstance(source, Directory):
        return source
    return Directory.from_file(Path(source)) if source else Directory.empty()
