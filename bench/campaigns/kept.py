"""Results of runs on disk, so that a long report can be made in parts and merged."""

import json
from pathlib import Path
from typing import Any

from bench.campaigns.stage import Job

FOLDER = "runs"


def keep(job: Job, result: dict[str, Any]) -> None:
    """Write the result of a run."""
    path = _path(job)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    part.write_text(json.dumps(result) + "\n", encoding="utf-8")
    part.replace(path)


def kept(job: Job) -> dict[str, Any] | None:
    """The result of the same job in an earlier run, or None."""
    path = _path(job)
    if not path.exists():
        return None
    result: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return result if result["job"] == json.loads(json.dumps(job.told())) else None


def all_kept(out: Path) -> list[dict[str, Any]]:
    """All results in a folder of results, by name."""
    return [
        json.loads(path.read_text(encoding="utf-8"))
        for path in sorted((out / FOLDER).glob("*.json"))
    ]


def _path(job: Job) -> Path:
    full = f"-x{job.scale:g}" if job.against else ""
    return job.out / FOLDER / f"{job.name}{full}.json"
