"""How many processes share the limits: what a local share of a limit is divided by.

Too small a number admits too much. So a falling number is believed only once it has stood for a
whole horizon (right after the store lost its memory each process sees only itself), a number that
was known outlives the process on disk, and where nothing was ever known the configured maximum
stands in.
"""

import os
import secrets
from collections import deque
from contextlib import suppress
from pathlib import Path

import msgspec
import structlog

FILE = "replicas.json"
HEARTBEAT_S = 5.0
HORIZON_MS = 15_000  # who was not heard of for so long is gone

log = structlog.get_logger("gauger.store")


class Remembered(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The file: one JSON object."""

    replicas: int


class Replicas:
    """The number of processes, as last known."""

    def __init__(self, state_dir: Path | None, max_replicas: int) -> None:
        self._file = state_dir / FILE if state_dir else None
        self._seen: deque[tuple[int, int]] = deque()  # (when in ms, how many)
        self._kept = _read(self._file) if self._file else None
        self.known = self._kept or max(1, max_replicas)

    def saw(self, count: int, at_ms: int) -> bool:
        """Take in how many lived at a time. Whether the number that is on disk is another one."""
        self._seen.append((at_ms, max(1, count)))
        while self._seen[0][0] <= at_ms - HORIZON_MS:
            self._seen.popleft()
        most = max(n for _, n in self._seen)
        whole = self._whole(at_ms)
        self.known = most if whole else max(most, self.known)
        return self._file is not None and self.known == most != self._kept

    def _whole(self, at_ms: int) -> bool:
        """Whether what was seen reaches back over the horizon, but for one heartbeat."""
        return self._seen[0][0] <= at_ms - HORIZON_MS + 1000 * HEARTBEAT_S

    def save(self) -> None:
        """Write the number to disk, whole or not at all. Blocks; a full disk is told, no more."""
        if self._file is None:
            return
        count = self.known
        draft = self._file.with_name(f".{FILE}.{secrets.token_hex(4)}")
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            with draft.open("wb") as out:
                out.write(msgspec.json.encode(Remembered(count)) + b"\n")
                out.flush()
                os.fsync(out.fileno())
            draft.replace(self._file)
            self._kept = count
        except OSError as error:
            log.warning("the number of replicas cannot be kept", problem=error.strerror)
            with suppress(OSError):
                draft.unlink()


def _read(file: Path) -> int | None:
    try:
        count = msgspec.json.decode(file.read_bytes(), type=Remembered).replicas
    except FileNotFoundError:
        return None
    except (OSError, msgspec.DecodeError) as error:
        log.warning("the kept number of replicas is not usable", problem=str(error))
        return None
    return count if count > 0 else None
