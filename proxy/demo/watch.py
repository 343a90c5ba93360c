"""Decisions as they fall, read from the audit log, and the table that shows them."""

import asyncio
from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from proxy.audit.read import Entry, entries
from proxy.demo.world import ACCOUNTS
from proxy.engine.wording import asked, span
from proxy.facts.pseudonyms import Pseudonyms
from proxy.model.verdict import Unit

STYLES = {"allow": "green", "throttle": "yellow", "deny": "red"}
_ROWS = 16
_POLL_S = 0.2


@dataclass(frozen=True, slots=True)
class Shown:
    """One decision in words. `rule` and `why` are those of the rule that settled it."""

    at: str
    account: str
    country: str
    what: str
    verdict: str
    rule: str
    why: str

    @property
    def line(self) -> str:
        """The decision as one line of plain text."""
        place = f"{self.account} ({self.country or '?'})"
        told = f"{self.at}  {place:16}  {self.what:28}  {self.verdict:8}  {self.rule}"
        return told.rstrip()


class Watch:
    """Follows an audit log. The log holds pseudonyms; whoever has the key can tell who they are."""

    def __init__(self, directory: Path, pseudonyms: Pseudonyms, console: Console) -> None:
        self.decisions: list[Shown] = []
        self._directory = directory
        self._console = console
        self._accounts = {pseudonyms.of("account", one.account): one.account for one in ACCOUNTS}
        self._last = 0

    def read(self) -> list[Shown]:
        """The decisions since the last call."""
        fresh: list[Shown] = []
        for entry in entries(self._directory, types={"decision"}, after=self._last):
            self._last = entry.seq
            fresh.append(_shown(entry, self._accounts))
        self.decisions += fresh
        return fresh

    async def follow(self) -> None:
        """Show decisions until cancelled: in a live table at a terminal, else line by line."""
        await (self._follow_live() if self._console.is_terminal else self.follow_plainly())

    async def follow_plainly(self) -> None:
        """Print each decision as a line, until cancelled."""
        while True:
            for one in self.read():
                self._console.print(one.line, style=STYLES.get(one.verdict), **_AS_IS)
            await asyncio.sleep(_POLL_S)

    async def _follow_live(self) -> None:
        latest: deque[Shown] = deque(maxlen=_ROWS)
        with Live(console=self._console, auto_refresh=False) as live:
            while True:
                latest.extend(self.read())
                live.update(_table(latest, self.decisions), refresh=True)
                await asyncio.sleep(_POLL_S)


_AS_IS: dict[str, Any] = {"soft_wrap": True, "markup": False, "highlight": False}


def _table(latest: deque[Shown], every: list[Shown]) -> Table:
    counts = Counter(one.verdict for one in every)
    caption = Text("   ").join(
        Text(f"{verdict} {count}", STYLES.get(verdict, "")) for verdict, count in counts.items()
    )
    table = Table(title="Decisions as they fall", caption=caption, expand=True, min_width=70)
    for name in ("time", "account", "from", "what", "verdict", "rule"):
        table.add_column(name, no_wrap=True)
    for one in latest:
        verdict = Text(one.verdict, STYLES.get(one.verdict, ""))
        table.add_row(one.at, one.account, one.country, one.what, verdict, one.rule)
    return table


def _shown(entry: Entry, accounts: Mapping[str, str]) -> Shown:
    fields: dict[str, Any] = entry.fields
    facts = fields.get("facts", {})
    verdict = str(fields["verdict"])
    rule, why = _settled(fields, verdict)
    at = datetime.fromtimestamp(entry.at_ns / 1e9, UTC).strftime("%H:%M:%S")
    what = f"{facts.get('request.surface', '?')} {facts.get('request.model', '')}".strip()
    account = accounts.get(str(fields.get("account")), "(unknown)")
    return Shown(at, account, str(facts.get("client.country", "")), what, verdict, rule, why)


def _settled(fields: dict[str, Any], verdict: str) -> tuple[str, str]:
    """The first rule whose verdict became the exchange's, and what it said."""
    if verdict == "allow":
        return "", ""
    for rule, _, said, *why in fields.get("rules", []):
        if said == verdict:
            return rule, why[0] if why else _exceeded(fields, rule)
    return "", ""


def _exceeded(fields: dict[str, Any], wanted: str) -> str:
    for rule, unit, amount, limit, window_s, before, _, *share in fields.get("charges", []):
        counted = limit // share[0] if share else limit
        if rule == wanted and before is not None and before + amount > counted:
            return asked(Unit(unit), before, amount, counted, span(Unit(unit), window_s))
    return ""
