"""What an exchange of a case comes to: for the caller, for the model API, and for the record.

Rendered as the gateway does it, at the moment of the case's clock.
"""

from dataclasses import dataclass

import msgspec

from proxy.gateway.body import Body
from proxy.gateway.headers import warning_headers
from proxy.gateway.outgoing import outgoing
from proxy.model.decision import Decision, LimitState, Refusal
from proxy.model.exchange import BodyKind, Headers
from proxy.model.plan import Readings
from proxy.model.record import Json, Record
from proxy.pipeline.weigh import Weighed
from proxy.trial.case import Step
from proxy.wire.limit_headers import limit_headers
from proxy.wire.refuse import answer


@dataclass(frozen=True, slots=True)
class Said:
    """What came of one exchange.

    `status` and `headers` are what the caller gets (of an answer that is passed on: what is
    Gauger's own), `body` the refusal, `sent` the JSON that the model API is asked with.
    """

    weighed: Weighed
    readings: Readings
    decision: Decision
    record: Record
    status: int
    headers: Headers
    body: Json = None
    sent: Json = None


def told(
    step: Step, weighed: Weighed, readings: Readings, decision: Decision, record: Record
) -> Said:
    """What the caller is told, and the model API asked, in the gateway's own way."""
    if decision.refusal is not None:
        given = _answer(weighed, decision.refusal, decision.limits)
        return Said(weighed, readings, decision, record, *given)
    sent: Json = None
    arrival, surface = weighed.arrival, weighed.surface
    if arrival.body is not None and surface is not None and surface.body is BodyKind.JSON:
        body = Body(arrival.body, arrival.body)
        request = outgoing(weighed, body, decision.modifiers)
        if isinstance(request, Refusal):
            return Said(weighed, readings, decision, record, *_answer(weighed, request, ()))
        sent = msgspec.json.decode(request.content or b"null")
    headers = (
        *limit_headers(weighed.dialect, decision.limits, arrival.at_ns),
        *warning_headers(decision.warnings),
    )
    status = step.response.status if step.response else 200
    return Said(weighed, readings, decision, record, status, headers, None, sent)


def _answer(
    weighed: Weighed, refusal: Refusal, limits: tuple[LimitState, ...]
) -> tuple[int, Headers, Json]:
    arrival = weighed.arrival
    given = answer(
        weighed.dialect,
        refusal,
        limits,
        exchange_id=arrival.id,
        at_ns=arrival.at_ns,
        head=arrival.method == "HEAD",
    )
    return given.status, given.headers, msgspec.json.decode(given.body or b"null")
