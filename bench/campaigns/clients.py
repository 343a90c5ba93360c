"""What client programs send besides the prompt: header names, their order and case, and JA4.

The headers have the form of the well-known SDKs; versions vary as they do in the field. The JA4
strings have the right form and are invented.
"""

from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256

from bench.campaigns.draw import Draw, running

Header = list[str]


@dataclass(frozen=True, slots=True)
class Client:
    """One program. `{v}` in a header stands for the version, `{key}` for the credential."""

    name: str
    dialect: str  # "openai" or "anthropic"
    weight: float  # among ordinary accounts
    versions: tuple[str, ...]
    headers: tuple[tuple[str, str], ...]
    ja4: str

    @property
    def path(self) -> str:
        """The surface that the client calls."""
        return "/v1/messages" if self.dialect == "anthropic" else "/v1/chat/completions"

    def render(self, version: str, key: str) -> list[Header]:
        """The headers of one request, in order."""
        return [
            [part[0], part[1].replace("{key}", key)] if keyed else part
            for part, keyed in _versioned(self.headers, version)
        ]


@lru_cache(maxsize=4096)
def _versioned(
    headers: tuple[tuple[str, str], ...], version: str
) -> tuple[tuple[Header, bool], ...]:
    """The headers with the version in them, and whether they wait for a key. Accounts share those
    that do not: nobody may change them."""
    return tuple(([name, text.replace("{v}", version)], "{key}" in text) for name, text in headers)


def _ja4(name: str, ciphers: int, extensions: int) -> str:
    first = sha256(f"ciphers {name}".encode()).hexdigest()[:12]
    second = sha256(f"extensions {name}".encode()).hexdigest()[:12]
    return f"t13d{ciphers:02d}{extensions:02d}h2_{first}_{second}"


def _stainless(language: str, runtime: str) -> tuple[tuple[str, str], ...]:
    return (
        ("X-Stainless-Lang", language),
        ("X-Stainless-Package-Version", "{v}"),
        ("X-Stainless-OS", "Linux"),
        ("X-Stainless-Arch", "x64"),
        ("X-Stainless-Runtime", runtime),
        ("X-Stainless-Retry-Count", "0"),
    )


_HOST = ("Host", "api.example.com")
_JSON = ("Content-Type", "application/json")
_BEARER = ("Authorization", "Bearer {key}")
_ANTHROPIC = (("anthropic-version", "2023-06-01"), ("x-api-key", "{key}"))

CLIENTS: dict[str, Client] = {
    client.name: client
    for client in (
        Client("openai-python", "openai", 34.0, ("2.1.0", "2.3.0", "1.109.1", "3.0.2"),
               (_HOST, ("Accept-Encoding", "gzip, deflate"), ("Connection", "keep-alive"),
                ("Accept", "application/json"), _JSON, ("User-Agent", "OpenAI/Python {v}"),
                *_stainless("python", "CPython"), _BEARER), _ja4("httpx", 17, 12)),
        Client("openai-node", "openai", 16.0, ("5.20.0", "6.1.0", "6.7.0"),
               (_HOST, ("connection", "keep-alive"), ("accept", "application/json"),
                ("content-type", "application/json"), ("user-agent", "OpenAI/JS {v}"),
                *_stainless("js", "node"), ("authorization", "Bearer {key}"),
                ("accept-language", "*"), ("accept-encoding", "gzip, deflate, br")),
               _ja4("undici", 52, 10)),
        Client("anthropic-python", "anthropic", 16.0, ("0.70.0", "0.74.1", "1.2.0"),
               (_HOST, ("Accept-Encoding", "gzip, deflate"), ("Connection", "keep-alive"),
                ("Accept", "application/json"), _JSON, ("User-Agent", "Anthropic/Python {v}"),
                *_stainless("python", "CPython"), *_ANTHROPIC), _ja4("httpx", 17, 12)),
        Client("anthropic-node", "anthropic", 10.0, ("0.65.0", "0.68.0"),
               (_HOST, ("connection", "keep-alive"), ("accept", "application/json"),
                ("content-type", "application/json"), ("user-agent", "Anthropic/JS {v}"),
                *_stainless("js", "node"), *_ANTHROPIC,
                ("accept-encoding", "gzip, deflate, br")), _ja4("undici", 52, 10)),
        Client("go", "openai", 8.0, ("1.24.1", "2.0.0"),
               (_HOST, ("User-Agent", "go-openai/{v}"), ("Authorization", "Bearer {key}"), _JSON,
                ("Accept-Encoding", "gzip")), _ja4("go", 13, 11)),
        Client("requests", "openai", 8.0, ("2.31.0", "2.32.5"),
               (_HOST, ("User-Agent", "python-requests/{v}"), ("Accept-Encoding", "gzip, deflate"),
                ("Accept", "*/*"), ("Connection", "keep-alive"), _BEARER, _JSON),
               _ja4("requests", 18, 11)),
        Client("curl", "openai", 4.0, ("8.5.0", "8.14.1"),
               (_HOST, ("User-Agent", "curl/{v}"), ("Accept", "*/*"), _JSON, _BEARER),
               _ja4("curl", 31, 11)),
        Client("relay", "openai", 4.0, ("1.80.3", "1.81.0"),
               (_HOST, ("Accept", "*/*"), ("Accept-Encoding", "gzip, deflate, br"),
                ("User-Agent", "relay-gateway/{v}"), _JSON, _BEARER), _ja4("aiohttp", 17, 10)),
        # Harnesses: the program brings its own system prompt and tools. Look-alikes use them.
        Client("fieldhand", "anthropic", 0.0, ("3.4.1",),
               (_HOST, ("Accept", "application/json"), ("Accept-Encoding", "gzip, deflate, br"),
                _JSON, ("User-Agent", "fieldhand-cli/{v} (external)"), ("x-app", "cli"),
                *_stainless("js", "node"), *_ANTHROPIC), _ja4("fieldhand", 52, 11)),
    )
}  # fmt: skip

_ORDINARY = tuple(client for client in CLIENTS.values() if client.weight)
_ORDINARY_AT = running([client.weight for client in _ORDINARY])


def ordinary(draw: Draw) -> Client:
    """A client program, as likely as it is among ordinary accounts."""
    return _ORDINARY[draw.index(_ORDINARY_AT)]
