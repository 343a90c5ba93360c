"""What was learned about models, kept over a restart: written behind, and never relied upon."""

import asyncio
import json
import os
from pathlib import Path

import structlog

from proxy.pipeline.learned import Learned, Saved

EVERY_S = 60.0

log = structlog.get_logger("gauger")


def restore(path: Path, learned: Learned) -> None:
    """Go on from what the file holds; where it cannot be read, learning begins anew."""
    try:
        learned.load(json.loads(path.read_bytes()))
    except FileNotFoundError:
        return
    except (OSError, ValueError) as error:
        log.warning("what was learned about models is lost", problem=str(error)[:200])


async def keep(path: Path, learned: Learned) -> None:
    """Write the file now and then, until cancelled, and a last time then."""
    try:
        while True:
            await asyncio.sleep(EVERY_S)
            await asyncio.to_thread(_write, path, learned.save())
    finally:
        _write(path, learned.save())


def _write(path: Path, saved: Saved) -> None:
    """Of several processes the last one counts: all learn of the same models."""
    partial = path.with_name(f"{path.name}.{os.getpid()}")
    try:
        partial.write_text(json.dumps(saved))
        partial.replace(path)
    except OSError as error:
        log.warning("what was learned about models cannot be kept", problem=str(error))
