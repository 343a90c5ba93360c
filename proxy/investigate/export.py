"""Exposure as a file that names the records it rests on: JSON, or CSV with a row an exchange.

Invariant: rows go to the disk as they come, so that the length of the log costs no memory; the file
is whole or not there.
"""

import csv
import json
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

import msgspec

from proxy import __version__
from proxy.investigate.exposure import Exposure, Row, Tally
from proxy.investigate.log_lines import LogRead
from proxy.investigate.wording import iso
from proxy.policy.problem import Problem, ProblemsError

COLUMNS = (
    "cluster",
    "exchange",
    "account",
    "at",
    "model",
    "verdict",
    "contained",
    "input_tokens",
    "output_tokens",
    "cost_millionths",
    "log",
    "decision_seq",
    "decision_hash",
    "end",
    "end_seq",
    "end_hash",
)
FORMULA = ("=", "+", "-", "@", "\t", "\r")  # what spreadsheets would carry out
SUFFIXES = (".csv", ".json")


_encode = msgspec.json.Encoder().encode


class Export(AbstractContextManager["Export"]):
    """A file being written. Use it as a context manager, and call `finish` at the end."""

    def __init__(self, path: Path) -> None:
        """ProblemsError for a name that ends in neither .json nor .csv, or cannot be written."""
        self.path = path
        self.rows = 0
        self._as_csv = path.suffix == ".csv"
        if path.suffix not in SUFFIXES:
            raise _problem(path, "write a name that ends in .json or .csv")
        try:
            self._rows: IO[str] = tempfile.TemporaryFile(  # noqa: SIM115 (closed by __exit__)
                "w+", encoding="utf-8", newline="", dir=path.parent
            )
        except OSError as error:
            raise _problem(path, f"cannot be written: {error.strerror}") from error
        self._csv = csv.writer(self._rows, lineterminator="\n")

    def add(self, row: Row, log: LogRead) -> None:
        """Write a row."""
        values = _values(row, log)
        if self._as_csv:
            self._csv.writerow([_harmless(value) for value in values])
        else:
            said = _encode(dict(zip(COLUMNS, values, strict=True))).decode()
            self._rows.write(f"{',' if self.rows else ''}\n  {said}")
        self.rows += 1

    def finish(self, summary: Mapping[str, Any]) -> None:
        """Put the file in its place: a heading and the rows; in JSON also the summary."""
        aside = self.path.with_name(self.path.name + ".new")
        self._rows.seek(0)
        try:
            with aside.open("w", encoding="utf-8", newline="") as file:
                if self._as_csv:
                    file.write(",".join(COLUMNS) + "\n")
                else:
                    file.write(json.dumps(summary, indent=1, ensure_ascii=False)[:-2])
                    file.write(',\n "records": [')
                while piece := self._rows.read(1 << 20):
                    file.write(piece)
                if not self._as_csv:
                    file.write("\n ]\n}\n")
            aside.rename(self.path)
        except OSError as error:
            aside.unlink(missing_ok=True)
            raise _problem(self.path, f"cannot be written: {error.strerror}") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._rows.close()


def summary(
    exposures: Iterable[Exposure],
    logs: Sequence[LogRead],
    *,
    unreadable: int | None,
    unpriced: Iterable[str] | None,
) -> dict[str, Any]:
    """The whole as JSON has it. `unpriced` None: there was no price list."""
    return {
        "made_by": f"gauger {__version__}",
        "clusters": [_exposure(one, priced=unpriced is not None) for one in exposures],
        "models_priced_highest": None if unpriced is None else sorted(unpriced),
        "unreadable_records": unreadable,
        "logs": [
            {
                "log": log.id,
                "directory": log.directory.name,
                "first_seq": log.first_seq,
                "last_seq": log.last_seq,
                "last_hash": log.last_hash,
            }
            for log in logs
        ],
    }


def _exposure(exposure: Exposure, *, priced: bool) -> dict[str, Any]:
    return {
        "cluster": exposure.cluster,
        "accounts": exposure.members,
        "accounts_in_log": len(exposure.seen),
        "contained_at": iso(exposure.contained_ns),
        "models": [
            {"model": model, "contained": after, **_tally(tally, priced=priced)}
            for (model, after), tally in sorted(exposure.by.items())
        ],
        "total": _tally(exposure.total(), priced=priced),
    }


def _tally(tally: Tally, *, priced: bool) -> dict[str, Any]:
    said = {name: getattr(tally, name) for name in Tally.__slots__ if not name.endswith("_ns")}
    cost = said.pop("cost")
    return said | {
        "cost_millionths": cost if priced else None,
        "first": iso(tally.first_ns or None),
        "last": iso(tally.last_ns or None),
    }


def _values(row: Row, log: LogRead) -> tuple[Any, ...]:
    used, ended = row.usage, row.ended
    return (
        row.cluster,
        row.decision.id,
        row.decision.account,
        iso(row.decision.at_ns),
        row.model,
        row.verdict,
        row.after,
        used.input_tokens if used else None,
        used.output_tokens if used else None,
        row.cost if used else None,
        log.id,
        row.decision.seq,
        row.decision.hash,
        ended.type if ended else None,
        ended.seq if ended else None,
        ended.hash if ended else None,
    )


def _harmless(value: Any) -> Any:
    """Names of models are the callers' own: no cell begins as a formula does."""
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULA) else value


def _problem(path: Path, message: str) -> ProblemsError:
    return ProblemsError([Problem(str(path), 0, 0, message)])
