"""A request changed as the policy says, before it goes on: another model, a bound, less asked for.

Only the members concerned are touched, every other byte stays as the client wrote it. Bodies must
have been read (`proxy.wire.request.read`) before. What comes back although it was not asked for is
taken out of the answer (`proxy.wire.strip`).

Fields: https://platform.openai.com/docs/api-reference (chat/create, completions/create,
responses/create), https://docs.anthropic.com/en/api/messages and, for the edits of a context,
https://docs.anthropic.com/en/docs/build-with-claude/context-editing.
"""

from collections.abc import Callable
from dataclasses import dataclass

import msgspec
from msgspec import Struct

from proxy.model.decision import Modifiers
from proxy.model.exchange import Asked, BadRequest, BodyKind, Surface
from proxy.wire.clamp import clamped
from proxy.wire.jsontext import RepeatedNameError, mend_surrogates
from proxy.wire.rewrite import in_each, in_member, in_object, without
from proxy.wire.splice import set_member


def unenactable(surface: Surface, modifiers: Modifiers) -> str | None:
    """Why these modifiers cannot be enacted on an exchange of the surface, or None if they can.

    Such an exchange must be refused: it would go to the wrong model, or carry what it must not.
    What does not concern a surface (a bound on a list of models) is enacted by doing nothing.
    """
    if not modifiers:
        return None
    opaque = surface.body is BodyKind.OPAQUE
    # A batch of OpenAI's names a file of requests; a path that no surface claims may be anything.
    if surface.name == "open" or (surface.name == "batches" and surface.body is BodyKind.JSON):
        return f"{', '.join(modifiers.words())}: what is asked on {surface.name} is not read"
    if modifiers.reroute is not None and opaque and surface.generates:
        return f"reroute:{modifiers.reroute}: this body of {surface.name} is not read"
    return None


def modified(
    surface: Surface, path: str, body: bytes, asked: Asked, modifiers: Modifiers
) -> bytes | BadRequest:
    """The body as it is to be sent; the same object where nothing changes.

    `path` tells the surface's own path from those below it, which take fewer parameters. Returns
    a BadRequest where what has to change stands there twice.
    """
    if surface.body is not BodyKind.JSON or not modifiers:
        return body
    try:
        if surface.name == "messages.batches":
            one = _Changing("messages", modifiers, bound_of(modifiers, Asked()))
            entry = in_each(lambda entry: in_member(entry, "params", one.of))
            return in_member(body, "requests", entry)
        bounded = surface.generates and not path.endswith("/compact")
        bound = bound_of(modifiers, asked) if bounded else None
        return _Changing(surface.name, modifiers, bound).of(body)
    except RepeatedNameError as twice:
        return BadRequest(f"The request body names {twice.name!r} more than once.", twice.name)


def bound_of(modifiers: Modifiers, asked: Asked) -> int | None:
    """The bound of output tokens to ask for, of each choice.

    A stream is cut on its way; an answer that comes whole is bounded beforehand instead.
    """
    bounds = [] if modifiers.max_tokens is None else [modifiers.max_tokens]
    if modifiers.cut_after is not None and not asked.stream:
        bounds.append(max(1, modifiers.cut_after // asked.choices))
    return min(bounds, default=None)


@dataclass(frozen=True, slots=True)
class _Changing:
    """What is changed in one request of the surface `name`."""

    name: str
    modifiers: Modifiers
    bound: int | None

    def of(self, body: bytes) -> bytes:
        if self.modifiers.reroute is not None:
            body = _rerouted(body, self.modifiers.reroute)
        for part in self.modifiers.strip:
            if change := _NOT_ASKED.get((self.name, part)):
                body = change(body)
        return body if self.bound is None else clamped(self.name, body, self.bound)


def _rerouted(body: bytes, model: str) -> bytes:
    """Ask `model`, and no other: neither one to fall back to, nor with a credit that is another's.

    A request that names no model would get the upstream's own choice, so it names one then.
    """
    body = without(body, "fallbacks", "fallback_credit_token")
    return set_member(body, "model", msgspec.json.encode(model))


# -- less asked for ------------------------------------------------------------------------------


def _response_logprobs(body: bytes) -> bytes:
    return _without_included(without(body, "top_logprobs"), "message.output_text.logprobs")


def _response_reasoning(body: bytes) -> bytes:
    body = _without_included(body, "reasoning.encrypted_content")
    inner = in_object(lambda reasoning: without(reasoning, "summary", "generate_summary"))
    return in_member(body, "reasoning", inner)


def _message_reasoning(body: bytes) -> bytes:
    """Without `thinking`, and without the edits of the context that require it.

    Thinking that is only taken out of answers would break the callers' tool loops: each turn would
    have to give back the thinking that it never got.
    """
    body = without(body, "thinking")
    fallback = in_object(lambda entry: without(entry, "thinking"))
    body = in_member(body, "fallbacks", in_each(fallback))
    edits = in_object(lambda context: in_member(context, "edits", in_each(_thoughtless)))
    return in_member(body, "context_management", edits)


class _Typed(Struct):
    type: object = None


_TYPED: msgspec.json.Decoder[_Typed] = msgspec.json.Decoder(_Typed)


def _thoughtless(edit: bytes) -> bytes | None:
    """An edit of the context, unless it is of a kind that is refused where no thinking is on."""
    kind = _TYPED.decode(mend_surrogates(edit)).type if edit.startswith(b"{") else None
    return None if isinstance(kind, str) and kind.startswith("clear_thinking_") else edit


def _without_included(body: bytes, unwanted: str) -> bytes:
    def stays(value: bytes) -> bytes | None:
        text = msgspec.json.decode(mend_surrogates(value)) if value.startswith(b'"') else None
        return None if text == unwanted else value

    return in_member(body, "include", in_each(stays))


_NOT_ASKED: dict[tuple[str, str], Callable[[bytes], bytes]] = {
    ("chat.completions", "logprobs"): lambda body: without(
        body, "logprobs", "top_logprobs", "prompt_logprobs"
    ),
    ("completions", "logprobs"): lambda body: without(body, "logprobs", "prompt_logprobs"),
    ("responses", "logprobs"): _response_logprobs,
    ("responses", "reasoning"): _response_reasoning,
    ("messages", "reasoning"): _message_reasoning,
    ("messages.count_tokens", "reasoning"): _message_reasoning,
}
