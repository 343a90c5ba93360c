"""What a client looks like, as tokens: its headers, what it says it is, and whether both agree.

Only what stays the same from call to call is read: lengths, hops, traces and retries are left
out, and of credentials no more than that they are there. What depends on the header names alone
is worked out once for each list of names.
"""

from dataclasses import dataclass
from functools import lru_cache

from proxy.facts.contradictions import STATED, contradictions
from proxy.facts.token import token_of
from proxy.model.exchange import Headers
from proxy.model.trait import Trait

MAX_HEADERS = 64
MAX_NAME_CHARS = 64
MAX_VALUE_CHARS = 256
MAX_CACHED = 4_096

# Of the body, of the way here, or of one call.
_PASSING = frozenset(
    (
        "baggage", "b3", "cdn-loop", "content-encoding", "content-length", "cookie", "forwarded",
        "idempotency-key", "sentry-trace", "traceparent", "tracestate", "transfer-encoding",
        "true-client-ip", "via", "x-amzn-trace-id", "x-client-request-id",
        "x-cloud-trace-context", "x-correlation-id", "x-ja4", "x-real-ip", "x-request-id",
        "x-request-start", "x-stainless-helper-method",
    )
)  # fmt: skip
_PASSING_PREFIXES = ("x-forwarded-", "x-b3-", "x-datadog-", "x-envoy-", "cf-", "fly-", "x-vercel-")

# Values that are a client's own: its name and version, and how it is set up.
_STABLE = STATED | frozenset(
    (
        "accept", "accept-charset", "accept-encoding", "accept-language", "anthropic-beta",
        "anthropic-dangerous-direct-browser-access", "anthropic-version", "http-referer",
        "openai-beta", "origin", "referer", "x-app", "x-title",
    )
)  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False)
class _Plan:
    """What the names of a request's headers say; `stable` are the places of values to read.

    Compared by identity: the names are hashed once a request.
    """

    names: tuple[str, ...]
    stable: tuple[int, ...]
    token: int
    key: bytes


def client_tokens(headers: Headers, ja4: str | None, key: bytes) -> tuple[int, ...]:
    """The tokens of a client: header names in order and case, values, JA4, contradictions."""
    plan = _plan(tuple([name for name, _ in headers[:MAX_HEADERS]]), key)
    values = tuple([headers[place][1][:MAX_VALUE_CHARS] for place in plan.stable])
    return _stated(plan, values, ja4)


@lru_cache(maxsize=MAX_CACHED)
def _plan(names: tuple[str, ...], key: bytes) -> _Plan:
    kept = [name[:MAX_NAME_CHARS] for name in names if not _passes(name.lower())]
    stable = tuple(place for place, name in enumerate(names) if name.lower() in _STABLE)
    return _Plan(names, stable, token_of(Trait.HEADERS, "\n".join(kept), key), key)


def _passes(name: str) -> bool:
    return name in _PASSING or name.startswith(_PASSING_PREFIXES)


@lru_cache(maxsize=MAX_CACHED)
def _stated(plan: _Plan, values: tuple[str, ...], ja4: str | None) -> tuple[int, ...]:
    """All tokens: what the client states, and one for each way in which that contradicts itself."""
    names, key = plan.names, plan.key
    stated = {names[place].lower(): value for place, value in zip(plan.stable, values, strict=True)}
    found = [plan.token]
    if values:
        lines = "\n".join(f"{name}: {value}" for name, value in sorted(stated.items()))
        found.append(token_of(Trait.AGENT, lines, key))
    if ja4:
        found.append(token_of(Trait.JA4, ja4[:MAX_VALUE_CHARS], key))
    kinds = contradictions(names, stated, ja4)
    return *found, *(token_of(Trait.INCONSISTENT, kind, key) for kind in kinds)
