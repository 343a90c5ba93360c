"""The admin listener: health, readiness, metrics, and actions of named principals.

Actions need the token of a principal with the role for it. Each attempt, refused ones too,
is recorded in the audit log with the principal's name before it is answered.
"""

import hashlib
import hmac
import json
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from aiohttp import web

from proxy.audit.errors import AuditUnavailable
from proxy.audit.log import AuditLog
from proxy.gateway.headers import SERVER
from proxy.gateway.ids import exchange_id
from proxy.gateway.metrics import Metrics
from proxy.model.record import Json, Record
from proxy.settings.schema import Principal

ROLES = {"viewer": 0, "operator": 1}


@dataclass(frozen=True, slots=True)
class Action:
    """Something that a principal can do: the role it takes, and what happens.

    `act` answers what to tell the principal and whether it went well.
    """

    name: str
    role: str
    act: Callable[[], Awaitable[tuple[bool, str]]]


class Admin:
    """The admin listener's answers. `readiness` gives (ready, details)."""

    def __init__(
        self,
        principals: list[Principal],
        actions: dict[str, Action],
        readiness: Callable[[], tuple[bool, dict[str, Json]]],
        refresh_gauges: Callable[[], None],
        metrics: Metrics,
        audit: AuditLog,
    ) -> None:
        self._principals = principals
        self._actions = actions
        self._readiness = readiness
        self._refresh_gauges = refresh_gauges
        self._metrics = metrics
        self._audit = audit

    def app(self) -> web.Application:
        """The application to serve on the admin address. Actions are keyed by their path."""
        app = web.Application(client_max_size=64 * 1024)
        app.on_response_prepare.append(_named)
        app.router.add_get("/healthz", self._healthz)
        app.router.add_get("/readyz", self._readyz)
        app.router.add_get("/metrics", self._metrics_text)
        for path in self._actions:
            app.router.add_post(path, self._act)
        return app

    async def _healthz(self, _: web.Request) -> web.Response:
        return web.json_response({"status": "alive"})

    async def _readyz(self, _: web.Request) -> web.Response:
        ready, details = self._readiness()
        body = {"status": "ready" if ready else "not ready", **details}
        return web.json_response(body, status=200 if ready else 503, dumps=_dumps)

    async def _metrics_text(self, _: web.Request) -> web.Response:
        self._refresh_gauges()
        return web.Response(
            body=self._metrics.text(),
            headers={"Content-Type": "text/plain; version=0.0.4; charset=utf-8"},
        )

    async def _act(self, request: web.Request) -> web.Response:
        action = self._actions[request.path]
        principal = self._principal(request)
        if principal is None:
            refused, status = "unknown token", 401
        elif ROLES[principal.role] < ROLES[action.role]:
            refused, status = f"needs the role {action.role}", 403
        else:
            refused, status = "", 200
        name = principal.name if principal else None
        if not await self._recorded(action.name, name, refused or "accepted"):
            return _told(503, "The audit log cannot be written, so nothing is done.")
        if refused:
            return _told(status, refused)
        went_well, said = await action.act()
        await self._recorded(action.name, name, said)
        return _told(200 if went_well else 409, said)

    def _principal(self, request: web.Request) -> Principal | None:
        """Whose token it is. Every hash is compared, each in constant time."""
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        digest = hashlib.sha256(token.strip().encode()).hexdigest()
        found = [p for p in self._principals if hmac.compare_digest(p.token_sha256, digest)]
        return found[0] if found and scheme.lower() == "bearer" else None

    async def _recorded(self, action: str, principal: str | None, result: str) -> bool:
        at_ns = time.time_ns()
        fields: dict[str, Json] = {"action": action, "principal": principal, "result": result}
        try:
            position = self._audit.append(Record("admin", exchange_id(at_ns), at_ns, fields))
            await self._audit.wait_durable(position)
        except AuditUnavailable:
            return False
        return True


async def _named(_: web.Request, response: web.StreamResponse) -> None:
    response.headers["Server"] = SERVER


def _told(status: int, said: str) -> web.Response:
    return web.json_response({"result": said}, status=status)


def _dumps(value: object) -> str:
    return json.dumps(value, indent=2) + "\n"
