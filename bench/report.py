"""What both reports need: Markdown tables, and plots as SVG that are the same for the same data."""

import platform
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path

import matplotlib as mpl
from matplotlib.figure import Figure

mpl.use("Agg")
mpl.rcParams["svg.hashsalt"] = "gauger"  # element ids that do not change from run to run
mpl.rcParams["svg.fonttype"] = "none"
mpl.rcParams["font.size"] = 9
INK, FAINT = "#22303c", "#c9d1d9"
COLOURS = ("#1f77b4", "#d1495b", "#2a9d8f", "#e9a23b", "#7b5ea7")


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A Markdown table; the first column is text, the others are right-aligned."""
    lines = [f"| {' | '.join(head)} |", "| --- |" + " ---: |" * (len(head) - 1)]
    lines += [f"| {' | '.join(map(str, row))} |" for row in rows]
    return "\n".join(lines)


def machine() -> str:
    """The machine and the day, in one line."""
    model = next(
        (
            line.partition(":")[2].strip()
            for line in _cpuinfo()
            if line.startswith(("model name", "Model"))
        ),
        platform.machine(),
    )
    day = datetime.now(UTC).date().isoformat()
    return f"{day}, Python {platform.python_version()}, {model}, {platform.system()}"


def figure(width_in: float, height_in: float) -> Figure:
    """An empty figure."""
    return Figure(figsize=(width_in, height_in), layout="constrained")


def save(drawn: Figure, path: Path) -> None:
    """Write a figure as SVG, without the time of day in it."""
    drawn.savefig(path, format="svg", metadata={"Date": None, "Creator": None})
    # matplotlib leaves spaces at line ends, which no reviewer wants to see
    lines = path.read_text(encoding="utf-8").splitlines()
    path.write_text("\n".join(line.rstrip() for line in lines) + "\n", encoding="utf-8")


def _cpuinfo() -> list[str]:
    path = Path("/proc/cpuinfo")
    return path.read_text().splitlines() if path.exists() else []
