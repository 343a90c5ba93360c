"""Keeping the account directory current while serving."""

import asyncio

import structlog

from proxy.facts.directory import Directory, DirectoryError
from proxy.facts.watch import DirectorySource, refresh
from proxy.facts.watch import start as start_directory
from proxy.pipeline.pipeline import Pipeline

LOOK_EVERY_S = 1.0

log = structlog.get_logger("gauger.accounts")


class Accounts:
    """The directory in use and its file; `error` is why the file's present state is not in use."""

    def __init__(self, source: DirectorySource | None, directory: Directory) -> None:
        self.directory = directory
        self.error: str | None = None
        self._source = source
        self._turn = asyncio.Lock()

    @classmethod
    async def open(cls, source: DirectorySource | None) -> "Accounts":
        """Read the file, or take up the last good one; DirectoryError if there is neither."""
        if source is None:
            return cls(None, Directory.empty())
        directory, error = await start_directory(source)
        accounts = cls(source, directory)
        accounts._failed(error)
        return accounts

    def close(self) -> None:
        """Close the directory in use."""
        self.directory.close()

    async def watch(self, pipeline: Pipeline) -> None:
        """Take up changes of the file until cancelled."""
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            if self._source is not None and self._source.changed():
                await self.reload(pipeline)

    async def reload(self, pipeline: Pipeline) -> tuple[bool, str]:
        """Read the file now; whether it is in use now, and what to tell about it."""
        if self._source is None:
            return False, "no account directory is configured"
        async with self._turn:
            found = await refresh(self._source)
            if isinstance(found, DirectoryError):
                self._failed(found)
                return False, str(found)
            before, self.directory = self.directory, found
            pipeline.directory = found
            before.close()
            self._failed(None)
            log.info("account directory taken up", accounts=len(found))
            return True, f"{len(found)} accounts"

    def _failed(self, error: DirectoryError | None) -> None:
        self.error = str(error) if error else None
        if error:
            log.error("account directory refused, the last good one serves", problem=str(error))
