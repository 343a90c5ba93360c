"""The admin listener: health, readiness, metrics, and actions of named principals.

Actions need the token of a principal with the role for it. Each attempt to change something,
refused ones too, is recorded in the audit log with the principal's name before it is answered.
"""

import asyncio
import hashlib
import hmac
import json
import re
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import msgspec
from aiohttp import web

from proxy.audit.errors import AuditUnavailable
from proxy.audit.log import AuditLog
from proxy.gateway import record_action
from proxy.gateway.headers import SERVER
from proxy.gateway.ids import exchange_id
from proxy.gateway.metrics import Metrics
from proxy.gateway.record_action import RecordAction, RecordWanted, RefusedError
from proxy.gateway.siblings import Respond, Siblings
from proxy.model.record import Json, Record
from proxy.settings.schema import Principal

ROLES = {"viewer": 0, "operator": 1}
MAX_BODY_BYTES = 64 * 1024
BODY_TIMEOUT_S = 10.0
WHY_CHARACTERS = 500
# What of a path may stand in a record: ids as policies have them.
_ID = re.compile(r"[a-z][a-z0-9-]{0,62}")


class Nothing(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of an action that needs none: empty, or an empty object."""


class Why(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of an action that must be accounted for."""

    why: str

    def __post_init__(self) -> None:
        """ValueError for what is not one line of text."""
        text = self.why
        if not text.strip() or not text.isprintable() or len(text) > WHY_CHARACTERS:
            msg = f"why is one line of 1 to {WHY_CHARACTERS} printable characters"
            raise ValueError(msg)


Body = Nothing | Why | RecordWanted
EXAMPLES: Mapping[type[Body], str] = {
    Nothing: "{}",
    Why: '{"why": "…"}',
    RecordWanted: '{"capture": false, "why": "…"}',
}


@dataclass(frozen=True, slots=True)
class Call:
    """An action asked for by somebody who may: who, the parameters of the path, the body."""

    principal: str
    path: Mapping[str, str]
    body: Any


@dataclass(frozen=True, slots=True)
class Told:
    """What is answered: `said` in words (recorded too), or `data` where there is more to tell."""

    status: int
    said: str
    data: Mapping[str, Json] | None = None


@dataclass(frozen=True, slots=True)
class Action:
    """Something that a principal can do: where, the role it takes, and what happens.

    `path` may have parameters, such as `/v1/rules/{rule}/arm`; the body is checked before `act`
    is called. An action that only reads (GET) is recorded where it is refused.
    """

    name: str
    method: str
    path: str
    role: str
    act: Callable[[Call], Awaitable[Told]]
    body: type[Body] = Nothing


async def _nothing(_: Call) -> Told:
    raise AssertionError("a recording is streamed")


RECORD = Action("record", "POST", record_action.PATH, "operator", _nothing, RecordWanted)


class Admin:
    """The admin listener's answers. `readiness` gives (ready, details).

    Where there are siblings, health and metrics are those of all workers, whoever is asked; `own`
    is what they are told, by path.
    """

    def __init__(
        self,
        principals: list[Principal],
        actions: Sequence[Action],
        readiness: Callable[[], tuple[bool, dict[str, Json]]],
        refresh_gauges: Callable[[], None],
        metrics: Metrics,
        audit: AuditLog,
        siblings: Siblings | None = None,
        recording: Callable[[Callable[[web.Request], bool]], RecordAction] | None = None,
    ) -> None:
        self._record = recording(self.may_record) if recording else None
        self.own: Mapping[str, Respond] = {
            "/metrics": self._metrics_own,
            "/readyz": self._ready_own,
            **({record_action.PATH: self._record.own} if self._record else {}),
        }
        self._siblings = siblings
        self._principals = principals
        self._actions = actions
        self._readiness = readiness
        self._refresh_gauges = refresh_gauges
        self._metrics = metrics
        self._audit = audit

    def app(self) -> web.Application:
        """The application to serve on the admin address."""
        app = web.Application(client_max_size=MAX_BODY_BYTES)
        app.on_response_prepare.append(_named)
        app.router.add_get("/healthz", self._healthz)
        app.router.add_get("/readyz", self._readyz)
        app.router.add_get("/metrics", self._metrics_text)
        for action in self._actions:
            app.router.add_route(action.method, action.path, partial(self._act, action))
        if self._record is not None:
            app.router.add_route("POST", record_action.PATH, partial(self._act, RECORD))
        return app

    def may_record(self, request: web.Request) -> bool:
        """Whether a request has the token of somebody who may record."""
        principal = self._principal(request)
        return principal is not None and ROLES[principal.role] >= ROLES[RECORD.role]

    async def _healthz(self, _: web.Request) -> web.Response:
        return web.json_response({"status": "alive"})

    async def _readyz(self, _: web.Request) -> web.Response:
        ready, details = self._readiness()
        if self._siblings is not None:
            ready, details = await self._siblings.readiness(ready, details)
        return _readiness(ready, details)

    async def _ready_own(self, _: web.Request) -> web.Response:
        return _readiness(*self._readiness())

    async def _metrics_text(self, _: web.Request) -> web.Response:
        self._refresh_gauges()
        own = self._metrics.text()
        return _text(own if self._siblings is None else await self._siblings.metrics(own))

    async def _metrics_own(self, _: web.Request) -> web.Response:
        self._refresh_gauges()
        return _text(self._metrics.text())

    async def _act(self, action: Action, request: web.Request) -> web.StreamResponse:
        principal = self._principal(request)
        noted: dict[str, Json] = {
            "action": action.name,
            "principal": principal.name if principal else None,
            **{name: _recordable(value) for name, value in request.match_info.items()},
        }
        if principal is None:
            return await self._refused(noted, 401, "unknown token")
        body = await _read(request, action.body)
        if isinstance(body, Told):
            problem = body
        else:
            problem = None
            noted |= msgspec.to_builtins(body)
        if ROLES[principal.role] < ROLES[action.role]:
            return await self._refused(noted, 403, f"needs the role {action.role}")
        if problem is not None:
            return await self._refused(noted, problem.status, problem.said)
        call = Call(principal.name, dict(request.match_info), body)
        if action.method == "GET":
            return _answer(await action.act(call))
        return await self._acted(action, call, request, noted)

    async def _acted(
        self, action: Action, call: Call, request: web.Request, noted: Mapping[str, Json]
    ) -> web.StreamResponse:
        if not await self._recorded(noted, "accepted"):
            return _answer(NOT_RECORDED)
        if action is RECORD:
            return await self._streamed(call, request, noted)
        told = await action.act(call)
        await self._recorded(noted, told.said)
        return _answer(told)

    async def _streamed(
        self, call: Call, request: web.Request, noted: Mapping[str, Json]
    ) -> web.StreamResponse:
        """A recording, for as long as the operator listens; how it ended is recorded as well."""
        assert self._record is not None
        try:
            response, said = await self._record.stream(call.body, request)
        except RefusedError as refused:
            return await self._refused(noted, refused.status, str(refused))
        await self._recorded(noted, said)
        return response

    async def _refused(self, noted: Mapping[str, Json], status: int, said: str) -> web.Response:
        recorded = await self._recorded(noted, said)
        return _answer(Told(status, said) if recorded else NOT_RECORDED)

    def _principal(self, request: web.Request) -> Principal | None:
        """Whose token it is. Every hash is compared, each in constant time."""
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        digest = hashlib.sha256(token.strip().encode("utf-8", "surrogateescape")).hexdigest()
        found = [p for p in self._principals if hmac.compare_digest(p.token_sha256, digest)]
        return found[0] if found and scheme.lower() == "bearer" else None

    async def _recorded(self, noted: Mapping[str, Json], result: str) -> bool:
        at_ns = time.time_ns()
        fields: dict[str, Json] = {**noted, "result": result}
        try:
            position = self._audit.append(Record("admin", exchange_id(at_ns), at_ns, fields))
            await self._audit.wait_durable(position)
        except AuditUnavailable:
            return False
        return True


NOT_RECORDED = Told(503, "The audit log cannot be written, so nothing is done.")


async def _read(request: web.Request, kind: type[Body]) -> Body | Told:
    """The checked body, or what is wrong with it."""
    try:
        async with asyncio.timeout(BODY_TIMEOUT_S):
            raw = await request.read()
    except web.HTTPRequestEntityTooLarge:
        return Told(413, f"the body is longer than {MAX_BODY_BYTES} bytes")
    except TimeoutError:
        return Told(408, f"the body did not arrive within {BODY_TIMEOUT_S:g} s")
    if not raw and kind is Nothing:
        return Nothing()
    try:
        return msgspec.json.decode(raw, type=kind)
    except msgspec.DecodeError as error:
        return Told(400, f"write {EXAMPLES[kind]} as the body ({error})")


def _recordable(value: str) -> str | None:
    return value if _ID.fullmatch(value) else None


async def _named(_: web.Request, response: web.StreamResponse) -> None:
    response.headers["Server"] = SERVER


def _readiness(ready: bool, details: Mapping[str, Json]) -> web.Response:
    body = {"status": "ready" if ready else "not ready", **details}
    return web.json_response(body, status=200 if ready else 503, dumps=_dumps)


def _text(metrics: bytes) -> web.Response:
    headers = {"Content-Type": "text/plain; version=0.0.4; charset=utf-8"}
    return web.Response(body=metrics, headers=headers)


def _answer(told: Told) -> web.Response:
    body = {"result": told.said} if told.data is None else told.data
    return web.json_response(body, status=told.status)


def _dumps(value: object) -> str:
    return json.dumps(value, indent=2) + "\n"
