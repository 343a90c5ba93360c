"""Small worlds that the benchmark's tests share."""

import csv
import gzip
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import structlog

from bench.campaigns import corpus, traces
from bench.campaigns.stage import Job
from bench.campaigns.world import World

CONFIG = Path(__file__).parents[2] / "policies" / "examples" / "containment" / "gauger.yaml"


@pytest.fixture(scope="session")
def own_corpus() -> corpus.Corpus:
    return corpus.load(None)


@pytest.fixture(scope="session")
def own_traces() -> traces.Traces:
    return traces.load(None)


@pytest.fixture
def world(own_corpus: corpus.Corpus, own_traces: traces.Traces) -> World:
    return World(seed=7, scale=0.002, days=0.25, corpus=own_corpus, traces=own_traces)


@pytest.fixture
def job(tmp_path: Path) -> Callable[..., Job]:
    def made(scenario: str, seed: int = 1, *, days: float = 0.1, out: str = "out") -> Job:
        return Job(scenario, seed, 0.002, days, 0.2, None, tmp_path / out, CONFIG)

    return made


@pytest.fixture
def published(tmp_path: Path) -> Path:
    """A folder in the layout of the published prompts and traces, with a few rows of each."""
    folder = tmp_path / "data"
    folder.mkdir()
    for name, rows in _PROMPTS.items():
        with gzip.open(folder / f"{name}.jsonl.gz", "wt") as out:
            out.writelines(json.dumps(row) + "\n" for row in rows)
    for pool in traces.POOLS:
        with gzip.open(folder / f"trace_servegen_clients_{pool}.csv.gz", "wt") as out:
            sheet = csv.writer(out)
            sheet.writerow(("client", "window_start_s", "rate_rps", "iat_cv"))
            sheet.writerows([(0, 0, 1.5, 2.0), (0, 7200, 0.5, 1.0), (1, 600, 0.25, "")])
    for name in ("code", "conv"):
        with gzip.open(folder / f"trace_azure_llm_2023_{name}.csv.gz", "wt") as out:
            sheet = csv.writer(out)
            sheet.writerow(("TIMESTAMP", "ContextTokens", "GeneratedTokens"))
            sheet.writerows([("2023-11-16 18:17:03.97", 4808, 10), ("2023-11-16 18:18:00", 8, 27)])
    return folder


_PROMPTS: dict[str, list[dict[str, object]]] = {
    "benign_hh_harmless_turns": [
        {"prompt": "how deep is the sea", "conv": 0, "turn": 0},
        {"prompt": "and the lake?", "conv": 0, "turn": 1},
    ],
    "lookalike_p3_templates": [
        {"prompt": "Summarize: a", "dataset": "d", "template": "t"},
        {"prompt": "Summarize: b", "dataset": "d", "template": "t"},
        {"prompt": "Tag: a", "dataset": "d", "template": "u"},
    ],
    **{
        name: [{"prompt": f"{name} row {number}"} for number in range(3)]
        for name in (
            "benign_nq_open",
            "benign_bench_human",
            "benign_banking77",
            "benign_prompts_chat",
            "lookalike_code_evals",
            "lookalike_anthropic_evals",
            "lookalike_gsm8k_test_fewshot",
            *corpus.HARVEST,
        )
    },
}


@pytest.fixture(autouse=True)
def _logs_as_before() -> Iterator[None]:
    """Benchmarks quieten the logs of their whole process; other tests read them."""
    yield
    structlog.reset_defaults()
