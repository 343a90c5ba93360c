"""Taking up changes of the account directory while serving.

The file is looked at by its stat signature; a change is read by another process, and the new
index is opened only when it is whole. Until then, and after any error, the last good one serves.
"""

import asyncio
import sys
from pathlib import Path

import msgspec

from proxy.facts.build_directory import BuildReport, Signature, index_report, signature
from proxy.facts.directory import Directory, DirectoryError

BUILD_TIMEOUT_S = 900.0


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
    report = await _built(source, timeout_s)
    if isinstance(report, DirectoryError):
        return report
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


async def _built(source: DirectorySource, timeout_s: float) -> BuildReport | DirectoryError:
    pipe = asyncio.subprocess.PIPE
    try:
        builder = await asyncio.create_subprocess_exec(
            *source.build_command(), stdin=asyncio.subprocess.DEVNULL, stdout=pipe, stderr=pipe
        )
    except OSError as error:
        return DirectoryError(f"{source.path}: cannot start the builder of its index: {error}")
    try:
        output, errors = await asyncio.wait_for(builder.communicate(), timeout_s)
    except TimeoutError:
        return DirectoryError(f"{source.path}: reading it took longer than {timeout_s:g} s")
    finally:
        if builder.returncode is None:
            builder.kill()
            await builder.wait()
    try:
        return msgspec.json.decode(output, type=BuildReport)
    except msgspec.DecodeError:
        last = (errors.decode(errors="replace").strip().splitlines() or ["no output"])[-1]
        code = builder.returncode
        return DirectoryError(f"{source.path}: the builder of its index failed ({code}): {last}")
