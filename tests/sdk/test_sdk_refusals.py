"""What the gateway refuses reaches the caller as the SDK's own exceptions, retries obeyed."""

from typing import Any

import anthropic
import openai
import pytest

pytestmark = pytest.mark.asyncio(loop_scope="session")

EMBARGOED = "198.51.100.129"
HELLO = [{"role": "user", "content": "How strong is it?"}]


def chat(client: Any, model: str = "m-small", **more: Any) -> Any:
    return client.chat.completions.create(model=model, messages=HELLO, **more)


def message(client: Any, model: str = "m-small", **more: Any) -> Any:
    return client.messages.create(**({"model": model, "messages": HELLO, "max_tokens": 20} | more))


async def test_an_unknown_key_is_an_authentication_error_and_tried_once(oai, ant, seen):
    client = oai(api_key="sk-nobody", max_retries=2)
    with pytest.raises(openai.AuthenticationError) as refused:
        await chat(client.sdk)
    assert refused.value.code == "invalid_api_key"
    other = ant(api_key="sk-nobody", max_retries=2)
    with pytest.raises(anthropic.AuthenticationError) as refused:
        await message(other.sdk)
    assert refused.value.body["error"]["type"] == "authentication_error"
    assert refused.value.request_id == refused.value.body["request_id"]
    assert (len(client.sent), len(other.sent), seen()) == (1, 1, [])


async def test_a_model_that_may_not_be_used_there_is_a_permission_error(oai, ant, seen):
    client = oai(address=EMBARGOED, max_retries=2)
    with pytest.raises(openai.PermissionDeniedError, match="not sold here") as refused:
        await chat(client.sdk, "m-large")
    assert refused.value.code == "unsupported_country_region_territory"
    assert refused.value.type == "request_forbidden"
    other = ant(address=EMBARGOED, max_retries=2)
    with pytest.raises(anthropic.PermissionDeniedError, match="not sold here") as refused:
        await message(other.sdk, "m-large")
    assert refused.value.body["error"]["type"] == "permission_error"
    assert (len(client.sent), len(other.sent), seen()) == (1, 1, [])
    assert (await chat(client.sdk, "m-small")).choices


async def test_a_spent_request_quota_is_a_rate_limit_error_that_says_when_to_come_back(oai, ant):
    client = oai("spent").sdk
    for _ in range(2):
        await chat(client)
    with pytest.raises(openai.RateLimitError, match="Two requests a week") as refused:
        await chat(client)
    assert (refused.value.type, refused.value.code) == ("requests", "rate_limit_exceeded")
    headers = refused.value.response.headers
    assert 0 < int(headers["retry-after"]) <= 7 * 86_400
    assert headers["x-ratelimit-limit-requests"] == "2"
    assert headers["x-ratelimit-remaining-requests"] == "0"

    other = ant("spent").sdk
    for _ in range(2):
        await message(other)
    with pytest.raises(anthropic.RateLimitError, match="Two requests a week") as refused:
        await message(other)
    assert refused.value.body["error"]["type"] == "rate_limit_error"
    assert refused.value.response.headers["anthropic-ratelimit-requests-remaining"] == "0"


async def test_a_request_larger_than_the_whole_token_limit_is_not_retried(oai, ant, seen):
    client = oai("tokens", max_retries=2)
    with pytest.raises(openai.RateLimitError) as refused:
        await chat(client.sdk, max_tokens=5000)
    assert refused.value.type == "tokens"
    other = ant("tokens", max_retries=2)
    with pytest.raises(anthropic.RateLimitError):
        await message(other.sdk, max_tokens=5000)
    assert (len(client.sent), len(other.sent), seen()) == (1, 1, [])


async def test_tokens_that_were_reserved_and_not_used_are_given_back(oai):
    """Each request reserves 1,500 of the 2,000 tokens and uses a few dozen."""
    client = oai("tokens").sdk
    answers = [await chat(client, max_tokens=1500) for _ in range(4)]
    assert len(answers) == 4


async def test_rate_limit_headers_of_an_answer_are_the_gateways_own(oai, ant):
    client = oai("counted").sdk
    first = await client.chat.completions.with_raw_response.create(
        model="m-small", messages=HELLO, max_tokens=20
    )
    second = await client.chat.completions.with_raw_response.create(
        model="m-small", messages=HELLO, max_tokens=20
    )
    assert first.headers["x-ratelimit-limit-requests"] == "1000"
    remaining = [int(r.headers["x-ratelimit-remaining-requests"]) for r in (first, second)]
    assert remaining == [999, 998]
    assert first.headers["x-ratelimit-limit-tokens"] == "1000000"
    assert '"counted-requests' in first.headers["ratelimit-policy"]
    assert first.headers["openai-organization"] == "org-emulated"

    other = await ant("counted").sdk.messages.with_raw_response.create(
        model="m-small", messages=HELLO, max_tokens=20
    )
    assert other.headers["anthropic-ratelimit-requests-limit"] == "1000"
    assert other.headers["anthropic-ratelimit-requests-remaining"] == "999"
    assert other.headers["anthropic-organization-id"] == "org-emulated"


async def test_a_path_that_no_surface_claims_is_not_found(oai, ant, seen):
    with pytest.raises(openai.NotFoundError):
        await oai().sdk.post("/unheard/of", body={}, cast_to=object)
    with pytest.raises(anthropic.NotFoundError) as refused:
        await ant().sdk.post("/v1/unheard/of", body={}, cast_to=object)
    assert refused.value.body["error"]["type"] == "not_found_error"
    assert seen() == []


@pytest.mark.parametrize(
    "body", [[], {"messages": HELLO}, {"model": "m", "messages": HELLO, "max_tokens": "9"}]
)
async def test_a_body_that_cannot_be_read_is_a_bad_request(oai, ant, seen, body):
    client = oai(max_retries=2)
    with pytest.raises(openai.BadRequestError):
        await client.sdk.post("/chat/completions", body=body, cast_to=object)
    other = ant(max_retries=2)
    with pytest.raises(anthropic.BadRequestError) as refused:
        await other.sdk.post("/v1/messages", body=body, cast_to=object)
    assert refused.value.body["error"]["type"] == "invalid_request_error"
    assert (len(client.sent), len(other.sent)) == (1, 1)


async def test_accounts_with_one_template_look_rate_limited_and_are_told_no_more(oai):
    """Three accounts send one template; from then on each of them is throttled."""
    clients = [oai("herd").sdk for _ in range(3)]

    async def ask(client: Any, number: int) -> None:
        text = f'You grade the work of a student model.\nQuestion {number}: "What is {number}?"'
        await client.chat.completions.create(
            model="m-small", messages=[{"role": "user", "content": text}]
        )

    refused: list[openai.RateLimitError] = []
    for number in range(60):
        try:
            await ask(clients[number % 3], number)
        except openai.RateLimitError as error:
            refused.append(error)
    assert refused
    assert refused[0].code == "rate_limit_exceeded"
    assert "template" not in refused[0].response.text
    assert "shared" not in str(refused[0].response.headers) + refused[0].response.text
