"""`python -m bench.policy`: what a pass over many rules costs. See bench/README.md."""

import gc
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from bench.policy.rules import NOON_NS, exchanges, policy_of
from bench.report import machine, table
from proxy.engine.judge import judge
from proxy.engine.plan import plan
from proxy.model.facts import Facts
from proxy.model.verdict import Durability
from proxy.policy.candidates import CandidateIndex, Candidates, every_rule
from proxy.policy.rules import PolicySet
from proxy.store.memory import MemoryStore

AIMS_US = {10: 40, 100: 60, 500: 100}
HEAD = ("rules", "µs", "one rule in CEL, µs", "aim, µs", "new models, µs", "no index, µs", "of it")
Figures = dict[str, float]


def main(
    out: Annotated[Path, typer.Option(help="Where results go.")] = Path("bench/out"),
    blocks: Annotated[int, typer.Option(help="Blocks of 256 exchanges.", min=1)] = 40,
) -> None:
    """Time plan + judge over sets of 10, 100 and 500 rules of which 5 govern, and write a page."""
    console = Console(stderr=True)
    out.mkdir(parents=True, exist_ok=True)
    measured: dict[int, Figures] = {}
    for count in AIMS_US:
        with console.status(f"{count} rules"):
            measured[count] = measure(count, blocks)
    (out / "policy.json").write_text(json.dumps(measured, indent=1) + "\n")
    page = text(measured, blocks)
    (out / "policy.md").write_text(page, encoding="utf-8")
    Console().print(page, markup=False, highlight=False)


def measure(count: int, blocks: int) -> Figures:
    """Medians over blocks, µs for each exchange; the ways are timed in turn within each block."""
    policy, facts = policy_of(count), exchanges(256)
    everything, index = every_rule(policy), CandidateIndex(policy)
    governing = {len(_governing(index.of(one), one)) for one in facts}
    assert governing == {5}, f"{governing} rules govern, not 5"
    unseen = [{**one, "request.model": f"m-large-{i}"} for i, one in enumerate(facts)]
    with_cel = policy_of(count, in_cel=True)
    index_of_cel = CandidateIndex(with_cel)
    times: dict[str, list[float]] = {"indexed": [], "cel": [], "cold": [], "every": []}
    for _ in range(blocks):
        cold = CandidateIndex(policy)
        times["indexed"].append(_time(policy, index.of, facts))
        times["cel"].append(_time(with_cel, index_of_cel.of, facts))
        times["cold"].append(_time(policy, cold.of, unseen))
        times["every"].append(_time(policy, lambda _: everything, facts))
    return {way: statistics.median(taken) for way, taken in times.items()}


def _governing(found: Candidates, facts: Facts) -> list[str]:
    kinds = (found.geography, found.access, found.fingerprints, found.quotas)
    return [c.rule.id for kind in kinds for c in kind if c.match.holds(facts) is not False]


def _time(policy: PolicySet, of: Callable[[Facts], Candidates], facts: list[Facts]) -> float:
    """µs of finding the rules, plan and judge, without the store between them."""
    store, taken_s = MemoryStore(), 0.0
    gc.collect()
    for one in facts:
        began_s = time.perf_counter()
        planned = plan(of(one), one, NOON_NS, Durability.BEFORE_ANSWER)
        taken_s += time.perf_counter() - began_s
        readings = store.take(planned)
        began_s = time.perf_counter()
        judge(policy, planned, readings, 0, one)
        taken_s += time.perf_counter() - began_s
    return taken_s / len(facts) * 1e6


def text(measured: dict[int, Figures], blocks: int) -> str:
    """The page."""
    rows = [
        (
            str(count),
            f"{found['indexed']:.1f}",
            f"{found['cel']:.1f}",
            str(AIMS_US[count]),
            f"{found['cold']:.1f}",
            f"{found['every']:.1f}",
            f"{100 * found['indexed'] / found['every']:.0f} %",
        )
        for count, found in measured.items()
    ]
    return f"""# What a pass over many rules costs

{machine()}. Finding the rules, plan and judge, in the process, for each
exchange; medians of {blocks} blocks of 256 exchanges. 5 rules of all kinds govern every exchange;
one rule in 50 is a condition in CEL that no index finds.

*One rule in CEL*: the condition of one of the five can only be evaluated by CEL. *New models*:
nothing about the exchange was seen before, which is the most that a caller can make the index work.
*No index*: every rule is asked.

{table(HEAD, rows)}
"""


if __name__ == "__main__":
    typer.run(main)
