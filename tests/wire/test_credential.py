import pytest

from proxy.model.exchange import BadRequest
from proxy.wire.credential import credential


@pytest.mark.parametrize(
    "headers",
    [
        (("Authorization", "Bearer sk-a1"),),
        (("authorization", "bearer   sk-a1 "),),
        (("X-Api-Key", " sk-a1"),),
        (("api-key", "sk-a1"),),
        (("x-api-key", "sk-a1"), ("Authorization", "Bearer sk-a1")),
        (("x-api-key", ""), ("Authorization", "Bearer sk-a1")),
    ],
)
def test_the_key_is_read_from_either_vendors_header(headers):
    assert credential(headers) == "sk-a1"


@pytest.mark.parametrize(
    "headers",
    [(), (("Host", "x"),), (("Authorization", "Bearer "),), (("authorization", ""),)],
)
def test_no_key_is_none(headers):
    assert credential(headers) is None


@pytest.mark.parametrize(
    "headers",
    [
        (("Authorization", "Bearer a"), ("authorization", "Bearer a")),
        (("x-api-key", "a"), ("X-API-KEY", "b")),
        (("x-api-key", "a"), ("Authorization", "Bearer b")),
        (("api-key", "a"), ("Authorization", "Bearer b")),
    ],
)
def test_more_than_one_key_is_refused_rather_than_chosen_from(headers):
    refused = credential(headers)
    assert isinstance(refused, BadRequest)
    assert refused.status == 400


@pytest.mark.parametrize(
    "value", ["Basic YTpi", "Bearer a b", "Bearer a, Bearer b", "sk-a1", "Bearer k\x00", "Bearer ä"]
)
def test_a_malformed_header_is_refused_without_repeating_it(value):
    refused = credential((("Authorization", value),))
    assert isinstance(refused, BadRequest)
    assert refused.status == 401
    assert "Bearer <key>" in refused.message
    assert value not in refused.message
