"""Running the builder of an index in another process, so that reading never stalls who serves."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

import msgspec

BUILD_TIMEOUT_S = 900.0
Report = TypeVar("Report")


async def built(
    command: Sequence[str], path: Path, kind: type[Report], timeout_s: float = BUILD_TIMEOUT_S
) -> Report | str:
    """The report that a builder writes of `path`, or why there is none; the builder is ended."""
    pipe = asyncio.subprocess.PIPE
    try:
        builder = await asyncio.create_subprocess_exec(
            *command, stdin=asyncio.subprocess.DEVNULL, stdout=pipe, stderr=pipe
        )
    except OSError as error:
        return f"{path}: cannot start the builder of its index: {error}"
    try:
        output, errors = await asyncio.wait_for(builder.communicate(), timeout_s)
    except TimeoutError:
        return f"{path}: reading it took longer than {timeout_s:g} s"
    finally:
        if builder.returncode is None:
            builder.kill()
            await builder.wait()
    try:
        return msgspec.json.decode(output, type=kind)
    except msgspec.DecodeError:
        last = (errors.decode(errors="replace").strip().splitlines() or ["no output"])[-1]
        code = builder.returncode
        return f"{path}: the builder of its index failed ({code}): {last}"
