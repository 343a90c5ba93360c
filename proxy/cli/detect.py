"""`gauger detect`: the detector of gateways that share a store."""

import asyncio
import signal
from collections.abc import Mapping
from pathlib import Path

from proxy.gateway.detecting.active import detect as run
from proxy.gateway.logs import configure_logs
from proxy.policy.problem import Problem, ProblemsError
from proxy.settings.load import load, state_directory
from proxy.settings.schema import Settings


def detect(config: Path, environment: Mapping[str, str]) -> int:
    """Run until SIGTERM or Ctrl-C; the exit code. ProblemsError where there is nothing to do."""
    settings = load(config, environment, upstreams=False, detects=True)
    for wrong, message in (
        (
            settings.store.redis is None,
            "gauger detect reads what gateways put into a shared store: without store.redis "
            "the gateway runs the detector itself",
        ),
        (not settings.detector.enabled, "detector.enabled is false: nothing is sent to detect"),
    ):
        if wrong:
            raise ProblemsError([Problem(str(config), 0, 0, message)])
    state_directory(settings)
    configure_logs(process="detector")
    asyncio.run(_run(settings))
    return 0


async def _run(settings: Settings) -> None:
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    await run(settings, stopping)
