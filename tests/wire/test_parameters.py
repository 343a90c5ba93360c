import json

import pytest

from proxy.wire.request import read

CHAT, RESPONSES, MESSAGES = "/v1/chat/completions", "/v1/responses", "/v1/messages"


@pytest.fixture
def asked(surface):
    def make(path, **body):
        return read(surface(path), json.dumps({"model": "m", **body}).encode())

    return make


@pytest.mark.parametrize(
    ("path", "body", "wanted"),
    [
        (CHAT, {}, ""),
        (CHAT, {"top_p": 0.9, "temperature": 0, "stream": False},
         "stream=False;temperature=0;top_p=0.9"),
        (CHAT, {"logprobs": True, "top_logprobs": 5}, "logprobs=true;top_logprobs=5"),
        (RESPONSES, {"reasoning": {"effort": "high"}, "max_output_tokens": 9},
         'max_output_tokens=9;reasoning={"effort": "high"}'),
        (MESSAGES, {"max_tokens": 7, "thinking": {"type": "enabled"}, "top_k": 5},
         'max_tokens=7;top_k=5;thinking={"type": "enabled"}'),
        ("/v1/embeddings", {"n": 1}, "n=1"),
    ],
)  # fmt: skip
def test_parameters_stand_in_a_fixed_order_whatever_the_bodys_is(asked, path, body, wanted):
    assert asked(path, **body).parameters == wanted
    assert asked(path, **dict(reversed(body.items()))).parameters == wanted


@pytest.mark.parametrize("value", [None, "hot", [1], {"a": {}}, True])
def test_a_parameter_may_have_any_type(asked, value):
    for path in (CHAT, RESPONSES, MESSAGES):
        assert "temperature=" in asked(path, temperature=value).parameters


def test_long_parameters_are_cut(asked):
    assert len(asked(CHAT, stop=["\u00e9" * 10_000]).parameters) < 100


@pytest.mark.parametrize(
    ("body", "wanted"),
    [
        ({}, None),
        ({"user": "u-1"}, "u-1"),
        ({"safety_identifier": "s-1"}, "s-1"),
        ({"metadata": {"user_id": "m-1"}}, "m-1"),
        ({"metadata": {"other": "m-1"}}, None),
        ({"metadata": {"user_id": "user_ab_account_cd_session_0f-1e-2d"}}, "user_ab_account_cd"),
        ({"metadata": {"user_id": '{"device_id":"d","session_id":"0f-1e"}'}}, '{"device_id":"d",}'),
        ({"user": ""}, None),
        ({"user": 7}, None),
        ({"user": {"id": "u"}}, None),
        ({"metadata": ["x"]}, None),
        ({"metadata": None, "user": None}, None),
        ({"user": "u" * 1_000}, "u" * 256),
    ],
)
def test_the_end_user_is_whom_the_caller_names_without_the_session(asked, body, wanted):
    for path in (CHAT, MESSAGES):
        assert asked(path, **body).end_user == wanted


def test_reasoning_that_is_sent_back_is_known_by_its_signature(asked):
    thinking = [
        {"type": "thinking", "thinking": "Hm", "signature": "sig-1"},
        {"type": "redacted_thinking", "data": "sig-2"},
        {"type": "text", "text": "So it is"},
    ]
    turns = [{"role": "assistant", "content": thinking}, {"role": "user", "content": "Why"}]
    assert asked(MESSAGES, messages=turns).prompt.signatures == (b'"sig-1"', b'"sig-2"')
    items = [{"type": "reasoning", "encrypted_content": "sig-3"}, {"role": "user", "content": "Go"}]
    assert asked(RESPONSES, input=items).prompt.signatures == (b'"sig-3"',)


def test_of_many_signatures_the_first_and_the_last_are_kept_and_of_long_ones_both_ends(asked):
    items = [{"type": "reasoning", "encrypted_content": f"s{n}"} for n in range(1_000)]
    kept = asked(RESPONSES, input=items).prompt.signatures
    assert kept == tuple(f'"s{n}"'.encode() for n in (0, 1, 2, 3, 996, 997, 998, 999))
    long = [{"type": "reasoning", "encrypted_content": "a" * 9_000 + end} for end in "bc"]
    one, other = asked(RESPONSES, input=long).prompt.signatures
    assert one != other
    assert len(one) == 512


def test_signatures_of_any_type_in_any_turn_are_taken_as_they_are(asked):
    for signature in (None, 7, {"a": 1}, "x"):
        part = {"type": "thinking", "signature": signature}
        turns = [{"role": "assistant", "content": [part, None, "text"]}]
        kept = asked(MESSAGES, messages=turns).prompt.signatures
        assert kept == (json.dumps(signature).encode(),)
        user = [{"role": "user", "content": [part]}]
        assert asked(MESSAGES, messages=user).prompt.signatures == ()


@pytest.mark.parametrize("path", [CHAT, RESPONSES, MESSAGES])
def test_tool_definitions_are_kept_up_to_a_bound(asked, path):
    tools = [{"name": "weather"}]
    assert asked(path, tools=tools).prompt.tools == json.dumps(tools).encode()
    assert asked(path).prompt.tools == b""
    many = [{"name": f"tool-{number}"} for number in range(5_000)]
    assert len(asked(path, tools=many).prompt.tools) == 16_384
