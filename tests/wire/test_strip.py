"""What is left of an answer once named parts are left out, as the real SDKs read it."""

import json

import pytest

from tests.wire.streams import (
    BOTH,
    CHAT,
    COMPLETIONS,
    MESSAGE,
    MESSAGES,
    REDACTED,
    RESPONSES,
    STREAMS,
    TEXT,
    THINKING,
    THOUGHT,
    TOKEN,
    TOOL,
    WHOLE,
    altering,
    anthropic_client,
    chunk,
    openai_client,
    run,
    typed,
)

JSON = "application/json"
HELLO = [{"role": "user", "content": "hi"}]
ASKED = {"model": "m", "max_tokens": 9, "messages": HELLO}


def stripped(path, value, strip=BOTH):
    """A JSON answer without the parts."""
    body = value if isinstance(value, bytes) else json.dumps(value).encode()
    return run(altering(path, strip, content_type=JSON), body)


# -- chats ---------------------------------------------------------------------------------------


def test_a_chat_stream_without_thoughts_and_log_probabilities_reads_as_ever():
    body = run(altering(CHAT, BOTH), STREAMS[CHAT])
    with openai_client(body) as client:
        chunks = list(client.chat.completions.create(model="m", messages=HELLO, stream=True))
    text = "".join(str(c.choices[0].delta.content or "") for c in chunks if c.choices)
    assert text == "Hi there, a rather long answer"
    assert not any(choice.logprobs for c in chunks for choice in c.choices)
    assert b"secret" not in body
    assert chunks[-1].usage.completion_tokens == 9


def test_each_part_goes_alone():
    thoughtless = run(altering(CHAT, ("reasoning",)), STREAMS[CHAT])
    assert b"secret" not in thoughtless
    assert b'"logprob":-0.5' in thoughtless
    improbable = run(altering(CHAT, ("logprobs",)), STREAMS[CHAT])
    assert b"secret thought" in improbable
    assert b"-0.5" not in improbable


@pytest.mark.parametrize(
    ("message", "left"),
    [
        ({"content": "x", "reasoning_content": "secret"}, {"content": "x"}),
        ({"content": "x", "thinking_blocks": [THINKING]}, {"content": "x"}),
        ({"provider_specific_fields": {"reasoning_content": "s", "a": 1}},
         {"provider_specific_fields": {"a": 1}}),
        ({"content": [THINKING, {"type": "text", "text": "x"}]},
         {"content": [{"type": "text", "text": "x"}]}),
        ({"content": "x", "reasoning": None}, {"content": "x", "reasoning": None}),
        ({"tool_calls": [{"function": {"arguments": '{"reasoning": "mine"}'}}]},
         {"tool_calls": [{"function": {"arguments": '{"reasoning": "mine"}'}}]}),
        ({"metadata": {"reasoning": "mine"}}, {"metadata": {"reasoning": "mine"}}),
    ],
)  # fmt: skip
def test_a_message_keeps_all_that_is_no_thought(message, left):
    got = json.loads(stripped(CHAT, {"choices": [{"message": message}], "reasoning": "kept"}))
    assert got == {"choices": [{"message": left}], "reasoning": "kept"}


def test_log_probabilities_of_a_chat_are_null():
    answer = {"choices": [{"logprobs": {"content": [TOKEN]}, "index": 0}], "prompt_logprobs": [1]}
    assert json.loads(stripped(CHAT, answer)) == {"choices": [{"logprobs": None, "index": 0}]}


def test_a_text_about_thoughts_is_only_text():
    for text in ('"reasoning": "x"', '{"logprobs": [1]}', "\\u0072easoning", '"type":"thinking"'):
        event = chunk({"content": text})
        assert run(altering(CHAT, BOTH), event) == event


@pytest.mark.parametrize("name", [b"r\\u0065asoning", b"\\u0072easoning_content"])
def test_a_name_in_escapes_is_known_too(name):
    event = b'data: {"choices":[{"delta":{"' + name + b'":"secret"}}]}\n\n'
    assert run(altering(CHAT, BOTH), event) == b'data: {"choices":[{"delta":{}}]}\n\n'


def test_older_completions_lose_theirs():
    body = run(altering(COMPLETIONS, BOTH), STREAMS[COMPLETIONS])
    with openai_client(body) as client:
        chunks = list(client.completions.create(model="m", prompt="x", stream=True))
    assert [c.choices[0].logprobs for c in chunks] == [None, None]
    assert chunks[0].choices[0].text == "Hi"


def test_stored_chats_in_a_list_are_changed_too():
    stored = {"data": [{"choices": [{"message": {"reasoning": "s"}}], "metadata": {"thinking": 1}}]}
    assert json.loads(stripped(CHAT, stored)) == {
        "data": [{"choices": [{"message": {}}], "metadata": {"thinking": 1}}]
    }


# -- responses -----------------------------------------------------------------------------------


def test_a_responses_stream_keeps_an_empty_shell_where_a_thought_was():
    body = run(altering(RESPONSES, BOTH), STREAMS[RESPONSES])
    with openai_client(body) as client, client.responses.stream(model="m", input="x") as stream:
        kinds = [event.type for event in stream]
        response = stream.get_final_response()
    assert not any("reasoning" in kind for kind in kinds)
    thought, message = response.output
    assert (thought.type, thought.id, thought.summary) == ("reasoning", "rs", [])
    assert (thought.content, thought.encrypted_content) == (None, None)
    assert message.content[0].text == "Hi there"
    assert message.content[0].logprobs == []
    assert response.reasoning.summary == "auto"
    assert b"secret" not in body


def test_a_whole_response_is_changed_alike():
    got = json.loads(stripped(RESPONSES, WHOLE))
    assert got["output"][0] == {"id": "rs", "type": "reasoning", "summary": []}
    assert got["output"][1]["content"] == [TEXT | {"logprobs": []}]
    assert {**got, "output": None} == {**WHOLE, "output": None}


def test_items_of_a_stored_response_are_changed_too():
    listed = {"object": "list", "data": [THOUGHT, {"type": "message", "content": [TEXT]}]}
    got = json.loads(stripped(RESPONSES, listed))
    assert got["data"][0] == {"id": "rs", "type": "reasoning", "summary": []}
    assert got["data"][1]["content"] == [TEXT | {"logprobs": []}]


# -- messages ------------------------------------------------------------------------------------


def test_a_message_stream_without_its_thoughts_reads_as_if_there_were_none():
    body = run(altering(MESSAGES, BOTH), STREAMS[MESSAGES])
    with anthropic_client(body) as client, client.messages.stream(**ASKED) as stream:
        kinds = {event.type for event in stream}
        message = stream.get_final_message()
    assert [block.type for block in message.content] == ["text", "tool_use"]
    assert message.content[0].text == "Hi there"
    assert message.content[1].input == {"reasoning": "mine"}
    assert message.usage.output_tokens == 20
    assert not kinds & {"thinking", "signature"}
    assert b"secret" not in body


def test_a_whole_message_loses_its_blocks_of_thinking():
    answer = MESSAGE | {"content": [THINKING, TEXT, REDACTED, TOOL]}
    assert json.loads(stripped(MESSAGES, answer))["content"] == [TEXT, TOOL]


def test_a_message_of_thoughts_alone_is_empty():
    assert json.loads(stripped(MESSAGES, MESSAGE | {"content": [THINKING]}))["content"] == []


def test_log_probabilities_are_no_matter_of_messages():
    assert run(altering(MESSAGES, ("logprobs",)), STREAMS[MESSAGES]) == STREAMS[MESSAGES]


def test_the_number_of_a_block_is_all_that_changes_in_its_events():
    start = typed({"type": "content_block_start", "index": 0, "content_block": REDACTED})
    behind = b'event: content_block_stop\ndata: { "index" : 1 , "type":"content_block_stop"}\n\n'
    got = run(altering(MESSAGES, BOTH), start + behind)
    assert got == behind.replace(b" 1 ", b" 0 ")


def test_a_delta_of_thoughts_in_another_block_goes_alone():
    thought = {"type": "thinking_delta", "thinking": "secret"}
    delta = typed({"type": "content_block_delta", "index": 0, "delta": thought})
    assert run(altering(MESSAGES, BOTH), delta) == b""
