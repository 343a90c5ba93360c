"""What goes upstream once the policy has changed a request."""

import json

import pytest

from proxy.model.decision import Modifiers
from proxy.model.exchange import Asked, BadRequest, BodyKind, Dialect, Surface
from proxy.wire.modify import bound_of, modified, unenactable
from proxy.wire.request import read
from proxy.wire.surfaces import find

CHAT, COMPLETIONS = "/v1/chat/completions", "/v1/completions"
RESPONSES, MESSAGES = "/v1/responses", "/v1/messages"
BATCHES = "/v1/messages/batches"
REASONING, LOGPROBS = Modifiers(strip=("reasoning",)), Modifiers(strip=("logprobs",))
ANTHROPIC = (("anthropic-version", "2023-06-01"),)


def surface_of(path, method="POST"):
    found = find(method, path, ANTHROPIC if "messages" in path else ())
    assert found is not None
    return found


def change(path, body, modifiers):
    """The changed body; what the client asked for is read from it as the gateway does."""
    surface = surface_of(path)
    text = body if isinstance(body, bytes) else json.dumps(body).encode()
    asked = read(surface, text)
    assert isinstance(asked, Asked)
    return modified(surface, path, text, asked, modifiers)


def changed(path, body, modifiers):
    got = change(path, body, modifiers)
    assert isinstance(got, bytes)
    return json.loads(got)


# -- another model -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path", [CHAT, COMPLETIONS, RESPONSES, MESSAGES, "/v1/embeddings", "/v1/images/generations"]
)
def test_another_model_takes_the_place_of_the_one_named_and_no_other_byte_changes(path):
    body = b'{\n  "model" : "m-large" ,\t"temperature": 1.50, "x":"m-large","user": "\\u00e9"}'
    got = change(path, body, Modifiers(reroute="m-small"))
    assert got == body.replace(b'"m-large" ', b'"m-small" ')


def test_a_request_that_names_no_model_names_one_then():
    assert changed(CHAT, {"messages": []}, Modifiers(reroute="m")) == {"model": "m", "messages": []}


def test_another_model_has_none_to_fall_back_to():
    body = {"model": "a", "fallbacks": [{"model": "b"}], "fallback_credit_token": "t"}
    assert changed(MESSAGES, body, Modifiers(reroute="m")) == {"model": "m"}


def test_every_request_of_a_batch_goes_to_the_other_model():
    params = {"model": "m-large", "max_tokens": 900, "messages": [], "thinking": {"type": "x"}}
    body = {"requests": [{"custom_id": "a", "params": params}, {"params": params}]}
    all_of_it = Modifiers(("reasoning",), "m-small", max_tokens=500, cut_after=300)
    wanted = {"model": "m-small", "max_tokens": 300, "messages": []}
    assert changed(BATCHES, body, all_of_it) == {
        "requests": [{"custom_id": "a", "params": wanted}, {"params": wanted}]
    }


@pytest.mark.parametrize(("body", "modifiers"), [({"requests": None}, REASONING), ({}, REASONING)])
def test_a_batch_without_requests_stays(body, modifiers):
    assert changed(BATCHES, body, modifiers) == body


# -- a bound -------------------------------------------------------------------------------------

BOUND = Modifiers(max_tokens=500)


@pytest.mark.parametrize(
    ("path", "asked", "sent"),
    [
        (CHAT, {}, {"max_completion_tokens": 500}),
        (CHAT, {"max_tokens": 900}, {"max_tokens": 500}),
        (CHAT, {"max_completion_tokens": 900}, {"max_completion_tokens": 500}),
        (CHAT, {"max_tokens": 400}, {"max_tokens": 400}),
        (CHAT, {"max_tokens": None}, {"max_tokens": None, "max_completion_tokens": 500}),
        (
            CHAT,
            {"max_tokens": 900, "max_completion_tokens": 800},
            {"max_tokens": 500, "max_completion_tokens": 500},
        ),
        (RESPONSES, {}, {"max_output_tokens": 500}),
        (RESPONSES, {"max_output_tokens": 501}, {"max_output_tokens": 500}),
        (RESPONSES, {"max_output_tokens": 499}, {"max_output_tokens": 499}),
        (COMPLETIONS, {"max_tokens": 900}, {"max_tokens": 500}),
        (COMPLETIONS, {}, {"max_tokens": 16}),
        (MESSAGES, {"max_tokens": 900}, {"max_tokens": 500}),
        (MESSAGES, {"max_tokens": 500}, {"max_tokens": 500}),
        (MESSAGES, {}, {"max_tokens": 500}),
        ("/v1/embeddings", {}, {}),
        ("/v1/messages/count_tokens", {}, {}),
        ("/v1/responses/compact", {}, {}),
        ("/v1/responses/input_tokens", {}, {}),
    ],
)
def test_a_bound_is_put_into_the_field_of_the_surface(path, asked, sent):
    assert changed(path, {"model": "m"} | asked, BOUND) == {"model": "m"} | sent


def test_what_needs_no_change_stays_the_same_bytes():
    body = b'{"model":"m","max_tokens":100}'
    assert change(CHAT, body, BOUND) is body
    assert change(CHAT, body, LOGPROBS) is body
    assert change(CHAT, body, Modifiers()) is body


def test_a_response_is_never_asked_for_fewer_tokens_than_the_api_takes():
    assert changed(RESPONSES, {}, Modifiers(max_tokens=5)) == {"max_output_tokens": 16}


@pytest.mark.parametrize(
    ("bound", "asked", "sent"),
    [
        (4000, {"max_tokens": 16000, "thinking": {"type": "enabled", "budget_tokens": 8000}}, 2000),
        (1500, {"max_tokens": 16000, "thinking": {"type": "enabled", "budget_tokens": 8000}}, 1024),
        (1024, {"max_tokens": 16000, "thinking": {"type": "enabled", "budget_tokens": 8000}}, None),
        (4000, {"max_tokens": 3000, "thinking": {"type": "enabled", "budget_tokens": 2900}}, 2900),
        (4000, {"thinking": {"type": "enabled", "budget_tokens": 8000}}, 2000),
        (4000, {"max_tokens": 9000, "thinking": {"type": "adaptive"}}, "adaptive"),
    ],
)
def test_a_budget_of_thinking_stays_valid_below_the_bound(bound, asked, sent):
    got = changed(MESSAGES, asked, Modifiers(max_tokens=bound))
    thinking = got.get("thinking")
    if isinstance(sent, int):
        assert thinking == {"type": "enabled", "budget_tokens": sent}
        assert 1024 <= sent < got["max_tokens"]
    else:
        assert thinking == (sent and {"type": sent})


def test_a_model_to_fall_back_to_is_bounded_and_asked_no_thoughts_too():
    thinks = {"type": "enabled", "budget_tokens": 2000}
    body = {"fallbacks": [{"model": "b", "max_tokens": 900, "thinking": thinks}, "odd"]}
    both = Modifiers(strip=("reasoning",), max_tokens=500)
    got = changed(MESSAGES, body, both)
    assert got["fallbacks"] == [{"model": "b", "max_tokens": 500}, "odd"]


@pytest.mark.parametrize(
    ("modifiers", "asked", "bound"),
    [
        (Modifiers(max_tokens=500, cut_after=300), Asked(), 300),
        (Modifiers(max_tokens=200, cut_after=300), Asked(), 200),
        (Modifiers(cut_after=300), Asked(stream=True), None),
        (Modifiers(cut_after=300), Asked(choices=4), 75),
        (Modifiers(cut_after=3), Asked(choices=4), 1),
    ],
)
def test_only_an_answer_that_comes_whole_is_bounded_by_where_a_stream_is_cut(
    modifiers, asked, bound
):
    assert bound_of(modifiers, asked) == bound


# -- less asked for ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "modifiers", "asked", "sent"),
    [
        (CHAT, LOGPROBS, {"logprobs": True, "top_logprobs": 5, "n": 2}, {"n": 2}),
        (CHAT, REASONING, {"reasoning_effort": "high"}, {"reasoning_effort": "high"}),
        (
            COMPLETIONS,
            LOGPROBS,
            {"logprobs": 5, "prompt_logprobs": 1, "echo": True},
            {"echo": True},
        ),
        (
            RESPONSES,
            LOGPROBS,
            {"top_logprobs": 3, "include": ["message.output_text.logprobs", "x"]},
            {"include": ["x"]},
        ),
        (RESPONSES, LOGPROBS, {"include": None}, {"include": None}),
        (
            RESPONSES,
            REASONING,
            {
                "reasoning": {"effort": "low", "summary": "auto", "generate_summary": "concise"},
                "include": ["reasoning.encrypted_content"],
            },
            {"reasoning": {"effort": "low"}, "include": []},
        ),
        (RESPONSES, REASONING, {"reasoning": None}, {"reasoning": None}),
        (
            MESSAGES,
            REASONING,
            {"thinking": {"type": "adaptive"}, "max_tokens": 9},
            {"max_tokens": 9},
        ),
        (
            MESSAGES,
            REASONING,
            {"context_management": {"edits": [{"type": "clear_thinking_20251015"}, {"type": "x"}]}},
            {"context_management": {"edits": [{"type": "x"}]}},
        ),
        ("/v1/messages/count_tokens", REASONING, {"thinking": {"type": "adaptive"}}, {}),
        ("/v1/embeddings", REASONING, {"thinking": 1}, {"thinking": 1}),
    ],
)
def test_what_must_not_come_back_is_not_asked_for(path, modifiers, asked, sent):
    assert changed(path, asked, modifiers) == sent


def test_what_has_to_change_and_stands_there_twice_is_refused():
    twice = b'{"requests":[{"params":{"model":"a","max_tokens":9,"model":"b"}}]}'
    got = change(BATCHES, twice, Modifiers(reroute="m"))
    assert isinstance(got, BadRequest)
    assert got.param == "model"


def test_a_lone_surrogate_in_the_prompt_stays():
    body = rb'{"max_tokens":900,"messages":[{"role":"user","content":"\ud800"}]}'
    assert change(MESSAGES, body, BOUND) == body.replace(b"900", b"500")


# -- what cannot be done -------------------------------------------------------------------------

EVERYTHING = Modifiers(("logprobs",), "m", max_tokens=5, cut_after=5)


@pytest.mark.parametrize(
    ("path", "method", "modifiers", "enactable"),
    [
        (CHAT, "POST", EVERYTHING, True),
        (BATCHES, "POST", EVERYTHING, True),
        ("/v1/images/generations", "POST", EVERYTHING, True),
        ("/v1/audio/transcriptions", "POST", Modifiers(reroute="m"), False),
        ("/v1/audio/transcriptions", "POST", LOGPROBS, True),
        ("/v1/images/edits", "POST", Modifiers(reroute="m"), False),
        ("/v1/images/edits", "POST", BOUND, True),
        ("/v1/batches", "POST", BOUND, False),
        ("/v1/batches", "POST", Modifiers(), True),
        ("/v1/batches/b-1/cancel", "POST", EVERYTHING, True),
        ("/v1/batches", "GET", EVERYTHING, True),
        ("/v1/models", "GET", EVERYTHING, True),
        ("/v1/files", "POST", EVERYTHING, True),
    ],
)
def test_modifiers_that_cannot_be_enacted_say_so(path, method, modifiers, enactable):
    assert (unenactable(surface_of(path, method), modifiers) is None) is enactable


def test_nothing_can_be_changed_on_a_path_that_no_surface_claims():
    opened = Surface("open", Dialect.OPENAI, BodyKind.OPAQUE, generates=False)
    assert unenactable(opened, BOUND) == "clamp:500: what is asked on open is not read"
    assert unenactable(opened, Modifiers()) is None
