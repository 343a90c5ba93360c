"""Taking up changes of the account directory while serving.

The file is looked at by its stat signature; a change is read by another process, and the new
index is opened only when it is whole. Until then, and after any error, the last good one serves.
"""

import sys
from pathlib import Path

from proxy.facts.build_directory import BuildReport, index_report
from proxy.facts.building import BUILD_TIMEOUT_S, built
from proxy.facts.directory import Directory, DirectoryError
from proxy.facts.index_files import Signature, signature


class DirectorySource:
    """An accounts.jsonl, and the place of its index.

    `index_dir` belongs to the gateway and outlives it: the last good index is kept there.
    """

    def __init__(self, path: Path | str, index_dir: Path | str) -> None:
        self.path = Path(path)
        self.index = Path(index_dir) / "accounts.sqlite"
        self._tried: Signature | None = None

    def changed(self) -> bool:
        """Whether the file is another than the one last tried; follows links and renames."""
        return signature(self.path) != self._tried

    def tried(self, source: Signature | None) -> None:
        """Note what was read last; None lets `changed` say yes once more."""
        self._tried = source

    def build_command(self) -> list[str]:
        """The command that builds the index in another process."""
        builder = [sys.executable, "-m", "proxy.facts.build_directory"]
        return [*builder, str(self.path), str(self.index)]

    def last_good(self) -> Directory | None:
        """The directory that was last built from this file, in whatever state that was."""
        if index_report(self.index, self.path) is None:
            return None
        return Directory.open(self.index)


async def refresh(
    source: DirectorySource, *, timeout_s: float = BUILD_TIMEOUT_S
) -> Directory | DirectoryError:
    """Build the index of the file as it is now, in another process, and open it.

    An error comes back as a value: the directory in use stays in use.
    """
    source.tried(None)
    report = await built(source.build_command(), source.path, BuildReport, timeout_s)
    if isinstance(report, str):
        return DirectoryError(report)
    source.tried(report.source)
    if report.problems:
        return DirectoryError(*report.problems)
    try:
        return Directory.open(source.index)
    except DirectoryError as error:
        source.tried(None)
        return error


async def start(source: DirectorySource) -> tuple[Directory, DirectoryError | None]:
    """The directory to begin with: the file's, or else the last good one and the file's error.

    Raises DirectoryError where there is neither.
    """
    directory = await refresh(source)
    if isinstance(directory, Directory):
        return directory, None
    last_good = source.last_good()
    if last_good is None:
        raise directory
    return last_good, directory
