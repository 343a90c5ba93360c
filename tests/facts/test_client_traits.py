import pytest

from proxy.facts.client_traits import client_tokens
from proxy.model.exchange import Headers
from proxy.model.trait import Trait, trait_of

KEY = b"k" * 32
PYTHON: Headers = (
    ("Host", "api.example.com"),
    ("Accept-Encoding", "gzip, deflate"),
    ("Connection", "keep-alive"),
    ("Accept", "application/json"),
    ("Content-Type", "application/json"),
    ("User-Agent", "OpenAI/Python 2.3.0"),
    ("X-Stainless-Lang", "python"),
    ("X-Stainless-Package-Version", "2.3.0"),
    ("X-Stainless-OS", "Linux"),
    ("X-Stainless-Arch", "x64"),
    ("X-Stainless-Runtime", "CPython"),
    ("X-Stainless-Runtime-Version", "3.12.4"),
    ("X-Stainless-Async", "false"),
    ("x-stainless-retry-count", "0"),
    ("Authorization", "Bearer sk-1"),
    ("Content-Length", "140"),
)
NODE: Headers = (
    ("accept", "application/json"),
    ("content-type", "application/json"),
    ("user-agent", "Anthropic/JS 0.60.0"),
    ("x-stainless-lang", "js"),
    ("x-stainless-package-version", "0.60.0"),
    ("x-stainless-runtime", "node"),
    ("anthropic-version", "2023-06-01"),
    ("x-api-key", "sk-2"),
    ("accept-language", "*"),
    ("sec-fetch-mode", "cors"),
)


def of(headers: Headers, ja4: str | None = None) -> dict[Trait, set[int]]:
    found: dict[Trait, set[int]] = {}
    for token in client_tokens(headers, ja4, KEY):
        found.setdefault(trait_of(token), set()).add(token)
    return found


def put(headers: Headers, **values: str) -> Headers:
    """The headers with other values, by name with _ for -."""
    changed = {name.replace("_", "-").lower(): value for name, value in values.items()}
    return tuple((name, changed.get(name.lower(), value)) for name, value in headers)


def without(headers: Headers, *names: str) -> Headers:
    return tuple(header for header in headers if header[0].lower() not in names)


@pytest.mark.parametrize(
    "added",
    [
        ("Content-Length", "7"),
        ("X-Forwarded-For", "203.0.113.9"),
        ("traceparent", "00-1-1-01"),
        ("Idempotency-Key", "k-1"),
        ("X-Request-Id", "r-1"),
        ("CF-Ray", "1"),
        ("Via", "1.1 front"),
    ],
)
def test_what_belongs_to_one_call_or_to_the_way_here_changes_nothing(added):
    assert of((*PYTHON, added)) == of(PYTHON)
    assert of((added, *PYTHON)) == of(PYTHON)


def test_a_credential_is_known_by_its_name_alone():
    assert of(put(PYTHON, authorization="Bearer sk-9")) == of(PYTHON)
    assert of(without(PYTHON, "authorization"))[Trait.HEADERS] != of(PYTHON)[Trait.HEADERS]


def test_the_order_and_the_case_of_names_are_a_trait():
    reversed_ = tuple(reversed(PYTHON))
    lowered = tuple((name.lower(), value) for name, value in PYTHON)
    assert len({*of(PYTHON)[Trait.HEADERS], *of(reversed_)[Trait.HEADERS]}) == 2
    assert of(lowered)[Trait.HEADERS] != of(PYTHON)[Trait.HEADERS]
    assert of(lowered)[Trait.AGENT] == of(reversed_)[Trait.AGENT] == of(PYTHON)[Trait.AGENT]


@pytest.mark.parametrize(
    "changed", [{"user_agent": "curl/8.5.0"}, {"x_stainless_os": "MacOS"}, {"accept": "*/*"}]
)
def test_what_a_client_says_of_itself_is_a_trait(changed):
    before, after = of(PYTHON), of(put(PYTHON, **changed))
    assert before[Trait.AGENT] != after[Trait.AGENT]
    assert before[Trait.HEADERS] == after[Trait.HEADERS]


def test_the_tls_client_is_a_trait_where_it_is_known():
    assert Trait.JA4 not in of(PYTHON)
    assert of(PYTHON, "t13d1_a_b")[Trait.JA4] != of(PYTHON, "t13d2_a_b")[Trait.JA4]


@pytest.mark.parametrize(
    "headers",
    [
        PYTHON,
        NODE,
        tuple((name.lower(), value) for name, value in PYTHON),  # as HTTP/2 or a proxy has it
        put(PYTHON, user_agent="AsyncOpenAI/Python 2.3.0", x_stainless_async="async:asyncio"),
        put(PYTHON, user_agent="AnthropicBedrock/Python 2.3.0"),
        (("User-Agent", "curl/8.5.0"), ("Accept", "*/*")),
        (("User-Agent", "my own client"), ("X-Stainless-Lang", "python")),
        (),
    ],
)
def test_a_client_that_is_what_it_says_contradicts_nothing(headers):
    assert Trait.INCONSISTENT not in of(headers, "t13d1516h1_a_b")


CONTRADICTIONS = {
    "no headers of the SDK": without(PYTHON, "x-stainless-lang"),
    "two languages": put(PYTHON, x_stainless_lang="js"),
    "two versions": put(PYTHON, x_stainless_package_version="1.0.0"),
    "another runtime": put(PYTHON, x_stainless_runtime="node"),
    "both synchronous and not": put(PYTHON, x_stainless_async="async:asyncio"),
    "a browser's headers": (*PYTHON, ("sec-fetch-mode", "cors")),
    "one name in lower case": (*without(PYTHON, "user-agent"), ("user-agent", PYTHON[5][1])),
    "curl with the SDK's headers": put(PYTHON, user_agent="curl/8.5.0"),
}


@pytest.mark.parametrize("headers", CONTRADICTIONS.values(), ids=CONTRADICTIONS)
def test_a_client_that_is_not_what_it_says_has_a_token_for_each_contradiction(headers):
    assert len(of(headers)[Trait.INCONSISTENT]) == 1


def test_each_kind_of_contradiction_has_its_own_token():
    kinds = {
        token for headers in CONTRADICTIONS.values() for token in of(headers)[Trait.INCONSISTENT]
    }
    assert len(kinds) == len(CONTRADICTIONS)
    assert of(PYTHON, "t13d1516h2_a_b")[Trait.INCONSISTENT].isdisjoint(kinds)


def test_any_number_and_size_of_headers_is_read_in_part():
    many = tuple((f"X-{number}" * 99, "v" * 9_999) for number in range(5_000))
    assert set(of(many)) == {Trait.HEADERS}
    long = put(PYTHON, user_agent="a" * 100_000)
    assert of(long) == of(put(PYTHON, user_agent="a" * 256))
