"""Rounds over the targets in turn: no proxy, the bare pass-through, the gateway.

All targets run all the time, the proxies on one core, load and upstream on the other; only one is
under load at a time, and the order turns with the rounds, so that a slow spell of the machine
does not fall on one of them.
"""

import contextlib
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.overhead import gateway
from bench.overhead.machine import Load, cores, cpu_s, free_port, memory_kb, running

Say = Callable[[str], None]
Sample = dict[str, Any]
DIRECT, BARE = "no proxy", "bare pass-through"
WAITING, ASYNC = "gauger", "gauger, async"
SATURATING, LIGHT, STREAMING = 32, 8, 16  # connections


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much of everything. Times in seconds; `streams` are those of the memory test."""

    rounds: int = 5
    warm_s: float = 0.4
    seconds: float = 2.0
    streams: int = 2_000
    rules: int = 100


QUICK = Sizes(rounds=1, warm_s=0.05, seconds=0.25, streams=50, rules=20)


@dataclass(frozen=True, slots=True)
class Target:
    """Something to put under load; `pid` is None where there is no proxy."""

    name: str
    port: int
    pid: int | None


@contextlib.contextmanager
def targets(folder: Path, rules: int) -> Iterator[list[Target]]:
    """Upstream, pass-through and two gateways, which differ in whether answers wait for fsync."""
    proxy_core, load_core = cores()
    folder.mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as stack:
        upstream = _upstream(stack, folder, load_core)
        bare_port = free_port()
        bare = stack.enter_context(
            running(
                [sys.executable, "-m", "bench.overhead.passthrough", str(bare_port), str(upstream)],
                proxy_core,
                bare_port,
                folder / "bare.log",
            )
        )
        found = [Target(DIRECT, upstream, None), Target(BARE, bare_port, bare)]
        for name, durability in ((WAITING, "before_answer"), (ASYNC, "async")):
            found.append(_gateway(stack, folder, name, durability, upstream, rules))
        yield found


def _upstream(stack: contextlib.ExitStack, folder: Path, core: int) -> int:
    port = free_port()
    command = [sys.executable, "-m", "bench.overhead.upstream", str(port)]
    stack.enter_context(running(command, core, port, folder / "upstream.log"))
    return port


def _gateway(
    stack: contextlib.ExitStack,
    folder: Path,
    name: str,
    durability: str,
    upstream: int,
    rules: int,
) -> Target:
    port = free_port()
    config = gateway.write_folder(
        folder / durability,
        port=port,
        admin_port=free_port(),
        upstream_port=upstream,
        durability=durability,
        rules=rules,
    )
    log = folder / f"{durability}.log"
    started = running(gateway.command(config), cores()[0], port, log, gateway.UPSTREAM_KEY)
    return Target(name, port, stack.enter_context(started))


def measure(folder: Path, sizes: Sizes, say: Say) -> dict[str, Any]:
    """Run all rounds and return every sample, by measure and target."""
    samples: dict[str, dict[str, list[Sample]]] = {"saturation": {}, "half_load": {}, "stream": {}}
    with targets(folder, sizes.rules) as all_targets:
        say("finding half load")
        waiting = next(one for one in all_targets if one.name == WAITING)
        rate = load(waiting, sizes, "closed", SATURATING)["rate"] / 2.0
        for number in range(sizes.rounds):
            turned = (
                all_targets[number % len(all_targets) :] + all_targets[: number % len(all_targets)]
            )
            for target in turned:
                say(f"round {number + 1} of {sizes.rounds}: {target.name}")
                for measure_name, kind, connections in (
                    ("saturation", "closed", SATURATING),
                    ("half_load", "paced", LIGHT),
                    ("stream", "stream", STREAMING),
                ):
                    sample = load(target, sizes, kind, connections, rate)
                    samples[measure_name].setdefault(target.name, []).append(sample)
    return {"half_load_rate": rate, "samples": samples}


def load(target: Target, sizes: Sizes, kind: str, connections: int, rate: float = 0.0) -> Sample:
    """One load on one target. Fails loudly if any answer was not the upstream's."""
    before_s = cpu_s(target.pid) if target.pid else 0.0
    sample = Load(_job(target, sizes, kind, connections, rate), cores()[1]).finish()
    if sample["failures"] or not sample["answers"]:
        raise RuntimeError(
            f"{target.name}, {kind}: {sample['failures']} failed: {sample['failure']}"
        )
    if target.pid:
        share = sizes.seconds / (sizes.seconds + sizes.warm_s)
        sample["cpu_us"] = (cpu_s(target.pid) - before_s) * share / sample["answers"] * 1e6
    return sample


def _job(target: Target, sizes: Sizes, kind: str, connections: int, rate: float) -> dict[str, Any]:
    model = {"stream": "m-stream", "hold": "m-dribble"}.get(kind, "m-large")
    return {
        "kind": kind,
        "host": "api.example.com",
        "port": target.port,
        "model": model,
        "connections": connections,
        "rate": rate,
        "warm_s": sizes.warm_s,
        "seconds": sizes.seconds,
    }


def memory(folder: Path, sizes: Sizes, say: Say) -> dict[str, dict[str, float]]:
    """Memory per open stream, by target. Each proxy is fresh: no freed memory hides growth."""
    found: dict[str, dict[str, float]] = {}
    with targets(folder / "memory", sizes.rules) as all_targets:
        for target in all_targets:
            if target.pid is None or target.name == ASYNC:
                continue
            say(f"{sizes.streams} open streams: {target.name}")
            found[target.name] = _held(target, target.pid, sizes)
    return found


def _held(target: Target, pid: int, sizes: Sizes) -> dict[str, float]:
    warm = Sizes(warm_s=0.0, seconds=0.3)
    load(target, warm, "closed", LIGHT)
    before = memory_kb(pid)
    holding = Load(_job(target, sizes, "hold", sizes.streams, 0.0), cores()[1])
    opened = holding.line()["open"]
    during = memory_kb(pid)
    holding.finish()
    if opened != sizes.streams:
        raise RuntimeError(f"{target.name}: {opened} of {sizes.streams} streams opened")
    return {
        "streams": opened,
        "idle_rss_kb": before["Rss"],
        "held_rss_kb": during["Rss"],
        "rss_kb_per_stream": (during["Rss"] - before["Rss"]) / opened,
        "pss_kb_per_stream": (during["Pss"] - before["Pss"]) / opened,
    }
