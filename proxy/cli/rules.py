"""`gauger disarm`, `gauger arm` and `gauger rules`: which rules act, on a running gateway."""

import json
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from proxy.cli.admin import AdminError, Reply, ask
from proxy.settings.load import load
from proxy.settings.schema import Settings

TOKEN = "GAUGER_ADMIN_TOKEN"  # noqa: S105 (the name of a variable)
WIDE = 10_000  # columns


def change(config: Path, rule: str, verb: str, why: str) -> tuple[bool, str]:
    """Have a rule disarmed or armed; whether that went well, and what the gateway said."""
    settings = load(config, os.environ, upstreams=False)
    body = json.dumps({"why": why}).encode()
    if not rule.strip("."):
        msg = f'"{rule}" is not the id of a rule'
        raise AdminError(msg)
    path = f"/v1/rules/{quote(rule, safe='')}/{verb}"
    reply = _asked(settings, "POST", path, body=body)
    return reply.status == 200, _said(reply)


def rules(config: Path, *, as_json: bool) -> str:
    """The rules of the set in force, as a table or as JSON."""
    reply = _asked(load(config, os.environ, upstreams=False), "GET", "/v1/rules")
    if reply.status != 200:
        raise AdminError(_said(reply))
    told = reply.json()
    if as_json:
        return json.dumps(told, indent=2, ensure_ascii=False)
    # Folded to a terminal; where a program reads, a rule is a line.
    console = Console(width=None if sys.stdout.isatty() else WIDE)
    with console.capture() as captured:
        console.print(_table(told["rules"]))
    lines = [line.rstrip() for line in captured.get().splitlines()]
    return "\n".join([*lines, told["policy"]])


def token(environment: Mapping[str, str], prompt: Callable[[], str] | None) -> str:
    """The token of a principal: from the environment, or asked for; AdminError without one."""
    given = environment.get(TOKEN, "").strip()
    if not given and prompt is not None:
        given = prompt().strip()
    if not given:
        msg = f"no token: set {TOKEN} to that of a principal (admin.principals in the settings)"
        raise AdminError(msg)
    if not all("!" <= character <= "~" for character in given):
        msg = "a token has visible ASCII characters only, no blanks"
        raise AdminError(msg)
    return given


def _asked(settings: Settings, method: str, path: str, *, body: bytes | None = None) -> Reply:
    secret = token(os.environ, prompted if sys.stdin.isatty() else None)
    headers = {"Authorization": f"Bearer {secret}"}
    reply = ask(settings, method, path, headers=headers, body=body)
    if reply.status == 401:
        msg = (
            f"{settings.admin.listen} does not know this token: it must be that of a principal "
            f"(gauger key hash makes the token_sha256 of admin.principals)"
        )
        raise AdminError(msg)
    return reply


def prompted() -> str:
    """The token, asked for at the terminal."""
    # Asked on standard error: what a command prints can be piped on.
    return str(typer.prompt("Token", hide_input=True, err=True))


def _said(reply: Reply) -> str:
    said = reply.json().get("result")
    return said if isinstance(said, str) else f"status {reply.status}"


def _table(listed: list[dict[str, Any]]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("rule", "kind", "mode", "severity", "labels", "state"):
        table.add_column(heading, overflow="fold", no_wrap=heading == "rule")
    for rule in listed:
        kind, mode, severity = (rule[name] or "-" for name in ("kind", "mode", "severity"))
        labels = " ".join(rule["labels"])
        cells = (rule["id"], kind, mode, severity, labels, _state(rule))
        table.add_row(*map(_cell, cells))
    return table


def _cell(text: str) -> str:
    return escape("".join(c if c.isprintable() else "?" for c in text))


def _state(rule: Mapping[str, Any]) -> str:
    held = rule["disarmed"]
    if held is None:
        return "armed"
    by = f"by {held['who']} since {held['since']}: {held['why']}"
    if rule["armed"]:
        return f"armed, for it is legal now; disarmed {by}"
    return f"disarmed {by}" if rule["kind"] else f"disarmed, not in the set now; {by}"
