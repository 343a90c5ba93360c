"""What the detector found, taken up by a gateway: noticed by the file's signature, read in a
thread, recorded, and only then looked up in.

Where the file cannot be read, the index in force stays. What the process beside it did last is in
the file, so that a restart of the gateway begins with it.
"""

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import structlog

from proxy.audit.errors import AuditUnavailable, BadRecord
from proxy.audit.log import AuditLog
from proxy.facts.index_files import Signature, signature
from proxy.facts.pseudonyms import Pseudonyms
from proxy.gateway.detecting import make
from proxy.gateway.detecting.box import Box
from proxy.gateway.detecting.published import (
    FINDINGS_HELD,
    Applied,
    Published,
    index_path,
    opened,
)
from proxy.gateway.detecting.state import put
from proxy.gateway.ids import exchange_id
from proxy.gateway.logs import told
from proxy.model.record import Json, Record
from proxy.model.sighting import ClusterIndex
from proxy.pipeline.detected import MOST_LISTED, Detected

LOOK_EVERY_S = 1.0
RECORDED = "findings.recorded"  # in the detector's directory

log = structlog.get_logger("gauger.detector")


class Found:
    """The index in force. `adopt` is told of each, between two exchanges; `error` is why the
    file's present state is not in force.
    """

    def __init__(
        self,
        directory: Path,
        box: Box,
        pseudonyms: Pseudonyms,
        audit: AuditLog,
        adopt: Callable[[ClusterIndex], None],
        *,
        speaks: bool = True,
    ) -> None:
        self.published: Published | None = None
        self.error: str | None = None
        self._directory = directory
        self._box = box
        self._pseudonyms = pseudonyms
        self._audit = audit
        self._adopt = adopt
        self._speaks = speaks  # of several processes one records what investigators said
        self._signature: Signature = ()
        self._detected = Detected()
        self._findings = _recorded(directory) if speaks else []

    async def watch(self) -> None:
        """Take up what is found, until cancelled."""
        while True:
            await self.look()
            await asyncio.sleep(LOOK_EVERY_S)

    async def look(self) -> None:
        """Take up the file, if it is another than before."""
        path = index_path(self._directory)
        seen = signature(path)
        if seen in ((), self._signature):
            return
        self._signature = seen
        try:
            published, index = await asyncio.to_thread(_read, path, self._box)
        except FileNotFoundError:
            return
        except (OSError, ValueError) as error:
            self.error = str(error)
            log.error("the detector's index is not taken up", problem=self.error)
        except Exception as error:  # the boundary: the index in force stays
            self.error = "a defect: the log says where, and the index in force stays"
            log.error("defect", **told(error))
        else:
            self.error = None
            self._take_up(published, index)

    @property
    def version(self) -> str | None:
        """The version of the index in force."""
        return self.published.version if self.published else None

    @property
    def clusters(self) -> int:
        """How many clusters were found, dismissed ones too."""
        return len(self.published.clusters) if self.published else 0

    def _take_up(self, published: Published, index: ClusterIndex) -> None:
        before, self.published = self.published, published
        if self._speaks:
            self._record_findings(published)
        if before is None or before.version != published.version:
            self._record(published)  # before a decision can rest on it
            log.info(
                "detected clusters in force",
                version=published.version,
                clusters=len(published.clusters),
                accounts=published.accounts,
            )
        self._adopt(index)

    def _record(self, published: Published) -> None:
        """Record the index: what is new or changed in it since the record before, and what went."""
        fields = self._detected.fields(published.version, published.accounts, published.clusters)
        if self._append(fields):
            self._detected.recorded(published.clusters)

    def _record_findings(self, published: Published) -> None:
        """Record what investigators said, each finding once."""
        heard = set(self._findings)
        new = [one for one in published.applied if (one.source, one.number) not in heard]
        for one in new:
            if not self._append(_finding(one, self._pseudonyms)):
                return
            self._findings.append((one.source, one.number))
        if new:
            del self._findings[: -2 * FINDINGS_HELD]
            _note(self._directory, self._findings)

    def _append(self, fields: dict[str, Json]) -> bool:
        at_ns = time.time_ns()
        try:
            self._audit.append(Record("clusters", exchange_id(at_ns), at_ns, fields))
        except (AuditUnavailable, BadRecord) as error:
            log.error("clusters not recorded", problem=str(error))
            return False
        return True


def _read(path: Path, box: Box) -> tuple[Published, ClusterIndex]:
    published = opened(path.read_bytes(), box)
    return published, make.index_of(published.index)


def _finding(one: Applied, pseudonyms: Pseudonyms) -> dict[str, Json]:
    finding = one.finding
    said: dict[str, Json] = {
        "finding": finding.action.value,
        "cluster": finding.cluster,
        "principal": finding.who,
        "why": finding.why,
        "result": one.result,
    }
    if finding.accounts:
        listed = finding.accounts[:MOST_LISTED]
        said["listed"] = [pseudonyms.of("account", account) for account in listed]
        if left_out := len(finding.accounts) - len(listed):
            said["left_out"] = left_out
    return said


def _recorded(directory: Path) -> list[tuple[str, int]]:
    try:
        lines = (directory / RECORDED).read_text().splitlines()
        return [(source, int(number)) for source, number in (line.split() for line in lines)]
    except FileNotFoundError:
        return []
    except (OSError, ValueError) as error:
        log.warning("findings may be recorded again", problem=str(error))
        return []


def _note(directory: Path, findings: list[tuple[str, int]]) -> None:
    text = "".join(f"{source} {number}\n" for source, number in findings)
    with suppress(OSError):  # they are recorded once more after a restart
        put(directory / RECORDED, text.encode())
