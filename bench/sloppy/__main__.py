"""`python -m bench.sloppy`: sloppy clients, charged and true usage. See bench/README.md."""

import json
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import structlog
import typer
import uvloop
from rich.console import Console

from bench.report import machine, table
from bench.sloppy.clients import KINDS
from bench.sloppy.measure import UNITS, Measured, measure

HEAD = (
    *("client", "requests sent", "refused", "true output", "charged output"),
    *(f"{unit}, charged/true" for unit in ("requests", "input", "output", "cost")),
    *("over the limit", "slots leaked"),
)


def main(
    out: Annotated[Path, typer.Option(help="Where results go.")] = Path("bench/out"),
    only: Annotated[str, typer.Option(help="Only kinds of clients with this in the name.")] = "",
) -> None:
    """Let every kind of client loose on a gateway, and write a page."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    out.mkdir(parents=True, exist_ok=True)
    with Console(stderr=True).status("about a minute"):
        measured = uvloop.run(measure([kind for kind in KINDS if only in kind]))
    (out / "sloppy.json").write_text(json.dumps([asdict(one) for one in measured], indent=1) + "\n")
    page = text(measured)
    (out / "sloppy.md").write_text(page, encoding="utf-8")
    Console().print(page, markup=False, highlight=False)


def text(measured: Iterable[Measured]) -> str:
    """The page."""
    rows = [
        (
            one.kind,
            one.sent,
            one.refused,
            one.true["output_tokens"],
            one.charged["output_tokens"],
            *(_ratio(one.ratio(unit)) for unit in UNITS),
            "" if one.over is None else one.over,
            one.leaked,
        )
        for one in measured
    ]
    return f"""# Sloppy clients: what they are charged, and what they used

{machine()}. Each kind of client has an account of its own on a running gateway before
the emulated model API, which knows what it made and how much of it had left when a connection
ended. It writes a hundred tokens in a second after half a second; what comes whole takes that half
second. Charged is what the store holds for the account once nothing is under way.

{table(HEAD, rows)}

{NOTES}"""


NOTES = """\
*Charged/true* at 1 or a little above is the aim: below it somebody is served for nothing.

- **Hangs up in the middle of a stream.** What was delivered is charged by an estimate from its
  text; the emulated model's words, a token each, are estimated at 1.13. A stream that ends by
  itself is charged what was reported.
- **Hangs up before a whole answer.** Nobody ever tells what a model made of an answer that was
  given up. Gauger charges a hundred tokens for each second that the caller waited, at most what
  was reserved: a faster model is charged too little, a slower one too much. A stream that was left
  before its first byte is charged its input only.
- **Hangs up before a stream's first byte.** Whoever leaves while the request is being sent counts
  as one who was forwarded, whether or not the model API still took notice.
- **A model API that tells no usage.** Input and output are both estimates.
- **The hard limit.** The streams end at the limit by Gauger's estimate, which is what is charged;
  by the model's own count they had less. Before the end there is nothing else to go by: a
  tokenizer that needs more tokens than estimated, or reasoning that no event shows, passes the
  limit by as much, and the text of the event that reaches the limit still goes on. The limit that
  is not hard lets both streams go on, and refuses the next request.
- **Reads nothing of what is sent at once.** The model API had put most of the 60,000 tokens into
  buffers of the operating systems when the client was cut off. Charged is what had been passed on.
  At the pace of a real model the buffers hold more than a whole answer, as in the row before.
- **Broken uploads.** An upload that breaks off has reached the model API, and counts as a request.
  A body that breaks off or is no JSON is refused before anything is counted.
"""


def _ratio(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"


if __name__ == "__main__":
    typer.run(main)
