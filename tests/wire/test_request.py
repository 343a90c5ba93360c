import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.model.exchange import Asked, BadRequest, Prompt
from proxy.wire.request import read
from proxy.wire.surfaces import find

CHAT = "/v1/chat/completions"
JSON_PATHS = [
    CHAT,
    "/v1/responses",
    "/v1/completions",
    "/v1/embeddings",
    "/v1/images/generations",
    "/v1/audio/speech",
    "/v1/moderations",
    "/v1/batches",
    "/v1/messages",
    "/v1/messages/count_tokens",
    "/v1/messages/batches",
]


@pytest.fixture
def ask(surface):
    """Read a body, given as JSON text or as a value, sent to a path."""

    def of(path, body, **options):
        text = body if isinstance(body, bytes) else json.dumps(body).encode()
        return read(surface(path), text, **options)

    return of


def user(content):
    return {"role": "user", "content": content}


def test_a_chat_request_is_read_in_full(ask):
    asked = ask(
        CHAT,
        {
            "model": "m-large",
            "stream": True,
            "stream_options": {"include_usage": True},
            "max_completion_tokens": 50,
            "max_tokens": 40,
            "n": 3,
            "messages": [
                {"role": "system", "content": "Be brief."},
                {"role": "developer", "content": [{"type": "text", "text": "In English."}]},
                user("First question"),
                {"role": "assistant", "content": "An answer"},
                user([{"type": "text", "text": "Second"}, {"type": "text", "text": "question"}]),
            ],
            "something_new": {"deep": [1, 2, {"model": 5}]},
        },
    )
    assert asked == Asked(
        model="m-large",
        stream=True,
        stream_usage=True,
        max_output_tokens=50,
        choices=3,
        input_tokens_estimate=16 + 5 * 4,
        prompt=Prompt("Be brief.\nIn English.", "First question", "Second\nquestion", 2),
        parameters="stream=True;n=3;max_tokens=40;max_completion_tokens=50",
    )


def test_an_anthropic_request_is_read_in_full(ask):
    asked = ask(
        "/v1/messages",
        {
            "model": "m-small",
            "max_tokens": 1024,
            "stream": True,
            "system": [{"type": "text", "text": "You are"}, {"type": "text", "text": "kind."}],
            "messages": [
                user("Hello"),
                {"role": "assistant", "content": [{"type": "tool_use", "input": {"a": 1}}]},
                user([{"type": "tool_result", "content": [{"type": "text", "text": "result"}]}]),
                user("Thanks"),
                user([{"type": "tool_result", "content": "again"}]),
            ],
        },
    )
    assert isinstance(asked, Asked)
    assert asked.model == "m-small"
    assert asked.max_output_tokens == 1024
    assert asked.prompt == Prompt("You are\nkind.", "Hello", "Thanks", 4)
    assert asked.input_tokens_estimate == 14 + 5 * 4


def test_a_responses_request_is_read_as_text_or_as_items(ask):
    text = ask("/v1/responses", {"model": "m", "input": "Hi", "instructions": "Be kind"})
    items = ask(
        "/v1/responses",
        {
            "model": "m",
            "max_output_tokens": 9,
            "instructions": "Be kind",
            "input": [
                {"role": "developer", "content": "and short"},
                user([{"type": "input_text", "text": "Hi"}]),
                {"type": "function_call", "arguments": '{"a":1}'},
                {"type": "function_call_output", "output": "42"},
                {"type": "reasoning", "summary": [], "content": None},
            ],
        },
    )
    assert text.prompt == Prompt("Be kind", "Hi", "Hi", 1)
    assert items.prompt == Prompt("Be kind\nand short", "Hi", "Hi", 1)
    assert items.max_output_tokens == 9


@pytest.mark.parametrize(
    ("path", "body", "opening"),
    [
        ("/v1/completions", {"prompt": "Once"}, "Once"),
        ("/v1/completions", {"prompt": ["Once", "upon"]}, "Once\nupon"),
        ("/v1/embeddings", {"input": "text"}, "text"),
        ("/v1/embeddings", {"input": [[1, 2, 3], [4]]}, ""),
        ("/v1/images/generations", {"prompt": "a cat"}, "a cat"),
        ("/v1/audio/speech", {"input": "Say this", "voice": "alloy"}, "Say this"),
        ("/v1/moderations", {"input": [{"type": "text", "text": "is it ok"}]}, "is it ok"),
        ("/v1/messages/count_tokens", {"messages": [user("count me")]}, "count me"),
        ("/v1/batches", {"input_file_id": "file-1"}, ""),
    ],
)
def test_the_text_of_the_other_surfaces_is_their_prompt(ask, path, body, opening):
    asked = ask(path, body)
    assert isinstance(asked, Asked)
    assert asked.prompt.opening == asked.prompt.latest == opening


def test_token_ids_count_as_tokens(ask):
    assert ask("/v1/embeddings", {"input": [[1, 2, 3], [4]]}).input_tokens_estimate == 4
    assert ask("/v1/completions", {"prompt": [1, 2, 3]}).input_tokens_estimate == 3


def test_best_of_counts_as_choices_of_a_completion(ask):
    assert ask("/v1/completions", {"prompt": "x", "n": 2, "best_of": 5}).choices == 5


@pytest.mark.parametrize(
    ("prompt", "answers"),
    [("x", 2), (["x"], 2), (["x", "y", "z"], 6), ([1, 2, 3], 2), ([[1, 2], [3]], 4), ([], 2)],
)
def test_each_prompt_of_a_completion_is_answered_by_itself(ask, prompt, answers):
    assert ask("/v1/completions", {"prompt": prompt, "n": 2}).choices == answers


@pytest.mark.parametrize("background", [True, False, None])
def test_a_response_in_the_background_is_known_as_such(ask, background):
    body = {"input": "x", "background": background}
    assert ask("/v1/responses", body).background is bool(background)


@pytest.mark.parametrize(
    ("fallbacks", "model"),
    [(None, "m"), ([], "m"), ([{"model": "m-large"}], None), (["m-large"], None)],
)
def test_of_a_message_that_another_model_may_answer_nobody_knows_the_model(ask, fallbacks, model):
    body = {"model": "m", "max_tokens": 5, "messages": [], "fallbacks": fallbacks}
    assert ask("/v1/messages", body).model == model
    batch = {"requests": [{"custom_id": "c", "params": body}]}
    assert ask("/v1/messages/batches", batch).model == model


def test_a_batch_is_the_sum_of_its_entries_and_has_a_model_where_they_agree(ask):
    def batch(*models):
        entry = {"max_tokens": 10, "messages": [user("word")]}
        return {"requests": [{"custom_id": "c", "params": entry | {"model": m}} for m in models]}

    same, mixed = batch("m", "m"), batch("m", "other")
    asked = ask("/v1/messages/batches", same)
    assert (asked.model, asked.max_output_tokens, asked.input_tokens_estimate) == ("m", 20, 12)
    assert asked.prompt.opening == "word"
    assert ask("/v1/messages/batches", mixed).model is None
    assert ask("/v1/messages/batches", {"requests": []}).model is None


@pytest.mark.parametrize(
    ("part", "tokens"),
    [
        ({"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * 9000}}, 765),
        ({"type": "input_image", "image_url": "data:image/png;base64," + "A" * 9000}, 765),
        ({"type": "image", "source": {"type": "base64", "data": "A" * 9000}}, 765),
        ({"type": "input_image", "file_id": "file-1", "detail": "low"}, 85),
        ({"type": "file", "file": {"file_id": "file-1"}}, 5 * (765 + 600)),
        ({"type": "input_audio", "input_audio": {"format": "wav"}}, 300),
    ],
)
def test_what_is_sent_along_and_cannot_be_read_is_of_a_usual_size(ask, part, tokens):
    asked = ask(CHAT, {"messages": [user([part, {"type": "text", "text": "what?"}])]})
    assert asked.input_tokens_estimate == tokens + 2 + 4
    assert asked.prompt.latest == "what?"


def test_a_screenshot_that_a_tool_gave_back_is_an_image_and_no_text(ask):
    shot = {"type": "computer_screenshot", "image_url": "data:image/png;base64," + "A" * 90_000}
    for output in (shot, [shot]):
        item = {"type": "computer_call_output", "output": output}
        asked = ask("/v1/responses", {"model": "gpt-4o", "input": [item]})
        assert asked.input_tokens_estimate == 765 + 4


def test_a_role_or_part_of_an_unheard_of_kind_is_only_text(ask):
    odd = {"role": ["user"], "content": [{"type": {"a": 1}}, {"type": "new", "text": "four"}, None]}
    asked = ask(CHAT, {"messages": [odd]})
    assert asked.prompt == Prompt()
    assert asked.input_tokens_estimate == 2 + 4


def test_tool_definitions_and_calls_count_as_text(ask):
    plain = ask(CHAT, {"messages": [user("hi")]})
    tools = [{"type": "function", "function": {"name": "f", "parameters": {}}}]
    with_tools = ask(CHAT, {"messages": [user("hi")], "tools": tools})
    grown = with_tools.input_tokens_estimate - plain.input_tokens_estimate
    assert grown == 22


def test_text_outside_ascii_is_estimated_by_its_script(ask):
    assert ask("/v1/completions", {"prompt": "語" * 40}).input_tokens_estimate == 29
    assert ask("/v1/completions", {"prompt": "ж" * 40}).input_tokens_estimate == 14


@pytest.mark.parametrize("path", JSON_PATHS)
def test_an_empty_object_asks_for_nothing(ask, path):
    assert ask(path, {}) == Asked()


@pytest.mark.parametrize("path", JSON_PATHS)
def test_nulls_ask_for_nothing(ask, path):
    names = ("model", "stream", "n", "messages", "input", "prompt", "system", "stream_options")
    assert ask(path, dict.fromkeys(names)) == Asked()


def test_a_surface_whose_body_is_not_read_asks_for_nothing(surface):
    assert read(surface("/v1/audio/transcriptions"), b"--boundary\r\n") == Asked()
    listing = find("GET", "/v1/models", ())
    assert listing is not None
    assert read(listing, b"") == Asked()


@pytest.mark.parametrize("path", JSON_PATHS)
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"null",
        b'"x"',
        b"5",
        b"{",
        b"{]",
        b'{"a":1}{',
        b"{'a':1}",
        b'{"a":NaN}',
        b"\xef\xbb\xbf{}",
    ],
)
def test_what_is_not_a_json_object_is_refused(ask, path, body):
    refused = ask(path, body)
    assert isinstance(refused, BadRequest)
    assert refused.status == 400


@pytest.mark.parametrize(
    ("path", "body", "param"),
    [
        (CHAT, {"model": 5}, "model"),
        (CHAT, {"model": ["m"]}, "model"),
        (CHAT, {"model": "m" * 257}, "model"),
        (CHAT, {"stream": "true"}, "stream"),
        (CHAT, {"max_tokens": "5"}, "max_tokens"),
        (CHAT, {"max_tokens": 1.5}, "max_tokens"),
        (CHAT, {"max_tokens": -1}, "max_tokens"),
        (CHAT, {"max_completion_tokens": 10**30}, "max_completion_tokens"),
        (CHAT, {"n": 0}, "n"),
        (CHAT, {"n": True}, "n"),
        (CHAT, {"n": 10**9}, "n"),
        (CHAT, {"stream_options": 1}, "stream_options"),
        (CHAT, {"stream_options": {"include_usage": 1}}, "stream_options.include_usage"),
        (CHAT, {"messages": {}}, "messages"),
        (CHAT, {"messages": ["x"]}, "messages[0]"),
        (CHAT, {"messages": [user("x"), user(5)]}, "messages[1].content"),
        ("/v1/responses", {"input": 5}, "input"),
        ("/v1/responses", {"max_output_tokens": 10**10}, "max_output_tokens"),
        ("/v1/messages", {"system": 5}, "system"),
        ("/v1/embeddings", {"input": {"a": 1}}, "input"),
        (
            "/v1/messages/batches",
            {"requests": [{"params": {"model": 5}}]},
            "requests[0].params.model",
        ),
    ],
)
def test_a_declared_field_of_the_wrong_type_is_named(ask, path, body, param):
    refused = ask(path, body)
    assert isinstance(refused, BadRequest)
    assert refused.status == 400
    assert refused.param is not None
    assert refused.param.replace("[]", "[0]") in {param, param.replace("[1]", "[0]")}
    assert refused.param in refused.message


@pytest.mark.parametrize(
    ("body", "param"),
    [
        (b'{"model":"a","model":"b"}', "model"),
        (b'{"model":"a","x":1,"model":"a"}', "model"),
        (rb'{"model":"a","mod\u0065l":"b"}', "model"),
        (b'{"stream":true, "max_tokens":1, "max_tokens":100}', "max_tokens"),
        (b'{"x":1,"stream":true,"stream":false}', "stream"),
    ],
)
def test_a_name_given_twice_is_refused_since_readers_differ_on_it(ask, body, param):
    refused = ask(CHAT, body)
    assert isinstance(refused, BadRequest)
    assert refused.param == param


def test_a_batch_is_refused_for_what_one_of_its_entries_asks(ask):
    for params, param in (({"max_tokens": -5}, "max_tokens"), ({"model": "m" * 300}, "model")):
        refused = ask("/v1/messages/batches", {"requests": [{"params": {}}, {"params": params}]})
        assert isinstance(refused, BadRequest)
        assert refused.param == param


def test_the_same_name_in_nested_objects_is_no_repetition(ask):
    asked = ask(
        CHAT, b'{"model":"a","metadata":{"model":"b"},"messages":[{"model":1},{"model":2}]}'
    )
    assert isinstance(asked, Asked)
    assert asked.model == "a"


def test_depth_is_limited_exactly_and_far_beyond_without_recursion(ask):
    def nested(levels):
        return b'{"x":' * levels + b"1" + b"}" * levels

    assert isinstance(ask(CHAT, nested(64)), Asked)
    for levels in (65, 1000, 200_000):
        refused = ask(CHAT, nested(levels))
        assert isinstance(refused, BadRequest)
        assert "64 levels" in refused.message
    assert isinstance(ask(CHAT, nested(65), max_depth=65), Asked)
    assert isinstance(ask(CHAT, b"[" * 200_000), BadRequest)


def test_brackets_in_text_are_not_depth(ask):
    assert isinstance(ask(CHAT, {"messages": [user('[{"\\' * 1000)]}), Asked)


def test_a_body_of_endless_little_values_is_refused_at_once(ask):
    for many in (b"{}", b'""', b"1"):
        refused = ask(CHAT, b'{"x":[' + b",".join([many] * 700_000) + b"]}")
        assert isinstance(refused, BadRequest)
        assert refused.status == 413


def test_invalid_utf_8_is_refused_also_where_the_text_is_not_read(ask):
    refused = ask(CHAT, b'{"unread":"\xff"}')
    assert isinstance(refused, BadRequest)
    assert "UTF-8 (byte 11)" in refused.message


def test_a_lone_surrogate_is_read_as_a_replacement_character(ask):
    asked = ask(
        CHAT,
        rb'{"model":"m\ud800","x":"\udfff",'
        rb'"messages":[{"role":"user","content":"\ud83d\ude00 \udc00"}]}',
    )
    assert asked.model == "m\ufffd"
    assert asked.prompt.latest == "\U0001f600 \ufffd"
    asked.prompt.latest.encode("utf-8")


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["role", "content", "type", "text", "input", "output", "params", "x"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=10,
)
FIELDS = st.sampled_from(
    ["model", "messages", "input", "prompt", "system", "tools", "requests", "n", "instructions"]
)


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(JSON_PATHS), st.dictionaries(FIELDS, JSON_VALUES, max_size=4))
def test_any_json_object_is_either_read_or_refused(path, body):
    surface = find("POST", path, ())
    assert surface is not None
    got = read(surface, json.dumps(body).encode())
    assert isinstance(got, (Asked, BadRequest))
    if isinstance(got, Asked):
        assert got.input_tokens_estimate >= 0
        for text in (got.prompt.system, got.prompt.opening, got.prompt.latest, got.model or ""):
            text.encode("utf-8")
