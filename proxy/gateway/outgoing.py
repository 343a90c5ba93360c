"""What goes upstream: the request as it came, or as the decision changes it."""

from dataclasses import dataclass

from msgspec.structs import replace
from multidict import CIMultiDict

from proxy.engine.topping import is_hard, may_grow
from proxy.gateway.body import Body
from proxy.gateway.headers import credential_header, upstream_headers
from proxy.gateway.upstream import Upstream
from proxy.model.decision import Modifiers, Refusal
from proxy.model.exchange import Asked, BadRequest
from proxy.model.verdict import RefusalKind
from proxy.pipeline.weigh import Weighed
from proxy.wire.alteration import UNALTERED, Alteration
from proxy.wire.cut import can_cut
from proxy.wire.modify import modified
from proxy.wire.splice import ask_for_stream_usage

NOTHING_ASKED = Asked()
BATCHED = frozenset({"files", "batches", "messages.batches"})  # surfaces that batches pass over


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A request to be sent.

    `content` is a body that was read; it is None where there is none, or where it is streamed
    through. `rewritten` says that it is not as it came, `plain` that the answer must come
    uncompressed and whole, because it may have to be changed.
    """

    content: bytes | None
    rewritten: bool
    plain: bool

    def headers(
        self, weighed: Weighed, upstream: Upstream, own: frozenset[str]
    ) -> "CIMultiDict[str]":
        """The header fields, without the length."""
        secret = upstream.secret
        return upstream_headers(
            weighed.arrival.headers,
            own=own,
            credential=credential_header(upstream.dialect, secret) if secret else None,
            plain=self.plain,
            rewritten=self.rewritten,
        )


def outgoing(weighed: Weighed, body: Body | None, modifiers: Modifiers) -> Outgoing | Refusal:
    """The request to be sent, or why it cannot be changed as it must be."""
    surface, asked = weighed.surface, weighed.asked or NOTHING_ASKED
    assert surface is not None
    hide_usage = asks_for_usage(weighed)
    reserved = hard_reserve(weighed)
    alteration = alteration_of(modifiers, reserved)
    if reserved is not None and (not asked.stream or asked.background):
        modifiers = replace(modifiers, cut_after=min(alteration.bounds))
    alters = bool(alteration and alteration.of(surface, streamed=True))
    if body is None:
        return Outgoing(None, rewritten=False, plain=alters or surface.name in BATCHED)
    text = modified(surface, weighed.arrival.path, body.text, asked, modifiers)
    if isinstance(text, BadRequest):
        kind = RefusalKind.BAD_REQUEST
        return Refusal(kind, text.message, param=text.param, should_retry=False)
    if hide_usage:
        text = ask_for_stream_usage(text)
    rewritten = hide_usage or text is not body.text
    plain = alters or hide_usage or surface.name in BATCHED
    return Outgoing(text if rewritten else body.raw, rewritten, plain)


def alteration_of(modifiers: Modifiers, reserved: int | None) -> Alteration:
    """What is asked of an answer: by the modifiers, and by a hard limit with `reserved` output."""
    if not modifiers and reserved is None:
        return UNALTERED
    return Alteration(modifiers.strip, modifiers.cut_after, reserved)


def hard_reserve(weighed: Weighed) -> int | None:
    """The output tokens that an answer under a hard limit has; None where it bounds itself."""
    wanted, surface = weighed.plan, weighed.surface
    if surface is None or not can_cut(surface):
        return None
    grows = is_hard(wanted) and may_grow(wanted, weighed.facts)
    return wanted.output_tokens if grows else None


def asks_for_usage(weighed: Weighed) -> bool:
    """Whether usage must be asked for in the client's place, and hidden from it."""
    surface, asked = weighed.surface, weighed.asked or NOTHING_ASKED
    if surface is None or surface.name != "chat.completions":
        return False
    return asked.stream and not asked.stream_usage
