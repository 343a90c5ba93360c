"""Many runs, each in a fresh process, some at a time, under one progress bar."""

import logging
import multiprocessing
import queue
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import structlog
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from bench.campaigns.kept import keep
from bench.campaigns.stage import Job, write


@dataclass(frozen=True, slots=True)
class Message:
    """What a run's process says: exchanges done, or how it ended."""

    job: int
    exchanges: int = 0
    result: dict[str, Any] | None = None
    error: str | None = None


def run_all(jobs: list[Job], workers: int, *, write_only: bool = False) -> list[dict[str, Any]]:
    """Run all jobs, each in a fresh process, some at a time; results in the order of the jobs.

    Each result is also kept on disk as soon as it is there. RuntimeError says which run failed.
    """
    context = multiprocessing.get_context("spawn")
    said: multiprocessing.Queue[Message] = context.Queue()
    waiting = list(enumerate(jobs))[::-1]
    running: dict[int, Any] = {}
    results: dict[int, dict[str, Any]] = {}
    with _bar(jobs) as advance:
        while waiting or running:
            while waiting and len(running) < workers:
                number, job = waiting.pop()
                running[number] = context.Process(
                    target=run_one, args=(number, job, write_only, said), daemon=True
                )
                running[number].start()
            message = _next(said, running)
            advance(message)
            if message.error is not None:
                for process in running.values():
                    process.terminate()
                raise RuntimeError(f"{jobs[message.job].name}: {message.error}")
            if message.result is not None:
                results[message.job] = message.result
                running.pop(message.job).join()
                if not write_only:
                    keep(jobs[message.job], message.result)
    return [results[number] for number in range(len(jobs))]


def run_one(
    number: int, job: Job, write_only: bool, said: "multiprocessing.Queue[Message]"
) -> None:
    """One job in this process; what happens is put into `said`."""

    def step(exchanges: int) -> None:
        said.put(Message(number, exchanges))

    try:
        if write_only:
            write(job, step)
            said.put(Message(number, result={}))
            return
        structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
        from bench.campaigns.run import play  # noqa: PLC0415 (the session is not needed to write)

        said.put(Message(number, result=play(job, step)))
    except Exception as error:  # the boundary of the process: told to the parent
        said.put(Message(number, error=f"{type(error).__name__}: {error}"))


def _next(said: "multiprocessing.Queue[Message]", running: dict[int, Any]) -> Message:
    """The next message; a process that died without a word is an error."""
    while True:
        try:
            return said.get(timeout=1.0)
        except queue.Empty:
            for number, process in running.items():
                if not process.is_alive() and said.empty():
                    return Message(number, error=f"its process ended with {process.exitcode}")


@contextmanager
def _bar(jobs: list[Job]) -> Iterator[Any]:
    """A progress bar over all exchanges; the total is a plan until a run has told its own."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]} exchanges/s"),
        TimeRemainingColumn(),
    )
    plans = [job.planned() for job in jobs]
    done = [0] * len(jobs)
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task(f"{len(jobs)} runs", total=round(sum(plans)), rate="...")
        left = len(jobs)

        def advance(message: Message) -> None:
            nonlocal left
            done[message.job] += message.exchanges
            if message.result is not None:
                plans[message.job] = done[message.job]
                left -= 1
            progress.update(
                task,
                completed=sum(done),
                total=round(sum(plans)),
                description=f"{left} runs left" if left else "done",
                rate=f"{sum(done) / (progress.tasks[0].elapsed or 1):,.0f}",
            )

        yield advance
