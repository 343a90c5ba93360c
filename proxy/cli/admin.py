"""Asking the admin listener of a running gateway, as `gauger health` and `gauger disarm` do."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from typing import Any

from proxy.settings.schema import Settings

ANYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 (where to ask, not to listen)
MAX_ANSWER_BYTES = 16 * 2**20


class AdminError(Exception):
    """Why there is no answer that could be used, for the person at the keyboard."""


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer of the admin listener."""

    status: int
    body: bytes

    def json(self) -> dict[str, Any]:
        """The body as a JSON object. AdminError where it is none: something else listens there."""
        try:
            found = json.loads(self.body)
        except ValueError:
            found = None
        if not isinstance(found, dict):
            msg = (
                f"what answers at admin.listen is no Gauger, or one of another version "
                f"(status {self.status}, not a JSON object)"
            )
            raise AdminError(msg)
        return found


def address(settings: Settings) -> tuple[str, int]:
    """Where to ask: the address that the settings say to listen on, as one that can be reached."""
    host, _, port = settings.admin.listen.rpartition(":")
    host = host.strip("[]")
    return ANYWHERE.get(host, host), int(port)


def ask(
    settings: Settings,
    method: str,
    path: str,
    *,
    headers: Mapping[str, str] | None = None,
    body: bytes | None = None,
    timeout_s: float = 10.0,
) -> Reply:
    """One request; AdminError where no answer comes."""
    host, port = address(settings)
    connection = HTTPConnection(host, port, timeout=timeout_s)
    try:
        connection.request(method, path, body=body, headers=dict(headers or {}))
        response = connection.getresponse()
        return Reply(response.status, response.read(MAX_ANSWER_BYTES))
    except (OSError, HTTPException) as error:
        msg = f"no answer from {settings.admin.listen} (admin.listen): {error}; is it running here?"
        raise AdminError(msg) from error
    finally:
        connection.close()
