"""Keeping the policy set current while serving: edited, checked aside, swapped between exchanges.

A set with a fault changes nothing: the one in force stays, and log, readiness and metrics say why
the files are not. Each set that comes into force is archived and recorded by its digest.
"""

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path

import structlog

from proxy.audit.errors import AuditUnavailable
from proxy.audit.log import AuditLog
from proxy.gateway.ids import exchange_id
from proxy.model.record import Json, Record
from proxy.pipeline.pipeline import Pipeline
from proxy.policy.archive import Archive
from proxy.policy.load import compile_texts, read
from proxy.policy.problem import ProblemsError
from proxy.policy.rules import PolicySet

LOOK_EVERY_S = 1.0

log = structlog.get_logger("gauger.policies")
Signature = tuple[tuple[str, int, int, int], ...]


class Policies:
    """The files of the policy set; `error` is why their present state is not in force, or None."""

    def __init__(self, directory: Path, archive: Archive, audit: AuditLog) -> None:
        self.error: str | None = None
        self._directory = directory
        self._archive = archive
        self._audit = audit
        self._seen = self._signature()
        self._turn = asyncio.Lock()

    def begun_with(self, policy: PolicySet) -> None:
        """Archive and record the set that the process starts with."""
        self._in_force(policy, read(self._directory)[0])

    async def watch(self, pipeline: Pipeline) -> None:
        """Take up changes of the files until cancelled."""
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            if self._signature() != self._seen:
                await self.reload(pipeline)

    async def reload(self, pipeline: Pipeline) -> tuple[bool, str]:
        """Read the files now; whether they are in force now, and what to tell about it."""
        async with self._turn:
            self._seen = self._signature()
            try:
                texts, problems = await asyncio.to_thread(read, self._directory)
                policy = await asyncio.to_thread(compile_texts, texts, problems)
            except ProblemsError as error:
                self.error = str(error)
                log.error("policies refused, the set in force stays", problems=self.error)
                return False, self.error
            self.error = None
            if policy.digest == pipeline.policy.digest:
                return True, f"unchanged, {policy.digest}"
            pipeline.adopt(policy)
            self._in_force(policy, texts)
            return True, f"{len(policy.rules)} rules, {policy.digest}"

    def _in_force(self, policy: PolicySet, texts: list[tuple[str, bytes]]) -> None:
        log.info("policies in force", digest=policy.digest, rules=len(policy.rules))
        try:
            self._archive.keep(policy.digest, texts)
        except OSError as error:
            log.error("policies not archived", digest=policy.digest, problem=str(error))
        at_ns = time.time_ns()
        fields: dict[str, Json] = {
            "policy": policy.digest,
            "rules": [rule.id for rule in policy.rules],
        }
        try:
            self._audit.append(Record("policy", exchange_id(at_ns), at_ns, fields))
        except AuditUnavailable as error:
            log.error("policies not recorded", digest=policy.digest, problem=str(error))

    def _signature(self) -> Signature:
        """What changes when a file does: also where the directory is a link that is swapped."""
        return tuple(sorted(_stats(self._directory)))


def _stats(directory: Path) -> Iterator[tuple[str, int, int, int]]:
    try:
        for path in directory.iterdir():
            if path.suffix.lower() in (".yaml", ".yml"):
                found = path.stat()
                yield path.name, found.st_ino, found.st_mtime_ns, found.st_size
    except OSError:  # it is being replaced, or gone: reading it will say
        yield "", 0, 0, 0
