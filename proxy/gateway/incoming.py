"""What comes back from upstream: its head for the client, and how its body is to be read."""

from dataclasses import dataclass

import aiohttp

from proxy.gateway.headers import BadHeaders, client_headers, warning_headers
from proxy.gateway.outgoing import NOTHING_ASKED, alteration_of, asks_for_usage
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
    weighed: Weighed, decision: Decision, response: aiohttp.ClientResponse
) -> Incoming | Failure:
    """The answer to be passed on; a failure where its head cannot be."""
    received = Received(
        response.status,
        response.headers.get("Content-Type"),
        response.headers.get("Content-Encoding"),
    )
    assert weighed.surface is not None
    hide_usage = received.streamed and asks_for_usage(weighed)
    reader = reader_of(
        weighed.surface,
        weighed.asked or NOTHING_ASKED,
        received,
        hide_usage=hide_usage,
        alteration=alteration_of(decision.modifiers),
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
