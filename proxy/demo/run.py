"""`gauger demo`: a model API, the gateway in front of it, lively traffic, and what became of it."""

import asyncio
import json
import shlex
import signal
import tempfile
from collections.abc import Callable
from contextlib import AsyncExitStack, suppress
from importlib.util import find_spec
from pathlib import Path

from rich.console import Console

from proxy.audit.verify import verify
from proxy.demo import children, metrics, world
from proxy.demo.summary import summary
from proxy.demo.watch import Watch
from proxy.facts.pseudonyms import Pseudonyms

EXTRA = {"openai": "openai", "anthropic": "anthropic", "mmdb_writer": "mmdb-writer"}
_SETTLED_WITHIN_S = 5.0
_LOOK_EVERY_S = 0.05


def run(seconds: float = 15.0, once: bool = False) -> int:
    """Run the demo; the exit code. `seconds` is how long the traffic lasts; `once` ends after the
    summary, otherwise the gateway serves on until Ctrl-C."""
    missing = [package for module, package in EXTRA.items() if find_spec(module) is None]
    if missing:
        names = ", ".join(missing)
        _complain(f"gauger demo also needs {names}; install them with: pip install 'gauger[demo]'")
        return 1
    try:
        return asyncio.run(_until_interrupted(seconds, once))
    except children.DemoError as error:
        _complain(str(error))
        return 1


def policies() -> Path:
    """The demo's policy directory: inside an installed package, or that of the checkout."""
    packaged = Path(__file__).parent / "policies"
    checkout = Path(__file__).parents[2] / "policies" / "examples" / "demo"
    for directory in (packaged, checkout):
        if directory.is_dir():
            return directory
    raise children.DemoError(f"the demo's policies are neither in {packaged} nor in {checkout}")


async def _until_interrupted(seconds: float, once: bool) -> int:
    """SIGINT and SIGTERM end the demo in order: children stopped, exit code 0."""
    task = asyncio.ensure_future(_demo(seconds, once))
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        # Later signals must not break the stopping itself.
        loop.add_signal_handler(number, lambda: task.cancelling() or task.cancel())
    with suppress(asyncio.CancelledError):
        return await task
    return 0


async def _demo(seconds: float, once: bool) -> int:
    console = Console()
    _say(console, "Starting a model API (emulated) and the gateway in front of it …")
    async with AsyncExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="gauger-demo-")))
        upstream = await stack.enter_async_context(children.emulator(directory / "emulator.log"))
        places = world.Places(
            directory, policies(), children.free_address(), children.free_address()
        )
        world.write(places, upstream)
        gateway = children.gateway(
            places.config, places.admin, places.environment, directory / "gateway.log"
        )
        await stack.enter_async_context(gateway)
        _say(console, f"Model API (emulated)  {upstream}")
        _say(console, f"Gauger                http://{places.listen}")
        _say(console, f"Policies              {places.policies}")
        _say(console, f"Everything else       {places.directory}\n")
        return await _show(console, places, seconds, once)


async def _show(console: Console, places: world.Places, seconds: float, once: bool) -> int:
    # This needs the demo extra, so it is imported once that is known to be there.
    from proxy.demo.traffic import Traffic  # noqa: PLC0415

    pseudonyms = Pseudonyms(bytes.fromhex(places.pseudonym_key))
    watch = Watch(places.audit, pseudonyms, console)
    traffic = Traffic(f"http://{places.listen}", seconds)
    following = asyncio.ensure_future(watch.follow())
    try:
        await traffic.run()
        await _settled(lambda: len(watch.decisions) >= traffic.sent)
    finally:
        following.cancel()
        with suppress(asyncio.CancelledError):
            await following
    _say(console, "\nWhat was refused, and why (from the audit log)\n")
    for line in summary(watch.decisions, traffic.raised):
        _say(console, line)
    _say(console, f"\n{await metrics.fetch(places.admin)}")
    sound = _verified(console, places)
    _say(console, f"\nTry it:\n{_curl(places, world.YOU, 'm-small')}")
    _say(console, f"\nAnd from Bouvet Island:\n{_curl(places, world.ISLANDER, 'm-large')}\n")
    if not once:
        _say(console, "Serving until Ctrl-C.\n")
        await watch.follow_plainly()
    return 0 if sound else 1


async def _settled(done: Callable[[], bool]) -> None:
    """Wait until the last decisions have reached the log and were read from it."""
    for _ in range(int(_SETTLED_WITHIN_S / _LOOK_EVERY_S)):
        if done():
            return
        await asyncio.sleep(_LOOK_EVERY_S)


def _verified(console: Console, places: world.Places) -> bool:
    report = verify(places.audit)
    for fault in report.faults:
        _say(console, str(fault))
    state = "verified" if report.ok else "NOT VERIFIED"
    _say(
        console,
        f"Audit log: {state}, {report.entries} entries (gauger audit verify {places.audit})",
    )
    return report.ok


def _curl(places: world.Places, party: world.Party, model: str) -> str:
    """A request that any shell sends as it stands."""
    turn = {"role": "user", "content": "How strong is it?"}
    body = json.dumps({"model": model, "messages": [turn]})
    words = (
        *("curl", "-i", f"http://{places.listen}/v1/chat/completions"),
        *("-H", f"Authorization: Bearer {party.key}"),
        *("-H", f"X-Forwarded-For: {party.address}"),
        *("-H", "Content-Type: application/json", "-d", body),
    )
    return shlex.join(words)


def _say(console: Console, text: str) -> None:
    """Text as it is, at whatever width: lines are for pasting."""
    console.print(text, soft_wrap=True, markup=False, highlight=False)


def _complain(text: str) -> None:
    _say(Console(stderr=True), text)
