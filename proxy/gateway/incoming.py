"""What comes back from upstream: its head for the client, and how its body is to be read."""

from dataclasses import dataclass, replace

import aiohttp

from proxy.gateway.headers import BadHeaders, client_headers, warning_headers
from proxy.gateway.outgoing import (
    NOTHING_ASKED,
    alteration_of,
    asks_for_usage,
    hard_reserve,
)
from proxy.gateway.relay import PassedOn
from proxy.gateway.upstream import Failure, malformed
from proxy.model.decision import Decision
from proxy.pipeline.weigh import Weighed
from proxy.wire.altered import reader_of
from proxy.wire.altered_body import Received
from proxy.wire.limit_headers import limit_headers
from proxy.wire.reading import AnswerReader
from proxy.wire.response import ResponseReader


@dataclass(frozen=True, slots=True)
class Incoming:
    """An answer whose head is here: what is sent to the client, through which reader."""

    stream: PassedOn
    reader: AnswerReader
    streamed: bool  # it is a stream of events


def incoming(
    weighed: Weighed,
    decision: Decision,
    response: aiohttp.ClientResponse,
    origin: str,
    upstream_path: str,
) -> Incoming | Failure:
    """The answer to be passed on; a failure where its head cannot be.

    `origin` is scheme://host as the caller reached us, `upstream_path` what stands before /v1 at
    the upstream.
    """
    received = Received(
        response.status,
        response.headers.get("Content-Type"),
        response.headers.get("Content-Encoding"),
    )
    assert weighed.surface is not None
    hide_usage = received.streamed and asks_for_usage(weighed)
    asked_of_it = alteration_of(decision.modifiers, hard_reserve(weighed))
    if weighed.surface.name == "messages.batches" and not received.streamed:
        asked_of_it = replace(asked_of_it, origin=origin, upstream_path=upstream_path)
    reader = reader_of(
        weighed.surface,
        weighed.asked or NOTHING_ASKED,
        received,
        hide_usage=hide_usage,
        alteration=asked_of_it,
    )
    ours = (
        *limit_headers(weighed.dialect, decision.limits, weighed.arrival.at_ns),
        *warning_headers(decision.warnings),
    )
    altered = not isinstance(reader, ResponseReader)
    try:
        headers = client_headers(response.raw_headers, ours, shortened=hide_usage, altered=altered)
    except BadHeaders:
        return malformed()
    reason = response.reason if response.reason and response.reason.isascii() else None
    stream = PassedOn(status=response.status, reason=reason, headers=headers)
    return Incoming(stream, reader, received.streamed)
