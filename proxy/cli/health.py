"""`gauger health`: what a container's health check runs."""

from collections.abc import Mapping
from pathlib import Path

from proxy.cli.admin import AdminError
from proxy.cli.admin import ask as ask_admin
from proxy.settings.load import load


def ask(config: Path, environment: Mapping[str, str], timeout_s: float = 2.0) -> tuple[bool, str]:
    """Whether the admin listener says that the gateway is well, and its words."""
    settings = load(config, environment, upstreams=False)
    try:
        reply = ask_admin(settings, "GET", "/healthz", timeout_s=timeout_s)
    except AdminError as error:
        return False, str(error)
    return reply.status == 200, reply.body[:1000].decode("utf-8", "replace").strip()
