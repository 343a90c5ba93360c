"""`python -m proxy.gateway.detecting.child`: the process beside a gateway, started by its keeper.

Without a shared store it is the detector itself; with one it makes sketches, puts sightings into
the stream that `gauger detect` reads, and fetches what that found. What it is to do comes on
standard input, which is held open: a byte on it, or its end, says to stop.
"""

import asyncio
import os
import signal
import socket
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

import structlog

from proxy.gateway.detecting.keeper import READY, Start, received
from proxy.gateway.logs import configure_logs
from proxy.settings.schema import Settings

if TYPE_CHECKING:
    from proxy.gateway.detecting.beside import Beside
    from proxy.gateway.detecting.relay import Relay

NICE = 5  # exchanges go first where there are too few cores

log = structlog.get_logger("gauger.detector")


def main() -> int:
    """Run until told to stop; the exit code."""
    os.setpgid(0, 0)  # Ctrl-C reaches the gateway alone
    answers = os.dup(sys.stdout.fileno())
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    try:
        start = received(sys.stdin.fileno())
    except EOFError:  # whoever started us is gone
        return 1
    configure_logs(process="detector")
    with suppress(OSError):
        os.nice(NICE)
    os.set_inheritable(start.listener, False)
    listener = socket.socket(fileno=start.listener)
    listener.setblocking(False)
    asyncio.run(_run(start, listener, answers))
    return 0


async def _run(start: Start, listener: socket.socket, answers: int) -> None:
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        loop.add_signal_handler(number, _nothing)  # whoever started us says when
    loop.add_reader(sys.stdin.fileno(), _told_to_stop, stopping)
    work = await _work(start.settings)
    await work.listen(listener)
    os.write(answers, READY)
    try:
        await stopping.wait()
    finally:
        await work.close()


async def _work(settings: Settings) -> "Beside | Relay":
    from proxy.gateway.detecting.beside import Beside  # noqa: PLC0415 (one of both is enough)

    if settings.store.redis is None:
        return await Beside.open(settings)
    from proxy.gateway.detecting.relay import Relay  # noqa: PLC0415

    return await Relay.open(settings)


def _told_to_stop(stopping: asyncio.Event) -> None:
    stopping.set()
    asyncio.get_running_loop().remove_reader(sys.stdin.fileno())


def _nothing() -> None:
    pass


if __name__ == "__main__":
    sys.exit(main())
