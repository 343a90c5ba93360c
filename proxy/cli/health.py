"""`gauger health`: what a container's health check runs."""

from collections.abc import Mapping
from http.client import HTTPConnection, HTTPException
from pathlib import Path

from proxy.settings.load import load

ANYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1", "[::]": "::1"}  # noqa: S104 (where to ask, not to listen)


def ask(config: Path, environment: Mapping[str, str], timeout_s: float = 2.0) -> tuple[bool, str]:
    """Whether the admin listener says that the gateway is well, and its words."""
    settings = load(config, environment, upstreams=False)
    host, _, port = settings.admin.listen.rpartition(":")
    connection = HTTPConnection(ANYWHERE.get(host, host), int(port), timeout=timeout_s)
    try:
        connection.request("GET", "/healthz")
        response = connection.getresponse()
        return response.status == 200, response.read(1000).decode("utf-8", "replace").strip()
    except (OSError, HTTPException) as error:
        return False, f"no answer from {settings.admin.listen}: {error}"
    finally:
        connection.close()
