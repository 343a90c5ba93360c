"""`gauger serve`: one process that serves, or a supervisor of several."""

import sys
from collections.abc import Mapping
from pathlib import Path

from proxy.gateway.supervise import supervise
from proxy.settings.load import load

WORKER = (sys.executable, "-m", "proxy.cli.worker")


def serve(config: Path, environment: Mapping[str, str], workers: int | None) -> int:
    """Serve until told to stop; the exit code. `workers` replaces that of the settings."""
    settings = load(config, environment, options={"workers": workers})
    if settings.workers > 1:
        return supervise(settings, WORKER)
    from proxy.gateway.serve import serve as alone  # noqa: PLC0415 (what a supervisor does without)

    return alone(settings)
