"""What cannot be done to an exchange refuses it."""

import pytest

from proxy.model.decision import Decision, LimitState, Modifiers, Refusal
from proxy.model.exchange import BodyKind, Dialect, Surface
from proxy.model.verdict import Durability, RefusalKind, Unit, Verdict
from proxy.pipeline.enactable import NOT_IN_THIS_FORM, enactable

CHAT = Surface("chat.completions", Dialect.OPENAI, BodyKind.JSON, generates=True)
EARS = Surface("audio", Dialect.OPENAI, BodyKind.OPAQUE, generates=True)
LIMIT = LimitState("r", Unit.REQUESTS, 5, 4, 60, 0)


def decided(modifiers):
    return Decision(
        verdict=Verdict.DELAY,
        spoke=(),
        shadow=(),
        refusal=None,
        limits=(LIMIT,),
        durability=Durability.ASYNC,
        policy="sha256:0",
        index=0,
        delay_s=2.0,
        modifiers=modifiers,
        warnings=("w",),
    )


def test_what_cannot_be_enacted_is_denied_and_changed_in_nothing():
    said = enactable(EARS, decided(Modifiers(reroute="m")))
    assert said.verdict is Verdict.DENY
    assert said.refusal == Refusal(RefusalKind.PERMISSION, NOT_IN_THIS_FORM, should_retry=False)
    assert (said.modifiers, said.delay_s, said.warnings) == (Modifiers(), 0.0, ())
    assert said.limits == ()
    (outcome,) = said.spoke
    assert (outcome.rule, outcome.why) == (
        "gauger.modifiers",
        "reroute:m: this body of audio is not read",
    )
    assert enactable(EARS, said) is said


@pytest.mark.parametrize(
    ("surface", "modifiers"),
    [(CHAT, Modifiers(reroute="m")), (EARS, Modifiers(max_tokens=5)), (EARS, Modifiers())],
)
def test_what_can_be_enacted_stays_as_it_was_decided(surface, modifiers):
    said = decided(modifiers)
    assert enactable(surface, said) is said
