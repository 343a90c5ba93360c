import pytest

from proxy.model.exchange import BodyKind, Dialect
from proxy.wire.surfaces import SURFACES, dialect_of, find

ANTHROPIC = (("Anthropic-Version", "2023-06-01"),)


@pytest.mark.parametrize(
    ("path", "name", "body", "generates"),
    [
        ("/v1/chat/completions", "chat.completions", BodyKind.JSON, True),
        ("/v1/responses", "responses", BodyKind.JSON, True),
        ("/v1/responses/compact", "responses", BodyKind.JSON, True),
        ("/v1/responses/input_tokens", "responses", BodyKind.JSON, False),
        ("/v1/completions", "completions", BodyKind.JSON, True),
        ("/v1/embeddings", "embeddings", BodyKind.JSON, True),
        ("/v1/images/generations", "images", BodyKind.JSON, True),
        ("/v1/images/edits", "images", BodyKind.OPAQUE, True),
        ("/v1/audio/speech", "audio", BodyKind.JSON, True),
        ("/v1/audio/transcriptions", "audio", BodyKind.OPAQUE, True),
        ("/v1/moderations", "moderations", BodyKind.JSON, False),
        ("/v1/files", "files", BodyKind.OPAQUE, False),
        ("/v1/uploads/u-1/parts", "files", BodyKind.OPAQUE, False),
        ("/v1/batches", "batches", BodyKind.JSON, False),
        ("/v1/messages", "messages", BodyKind.JSON, True),
        ("/v1/messages/count_tokens", "messages.count_tokens", BodyKind.JSON, False),
        ("/v1/messages/batches", "messages.batches", BodyKind.JSON, True),
    ],
)
def test_a_post_to_each_path_of_the_api_belongs_to_its_surface(path, name, body, generates):
    surface = find("POST", path, ())
    assert surface is not None
    assert (surface.name, surface.body, surface.generates) == (name, body, generates)


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/v1/files/file-1/content", "files"),
        ("/v1/responses/resp_1", "responses"),
        ("/v1/batches/batch_1/cancel", "batches"),
        ("/v1/chat/completions/c-1/messages", "chat.completions"),
        ("/v1/models/ft:gpt-4o:org::id", "models"),
        ("/v1/messages/batches/b-1/results", "messages.batches"),
        ("/v1/files/a%20b", None),
        ("/v1/files/caf%C3%A9", "files"),
    ],
)
def test_paths_below_a_surface_belong_to_it_and_generate_nothing(path, name):
    surface = find("POST", path, ())
    assert (surface.name if surface else None) == name
    assert surface is None or (surface.body, surface.generates) == (BodyKind.OPAQUE, False)


@pytest.mark.parametrize("method", ["GET", "HEAD", "DELETE", "OPTIONS", "get"])
def test_requests_without_a_body_keep_their_surface_and_generate_nothing(method):
    surface = find(method, "/v1/chat/completions", ())
    assert surface is not None
    assert surface.name == "chat.completions"
    assert surface.body is BodyKind.NONE
    assert not surface.generates


def test_an_unusual_method_is_judged_like_a_post():
    assert find("PATCH", "/v1/messages", ()) == find("POST", "/v1/messages", ())


@pytest.mark.parametrize(
    "path",
    [
        "",
        "*",
        "v1/models",
        "/",
        "/v1",
        "/v2/models",
        "/V1/models",
        "//v1/models",
        "/v1//models",
        "/v1/models/",
        "/v1/chat/completions/",
        "/v1/chat",
        "/v1/files/../models",
        "/v1/files/./x",
        "/v1/files/%2e%2e/models",
        "/v1/files/%2E",
        "/v1/files/a%2fb",
        "/v1/files/a%5Cb",
        "/v1/files/a\\b",
        "/v1/files/a%00b",
        "/v1/files/a%252fb",
        "/v1/files/..;/models",
        "/v1/files/a b",
        "/v1/files/a%zz",
        "/v1/files/ä",
        "/v1/chat%2fcompletions",
        "/v1/%63hat/completions",
        "/v1/messages/batch",
        "/v1/messages/count_tokens/x",
        "/v1/embeddings/x",
        "/v1/realtime",
        "http://other/v1/models",
    ],
)
def test_a_path_that_could_be_read_in_two_ways_or_is_unknown_is_claimed_by_nobody(path):
    assert find("POST", path, ()) is None
    assert find("GET", path, ANTHROPIC) is None


@pytest.mark.parametrize("path", ["/v1/models", "/v1/models/m-1", "/v1/files", "/v1/files/f-1"])
def test_paths_of_both_vendors_follow_the_callers_headers(path):
    for headers, dialect in (
        ((), Dialect.OPENAI),
        ((("Authorization", "Bearer k"),), Dialect.OPENAI),
        (ANTHROPIC, Dialect.ANTHROPIC),
        ((("X-Api-Key", "k"),), Dialect.ANTHROPIC),
    ):
        surface = find("GET", path, headers)
        assert surface is not None
        assert surface.dialect is dialect
        assert dialect_of(path, headers) is dialect


def test_a_path_of_one_vendor_keeps_its_dialect_whatever_the_headers_say():
    surface = find("POST", "/v1/chat/completions", ANTHROPIC)
    assert surface is not None
    assert surface.dialect is Dialect.OPENAI
    assert dialect_of("/v1/chat/completions", ANTHROPIC) is Dialect.OPENAI
    assert dialect_of("/v1/messages", ()) is Dialect.ANTHROPIC


def test_unknown_paths_are_answered_in_the_dialect_that_the_caller_seems_to_speak():
    assert dialect_of("/v1/nothing", ()) is Dialect.OPENAI
    assert dialect_of("/v1/nothing", ANTHROPIC) is Dialect.ANTHROPIC
    assert dialect_of("/v1/messages/nothing", ()) is Dialect.ANTHROPIC


def test_every_claimed_path_is_found_under_its_own_name():
    for path, claims in SURFACES.items():
        assert find("POST", path, ()) == claims[0].surface
